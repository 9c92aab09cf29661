"""The layout of generated text: as black would have it, with black asked only about lines that need it.

Law: the result is what black makes of the whole module (a test holds it to that), at a fraction of the time:
templates print one statement a line and get everything right but long lines, powers and slices.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tensorgrad_gen.render.parsed import parsed

WIDTH = 100
# What black spaces by rules of its own: powers of simple operands, slices between expressions.
_SPECIAL = re.compile(r"\*\*|\[[^\]]*:[^\]]*\]")


def laid_out(text: str) -> str:
    """The module's text: long lines broken, blank lines counted."""
    whole = _whole(text)
    out: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip()
        if number in whole and (len(line) > WIDTH or _SPECIAL.search(line)):
            out += _signature(line) or _blackened(line).split("\n")
        else:
            out.append(line)
    return spaced(out)


def _whole(text: str) -> set[int]:
    """Numbers of the lines that hold one statement, or the head of one; docstrings are none."""
    numbers: set[int] = set()
    lines = text.split("\n")
    for node in _statements(parsed(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        opens = bool(getattr(node, "body", None)) and lines[node.lineno - 1].endswith(":")
        if opens or node.end_lineno == node.lineno:
            numbers.add(node.lineno)
    return numbers


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Every statement; expressions, of which there are many times as many, are not looked into."""
    stack: list[ast.stmt] = list(tree.body)
    while stack:
        node = stack.pop()
        yield node
        for name in ("body", "orelse", "finalbody"):
            stack += getattr(node, name, ())
        for handler in getattr(node, "handlers", ()):
            stack += handler.body


_DEF = re.compile(r"(?P<indent> *)(?P<head>def \w+)\((?P<arguments>[^()]*)\)(?P<rest> -> [^()]+:|:)")


def _signature(line: str) -> list[str] | None:
    """A long head of a function, a third of all long lines: its arguments on one line, or a line for each."""
    found = _DEF.fullmatch(line)
    if found is None:
        return None
    indent, head, arguments, rest = found.group("indent", "head", "arguments", "rest")
    inside = [f"{indent}    {arguments}"]
    if len(inside[0]) > WIDTH:
        inside = [f"{indent}    {argument}," for argument in _COMMA.split(arguments)]
    return [f"{indent}{head}(", *inside, f"{indent}){rest}"]


# Between arguments, not inside the brackets of a type.
_COMMA = re.compile(r", (?![^\[\]]*\])")


@cache
def _blackened(line: str) -> str:
    """One line as black breaks it where it stands."""
    import black
    from black.mode import TargetVersion

    code = line.lstrip()
    indent = line[: len(line) - len(code)]
    other = "el" if code.startswith("elif ") else ""  # alone it is no statement, `if` is
    code = code.removeprefix(other)
    opens = code.endswith(":")
    versions = {TargetVersion.PY311}
    mode = black.Mode(versions, line_length=WIDTH - len(indent) - len(other), magic_trailing_comma=False)
    done = black.format_str(code + ("\n    pass" if opens else ""), mode=mode).rstrip("\n")
    done = other + (done.removesuffix("\n    pass") if opens else done)
    return "\n".join(indent + part if part else part for part in done.split("\n"))


def spaced(lines: list[str]) -> str:
    """No more than two blank lines together, one inside a definition, none after a line that opens a block.

    The lines of a docstring stay as they are.
    """
    out: list[str] = []
    quoted = False
    for line in lines:
        inside, quoted = quoted, quoted ^ (line.count('"' * 3) % 2 == 1)
        if not line or inside:
            out.append(line)
            continue
        blank = 0
        while out and not out[-1]:
            out.pop()
            blank += 1
        if out:
            opened = out[-1].endswith(":") and not out[-1].lstrip().startswith("#")
            out += [""] * (0 if opened else min(blank, 1 if line.startswith(" ") else 2))
        out.append(line)
    return "\n".join(out).rstrip("\n") + "\n"
