"""Variables of a torch expression under other names."""

from __future__ import annotations

from collections.abc import Mapping

from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Item, Method, Prefix, TExpr, Tup, Var


def renamed(expr: TExpr, names: Mapping[str, str]) -> TExpr:
    """The expression with variables replaced."""
    if not names:
        return expr
    match expr:
        case Var(name):
            return Var(names.get(name, name))
        case Call(function, args, kwargs):
            return Call(function, _all(args, names), _named(kwargs, names))
        case Method(receiver, name, args, kwargs):
            return Method(renamed(receiver, names), name, _all(args, names), _named(kwargs, names))
        case Attr(receiver, name):
            return Attr(renamed(receiver, names), name)
        case Infix(op, left, right):
            return Infix(op, renamed(left, names), renamed(right, names))
        case Prefix(op, operand):
            return Prefix(op, renamed(operand, names))
        case Tup(items):
            return Tup(_all(items, names))
        case Item(receiver, key):
            return Item(renamed(receiver, names), renamed(key, names))
        case _:
            return expr


def _all(parts: tuple[TExpr, ...], names: Mapping[str, str]) -> tuple[TExpr, ...]:
    return tuple(renamed(part, names) for part in parts)


def _named(parts: tuple[tuple[str, TExpr], ...], names: Mapping[str, str]) -> tuple[tuple[str, TExpr], ...]:
    return tuple((key, renamed(value, names)) for key, value in parts)
