"""Masks that take one call instead of several."""

from __future__ import annotations

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.hidden_zeros import is_compared, is_size
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Add, Compare, Const, Expr, Iverson, Special, Where, add, mul
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
