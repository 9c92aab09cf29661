"""Extents as Python ints: where each is read, what it is called, which statements need it."""

from __future__ import annotations

from collections.abc import Callable

from tensorgrad_gen.ir import Index, Input, Program, Size
from tensorgrad_gen.lower.names import Names, local_name
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Item, Lit, Method, Prefix, TExpr, TorchStatement, Var
from tensorgrad_gen.lower.values import LEAD, LoweringError

_COUNT = "number of `...`"  # key of the product of the batch extents; no symbol has this name


class Sizes:
    """The extents that a body uses, defined once each in terms of the op's inputs.

    The name of an extent is the same in all bodies of an op: it depends on the program alone.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._defs = dict(program.size_defs)
        self._names = _all_names(program)
        self._used: dict[str, TExpr] = {}
        self._needed: dict[str, frozenset[str]] = {}

    def use(self, symbol: str, needed_by: frozenset[str]) -> TExpr:
        """The extent as an expression; noted as used."""
        if symbol == LEAD.extent:
            return self._note(_COUNT, Method(self.lead(needed_by), "numel"), needed_by)
        if symbol in self._defs:
            value = self._computed(self._defs[symbol], needed_by)
            if _may_be_negative(self._defs[symbol]):
                what = Lit(f"{self._program.name}: index {symbol}")
                value = Call("_runtime.counted", (what, value))
            return self._note(symbol, value, needed_by)
        return self._note(symbol, read(self._program, symbol), needed_by)

    def lead(self, needed_by: frozenset[str]) -> TExpr:
        """The shape of the batch axes."""
        item = next((i for i in self._inputs() if LEAD in i.indices), None)
        if item is None:
            raise LoweringError("no input has batch axes")
        shape: TExpr = Attr(Var(local_name(item.name)), "shape")
        if len(item.indices) > 1:
            stop = Lit(1 - len(item.indices))
            shape = Item(shape, Call("slice", (Lit(None), stop)))
        return self._note(str(LEAD.extent), shape, needed_by)

    def statements(self) -> tuple[TorchStatement, ...]:
        """The definitions, each after those it uses."""
        return tuple(
            TorchStatement(self._names[symbol], expr, "", self._needed[symbol]) for symbol, expr in self._used.items()
        )

    def same(self, first: Index, second: Index) -> bool:
        """Whether two indices surely have one extent."""
        return self._source(first.extent) == self._source(second.extent)

    def is_multiple(self, symbol: str | int, times: int, of: str | int) -> bool:
        """Whether an extent is surely so many times another one."""
        found = self._defs.get(symbol) if isinstance(symbol, str) else None
        if found is None or found.op != "*":
            return False
        known = {("int", (times,)), ("size", (of,))}
        return {(part.op, part.args) for part in found.args if isinstance(part, Size)} == known

    def _source(self, symbol: str | int) -> str | int:
        """The extent that one is defined to equal."""
        found = self._defs.get(symbol) if isinstance(symbol, str) else None
        if found is None or found.op not in ("size", "int"):
            return symbol
        value: str | int = found.args[0]
        return self._source(value) if found.op == "size" else value

    def names(self) -> list[str]:
        """Every name that a body may give an extent."""
        return sorted(self._names.values())

    def _inputs(self) -> list[Input]:
        ordered = sorted(self._program.inputs, key=lambda item: item.default is not None)
        return list(ordered)

    def _note(self, symbol: str, expr: TExpr, needed_by: frozenset[str]) -> TExpr:
        if symbol not in self._used:
            self._used[symbol] = expr
            self._needed[symbol] = needed_by
        elif self._needed[symbol]:
            self._needed[symbol] = self._needed[symbol] | needed_by if needed_by else frozenset()
        return Var(self._names[symbol])

    def _computed(self, size: Size, needed_by: frozenset[str]) -> TExpr:
        return _arithmetic(size, lambda symbol: self.use(symbol, needed_by), local_name)


def places(program: Program, symbol: str) -> list[tuple[Input, int]]:
    """The inputs that have an axis of that extent, and where; first those that are always given."""
    table = {item.name: item for item in program.inputs}
    found = [(table[name], axis) for name, axis in dict(program.axes).get(symbol, ())]
    return sorted(found, key=lambda place: place[0].default is not None)


def read(program: Program, symbol: str, called: Callable[[str], str] = local_name) -> TExpr:
    """The extent as the length of the first axis that has it."""
    found = places(program, symbol)
    if not found:
        raise LoweringError(f"no axis has extent {symbol}")
    return length(*found[0], called)


def length(item: Input, axis: int, called: Callable[[str], str] = local_name) -> TExpr:
    """The length of an axis that is counted from the end."""
    if axis != -1 and LEAD not in item.indices:
        axis += len(item.indices)
    return Item(Attr(Var(called(item.name)), "shape"), Lit(axis))


def stated(program: Program, called: Callable[[str], str] = local_name) -> dict[str, TExpr]:
    """The extents of inputs that the spec gives as well, each in terms of params and of axes that it does not give.

    `called` says how an input or a param is written.
    """
    defs = dict(program.size_defs)

    def extent(symbol: str) -> TExpr:
        return _arithmetic(defs[symbol], extent, called) if symbol in defs else read(program, symbol, called)

    of_inputs = {index.extent for item in program.inputs for index in item.indices}
    return {symbol: extent(symbol) for symbol in defs if symbol in of_inputs}


def _arithmetic(size: Size, extent: Callable[[str], TExpr], called: Callable[[str], str]) -> TExpr:
    """The size as Python, where `extent` says what a symbol is."""
    if size.op == "int":
        return Lit(size.args[0])
    if size.op == "size":
        return extent(size.args[0])
    if size.op == "param":
        return Var(called(size.args[0]))
    parts = [_arithmetic(arg, extent, called) for arg in size.args]
    if size.op == "-" and len(parts) == 1:
        return Prefix("-", parts[0])
    if size.op == "ceil":
        return Prefix("-", Infix("//", Prefix("-", parts[0]), parts[1]))
    if size.op == "min":
        return Call("min", tuple(parts))
    return Infix(size.op, parts[0], parts[1])


def _may_be_negative(size: Size) -> bool:
    """Whether something is subtracted in an extent, or a param is in it."""
    return size.op in ("-", "param") or any(_may_be_negative(arg) for arg in size.args if isinstance(arg, Size))


def _all_names(program: Program) -> dict[str, str]:
    """A name for every extent: the user's own, else the capital letter, else `size_h`."""
    taken = set(program.tensors) | {p.name for p in program.params}
    names = Names(frozenset(taken))
    chosen: dict[str, str] = {}
    symbols = [symbol for symbol, _ in program.axes] + [symbol for symbol, _ in program.size_defs]
    users = {symbol: name for name, symbol in reversed(program.size_names)}
    for symbol in dict.fromkeys(symbols):
        wanted = users.get(symbol) or (symbol.upper() if len(symbol) == 1 else f"size_{symbol}")
        if wanted in taken:
            wanted = f"size_{symbol}"
        chosen[symbol] = names.fresh(wanted)
    chosen[str(LEAD.extent)] = names.fresh("lead")
    chosen[_COUNT] = names.fresh("count")
    return chosen
