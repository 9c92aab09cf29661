"""What is said of a chunk along an index that is no batch: in the user's own words, at the place that is at fault."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.errors import Report, Span
from tensorgrad_gen.ir import Program
from tensorgrad_gen.normalise.chunk_places import Placed, placed
from tensorgrad_gen.normalise.chunks import NotBatchLikeError, rounds
from tensorgrad_gen.normalise.places import Places
from tensorgrad_gen.spec.model import OpSpec


def check_chunk(program: Program, spec: OpSpec, report: Report) -> None:
    """Report a chunk along an index that is no batch."""
    if program.chunk is None or spec.chunk is None:
        return
    given = placed(program)
    try:
        rounds(given)
    except NotBatchLikeError as error:
        where = spec.chunk[0].span
        span, message = _said(given, spec, error)
        cut = None if span is None else (where, "cut along this index")
        report.error("E406", message, span or where, _remedy(program), cut)


def _said(given: Placed, spec: OpSpec, error: NotBatchLikeError) -> tuple[Span | None, str]:
    """The place at fault, if it is in an equation, and the message."""
    if not error.tensor:
        return None, str(error)
    wholes = dict(given.wholes)
    named = replace(error, tensor=wholes.get(error.tensor, error.tensor), read=wholes.get(error.read, error.read))
    if declared := [item.name.span for item in spec.inputs if item.name.text == named.tensor]:
        return declared[0], str(named)
    found = Places(given.program, spec).of_index(named.tensor, named.along, named.read, named.index.name)
    if found is None:
        return None, str(named)
    if found.along and not named.read:
        why = "{along} runs along it" if "[" in found.along else "it is computed as a {along}, which runs along it"
        named = replace(named, why=why, along=found.along)
    return found.span, str(replace(named, tensor=found.target, read=found.read))


def _remedy(program: Program) -> str:
    """Which other indices the op can be cut along."""
    assert program.chunk is not None
    letters = {index.name: index for item in program.inputs for index in item.indices if index.name != "..."}
    fit = []
    for index in letters.values():
        try:
            rounds(placed(replace(program, chunk=replace(program.chunk, index=index))))
        except NotBatchLikeError:
            continue
        fit.append(f"`{index.name}`")
    choice = f"chunk along {' or '.join(fit)}, or leave `chunk` out" if fit else "leave `chunk` out"
    return f"{choice}: only a sum or a mean may run along what is cut, and only a plain index read it"
