"""In which order the indices of an expression are read, as its tensors have them."""

from __future__ import annotations

from collections.abc import Iterable

from tensorgrad_gen.algebra.indices import accesses, by_name
from tensorgrad_gen.ir import Access, Expr, Index
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.values import LEAD


def axes_of_access(access: Access) -> tuple[Index, ...]:
    """The indices of an access as its axes follow each other, those of a label in its place."""
    axes: list[Index] = []
    for sub in access.subs:
        if isinstance(sub, Index):
            axes.append(sub)
        else:
            axes += [axis for inner in accesses(sub) for axis in axes_of_access(inner)]
            axes += by_name(sub.free)
    whole = tuple(dict.fromkeys(axes))
    return (LEAD, *(axis for axis in whole if axis is not LEAD)) if LEAD in whole else whole


def natural_order(parts: Iterable[Expr], bound: Iterable[Index], order: Layout) -> tuple[Index, ...]:
    """An order of all free indices of the parts: that of the largest tensor if it has all, else free ones first."""
    parts = tuple(parts)
    free: frozenset[Index] = frozenset().union(*(part.free for part in parts))
    best: tuple[Index, ...] = ()
    for part in parts:
        for access in accesses(part):
            plain = tuple(axis for axis in axes_of_access(access) if axis in free)
            if len(plain) > len(best):
                best = plain
    if len(best) == len(free):
        return best
    bound = set(bound)
    first = [axis for axis in order if axis is not None and axis in free and axis not in bound]
    rest = [axis for axis in (*best, *by_name(free)) if axis in free and axis not in first]
    whole = tuple(dict.fromkeys((*first, *rest)))
    return (LEAD, *(axis for axis in whole if axis is not LEAD)) if LEAD in whole else whole
