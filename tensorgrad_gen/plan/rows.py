"""What of a body can be worked in blocks of rows, which stay in the cache from the first statement to the last.

Law: a tensor with rows has them as its first axis; it is computed row by row from what has rows and from what has
none; a sum over the rows is the sum of the sums over the blocks, and what is computed from one comes after the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import all_indices, walk
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Access, Index, LeviCivita, Linalg, Position, Program, Root, Statement, Sum
from tensorgrad_gen.normalise.chunks import NotBatchLikeError, Rounds, enter
from tensorgrad_gen.plan.model import Block, Plan, Rows, Step

Tensors = Mapping[str, tuple[Index, ...]]


def with_rows(plan: Plan) -> Plan:
    """The plan, with what forward and backward can do row by row."""
    if plan.of is not None or plan.solver is not None:
        return plan
    program = plan.program
    inputs = {item.name: item.indices for item in program.inputs}
    made = {step.target: step.indices for step in plan.forward}
    forward = _first(program, plan.forward, inputs, plan.outputs)
    blocks = []
    for block in plan.backward:
        given = inputs | {name: made[name] for name in (*plan.outputs, *plan.auxiliary)}
        roots = {root: made[root.removeprefix("grad_")] if root not in made else made[root] for root in block.roots}
        given |= {f"grad_{name}": indices for name, indices in roots.items()}
        found = _first(program, block.steps, given, tuple(tensor for _, tensor in block.results))
        blocks.append(_alone(block, found))
    return replace(plan, rows=forward, backward=tuple(blocks))


def _alone(block: Block, rows: Rows | None) -> Block:
    """The block with its rows, if nothing in it waits for a sum over them."""
    done = rows is None or all(tensor in rows.cut | rows.sums for _, tensor in block.results)
    return replace(block, rows=rows) if done else block


def _first(program: Program, steps: Sequence[Step], given: Tensors, results: Iterable[str]) -> Rows | None:
    """By the first index that is the first axis of an input, if any will do."""
    firsts = dict.fromkeys(item.indices[0] for item in program.inputs if item.indices and item.default is None)
    return next((rows for index in firsts if (rows := _rows(index, steps, given, results)) is not None), None)


def _rows(index: Index, steps: Sequence[Step], given: Tensors, results: Iterable[str]) -> Rows | None:
    """The rows of a body along the index; None where it is not row by row, or would gain nothing."""
    if any(index in indices[1:] for indices in given.values()):
        return None
    found = Rounds({name: 0 for name, indices in given.items() if indices[:1] == (index,)})
    for step in steps:
        try:
            enter(Statement(step.target, step.indices, step.value, step.kind), index, found)
        except NotBatchLikeError:
            return None
        if found.axes.get(step.target, 0) != 0 or found.of[step.target] > 2:
            return None
    rows = Rows(
        index,
        frozenset(found.axes),
        frozenset(name for name in found.blocked if found.sums(name)),
        frozenset(found.blocked),
    )
    inside = [step for step in steps if step.target in rows.inside]
    late = {name for name, place in found.of.items() if place == 2}
    whole = [step for step in steps if step.target in found.axes and step.target not in rows.inside]
    if not inside or whole or late & rows.cut or not all(_light(step, rows) for step in inside):
        return None
    room = [frozenset(i.extent for i in indices) for name, indices in given.items() if name in rows.cut]
    room += [frozenset(i.extent for i in step.indices) for step in steps if step.target in results]
    return rows if all(_fits(step, room) for step in inside) else None


def _light(step: Step, rows: Rows) -> bool:
    """Whether the work of a step is to read and write its tensors: no product of matrices, no matrix function."""
    if step.target in rows.sums and len(step.indices) > 1:
        return False  # as large as a block, and added up for each
    for node in walk(step.value):
        if isinstance(node, Linalg | Root | LeviCivita | Position):
            return False
        if isinstance(node, Access) and not all(isinstance(sub, Index | Access) for sub in node.subs):
            return False
        if isinstance(node, Sum):
            tables = {factor.free for factor in factors_of(node.body) if len(factor.free) > 1}
            if len(tables) > 1:
                return False
    return True


def _fits(step: Step, room: list[frozenset[str | int]]) -> bool:
    """Whether nothing in the step is larger than something that is given or returned."""
    extents = frozenset(i.extent for i in all_indices(step.value) | set(step.indices))
    return any(extents <= own for own in room)
