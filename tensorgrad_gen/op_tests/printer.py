"""Expressions as text of plain torch: every subexpression a dense tensor with one axis for each index it has.

Law: the text says what `verify.composed` computes.  It is made from the elaborated program alone, so nothing that
the compiler does below `elaborate` can be wrong in it and in the op at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import combinations

from tensorgrad_gen import ir
from tensorgrad_gen.algebra.indices import looks_up
from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.functions import plain_name
from tensorgrad_gen.ir import Expr, Index, Program, Statement
from tensorgrad_gen.op_tests import code as c
from tensorgrad_gen.op_tests.code import Axes, Code
from tensorgrad_gen.op_tests.extents import Extents
from tensorgrad_gen.op_tests.functions import (
    FRAGILE,
    FUNCTIONS,
    OF_NUMBERS,
    REDUCTIONS,
    SAFE,
    SAFE_POINT,
    SCANS,
    SCANS_OF_SEVERAL,
)
from tensorgrad_gen.op_tests.matrices import linalg, with_all
from tensorgrad_gen.render.names import Names

_SPECIAL = {"pi": "math.pi", "inf": "math.inf", "nan": "math.nan"}
_MINUS = ir.Const(Fraction(-1))


def statement_axes(statement: Statement) -> Axes:
    """The order of axes in a statement: its left side's, then those summed over, as they occur."""
    return Axes([index.name for index in statement.indices] + list(_indices(statement.value)))


def _indices(expr: Expr) -> Iterator[str]:
    """The names of all indices in an expression, from the outside in."""
    parts = [getattr(expr, name, ()) for name in ("indices", "rows", "cols", "subs")]
    parts.append(tuple(getattr(expr, name, None) for name in ("index", "left", "right")))
    for part in parts:
        yield from (item.name for item in part if isinstance(item, Index))
    for child in expr.children:
        yield from _indices(child)


def number(value: Fraction) -> Code:
    """An exact number: `2`, `0.5`, `1 / 3`."""
    if value < 0:
        return Code(f"-{number(-value).at(c.POWER)}", c.UNARY, number=True)
    if value.denominator == 1 and value < 2**53:
        return Code(str(value), number=True)
    decimal = repr(float(value))
    if Fraction(decimal) == value or value.denominator > 10**9 or value >= 2**53:
        return Code(decimal, number=True)
    return Code(f"{value.numerator} / {value.denominator}", c.PRODUCT, number=True)


def spread(value: Code, indices: Sequence[Index], extents: Extents) -> str:
    """The value with an axis of full length for each of the indices."""
    keys = tuple(index.name for index in indices)
    if value.number:
        value = Code(value.tensor)
    if value.keys == keys:
        return value.text
    lengths = ", ".join(extents.of(index.extent) for index in indices)
    text = c.ordered(value, keys) if value.keys else value.at(c.ATOM)
    return f"{text}.expand({lengths})"


@dataclass(frozen=True, slots=True)
class Scope:
    """What the statements of a body share: `masks` has the name of each condition that was given one."""

    program: Program
    extents: Extents
    names: Names
    locals: Mapping[str, str]
    masks: dict[Code, str] = field(default_factory=dict)


class Printer:
    """Prints the value of one statement; `lines` are what is to stand before it."""

    def __init__(self, scope: Scope, axes: Axes) -> None:
        self.program = scope.program
        self.axes = axes
        self.extents = scope.extents
        self.names = scope.names
        self.locals = scope.locals
        self.masks = scope.masks
        self.lines: list[str] = []

    def value(self, expr: Expr, mask: Code | None = None) -> Code:
        """An expression; where `mask` is false its value is not used, and nothing there may matter."""
        match expr:
            case ir.Access():
                return self._access(expr, mask)
            case ir.Add(terms):
                return self._sum_of(terms, mask)
            case ir.Mul(factors):
                return self._product(factors, mask)
            case ir.Pow():
                return self._raised(expr, mask) if _inverted(expr) is None else self._quotient((expr,), mask)
            case ir.Apply(name, (ir.Extent() | ir.Param() as argument,)) if name in OF_NUMBERS:
                return Code(f"math.{name}({self.value(argument).text})", number=True)
            case ir.Apply(name, args):
                name = plain_name(name)
                if name not in FUNCTIONS:
                    raise NotBuiltError(f"tests of an op with {name} are not built yet")
                safe = SAFE_POINT.get(name, SAFE) if name in FRAGILE else None
                return c.call(self.axes, FUNCTIONS[name], [self._guarded(a, mask, safe) for a in args])
            case ir.Compare() | ir.Logic():
                return self._as_number(self.condition(expr, mask))
            case ir.Iverson(condition):
                return self._as_number(self.condition(condition, mask))
            case ir.Where(condition, then, other):
                truth = self._named(self.condition(condition, mask))
                yes = self.value(then, self._both(mask, truth))
                return c.chosen(self.axes, truth, yes, self.value(other, self._both(mask, truth.negated)))
            case ir.Sum(indices, body):
                return self._bound("{0}.sum({1})", indices, self.value(body, mask))
            case ir.Reduce(kind, indices, body):
                return self._reduce(kind, indices, body, mask)
            case ir.Scan(kind, indices, body):
                return self._scan(kind, indices, body, mask)
            case ir.Linalg():
                right = None if expr.rhs is None else self.value(expr.rhs)
                return linalg(self.axes, self.extents, expr, self.value(expr.matrix), right)
        return self._leaf(expr, mask)

    def _leaf(self, expr: Expr, mask: Code | None) -> Code:
        match expr:
            case ir.Root():
                return self._root(expr)
            case ir.Const(value):
                return number(value)
            case ir.Special(name):
                return Code(_SPECIAL[name], number=True)
            case ir.Param(name, _):
                return Code(self.locals[name], number=True)
            case ir.Extent(symbol):
                return Code(self.extents.of(symbol), number=True)
            case ir.Position(index):
                return self._positions(index)
            case ir.Delta(left, right):
                return self._as_number(
                    self._infix("==", c.COMPARISON, self._place(left, mask), self._place(right, mask))
                )
            case ir.LeviCivita(subs):
                places = [self._positions(index) for index in subs]
                apart = [self._infix("-", c.SUM, b, a) for a, b in combinations(places, 2)]
                product = self._infix("*", c.PRODUCT, *apart)
                return Code(f"torch.sign({product.text}).double()", c.ATOM, product.keys)
        raise TypeError(f"no text for {type(expr).__name__}")

    def _root(self, expr: ir.Root) -> Code:
        """A function for the residual, and a call of what finds where it is 0."""
        problem = expr.problem
        inputs = [(item, arg) for item, arg in zip(problem.program.inputs, expr.args, strict=True)]
        given = {item.name: self.locals[arg.tensor] for item, arg in inputs[1:] if isinstance(arg, ir.Access)}
        name, unknown = self.names.fresh("residual"), self.names.fresh(problem.unknown)
        locals_ = {**self.locals, **given, problem.unknown: unknown}
        inner = Printer(Scope(self.program, self.extents, self.names, locals_), statement_axes(problem.residual))
        value = spread(inner.value(problem.residual.value), problem.residual.indices, self.extents)
        self.lines += [f"def {name}({unknown}: Tensor) -> Tensor:", *(f"    {line}" for line in inner.lines)]
        self.lines += [f"    return {value}", ""]
        start = spread(self.value(expr.args[0]), problem.declared, self.extents)
        return self.axes.arranged(
            f"_solution({name}, {start})", tuple(i.name for i in expr.subs if isinstance(i, Index))
        )

    def _infix(self, operator: str, level: int, *codes: Code) -> Code:
        return c.infix(self.axes, operator, level, codes)

    # arithmetic --------------------------------------------------------------------------------

    def _sum_of(self, terms: tuple[Expr, ...], mask: Code | None) -> Code:
        """`a + b - c`."""
        codes = [self.value(term, mask) for term in terms]
        codes.sort(key=_is_negative)  # `1 - s`, not `-s + 1`
        keys = self.axes.union(codes)
        text = c.aligned(codes[0], keys).at(c.SUM)
        for code in codes[1:]:
            sign, positive = ("-", _without_minus(code)) if _is_negative(code) else ("+", code)
            text += f" {sign} {c.aligned(positive, keys).at(c.PRODUCT)}"
        return Code(text, c.SUM, keys, all(code.number for code in codes))

    def _product(self, factors: tuple[Expr, ...], mask: Code | None) -> Code:
        """A product; what stands beside a condition is not read where that is false."""
        conditions = [f.condition for f in factors if isinstance(f, ir.Iverson)]
        rest = tuple(f for f in factors if not isinstance(f, ir.Iverson))
        # Conditions that look nothing up come first: they may guard the labels of the others.
        conditions.sort(key=looks_up)
        truth, inner = None, mask
        for condition in conditions:
            this = self._named(self.condition(condition, inner))
            truth, inner = self._both(truth, this), self._both(inner, this)
        if truth is None:
            return self._quotient(rest, inner)
        if not rest:
            return self._as_number(truth)
        return c.chosen(self.axes, truth, self._quotient(rest, inner), Code("0.0", number=True))

    def _quotient(self, factors: tuple[Expr, ...], mask: Code | None) -> Code:
        """`-a * b / c`."""
        minus = factors[0] is _MINUS and len(factors) > 1
        factors = factors[1:] if minus else factors
        above = [self.value(f, mask) for f in factors if _inverted(f) is None] or [Code("1", number=True)]
        below = [self._raised(power, mask, divides=True) for power in map(_inverted, factors) if power is not None]
        out = above[0] if len(above) == 1 else self._infix("*", c.PRODUCT, *above)
        for divisor in below:
            out = self._infix("/", c.PRODUCT, out, divisor)
        if not minus:
            return out
        if out.level == c.PRODUCT and not out.text.startswith("-"):
            return Code(f"-{out.text}", c.PRODUCT, out.keys, out.number)
        return Code(f"-{out.at(c.POWER)}", c.UNARY, out.keys, out.number)

    def _raised(self, power: ir.Pow, mask: Code | None, *, divides: bool = False) -> Code:
        """`a**b`; one that divides is kept from where it is zero."""
        constant = power.exponent.value if isinstance(power.exponent, ir.Const) else None
        whole = constant is not None and constant.denominator == 1 and not divides
        base = self._guarded(power.base, mask, None if whole else SAFE)
        if constant == 1:
            return base
        if constant == Fraction(1, 2):
            root = f"math.sqrt({base.text})" if base.number else f"torch.sqrt({base.text})"
            return Code(root, c.ATOM, base.keys, base.number)
        exponent = self.value(power.exponent, mask)
        keys = self.axes.union((base, exponent))
        text = f"{c.aligned(base, keys).at(c.ATOM)} ** {c.aligned(exponent, keys).at(c.UNARY)}"
        return Code(text, c.POWER, keys, base.number and exponent.number)

    # accesses ----------------------------------------------------------------------------------

    def _positions(self, index: Index) -> Code:
        return Code(f"torch.arange({self.extents.of(index.extent)})", c.ATOM, (index.name,))

    def _place(self, sub: ir.Sub, mask: Code | None) -> Code:
        """A subscript as a whole number."""
        if isinstance(sub, Index):
            return self._positions(sub)
        value = self.value(sub, mask)
        return value if self._is_whole(sub) else Code(f"{value.at(c.ATOM)}.round().long()", c.ATOM, value.keys)

    def _is_whole(self, expr: Expr) -> bool:
        """Whether the text of an expression has whole numbers in an integer type."""
        match expr:
            case ir.Const(value):
                return value.denominator == 1
            case ir.Param(_, kind):
                return kind == "int"
            case ir.Access(tensor, _):
                return self.program.tensors[tensor].kind == "label"
            case ir.Add() | ir.Mul():
                return all(self._is_whole(child) for child in expr.children)
        return isinstance(expr, ir.Extent | ir.Position)

    def _access(self, expr: ir.Access, mask: Code | None) -> Code:
        value = self._read(expr, mask)
        if self.program.tensors[expr.tensor].kind == "bool":
            return self._as_number(value)
        return value

    def _read(self, expr: ir.Access, mask: Code | None) -> Code:
        """The elements that the subscripts name."""
        tensor = self.locals[expr.tensor]
        plain = tuple(sub.name for sub in expr.subs if isinstance(sub, Index))
        if len(set(plain)) == len(expr.subs):
            return self.axes.arranged(tensor, plain)
        places = [self._masked_place(sub, mask) for sub in expr.subs]
        keys = self.axes.union(places)
        return Code(f"{tensor}[{', '.join(c.aligned(place, keys).text for place in places)}]", c.ATOM, keys)

    def _masked_place(self, sub: ir.Sub, mask: Code | None) -> Code:
        place = self._place(sub, mask)
        if mask is None or isinstance(sub, Index) or place.number:
            return place
        return c.chosen(self.axes, mask, place, Code("0", number=True))

    # conditions --------------------------------------------------------------------------------

    def condition(self, expr: Expr, mask: Code | None = None) -> Code:
        """An expression as truth values."""
        match expr:
            case ir.Iverson(condition):
                return self.condition(condition, mask)
            case ir.Logic("not", args):
                return self.condition(args[0], mask).negated
            case ir.Logic(op, args):
                sign, level = ("&", c.AND) if op == "and" else ("|", c.OR)
                return self._infix(sign, level, *(self.condition(arg, mask) for arg in args))
            case ir.Compare(op, left, right):
                return self._infix(op, c.COMPARISON, self.value(left, mask), self.value(right, mask))
            case ir.Reduce(kind, indices, body) if kind in ("any", "all"):
                return self._bound(REDUCTIONS[kind], indices, self.condition(body, mask))
            case ir.Access(tensor, _) if self.program.tensors[tensor].kind == "bool":
                return self._read(expr, mask)
        return self._infix("!=", c.COMPARISON, self.value(expr, mask), Code("0", number=True))

    def _as_number(self, truth: Code) -> Code:
        if truth.number:
            return Code(f"float({truth.text})", number=True)
        return Code(f"{truth.at(c.ATOM)}.double()", c.ATOM, truth.keys)

    def _both(self, left: Code | None, right: Code) -> Code:
        return right if left is None else self._infix("&", c.AND, left, right)

    def _named(self, truth: Code) -> Code:
        """The condition under a name, as it is written several times."""
        if truth.number or truth.text.isidentifier():
            return truth
        if truth not in self.masks:
            self.masks[truth] = self.names.fresh("mask")
            self.lines.append(f"{self.masks[truth]} = {truth.text}")
        return Code(self.masks[truth], c.ATOM, truth.keys)

    def _guarded(self, expr: Expr, mask: Code | None, safe: str | None) -> Code:
        """The value, and where it is not used a number that does no harm."""
        value = self.value(expr, mask)
        if mask is None or safe is None or value.number:
            return value
        return c.chosen(self.axes, mask, value, Code(safe, number=True))

    # reductions --------------------------------------------------------------------------------

    def _bound(self, form: str, indices: tuple[Index, ...], body: Code) -> Code:
        whole = with_all(self.axes, self.extents, body, indices)
        names = {index.name for index in indices}
        dims = [str(place) for place, key in enumerate(whole.keys) if key in names]
        text = form.format(whole.at(c.ATOM) if form.startswith("{0}.") else whole.text, _tuple(dims))
        return Code(text, c.ATOM, tuple(key for key in whole.keys if key not in names))

    def _reduce(self, kind: str, indices: tuple[Index, ...], body: Expr, mask: Code | None) -> Code:
        if kind in ("any", "all"):
            return self._as_number(self.condition(ir.Reduce(kind, indices, body), mask))
        value = self.value(body, mask)
        if kind != "prod":
            return self._bound(REDUCTIONS[kind], indices, value)
        for index in indices:
            value = self._bound(REDUCTIONS[kind], (index,), value)
        return value

    def _scan(self, kind: str, indices: tuple[Index, ...], body: Expr, mask: Code | None) -> Code:
        names = {index.name for index in indices}
        if mask is not None and not names.isdisjoint(mask.keys):
            # A scan reads all along its indices if anything there is needed.
            dims = [str(place) for place, key in enumerate(mask.keys) if key in names]
            mask = Code(f"{mask.at(c.ATOM)}.any({_tuple(dims)}, keepdim=True)", c.ATOM, mask.keys)
        whole = with_all(self.axes, self.extents, self.value(body, mask), indices)
        dims = [str(whole.keys.index(index.name)) for index in indices]
        forms = SCANS if len(indices) == 1 else SCANS_OF_SEVERAL
        return Code(forms[kind].format(whole.text, _tuple(dims)), c.ATOM, whole.keys)


def _is_negative(code: Code) -> bool:
    """Whether the text is that of a product with a minus before it."""
    return code.text.startswith("-") and code.level >= c.PRODUCT


def _without_minus(code: Code) -> Code:
    text = code.text[1:]
    level = c.PRODUCT if code.level == c.PRODUCT else c.ATOM if text.isidentifier() else c.POWER
    return replace(code, text=text, level=level, source=None)


def _tuple(dims: list[str]) -> str:
    return dims[0] if len(dims) == 1 else f"({', '.join(dims)})"


def _inverted(expr: Expr) -> ir.Pow | None:
    """What a factor divides by, if it does."""
    if isinstance(expr, ir.Pow) and isinstance(expr.exponent, ir.Const) and expr.exponent.value < 0:
        return ir.Pow(expr.base, ir.Const(-expr.exponent.value))
    return None
