"""The torch IR as Python text: parentheses exactly where precedence needs them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from tensorgrad_gen.lower.torch_ir import Attr, Call, Function, Infix, Item, Lit, Method, Need, Prefix, TExpr, Tup, Var

_UNARY, _POWER, _ATOM = 8, 9, 10
_INFIX = {
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "is", "is not"), 1),
    "|": 2,
    "^": 3,
    "&": 4,
    **dict.fromkeys(("+", "-"), 6),
    **dict.fromkeys(("*", "/", "//", "%", "@"), 7),
    "**": _POWER,
}
_PREFIX = {"-": _UNARY, "~": _UNARY, "+": _UNARY, "not ": 0, "*": 0}


def print_texpr(expr: TExpr, runtime: str = "_runtime.", names: Mapping[str, str] | None = None) -> str:
    """The expression as Python; `runtime` is what names of the runtime begin with, `names` those of `need_x`."""
    return _Printer(runtime, names or {}).show(expr)[0]


def texpr_children(expr: TExpr) -> tuple[TExpr, ...]:
    """Sub-expressions, in the order they are evaluated."""
    match expr:
        case Call(_, args, kwargs):
            return (*args, *(value for _, value in kwargs))
        case Method(receiver, _, args, kwargs):
            return (receiver, *args, *(value for _, value in kwargs))
        case Attr(receiver, _):
            return (receiver,)
        case Infix(_, left, right):
            return (left, right)
        case Prefix(_, operand):
            return (operand,)
        case Tup(items):
            return items
        case Item(receiver, key):
            return (receiver, key)
        case _:
            return ()


def walk(expr: TExpr) -> Iterator[TExpr]:
    """The expression and everything inside it, in order."""
    stack = [expr]
    while stack:
        part = stack.pop()
        yield part
        if not isinstance(part, Var | Lit | Function):
            stack += texpr_children(part)[::-1]


def reads(expr: TExpr) -> frozenset[str]:
    """Names of the variables that the expression reads."""
    found = set()
    open_ = [expr]
    while open_:
        part = open_.pop()
        if isinstance(part, Var):
            found.add(part.name)
        elif not isinstance(part, Lit | Function):
            open_.extend(texpr_children(part))
    return frozenset(found)


class _Printer:
    def __init__(self, runtime: str, names: Mapping[str, str]) -> None:
        self.runtime, self.names = runtime, names

    def at(self, expr: TExpr, level: int) -> str:
        text, own = self.show(expr)
        return text if own >= level else f"({text})"

    def show(self, expr: TExpr) -> tuple[str, int]:
        """The text and its precedence."""
        match expr:
            case Var(name) | Function(name):
                return name, _ATOM
            case Lit(value):
                return _literal(value)
            case Need(inputs):
                needs = [self.names.get(f"need_{name}", f"need_{name}") for name in sorted(inputs)]
                return " or ".join(needs), _ATOM if len(needs) == 1 else 0
            case Call(function, args, kwargs):
                return self.called(function.replace("_runtime.", self.runtime), args, kwargs)
            case Method(receiver, name, args, kwargs):
                return self.called(f"{self.receiver(receiver)}.{name}", args, kwargs)
            case Attr(receiver, name):
                return f"{self.receiver(receiver)}.{name}", _ATOM
            case Infix(op, left, right):
                return self.infix(op, left, right)
            case Prefix(op, operand):
                level = _PREFIX[op]
                return f"{op}{self.at(operand, level)}", level
            case Tup(items):
                inner = ", ".join(self.at(item, 0) for item in items)
                return (f"({inner},)" if len(items) == 1 else f"({inner})"), _ATOM
            case Item(receiver, key):
                return f"{self.receiver(receiver)}[{self.key(key)}]", _ATOM

    def receiver(self, expr: TExpr) -> str:
        text = self.at(expr, _ATOM)
        return f"({text})" if isinstance(expr, Lit) and text[:1].isdigit() else text

    def called(self, head: str, args: tuple[TExpr, ...], kwargs: tuple[tuple[str, TExpr], ...]) -> tuple[str, int]:
        parts = [self.at(arg, 0) for arg in args] + [f"{name}={self.at(value, 0)}" for name, value in kwargs]
        return f"{head}({', '.join(parts)})", _ATOM

    def infix(self, op: str, left: TExpr, right: TExpr) -> tuple[str, int]:
        level = _INFIX[op]
        if level == _POWER:
            return f"{self.at(left, _ATOM)} ** {self.at(right, _UNARY)}", level
        # A comparison beside a comparison would chain.
        return f"{self.side(op, left, level + (level == 1))} {op} {self.side(op, right, level + 1)}", level

    def side(self, op: str, expr: TExpr, level: int) -> str:
        """An operand; a matrix product beside a product has parentheses that a reader needs and Python does not."""
        if isinstance(expr, Infix) and "@" in (op, expr.op) and expr.op != op and _INFIX[expr.op] == _INFIX["@"]:
            level = _ATOM
        return self.at(expr, level)

    def key(self, key: TExpr) -> str:
        if isinstance(key, Tup) and key.items:
            inner = ", ".join(self.slice(item) for item in key.items)
            return f"{inner}," if len(key.items) == 1 else inner
        return self.slice(key)

    def slice(self, item: TExpr) -> str:
        if isinstance(item, Call) and item.function == "slice":
            parts = ["" if part == Lit(None) else self.at(part, 2) for part in item.args]
            return ":".join(parts if len(parts) > 1 else ["", *parts])
        return self.at(item, 0)


def _literal(value: object) -> tuple[str, int]:
    if value is Ellipsis:
        return "...", _ATOM
    if isinstance(value, tuple):
        inner = ", ".join(_literal(item)[0] for item in value)
        return (f"({inner},)" if len(value) == 1 else f"({inner})"), _ATOM
    if isinstance(value, float) and not math.isfinite(value):
        name = "math.nan" if math.isnan(value) else "math.inf"
        return (f"-{name}", _UNARY) if value < 0 else (name, _ATOM)
    if isinstance(value, str) and value.isprintable() and not set(value) & set('"\\'):
        return f'"{value}"', _ATOM
    if value is None or isinstance(value, bool | str):
        return repr(value), _ATOM
    if isinstance(value, int | float):
        return repr(value), _UNARY if math.copysign(1, value) < 0 else _ATOM
    raise TypeError(f"no Python literal for {type(value).__name__}")
