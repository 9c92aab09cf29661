"""Computed positions as subscripts: reading at them is a view, adding up at them its transpose.

A position is a sum of steps times indices and a start, or that divided by an integer; `pad` is a
pair of conditions beside the access, `0 <= position` and `position < extent`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.algebra.indices import accesses
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    Iverson,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Sum,
    add,
    const,
    mul,
    number,
)
from tensorgrad_gen.ir.build import ZERO
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.torch_ir import Call, Lit, Method, TExpr, Tup
from tensorgrad_gen.lower.values import Val

# A polynomial in params and extents, linear in positions: (index or none, sorted symbols) -> coefficient.
_Terms = dict[tuple[Index | None, tuple[Expr, ...]], Fraction]


@dataclass(frozen=True, slots=True)
class Window:
    """`(start + sum of step*index) // divisor`."""

    steps: tuple[tuple[Index, Expr], ...]
    start: Expr
    divisor: int

    def over(self, order: Iterable[Index]) -> tuple[tuple[Index, Expr], ...]:
        """The steps, those of the indices in the order first."""
        steps = dict(self.steps)
        first = [(index, steps.pop(index)) for index in order if index in steps]
        return (*first, *steps.items())


def window_of(label: Expr) -> Window | None:
    """The window that a label is; nothing if it reads a tensor, wraps around, or is no integer."""
    divided = isinstance(label, Apply) and label.function == "floor"
    terms = _terms(label.children[0] if divided else label)
    if terms is None:
        return None
    symbolic = [value for (index, symbols), value in terms.items() if index is not None or symbols]
    divisor = math.lcm(*(value.denominator for value in symbolic))
    whole = terms.get((None, ()), Fraction(0)) * divisor
    if not divided and (divisor > 1 or whole.denominator > 1):
        return None
    terms[None, ()] = Fraction(math.floor(whole))
    found: dict[Index | None, list[Expr]] = {}
    for (index, symbols), value in terms.items():
        scale = value if (index, symbols) == (None, ()) else value * divisor
        if scale:
            found.setdefault(index, []).append(mul(const(scale), *symbols))
    start = add(*found.pop(None, []))
    return Window(tuple((index, add(*parts)) for index, parts in found.items() if index is not None), start, divisor)


def _terms(expr: Expr) -> _Terms | None:
    match expr:
        case Const(value):
            return {(None, ()): value}
        case Extent() | Param(_, "int"):
            return {(None, (expr,)): Fraction(1)}
        case Position(index):
            return {(index, ()): Fraction(1)}
        case Add(parts):
            total: _Terms = {}
            for part in map(_terms, parts):
                if part is None:
                    return None
                for key, value in part.items():
                    total[key] = total.get(key, Fraction(0)) + value
            return total
        case Mul(factors):
            product: _Terms | None = {(None, ()): Fraction(1)}
            for factor in map(_terms, factors):
                product = None if product is None or factor is None else _multiplied(product, factor)
            return product
    return None


def _multiplied(left: _Terms, right: _Terms) -> _Terms | None:
    out: _Terms = {}
    for (i, symbols), value in left.items():
        for (j, others), factor in right.items():
            if i is not None and j is not None:
                return None
            key = (i if j is None else j, tuple(sorted((*symbols, *others), key=str)))
            out[key] = out.get(key, Fraction(0)) + value * factor
    return out


@dataclass(frozen=True, slots=True)
class WindowDelta:
    """`delta[index, label]`, the label a computed position."""

    index: Index
    label: Expr
    window: Window


def window_delta(factor: Expr, bound: frozenset[Index]) -> WindowDelta | None:
    """The window of a delta that is summed over all the indices of its position."""
    pair = split_label(factor) if isinstance(factor, Delta) else None
    found = None if pair is None else window_of(pair[1])
    if pair is None or found is None or pair[0] in pair[1].free or not bound.issuperset(pair[1].free):
        return None
    return WindowDelta(pair[0], pair[1], found) if found.steps else None


def moved(b: Builder, bound: frozenset[Index], factors: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """`delta[n, 2*i+k] f[2*i+k] -> delta[n, 2*i+k] f[n]`, where f then has none of the position's indices."""
    if any(isinstance(f, Iverson) for f in factors):
        return factors
    for delta in factors:
        found = window_delta(delta, bound)
        if found is None:
            continue
        new = tuple(f if f is delta else at_index(b, f, found.label, found.index) for f in factors)
        factors = tuple(f if g.free & found.label.free else g for f, g in zip(factors, new, strict=True))
    return factors


def at_index(b: Builder, expr: Expr, label: Expr, index: Index) -> Expr:
    """The expression with what is read at the label, of axes as long as the index, read at the index."""
    if index in expr.bound or label.free & set(expr.bound) or not expr.children:
        return expr
    if isinstance(expr, Access):
        subs = tuple(
            index if sub is label and axis_extent(b, expr, label) == index.extent else sub for sub in expr.subs
        )
        return Access(expr.tensor, subs)
    return expr.rebuild(tuple(at_index(b, child, label, index) for child in expr.children))


def split_label(delta: Delta) -> tuple[Index, Expr] | None:
    """The index and the label of a delta between the two; a label that is a plain number is none."""
    index, label = delta.left, delta.right
    if isinstance(index, Expr):
        index, label = label, index
    if isinstance(index, Expr) or isinstance(label, Index) or not (label.free or isinstance(label, Access)):
        return None
    return index, label


def product_of(factors: tuple[Expr, ...]) -> Expr:
    """The factors as one expression."""
    return factors[0] if len(factors) == 1 else Mul(factors)


def integer(b: Builder, expr: Expr) -> TExpr:
    """A step or a start as a Python int."""
    return b.lower(expr, ()).expr


def conjuncts(condition: Expr) -> Iterator[Expr]:
    """Conditions that all hold where the condition does."""
    if isinstance(condition, Logic) and condition.op == "and":
        for part in condition.args:
            yield from conjuncts(part)
    else:
        yield condition


def ends(label: Expr, extent: str | int) -> tuple[Expr, Expr]:
    """The conditions that keep a label inside an axis."""
    length = const(extent) if isinstance(extent, int) else Extent(extent)
    return Compare(">=", label, ZERO), Compare("<", label, length)


def reading(b: Builder, label: Expr, extent: str | int) -> bool | None:
    """How a computed position may be read without looking at what it is: padded or not; None if it may not.

    Under conditions it may be outside where they fail: unless they are those of `pad`, or the first of them
    reads at the very position.
    """
    if (label, extent) in b.padded:
        return True
    if not b.guards:
        return False
    held = {part for guard in b.guards for part in conjuncts(guard)}
    if held.issuperset(ends(label, extent)):
        return True
    first = next(conjuncts(b.guards[0]))
    reads = [a for a in accesses(first) if label in a.subs and axis_extent(b, a, label) == extent]
    return False if reads else None


def axis_extent(b: Builder, access: Access, label: Expr) -> str | int | None:
    """The extent of the axis that an access reads at the label."""
    local = b.locals.get(access.tensor)
    return None if local is None else local.indices[access.subs.index(label)].extent


def read_window(b: Builder, val: Val, place: Index, label: Expr, order: tuple[Index, ...]) -> Val | None:
    """The value with the axis `place` read at a computed position, as a view; None if a label must be looked up."""
    found = window_of(label)
    how = reading(b, label, place.extent)
    if found is None or how is None or not found.steps:
        return None
    position = val.layout.index(place)
    dim = position - len(val.layout)
    source = val.expr
    if found.divisor > 1:
        source = Call("_runtime.spread", (source, Lit(dim), Lit(found.divisor)))
    steps = found.over(order)
    layout = (*val.layout[:position], *(index for index, _ in steps), *val.layout[position + 1 :])
    start = number(found.start)
    if len(steps) == 1 and number(steps[0][1]) == 1 and start is not None and start >= 0 and not how:
        whole = int(start) == 0 and b.sizes.is_multiple(steps[0][0].extent, found.divisor, place.extent)
        if found.divisor > 1 and whole:
            return val.over(source, layout)
        expr: TExpr = Method(source, "narrow", (Lit(dim), Lit(int(start)), b.size(steps[0][0])))
        return val.over(expr, layout)
    counts = Tup(tuple(b.size(index) for index, _ in steps))
    moves = Tup(tuple(integer(b, step) for _, step in steps))
    where = (integer(b, found.start),) if start != 0 else ()
    options = (("padded", Lit(value=True)),) if how else ()
    return val.over(Call("_runtime.window", (source, Lit(dim), counts, moves, *where), options), layout)


def adding(b: Builder, factors: tuple[Expr, ...]) -> tuple[tuple[str, TExpr], ...]:
    """The option that drops what is added outside of an axis: that is an error, unless a condition may hide it."""
    hidden = bool(b.guards) or any(isinstance(f, Iverson) for f in factors)
    return (("padded", Lit(value=True)),) if hidden else ()


def add_window(
    b: Builder, val: Val, found: WindowDelta, lead: tuple[Index, ...], options: tuple[tuple[str, TExpr], ...]
) -> Val:
    """`sum of delta[n, position] x[lead.., i..]` over the indices of the position, from `x[lead.., i..]`."""
    index, window = found.index, found.window
    size = b.size(index)
    whole = size if window.divisor == 1 else _times(size, window.divisor)
    moves = Tup(tuple(integer(b, step) for _, step in window.steps))
    where = (integer(b, window.start),) if window.start is not ZERO else ()
    expr: TExpr = Call("_runtime.window_sum", (val.expr, whole, moves, *where), options)
    if window.divisor > 1:
        blocks = Tup((size, Lit(window.divisor)))
        expr = Method(Call("_runtime.split_axis", (expr, Lit(-1), blocks)), "sum", (Lit(-1),))
    return Val(expr, (*lead, index))


def _times(size: TExpr, factor: int) -> TExpr:
    from tensorgrad_gen.lower.arith import times

    return times(Val(Lit(factor), kind="number"), Val(size, kind="number")).expr


def unpadded(b: Builder, factors: tuple[Expr, ...]) -> tuple[frozenset[tuple[Expr, str | int]], tuple[Expr, ...]]:
    """The positions that a product reads padded, and its factors without the conditions that say so.

    Outside, the factor read there is 0, so that the product needs no mask where all else is finite.
    """
    conditions = [part for f in factors if isinstance(f, Iverson) for part in conjuncts(f.condition)]
    rest = tuple(f for f in factors if not isinstance(f, Iverson))
    if not conditions or not all(map(_finite, rest)):
        return frozenset(), factors
    padded = {
        (label, extent)
        for factor in rest
        for label, extent in zeros_at(b, factor)
        if set(conditions).issuperset(ends(label, extent))
    }
    gone = {end for label, extent in padded for end in ends(label, extent)}
    left = [Iverson(part) for part in dict.fromkeys(conditions) if part not in gone]
    return (frozenset(padded), (*left, *rest)) if padded else (frozenset(), factors)


def without_ends(factors: tuple[Expr, ...], label: Expr, extent: str | int) -> tuple[Expr, ...]:
    """The factors without the conditions that keep a label inside an axis: beside a delta of it they say nothing."""
    out: list[Expr] = []
    for factor in factors:
        parts = tuple(conjuncts(factor.condition)) if isinstance(factor, Iverson) else ()
        left = [part for part in parts if part not in ends(label, extent)]
        out += [factor] if len(left) == len(parts) else map(Iverson, left)
    return tuple(out)


def zeros_at(b: Builder, factor: Expr) -> set[tuple[Expr, str | int]]:
    """Computed positions, each with the extent of its axis, at which the factor is 0 if 0 is read there."""
    match factor:
        case Access(_, subs):
            labels = {label: axis_extent(b, factor, label) for label in subs if isinstance(label, Expr)}
            return {(k, n) for k, n in labels.items() if n is not None and window_of(k) is not None}
        case Pow(base, _):
            return zeros_at(b, base)
        case Mul(factors):
            return set().union(*(zeros_at(b, f) for f in factors))
        case Add(terms):
            return set.intersection(*(zeros_at(b, t) for t in terms))
    return set()


def _finite(factor: Expr) -> bool:
    """Whether the factor is finite where the tensors are, and no condition hides anything in it."""
    if isinstance(factor, Add | Mul | Sum):
        return all(map(_finite, factor.children))
    if isinstance(factor, Pow):
        exponent = number(factor.exponent)
        return exponent is not None and exponent > 0 and exponent.denominator == 1 and _finite(factor.base)
    return isinstance(factor, Access | Const | Param | Extent | Position)
