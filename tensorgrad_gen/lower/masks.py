"""Masks that take one call instead of several."""

from __future__ import annotations

from collections.abc import Sequence

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.hidden_zeros import is_compared, is_size
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import (
    Add,
    Compare,
    Const,
    Expr,
    Index,
    Iverson,
    Pow,
    Special,
    Where,
    add,
    const,
    mul,
    number,
)
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.torch_ir import Call, Lit
from tensorgrad_gen.lower.values import Val


def size_or(b: Builder, node: Where, order: Layout) -> Val | None:
    """A size `r` where it is not 0, and another number there: as `r` is never below 0, it is above a threshold."""
    plain = isinstance(node.condition, Compare) and isinstance(node.other, Const | Special)
    if not plain or not is_compared(node.then, node.condition) or not is_size(node.then, b.program):
        return None
    size, other = b.tensor(b.lower(node.then, order)), b.lower(node.other, order)
    return size.over(Call("torch.threshold", (size.expr, Lit(0), other.expr)))


def under_one_mask(node: Add) -> Add | Expr:
    """`[c] a + [c] b + d` -> `[c] (a + b) + d`: one choice instead of two."""
    groups: dict[frozenset[Expr], list[Expr]] = {}
    for term in node.terms:
        masks = frozenset(f for f in factors_of(term) if isinstance(f, Iverson))
        if masks and all(map(accesses, masks)):
            groups.setdefault(masks, []).append(term)
    several = {masks: terms for masks, terms in groups.items() if len(terms) > 1}
    if not several:
        return node
    alone = [t for t in node.terms if not any(t in terms for terms in several.values())]
    return add(*(_under(masks, terms) for masks, terms in several.items()), *alone)


def _under(masks: frozenset[Expr], terms: list[Expr]) -> Expr:
    rests = [mul(*(f for f in factors_of(term) if f not in masks)) for term in terms]
    ordered = [f for f in factors_of(terms[0]) if f in masks]
    return mul(*ordered, add(*rests))


def on_small_factors(b: Builder, conditions: Sequence[Expr], rest: Sequence[Expr]) -> Expr | None:
    """`[p != 0] g p x^(p - 1)` with what is masked in the factors that are small: `g [p != 0] p x^(p - 1 or 0)`.

    Not beside a tensor of the op, which may be infinite where it is hidden.
    """
    axes = frozenset[Index]().union(*(f.free for f in rest))
    factors = list(rest)
    for condition in conditions:
        compared = [f for f in factors if is_compared(f, condition) and accesses(f) and f.free < axes]
        if len(compared) != 1:
            return None
        factors = [_where(f, condition, compared[0]) for f in factors]
    powers = [f for f in factors if isinstance(f, Pow)]
    others = {a.tensor for f in factors if not isinstance(f, Pow | Where) for a in accesses(f)}
    small = all(isinstance(f.exponent, Where) and f.exponent.free < f.base.free for f in powers)
    return mul(*factors) if powers and small and not others & set(b.program.tensors) else None


def _where(factor: Expr, condition: Expr, compared: Expr) -> Expr:
    if factor is compared:
        return Where(condition, factor, const(0))
    if isinstance(factor, Pow) and number(factor.exponent) is None:
        return Pow(factor.base, Where(condition, factor.exponent, const(0)))  # `x^0` is 1
    return factor
