"""What simplification does across statements, as lines: the trace of the compiler's own rewrites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.indices import substitute
from tensorgrad_gen.explain.model import Line, Section, new_indices
from tensorgrad_gen.ir import Access, Expr, Index, Program, Statement, Sum
from tensorgrad_gen.notation import loss_name, print_left
from tensorgrad_gen.simplify import Trace
from tensorgrad_gen.simplify.trace import Event
from tensorgrad_gen.simplify.zeros import expansion


def substitution_sections(program: Program, trace: Trace, targets: set[str]) -> list[Section]:
    """The rewrites that lead to the gradients, and what comes out: nothing where there are none."""
    # Sections of tensors end with the derivatives read off values, so what comes after that is shown.
    events = trace.events[1:] if trace.events[1:] and trace.events[1].rule == "through values" else trace.events
    relevant = _relevant(events[0].statements, targets)
    letters = _letters(program, events[0].statements)
    lines: list[Line] = []
    last = ""
    for before, after in pairwise(events):
        zeros = [line for zero in after.zeros for line in _zero_lines(zero, program)]
        changes = [s for s in after.statements if s.target in relevant and s not in before.statements]
        if zeros and changes:
            lines += [line for line in zeros if line not in lines]
            last = ""
        old = {s.target: s for s in before.statements}
        for statement in changes:
            lettered = _lettered(statement, letters)
            if statement.target != last:
                first = _lettered(old[statement.target], letters)
                lines.append(Line(Access(first.target, first.indices), first.value))
            lines.append(Line(None, lettered.value, _reason(after, program)))
            last = statement.target
    final = events[-1].statements
    kept = _relevant(final, targets)
    result = [_lettered(s, letters) for s in final if s.target in kept]
    outcome = tuple(Line(Access(s.target, s.indices), s.value) for s in result)
    if not lines and len(program.statements) == 1:
        return []
    return [*([Section("Substitutions", lines=tuple(lines))] if lines else []), Section("Result", lines=outcome)]


def _relevant(statements: Sequence[Statement], targets: set[str]) -> set[str]:
    """The statements that the targets need, themselves included."""
    needed = set(targets)
    for statement in reversed(statements):
        if statement.target in needed:
            needed |= {a.tensor for a in accesses(statement.value)}
    return needed


def _letters(program: Program, statements: Sequence[Statement]) -> Mapping[str, dict[Index, Index]]:
    """For each statement, its free indices under letters that nothing in the program has."""
    return {s.target: dict(zip(s.indices, new_indices(s.indices, program), strict=True)) for s in statements}


def _lettered(statement: Statement, letters: Mapping[str, dict[Index, Index]]) -> Statement:
    renaming = letters[statement.target]
    indices = tuple(renaming[i] for i in statement.indices)
    return Statement(statement.target, indices, substitute(statement.value, renaming), statement.kind)


def _reason(event: Event, program: Program) -> str:
    """The rule of a rewrite in words."""
    if event.rule == "put in":
        return f"{_shown(event, program)} put in"
    if event.rule == "vanishing":
        put = f"{_shown(event, program)} put in, the sum split over its terms, " if event.tensor else ""
        return f"{put}what is zero dropped"
    return "common factors in front"


def _shown(event: Event, program: Program) -> str:
    """The cotangent that is put in; that of an output which is read again is a total."""
    d = "D" if event.tensor.startswith("total_") else "d"
    return f"{d}{loss_name(program)}/{d}{event.tensor.removeprefix('total_').removeprefix('grad_')}"


def _zero_lines(zero: Expr, program: Program) -> list[Line]:
    """Why a sum is zero: the definitions of what it reads, put in and collected."""
    assert isinstance(zero, Sum)
    chain = expansion(zero, program)
    defined = {a.tensor for a in accesses(zero)} & {s.target for s in program.statements}
    shown = ", ".join(print_left(program.statement(t), "math") for t in sorted(defined))
    lines = [Line(zero, chain[0], f"definition of {shown}")]
    for position, expr in enumerate(chain[1:], 1):
        lines.append(Line(None, expr, "definitions put in" if position % 2 == 0 else "collected"))
    return lines
