"""The text of `equations` -> one fragment an equation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tensorgrad_gen.spec.model import Fragment

_DEFINES = re.compile(r"[A-Za-z_]\w*\s*(\[[^\[\]=]*\])?\s*=(?!=)")
_EQUAL = re.compile(r"(?<![=<>!])=(?!=)")


def split_equations(block: Fragment) -> Iterator[Fragment]:
    """One equation a line; a line continues while a bracket is open or the next is indented deeper."""
    current: list[tuple[int, int]] = []
    indent = depth = 0
    for start, end in _lines(block.text):
        line = block.text[start:end]
        if not line.strip():
            continue
        deeper = len(line) - len(line.lstrip())
        # A line that defines a tensor ends an equation whose bracket was forgotten: `=` stands in no bracket.
        continues = deeper > indent or (depth > 0 and not _DEFINES.match(line.lstrip()))
        if current and not continues:
            yield _joined(block, current)
            current, depth = [], 0
        if not current:
            indent = deeper
        current.append((start, end))
        depth = max(0, depth + line.count("(") + line.count("[") - line.count(")") - line.count("]"))
    if current:
        yield _joined(block, current)


def one_expression(block: Fragment) -> Fragment:
    """The whole text as one expression, its comments and line ends removed."""
    return _joined(block, list(_lines(block.text)))


def joins_equations(block: Fragment) -> bool:
    """Whether folding has made one line of several equations, or of an equation and a comment."""
    return len(_EQUAL.findall(block.text)) > 1 or "#" in block.text


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each line, without its comment and its line end."""
    start = 0
    while start <= len(text):
        stop = text.find("\n", start)
        stop = len(text) if stop < 0 else stop
        comment = text.find("#", start, stop)
        yield start, comment if comment >= 0 else stop
        start = stop + 1


def _joined(block: Fragment, lines: list[tuple[int, int]]) -> Fragment:
    """The lines, without the blanks around them, with a blank between two."""
    text: list[str] = []
    places: list[tuple[int, int]] = []
    end = block.places[lines[0][0]]
    for start, stop in lines:
        line = block.text[start:stop]
        first, last = start + len(line) - len(line.lstrip()), start + len(line.rstrip())
        if first >= last:
            continue
        if text:
            text.append(" ")
            places.append(end)
        text.append(block.text[first:last])
        places += block.places[first:last]
        last_line, last_column = block.places[last - 1]
        end = (last_line, last_column + 1)
    return Fragment("".join(text), (*places, end))
