"""The user's formula, and text made of it: every character knows which part of the formula it came from.

So the compiler reads the spec that was made, and what it has to say is said of the formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tensorgrad_gen.errors import Report, Span, SpecError

LONGEST = 20_000  # characters of a formula
DEEPEST = 100  # nodes inside each other


@dataclass(frozen=True, slots=True)
class Source:
    """A formula, and the option that gave it, by which messages call it."""

    option: str
    text: str

    def fault(self, code: str, message: str, start: int, end: int, help: str | None = None) -> SpecError:
        """The error at `text[start:end]`, to be raised."""
        report = Report(self.option, self.text)
        report.error(code, message, self.span(start, end), help)
        return SpecError(report.diagnostics, self.option, self.text)

    def span(self, start: int, end: int) -> Span:
        """The place of `text[start:end]`, in lines and columns; of an empty part, one character."""
        end = max(end, start + 1)
        return Span(*self._place(start), *self._place(end))

    def _place(self, offset: int) -> tuple[int, int]:
        before = self.text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    def limit(self) -> None:
        """A formula is a few lines."""
        if len(self.text) > LONGEST:
            raise self.fault("E608", f"the formula has more than {LONGEST:,} characters", 0, 1, "import it in parts")


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a formula, `text[start:end]`: what it is, its parts, and a name or number where it has one."""

    kind: str
    start: int
    end: int
    parts: tuple[Node, ...] = ()
    text: str = ""
    depth: int = 0


def node(source: Source, kind: str, start: int, end: int, parts: Iterable[Node] = (), text: str = "") -> Node:
    """A node on top of its parts, within the limit of nesting."""
    parts = tuple(parts)
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > DEEPEST:
        raise source.fault("E604", f"the formula nests deeper than {DEEPEST}", start, end, "name a part of it")
    return Node(kind, start, end, parts, text, depth)


class Piece(NamedTuple):
    """Text of a spec that came from `source.text[start:end]`."""

    text: str
    start: int
    end: int


Traced = tuple[Piece, ...]


def said(text: str, of: Node) -> Traced:
    """Text that stands for a node."""
    return (Piece(text, of.start, of.end),)


def joined(between: str, texts: Sequence[Traced], of: Node) -> Traced:
    """The texts with `between` between them, which stands for the node that has them all."""
    out: list[Piece] = []
    for k, text in enumerate(texts):
        out += (*said(between, of), *text) if k and between else text
    return tuple(out)


def plain(text: Traced) -> str:
    """The text alone."""
    return "".join(piece.text for piece in text)
