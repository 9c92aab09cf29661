"""`...` as an index like any other: all leading axes as one.

A Jacobian has the leading axes of what is differentiated and those of what it is differentiated by, and one `...`
cannot be both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tensorgrad_gen.ir import Expr, Extent, Index, Program

_LETTERS = "nmbrstuvwzacdefghijklopqxy"
_TYPICAL = 1024  # all leading axes together


def has_leading_axes(program: Program) -> bool:
    """Whether a tensor of the program has `...`."""
    return any(symbol == "..." for symbol, _ in program.axes)


def lettered(program: Program) -> Program:
    """The program with a letter of its own in place of `...`, for tensors whose leading axes are flattened."""
    if not has_leading_axes(program):
        return program
    taken = {index.name for info in program.tensors.values() for index in info.indices}
    taken |= {str(symbol) for symbol, _ in (*program.axes, *program.size_defs)}
    taken |= set(program.tensors) | {p.name for p in program.params} | {n for n, _ in program.size_names}
    letter = next((c for c in _LETTERS if c not in taken), "lead")
    while letter in taken:
        letter += "_"
    inputs = tuple(replace(item, indices=_mapped(item.indices, letter)) for item in program.inputs)
    orders = {item.name: len(item.indices) for item in inputs}
    return replace(
        program,
        inputs=inputs,
        statements=tuple(
            replace(s, indices=_mapped(s.indices, letter), value=_mapped(s.value, letter)) for s in program.statements
        ),
        axes=tuple(
            (letter, tuple((name, -orders[name]) for name, _ in places)) if symbol == "..." else (symbol, places)
            for symbol, places in program.axes
        ),
        hints=(*program.hints, (letter, dict(program.hints).get("...", _TYPICAL))),
    )


def _mapped(part: Any, letter: str) -> Any:
    """A node, or a part of one, with the letter in place of `...`."""
    if isinstance(part, Index):
        return Index(part.name.replace("...", letter), letter) if part.extent == "..." else part
    if isinstance(part, Extent):
        return Extent(letter) if part.symbol == "..." else part
    if isinstance(part, Expr):
        _, parts = part.__reduce__()
        return type(part)(*(_mapped(own, letter) for own in parts))
    return tuple(_mapped(own, letter) for own in part) if isinstance(part, tuple) else part
