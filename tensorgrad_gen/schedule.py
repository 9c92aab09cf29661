"""Stage `schedule`: each call once, nothing that is not read, each statement where its first reader is near.

Law: a body computes the same after as before; no statement moves before what it reads.
"""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.lower.model import Body, LoweredOp
from tensorgrad_gen.lower.printer import print_texpr, reads
from tensorgrad_gen.lower.rename import renamed
from tensorgrad_gen.lower.torch_ir import TExpr, TorchStatement


def schedule(lowered: LoweredOp) -> LoweredOp:
    """The op with every body scheduled."""
    return replace(
        lowered,
        forward=scheduled(lowered.forward),
        backward=tuple(scheduled(body) for body in lowered.backward),
        tangent=scheduled(lowered.tangent) if lowered.tangent else None,
    )


def scheduled(body: Body) -> Body:
    """One body: equal calls merged, then what is not read dropped, then the rest sunk to its readers."""
    merged, results = _merge(body)
    used = _live(merged, results)
    return replace(body, statements=tuple(_sink(used)), results=results)


def _merge(body: Body) -> tuple[list[TorchStatement], tuple[tuple[str, TExpr], ...]]:
    """A statement that calls what an earlier one calls gives way to it.

    What results are read from stays: each result is bound anew to its own name, and computed only if it is wanted.
    """
    bound = {name for _, expr in body.results for name in reads(expr)}
    known: dict[str, int] = {}
    names: dict[str, str] = {}
    kept: list[TorchStatement] = []
    for statement in body.statements:
        call = renamed(statement.call, names)
        text = print_texpr(call)
        place = known.get(text)
        if place is None or statement.target in bound:
            if statement.target not in bound:
                known.setdefault(text, len(kept))
            kept.append(replace(statement, call=call))
            continue
        first = kept[place]
        names[statement.target] = first.target
        both = first.needed_by | statement.needed_by if first.needed_by and statement.needed_by else frozenset()
        kept[place] = replace(first, needed_by=both)
    return kept, tuple((name, renamed(expr, names)) for name, expr in body.results)


def _live(statements: list[TorchStatement], results: tuple[tuple[str, TExpr], ...]) -> list[TorchStatement]:
    wanted = {name for _, expr in results for name in reads(expr)}
    kept = []
    for statement in reversed(statements):
        if statement.target in wanted:
            kept.append(statement)
            wanted |= reads(statement.call)
    return kept[::-1]


def _sink(statements: list[TorchStatement]) -> list[TorchStatement]:
    """Helpers without a formula move down to just before their first reader: they live no longer than needed."""
    placed: list[TorchStatement] = []
    for statement in reversed(statements):
        readers = [k for k, later in enumerate(placed) if statement.target in reads(later.call)]
        # `placed` is in reverse: the first reader is the last of it.
        place = readers[-1] + 1 if readers and not statement.formula else len(placed)
        placed.insert(place, statement)
    return placed[::-1]
