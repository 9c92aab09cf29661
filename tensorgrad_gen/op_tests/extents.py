"""The extents of a program as Python names, defined in terms of the tensors they are read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorgrad_gen.ir import Input, Program, Size
from tensorgrad_gen.notation import size_names
from tensorgrad_gen.render.names import Names

BATCH = "..."


class Extents:
    """The extents that a body uses; `shape` says how the shape of an input is written."""

    def __init__(self, program: Program, names: Names, locals_: Mapping[str, str], shape: Callable[[str], str]) -> None:
        self._program = program
        self._locals = locals_
        self._shape = shape
        self._defs = dict(program.size_defs)
        self._axes = dict(program.axes)
        users = size_names(program)
        symbols = [symbol for symbol, _ in (*program.axes, *program.size_defs) if symbol != BATCH]
        self._names = {s: names.fresh(users.get(s, s.upper() if len(s) == 1 else f"size_{s}")) for s in symbols}
        self._names[BATCH] = names.fresh("count")
        self._lines: dict[str, str] = {}

    @property
    def lines(self) -> list[str]:
        """The definitions of what was used, each after those it uses."""
        return list(self._lines.values())

    def of(self, extent: str | int) -> str:
        """The extent of an index, as an expression that binds tightly."""
        if isinstance(extent, int):
            return str(extent)
        name = self._names[extent]
        if extent not in self._lines:
            source = self._source(extent)
            self._lines[extent] = f"{name} = {source}"
        return name

    def _source(self, symbol: str) -> str:
        if symbol in self._defs:
            return self._computed(self._defs[symbol])
        if symbol == BATCH:  # these axes have been made one
            item = batched(self._program)
            return f"{self._shape(item.name)}[0]"
        places = sorted(self._axes[symbol], key=lambda place: self._input(place[0]).default is not None)
        name, axis = places[0]
        return f"{self._shape(name)}[{axis}]"

    def _input(self, name: str) -> Input:
        return next(item for item in self._program.inputs if item.name == name)

    def _computed(self, size: Size) -> str:
        if size.op == "int":
            return str(size.args[0])
        if size.op == "size":
            return self.of(size.args[0])
        if size.op == "param":
            return self._locals[size.args[0]]
        texts = [self._computed(arg) for arg in size.args]
        tight = [f"({text})" if " " in text else text for text in texts]
        if size.op == "-" and len(tight) == 1:
            return f"-{tight[0]}"
        if size.op == "ceil":
            return f"-(-{tight[0]} // {tight[1]})"
        if size.op == "min":
            return f"min({texts[0]}, {texts[1]})"
        left = texts[0] if size.op in ("+", "-") else tight[0]
        return f"{left} {size.op} {tight[1]}"


def batched(program: Program) -> Input:
    """The input that `...` is read from."""
    found = [item for item in program.inputs if any(index.extent == BATCH for index in item.indices)]
    return min(found, key=lambda item: item.default is not None)


def has_batch(program: Program) -> bool:
    """Whether an input has `...`."""
    return any(index.extent == BATCH for item in program.inputs for index in item.indices)
