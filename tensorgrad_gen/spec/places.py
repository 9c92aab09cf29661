"""Where each character of a scalar's value stands in the file."""

from __future__ import annotations

from bisect import bisect_right

from tensorgrad_gen.spec.model import Fragment
from tensorgrad_gen.spec.nodes import Scalar

_BLANKS = " \t\n"
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}


class Places:
    """Offsets of a text as (line, column), and scalars as fragments."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0] + [k + 1 for k, character in enumerate(text) if character == "\n"]

    def at(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of an offset."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def fragment(self, scalar: Scalar) -> Fragment:
        """The scalar's value with the place of each of its characters, and of its end."""
        raw = self.text[scalar.start : scalar.end]
        if scalar.style == "|":
            places = self._by_lines(scalar, raw)
            if places is not None:
                return Fragment(scalar.text, tuple(places))
        offsets = _align(scalar, raw)
        return Fragment(scalar.text, tuple(self.at(scalar.start + offset) for offset in offsets))

    def _by_lines(self, scalar: Scalar, raw: str) -> list[tuple[int, int]] | None:
        """Places in a literal block, a line of which is the end of a line of the file; None if one is not."""
        line = scalar.span.line
        places: list[tuple[int, int]] = []
        width = 0
        for value, written in zip(scalar.text.split("\n"), raw.split("\n")[1:]):
            if not written.endswith(value):
                return None
            line += 1
            width = len(written)
            places += [(line, column) for column in range(width - len(value) + 1, width + 2)]
        return places if len(places) == len(scalar.text) + 1 else None


def _align(scalar: Scalar, raw: str) -> list[int]:
    """For each character of the value, and its end, the offset in the raw text.

    Whatever the style, the characters that are not blank stand in the raw text in their order; an
    escape stands for one character; blanks may have been folded, and get a place between their neighbours.
    """
    position = _content(scalar, raw)
    escaped = scalar.style == '"'
    offsets = []
    end = position
    for character in scalar.text:
        if character not in _BLANKS:
            position = _skip_blanks(raw, position, escaped)
        offsets.append(min(position, len(raw)))
        if character in _BLANKS and raw[position : position + 1] not in (*_BLANKS, "\\" if escaped else " "):
            continue
        position += _length(raw, position, scalar.style)
        if character not in _BLANKS:
            end = position
    offsets.append(end)
    return offsets


def _content(scalar: Scalar, raw: str) -> int:
    """Where the value begins: after the quote, after the header line of a block."""
    if scalar.style in ("|", ">"):
        return raw.find("\n") + 1 or len(raw)
    return 1 if scalar.style in ("'", '"') else 0


def _skip_blanks(raw: str, position: int, escaped: bool) -> int:
    while position < len(raw):
        if raw[position] in _BLANKS:
            position += 1
        elif escaped and raw[position] == "\\" and raw[position + 1 : position + 2] == "\n":
            position += 2
        else:
            break
    return position


def _length(raw: str, position: int, style: str | None) -> int:
    """How much of the raw text stands for the one character there."""
    if style == "'" and raw[position : position + 2] == "''":
        return 2
    if style == '"' and raw[position : position + 1] == "\\":
        return 2 + _HEX_ESCAPES.get(raw[position + 1 : position + 2], 0)
    return 1
