"""A formula on its way to a spec: what was understood of it, and the file that says it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensorgrad_gen.errors import Diagnostic, Span, SpecError
from tensorgrad_gen.importing.source import Piece, Source, Traced, plain
from tensorgrad_gen.ir import Index, Input
from tensorgrad_gen.notation.spec_file import input_text, section

WIDEST = 100  # columns of the equations that are aligned at `=`


@dataclass(frozen=True, slots=True)
class Draft:
    """What a formula says: its inputs in order, names of extents, equations as left and right sides, outputs."""

    inputs: tuple[Input, ...]
    equations: tuple[tuple[Traced, Traced], ...]
    outputs: tuple[str, ...]
    sizes: tuple[Traced, ...] = ()  # each `N: n`
    warnings: tuple[Diagnostic, ...] = ()  # of how the formula was read
    remedies: tuple[tuple[str, str], ...] = ()  # code -> how the notation cures what the compiler finds wrong


def operand(name: str, letters: Sequence[str], **more: Any) -> Input:
    """An input with these indices, and what more is known of it."""
    return Input(name, tuple(Index(letter, letter) for letter in letters), **more)


@dataclass(slots=True)
class Written:
    """The text of a spec; `origin[k]` is the part of the formula that its character `k` came from."""

    text: str = ""
    origin: list[tuple[int, int] | None] = field(default_factory=list)
    remedies: dict[str, str] = field(default_factory=dict)

    def add(self, text: str | Traced) -> None:
        """More text."""
        for piece in (text,) if isinstance(text, str) else text:
            words = piece.text if isinstance(piece, Piece) else piece
            self.text += words
            self.origin += [(piece.start, piece.end) if isinstance(piece, Piece) else None] * len(words)

    def place(self, span: Span | None) -> tuple[int, int] | None:
        """The part of the formula that the text there came from, if any of it did."""
        if span is None:
            return None
        lines = self.text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        here = starts[span.line - 1] + span.column - 1
        there = starts[min(span.end_line, len(lines)) - 1] + span.end_column - 1
        found = [origin for origin in self.origin[here:there] if origin is not None]
        return (min(start for start, _ in found), max(end for _, end in found)) if found else None

    def said_of(self, source: Source, diagnostics: list[Diagnostic]) -> list[Diagnostic]:
        """What the compiler said of the spec, said of the formula."""
        out = []
        for diagnostic in diagnostics:
            place = self.place(diagnostic.span)
            span = None if place is None else source.span(*place)
            out.append(replace(diagnostic, span=span, help=self.remedies.get(diagnostic.code, diagnostic.help)))
        return out


def write(draft: Draft, op: str, doc: str) -> Written:
    """The spec file."""
    written = Written(remedies=dict(draft.remedies))
    written.add(f"op: {op}\ndoc: {json.dumps(doc, ensure_ascii=False)}\n")
    written.add("".join(f"{line}\n" for line in section("inputs", [(i.name, input_text(i)) for i in draft.inputs])))
    written.add("sizes:\n" if draft.sizes else "")
    for size in draft.sizes:
        written.add("  ")
        written.add(size)
        written.add("\n")
    written.add("equations: |\n")
    width = max(len(plain(left)) for left, _ in draft.equations)
    for left, right in draft.equations:
        written.add("  ")
        written.add(left)
        written.add(" " * (width - len(plain(left)) if width < WIDEST else 0) + " = ")
        written.add(right)
        written.add("\n")
    written.add(f"outputs: [{', '.join(draft.outputs)}]\n")
    return written


def checked(written: Written, source: Source, op: str) -> list[Diagnostic]:
    """Build the spec; the warnings it gets.  Raises `SpecError`, said of the formula, where it does not.

    A sum that could stand elsewhere gets a warning in a spec, whose author knows the rules; here it is an error.
    """
    from tensorgrad_gen.pipeline import run

    try:
        compiled = run(written.text, f"{op}.yaml")
        unclear = [replace(d, severity="error", code="E204") for d in compiled.warnings if d.code == "W404"]
        if unclear:
            raise SpecError(unclear, source.option, source.text)
    except SpecError as error:
        said = written.said_of(source, error.diagnostics)
        raise SpecError(said, source.option, source.text) from None
    return written.said_of(source, compiled.warnings)
