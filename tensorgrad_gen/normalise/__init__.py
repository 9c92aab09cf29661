"""Canonical form of the forward program; stable forms recognised before anything is differentiated."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.algebra import accesses, map_nodes, simplify
from tensorgrad_gen.algebra.broadcasts import drop_broadcasts
from tensorgrad_gen.algebra.hoist import Hoister, Known, heavy_or_mixed, renamed
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.ir import Access, Expr, Index, Program, Statement, Sub
from tensorgrad_gen.normalise.exponents import named_exponents
from tensorgrad_gen.normalise.log_shares import log_shares
from tensorgrad_gen.normalise.ranges import Ranges
from tensorgrad_gen.normalise.reading import Definitions
from tensorgrad_gen.normalise.shielded import shielded
from tensorgrad_gen.normalise.shown import shown
from tensorgrad_gen.normalise.signs import without_signs
from tensorgrad_gen.normalise.stable import STABLE_RULES, stabilise
from tensorgrad_gen.normalise.weighted_shares import weighted_shares

__all__ = ["STABLE_RULES", "normalise"]


def normalise(program: Program) -> Program:
    """The same program in canonical form: values simplified, stable, split at reductions, nothing unused."""
    names = Namer(set(program.tensors) | {p.name for p in program.params} | {n for n, _ in program.size_names})
    definitions = Definitions(ranges=Ranges(replace(program, params=()), {}))  # whatever the params are
    given = shielded(program, [replace(s, value=simplify(s.value)) for s in program.statements], names)
    statements = []
    for statement in named_exponents(given, names):
        value = simplify(_aliases(statement.value, definitions))
        value = simplify(stabilise(value, definitions))
        definitions[statement.target] = replace(statement, value=value)
        statements.append(replace(statement, value=without_signs(simplify(weighted_shares(value, definitions)))))
    statements = _named_as_outputs(used(shown(program, statements, names), program.outputs), program.outputs)
    statements = drop_broadcasts(statements, set(program.outputs))
    split = Hoister(names, Known(), program, heavy_or_mixed).run(statements)
    return replace(program, statements=tuple(log_shares(split, program, names)))


def _aliases(value: Expr, definitions: dict[str, Statement]) -> Expr:
    """Accesses to a mere renaming of another tensor read that tensor."""

    def visit(node: Expr) -> Expr:
        if isinstance(node, Access) and node.tensor in definitions:
            statement = definitions[node.tensor]
            if isinstance(statement.value, Access) and statement.value.free == frozenset(statement.indices):
                return renamed(statement.value, statement.indices, node.subs)
        return node

    return map_nodes(value, visit)


def _named_as_outputs(statements: list[Statement], outputs: tuple[str, ...]) -> list[Statement]:
    """A tensor of which an output is but another name, its axes in another order perhaps, is that output."""
    for name in [s.target for s in statements if s.target in outputs]:
        output = next(s for s in statements if s.target == name)
        known = {s.target: s for s in statements if s.target not in outputs}
        value = output.value
        source = known.get(value.tensor) if isinstance(value, Access) else None
        if source is None or not isinstance(value, Access) or not _same_axes(value.subs, output.indices):
            continue
        axes = tuple(value.subs.index(i) for i in output.indices)
        new = replace(output, value=renamed(source.value, source.indices, value.subs))

        def visit(node: Expr, old: str = source.target, new: str = output.target, axes: tuple[int, ...] = axes) -> Expr:
            if isinstance(node, Access) and node.tensor == old:
                return Access(new, tuple(node.subs[k] for k in axes))
            return node

        statements = [
            new if s is source else replace(s, value=map_nodes(s.value, visit))
            for s in statements
            if s.target != output.target
        ]
    return statements


def _same_axes(subs: tuple[Sub, ...], indices: tuple[Index, ...]) -> bool:
    """Whether the subscripts are the indices in some order, each once: no diagonal, nothing chosen."""
    return len(subs) == len(indices) and set(subs) == set(indices)


def used(statements: list[Statement], outputs: tuple[str, ...]) -> list[Statement]:
    """The statements that the outputs need, in order."""
    needed = set(outputs)
    kept = []
    for statement in reversed(statements):
        if statement.target in needed:
            needed |= {a.tensor for a in accesses(statement.value)}
            kept.append(statement)
    return kept[::-1]
