"""Masked terms of a sum that have the mask in common: they are added under it."""

from __future__ import annotations

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Add, Expr, Iverson, add, mul


def under_one_mask(node: Add) -> Add | Expr:
    """`[c] a + [c] b + d` -> `[c] (a + b) + d`: one choice instead of two."""
    groups: dict[frozenset[Expr], list[Expr]] = {}
    for term in node.terms:
        masks = frozenset(f for f in factors_of(term) if isinstance(f, Iverson))
        rest = [f for f in factors_of(term) if f not in masks]
        if masks and all(map(accesses, masks)) and any(map(accesses, rest)):
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
