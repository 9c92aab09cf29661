"""Positions as subscripts: `2*i + k - 1`, `i//2`, `pad(...)`, `clamp(...)`, `mod(...)` (language, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tensorgrad_gen import ir
from tensorgrad_gen.elaborate import walk
from tensorgrad_gen.elaborate.extents import Key
from tensorgrad_gen.elaborate.poly import Poly, atom, integer
from tensorgrad_gen.elaborate.scope import Scope
from tensorgrad_gen.elaborate.vocabulary import SUBSCRIPT_FUNCTIONS
from tensorgrad_gen.errors import Span
from tensorgrad_gen.ir import Apply, Compare, Expr, Extent, Iverson, Logic, Param, Size, add, const, mul
from tensorgrad_gen.syntax import tree as t

if TYPE_CHECKING:
    from tensorgrad_gen.elaborate.expressions import Builder, Env

EXAMPLE = "a position is like `2*i + k - 1`: indices with integers, sizes or int params as coefficients"


@dataclass(frozen=True, slots=True)
class Position:
    """`(sum of coefficients times letters + constant) // divisor`, inside `wrapper` if there is one."""

    coefficients: tuple[tuple[str, Poly], ...]
    constant: Poly
    divisor: int
    wrapper: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear form in letters."""

    coefficients: dict[str, Poly]
    constant: Poly

    def plus(self, other: Linear, factor: Poly) -> Linear:
        """The form plus `factor` times the other."""
        total = dict(self.coefficients)
        for letter, count in other.coefficients.items():
            total[letter] = total.get(letter, integer(0)) + count * factor
        return Linear(total, self.constant + other.constant * factor)


class NoPositionError(Exception):
    """The tree is no position: `span` is the part at fault."""

    def __init__(self, span: Span, message: str) -> None:
        self.span = span
        super().__init__(message)


def read(sub: t.Subscript, scope: Scope) -> Position | None:
    """The position that a subscript is; None after an error."""
    tree, divisor = sub.value, sub.divisor or 1
    wrapper: str | None = None
    assert tree is not None
    if isinstance(tree, t.Call) and tree.name in SUBSCRIPT_FUNCTIONS and len(tree.args) == 1 and sub.divisor is None:
        wrapper, inner = tree.name, tree.args[0]
        tree = inner
        if isinstance(inner, t.Binary) and inner.op == "//" and isinstance(inner.right, t.Number):
            tree, divisor = inner.left, int(inner.right.value)
    try:
        form = _linear(tree, scope)
    except NoPositionError as problem:
        scope.names.report.error("E207", str(problem), problem.span, EXAMPLE)
        return None
    if divisor < 1:
        scope.names.report.error("E207", "a position is divided by a positive integer", sub.span)
        return None
    present = tuple((letter, count) for letter, count in form.coefficients.items() if count.terms)
    return Position(present, form.constant, divisor, wrapper, sub.span)


def _linear(tree: t.Tree, scope: Scope) -> Linear:
    tree = walk.strip(tree)
    total = Linear({}, integer(0))
    parts = walk.terms(tree)
    if len(parts) > 1:
        for part in parts:
            total = total.plus(_linear(part.tree, scope), integer(-1 if part.negative else 1))
        return total
    factors, negative = walk.factors(tree)
    if len(factors) == 1 and not negative and factors[0].tree is tree:
        return _leaf(tree, scope)
    total = Linear({}, integer(-1 if negative else 1))
    for factor in factors:
        if factor.inverted:
            raise NoPositionError(factor.tree.span, "a position is divided with `//`, at its end")
        total = _times(total, _linear(factor.tree, scope), factor.tree.span)
    return total


def _times(left: Linear, right: Linear, span: Span) -> Linear:
    if left.coefficients and right.coefficients:
        raise NoPositionError(span, "a position is linear in its indices")
    form, factor = (left, right.constant) if left.coefficients else (right, left.constant)
    return Linear({}, integer(0)).plus(form, factor)


def _leaf(tree: t.Tree, scope: Scope) -> Linear:
    names = scope.names
    if isinstance(tree, t.Number) and tree.value.denominator == 1:
        return Linear({}, integer(int(tree.value)))
    if isinstance(tree, t.Call) and tree.name == "size" and len(tree.args) == 1:
        arg = walk.strip(tree.args[0])
        if isinstance(arg, t.Name) and (arg.name in scope.indices or arg.name in names.letters):
            return Linear({}, extent(scope.key(arg.name)))
    if isinstance(tree, t.Name):
        if tree.name in scope.indices:
            return Linear({tree.name: integer(1)}, integer(0))
        if tree.name in names.sizes:
            names.used.add(tree.name)
            return Linear({}, extent(names.sizes[tree.name].index.text))
        if tree.name in names.params and names.params[tree.name].kind == "int":
            names.used.add(tree.name)
            return Linear({}, atom(Size("param", (tree.name,))))
        if tree.name in names.params:
            remedy = f"`{tree.name}` is a real param; a position needs an integer"
            raise NoPositionError(tree.span, remedy)
    raise NoPositionError(tree.span, "this cannot be part of a position")


def label(builder: Builder, sub: t.Subscript, key: Key | None, env: Env) -> Expr:
    """The subscript as an integer expression."""
    position = read(sub, builder.scope)
    if position is None:
        return const(0)
    value = _value(builder, position, env)
    if position.wrapper in (None, "pad"):
        return value
    if key is None:
        return builder.error("E207", f"`{position.wrapper}` needs an axis that it keeps inside", sub.span)
    length = _number(extent(key), builder)
    if position.wrapper == "mod":
        return Apply("mod", (value, length))
    return Apply("clamp", (value, const(0), ir.sub(length, const(1))))


def inside(builder: Builder, sub: t.Subscript, key: Key, env: Env) -> Expr | None:
    """Of `pad(...)`, 1 where the position is inside the axis; nothing for another position."""
    position = read(sub, builder.scope)
    if position is None or position.wrapper != "pad":
        return None
    value = _value(builder, position, env)
    ends = Compare(">=", value, const(0)), Compare("<", value, _number(extent(key), builder))
    return Iverson(Logic("and", ends))


def _value(builder: Builder, position: Position, env: Env) -> Expr:
    """The position as a number; a floor of integers is taken between them, where rounding does no harm."""
    parts = [
        mul(_number(count, builder), ir.Position(builder.index(letter, env))) for letter, count in position.coefficients
    ]
    whole = add(*parts, _number(position.constant, builder))
    if position.divisor == 1:
        return whole
    part = Fraction(1, position.divisor)
    return Apply("floor", (add(mul(const(part), whole), const(part / 2)),))


def _number(poly: Poly, builder: Builder) -> Expr:
    """A coefficient as an expression."""
    return add(*(mul(const(count), *(_atom(part, builder) for part in monomial)) for monomial, count in poly.terms))


def _atom(part: Size, builder: Builder) -> Expr:
    if part.op == "param":
        return Param(part.args[0], "int")
    found = builder.scope.names.extents.extent(part.args[0])
    return const(found) if isinstance(found, int) else Extent(found or "?")


def extent(key: Key) -> Poly:
    """The extent of a key, to be named when all extents are known."""
    return integer(key) if isinstance(key, int) else atom(Size("size", (key,)))
