"""Results of matrix products that several readers would each copy: they are copied once, where they are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Access, Sum
from tensorgrad_gen.lower.torch_ir import Call, Infix, Lit, Method, TExpr
from tensorgrad_gen.lower.values import Val
from tensorgrad_gen.plan.model import Plan, Step

# Of each axis of an operand: whether the other one has it, and whether the result has it.
_Kinds: TypeAlias = "tuple[tuple[bool, bool], ...]"


def laid_out(val: Val, step: Step, plan: Plan) -> Val:
    """The value of a step in memory as it is declared, where several products would else copy it.

    A product takes its operand's axes as rows and columns, each of which must lie together.
    """
    moved = _moved(val.expr, len(val.layout))
    if moved is None or None in val.layout:
        return val
    declared = tuple(step.indices.index(axis) for axis in val.indices)
    lying = tuple(declared[moved.index(place)] for place in range(len(moved)))
    readers = list(_readings(step.target, (*plan.forward, *(plan.backward[0].steps if plan.backward else ()))))
    before, after = (sum(not _together(kinds, order) for kinds in readers) for order in (lying, declared))
    return val.over(Method(val.expr, "contiguous")) if before > after + 1 else val


def _moved(expr: TExpr, count: int) -> tuple[int, ...] | None:
    """Which axis of a matrix product each axis is, if the expression is one with its axes moved."""
    match expr:
        case Method(Infix("@") | Call("_runtime.matmul"), "permute", places):
            return tuple(place.value for place in places if isinstance(place, Lit) and isinstance(place.value, int))
        case Method(Infix("@") | Call("_runtime.matmul"), "transpose", (Lit(int() as first), Lit(int() as second))):
            axes = list(range(count))
            axes[first], axes[second] = axes[second], axes[first]
            return tuple(axes)
    return None


def _readings(tensor: str, steps: Iterable[Step]) -> Iterator[_Kinds]:
    """The tensor as an operand of each product of two."""
    for step in steps:
        factors: Sequence[object] = factors_of(step.value.body) if isinstance(step.value, Sum) else ()
        operands = [f for f in factors if isinstance(f, Access) and frozenset(f.subs) == f.free]
        if len(operands) != 2 or any(not isinstance(f, Access) and not scalar(f) for f in factors):
            continue
        for one, other in (operands, operands[::-1]):
            if one.tensor == tensor and not one.free <= other.free:
                yield tuple((sub in other.free, sub in step.indices) for sub in one.subs)


def _together(kinds: _Kinds, order: tuple[int, ...]) -> bool:
    """Whether axes of each kind follow each other in this order."""
    found = [kinds[place] for place in order]
    return len(list(groupby(found))) == len(set(found))
