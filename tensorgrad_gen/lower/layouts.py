"""Which axes each tensor of a plan keeps: a reduced tensor keeps an axis of size 1 where its readers broadcast it.

Decided from the last reader to the first; each reader votes with the layout it could use as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tensorgrad_gen.algebra.indices import accesses
from tensorgrad_gen.ir import Add, Expr, Index, Mul, Reduce, Scan, Sum
from tensorgrad_gen.lower.deltas import diagonal, inside
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.reading import natural_order
from tensorgrad_gen.lower.values import LEAD
from tensorgrad_gen.lower.windows import product_of
from tensorgrad_gen.plan.model import Plan, Step

Axes = tuple["int | None", ...]


def decide_layouts(plan: Plan) -> dict[str, Axes]:
    """For every step's target: its axes as positions in its declared indices, or None."""
    steps: list[Step] = []
    for block in (*plan.backward, *([plan.tangent] if plan.tangent else [])):
        steps += reversed(block.steps)
    steps += reversed(plan.forward)
    votes: dict[str, Counter[Axes]] = {step.target: Counter() for step in steps}
    forward = {step.target for step in plan.forward}
    decided: dict[str, Axes] = {}
    for step in steps:
        axes = _winner(votes[step.target], len(step.indices))
        decided[step.target] = axes
        own = as_layout(axes, step.indices)
        for expr, order in _readings(step, own):
            for access in accesses(expr):
                vote = _vote(access.subs, order)
                # An output is saved as it is returned: what backward would like of it makes no difference.
                returned = access.tensor in plan.outputs and step.target not in forward
                if access.tensor in votes and vote is not None and not returned:
                    votes[access.tensor][vote] += 1
    return decided


def as_layout(axes: Axes, indices: tuple[Index, ...]) -> Layout:
    """The axes as indices."""
    return tuple(None if place is None else indices[place] for place in axes)


def _winner(votes: Counter[Axes], count: int) -> Axes:
    """The layout most readers want; among equals the longest."""
    if not votes:
        return tuple(range(count))
    return max(sorted(votes, key=str), key=lambda axes: (votes[axes], len(axes)))


def _readings(step: Step, own: Layout) -> Iterable[tuple[Expr, Layout]]:
    """Parts of the step's value, each with the order it is computed in."""
    value = step.value
    if isinstance(value, Reduce | Scan):
        return [(value.body, natural_order((value.body,), value.indices, own))]
    if not isinstance(value, Sum):
        return list(_pointwise(value, own))
    factors = value.body.factors if isinstance(value.body, Mul) else (value.body,)
    bound = set(value.indices)
    outer = [(f, own) for f in factors if not f.free & bound]
    inner = [f for f in factors if f.free & bound]
    if len({f.free for f in inner}) == 1:
        outer += [(f, natural_order(inner, bound, own)) for f in inner]
    return outer


def _pointwise(value: Expr, own: Layout) -> Iterator[tuple[Expr, Layout]]:
    """The terms of a sum; what goes onto a diagonal has an axis less."""
    if isinstance(value, Add):
        for term in value.terms:
            yield from _pointwise(term, own)
        return
    found = diagonal(value.factors) if isinstance(value, Mul) else None
    if found is None:
        yield value, own
    else:
        index, twin, rest = found
        yield from _pointwise(product_of(rest), inside(index, twin, own))


def _vote(subs: Iterable[object], order: Layout) -> Axes | None:
    """The layout in which a tensor with these subscripts fits the order, if its axes need not move."""
    indices = [sub for sub in subs if isinstance(sub, Index)]
    if not all(isinstance(sub, Index) for sub in subs) or len(set(indices)) < len(indices):
        return None
    places = [indices.index(axis) if axis is not None and axis in indices else None for axis in order]
    found = [place for place in places if place is not None]
    if found != list(range(len(indices))):
        return None
    if not found:
        return (None,) * (len(order) - (LEAD in order))
    return tuple(places[next(k for k, place in enumerate(places) if place is not None) :])
