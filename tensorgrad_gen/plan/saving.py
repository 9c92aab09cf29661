"""What is saved for backward: an exact minimum cut between what forward has and backward reads."""

from __future__ import annotations

from collections.abc import Iterable

from tensorgrad_gen.algebra import accesses, walk
from tensorgrad_gen.algebra.hoist import heavy, is_extremum
from tensorgrad_gen.ir import Access, Apply, Linalg, Program, Root, Statement
from tensorgrad_gen.plan.attention import attentions
from tensorgrad_gen.plan.min_cut import sink_side
from tensorgrad_gen.plan.sizes import Regime

_INFINITE = 10**18
# An element of what is kept for backward alone, where an input or output counts as 1: those are there anyway, but an
# output that is as well computed again from an input that is kept need not be kept too.
_ELEMENT = 1000


def choose_saved(program: Program, statements: Iterable[Statement], needed: set[str], regime: Regime) -> list[str]:
    """Forward tensors to keep, so that all of `needed` is there or computed again without a contraction.

    Inputs and outputs cost nothing; a pointwise statement may be recomputed, a contraction, a
    reduction or a matrix function may not, unless its tensor is larger than all inputs and outputs
    together (`save: inputs` lifts that, `save: all` forbids both).
    """
    table = {s.target: s for s in statements}
    if program.save == "all":
        return [n for n in table if n in needed]
    if all(n not in table for n in needed):
        return []
    return _minimum_cut(program, table, needed, regime)


def reads_unrounded(program: Program, statements: Iterable[Statement], read: set[str], regime: Regime) -> bool:
    """Whether derivatives read an output that half precision must not round first, and that costs little to keep so.

    Terms in which a matrix function or a solution stands may cancel (`x y` and 1 in the law of `pinv`), and what
    is smaller than an input stands for many of its elements. Others are read rounded, as PyTorch's own ops read them.
    """
    largest = max((regime.elements(item.indices) for item in program.inputs), default=0)
    outputs = [s for s in statements if s.target in program.outputs and s.target in read and s.kind == "real"]
    return any(
        regime.elements(s.indices) < largest or any(isinstance(node, (Linalg, Root)) for node in walk(s.value))
        for s in outputs
    )


def clips(statement: Statement) -> bool:
    """Whether the statement clips the cotangent that reaches it."""
    return isinstance(statement.value, Apply) and statement.value.function == "clip_gradient"


def recomputable(statement: Statement, program: Program) -> bool:
    """Whether backward may compute the statement again: a clip acts where forward applies it, not on a copy."""
    if clips(statement):
        return False
    if program.save == "inputs" or statement.kind != "real":
        return True
    return not any(heavy(node) for node in walk(statement.value))


def _compared(statements: Iterable[Statement]) -> set[str]:
    """Tensors that backward compares with their maximum: recomputed numbers might differ in the last bit."""
    nodes = [node for s in statements for node in walk(s.value) if is_extremum(node)]
    return {node.body.tensor for node in nodes if isinstance(node.body, Access)}


def _large(program: Program, table: dict[str, Statement], regime: Regime) -> set[str]:
    """Tensors larger than the inputs and outputs together, and those of attention; no matrix function, no root."""
    tensors = [item.indices for item in program.inputs] + [table[n].indices for n in program.outputs if n in table]
    found = attentions(program, list(table.values()), frozenset(program.outputs))
    between = {name for own in found for name in own.between}
    room = sum(regime.elements(indices) for indices in tensors)
    return {
        name
        for name, statement in table.items()
        if (regime.elements(statement.indices) > room or name in between)
        and not clips(statement)
        and not any(isinstance(node, Linalg | Root) for node in walk(statement.value))
    }


def _minimum_cut(program: Program, table: dict[str, Statement], needed: set[str], regime: Regime) -> list[str]:
    source, sink = ("", "forward"), ("", "backward")
    given = [i.name for i in program.inputs] + [c.name for c in program.constants]
    edges = [(source, (name, "in"), _INFINITE) for name in given]
    edges += [((name, "in"), (name, "out"), 1) for name in given]
    compared = _compared(table.values())
    large = _large(program, table, regime)
    for name, statement in table.items():
        free = name in program.outputs and statement.kind == "real"
        size = 1 if free else _ELEMENT * regime.elements(statement.indices)
        savable = statement.kind == "real" and (program.save != "inputs" or free or clips(statement))
        edges.append(((name, "in"), (name, "out"), size if savable else _INFINITE))
        if (recomputable(statement, program) or name in large) and name not in compared:
            edges += [((access.tensor, "out"), (name, "in"), _INFINITE) for access in accesses(statement.value)]
        else:
            edges.append((source, (name, "in"), _INFINITE))
    edges += [((name, "out"), sink, _INFINITE) for name in sorted(needed)]
    # Of cuts of equal size the one nearest to the sink: what backward reads itself.
    after = sink_side(edges, source, sink)
    return [name for name in table if (name, "out") in after and (name, "in") not in after]
