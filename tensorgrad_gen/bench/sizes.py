"""Extents as a user gives them: `b=64,h=512`, `...=8x128`."""

from __future__ import annotations

from collections.abc import Mapping

from tensorgrad_gen.ir import Program
from tensorgrad_gen.verify.model import Params
from tensorgrad_gen.verify.samples import Shape, as_given, has_batch, make_shape

# Above this a tensor would not fit into any machine; Python's own numbers have no end.
_LARGEST = 2**40


class SizeError(ValueError):
    """What is wrong with a size that was asked for, and what could be."""


def parse_sizes(text: str) -> dict[str, str]:
    """`b=64,h=512` by name."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not name or not value:
            raise SizeError(f"`{part.strip()}` is no size: write `b=64,h=512`")
        if name in found:
            raise SizeError(f"`{name}` is given twice")
        found[name] = value
    return found


def with_sizes(program: Program, shape: Shape, asked: Mapping[str, str], params: Params) -> Shape:
    """The shape with the extents that were asked for, by index or by the name of a size."""
    sizes, batch = dict(shape.sizes), shape.batch
    names = _names(program)
    given: dict[str, tuple[str, int]] = {}
    for name, text in asked.items():
        if name == "..." and has_batch(program):
            batch = tuple(_number(name, part) for part in text.lower().split("x"))
            continue
        if name not in names:
            raise SizeError(f"{program.name} has no size `{name}`; there are: {_listed(program)}")
        symbol, value = names[name], _number(name, text)
        other, before = given.setdefault(symbol, (name, value))
        if before != value:
            raise SizeError(f"`{other}` and `{name}` are one size: {before} and {value}")
        sizes[symbol] = value
    out = as_given(program, make_shape(program, sizes, batch), params)
    for symbol, (name, value) in given.items():
        if dict(out.sizes)[symbol] != value:
            raise SizeError(f"`{name}` is {dict(out.sizes)[symbol]} there, as the spec says, not {value}")
    return out


def _names(program: Program) -> dict[str, str]:
    """Every name of an extent that inputs have."""
    symbols = {symbol: symbol for symbol, _ in program.axes if symbol != "..."}
    users = {name: symbol for name, symbol in program.size_names if symbol in symbols}
    letters = {i.name: i.extent for item in program.inputs for i in item.indices if isinstance(i.extent, str)}
    return {**{name: symbol for name, symbol in letters.items() if symbol in symbols}, **symbols, **users}


def _listed(program: Program) -> str:
    names = sorted(_names(program)) + (["... (as in `...=8x128`)"] if has_batch(program) else [])
    return ", ".join(names) or "none"


def _number(name: str, text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(_LARGEST)):
        raise SizeError(f"`{name}={text}`: a size is a whole number from 1 on")
    if not 1 <= int(digits) <= _LARGEST:
        raise SizeError(f"`{name}={text}`: a size is a whole number from 1 to {_LARGEST}")
    return int(digits)
