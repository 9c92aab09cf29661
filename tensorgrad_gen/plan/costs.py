"""What steps cost: products, elements copied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from tensorgrad_gen.algebra import all_indices
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Access, Index, Sum
from tensorgrad_gen.plan.model import Step
from tensorgrad_gen.plan.sizes import Regime


def work(steps: Iterable[Step], regime: Regime) -> int:
    """How many products and sums the steps take: one for each place of all the indices that meet in one."""
    return sum(regime.elements(met) for met in _meetings(steps))


def in_both(steps: Iterable[Step], kept: Iterable[Iterable[Index]], regime: Regime) -> tuple[int, ...]:
    """Products, elements copied and elements kept: at typical extents, and where no two are the same."""
    steps = tuple(steps)
    groups = [tuple(_meetings(steps)), tuple(_copies(steps)), tuple(map(frozenset, kept))]
    return tuple(sum(map(count, group)) for count in (regime.elements, regime.elements_apart) for group in groups)


def _meetings(steps: Iterable[Step]) -> Iterator[frozenset[Index]]:
    return (all_indices(step.value) | frozenset(step.indices) for step in steps)


def _copies(steps: Iterable[Step]) -> Iterator[frozenset[Index]]:
    """Operands of matrix products whose axes are to be taken as rows and columns, and do not lie so."""
    for step in steps:
        factors = factors_of(step.value.body) if isinstance(step.value, Sum) else ()
        operands = [f for f in factors if not scalar(f)]
        if len(operands) == 2 and all(map(_plain, operands)):
            left, right = operands
            if not left.free <= right.free and not right.free <= left.free:
                yield from (a.free for a, b in ((left, right), (right, left)) if not _lies(a, b.free, step.indices))


def _plain(operand: object) -> bool:
    return isinstance(operand, Access) and frozenset(operand.subs) == operand.free


def _lies(operand: object, other: frozenset[Index], free: Iterable[Index]) -> bool:
    """Whether the axes of a batch, those summed and the rest each lie together."""
    assert isinstance(operand, Access)
    left = frozenset(free)
    kinds = [(sub in other, sub in left) for sub in operand.subs]
    return len(list(groupby(kinds))) == len(set(kinds))
