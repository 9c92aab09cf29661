"""An op with a chunk as several: programs that are worked in blocks, and programs of what is computed whole.

Law: the parts in order, those that are cut once for each block, their sums added and their tensors joined, compute
what the program computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import accesses, all_indices, map_nodes, substitute, walk
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import (
    Expr,
    Extent,
    Index,
    Input,
    Param,
    Parameter,
    Program,
    Root,
    Size,
    Statement,
    Sum,
    complex_of,
    mul,
)
from tensorgrad_gen.normalise.chunk_places import Placed, placed
from tensorgrad_gen.normalise.chunks import Rounds, rounds


@dataclass(frozen=True, slots=True)
class Part:
    """One of the programs that `op` is worked in; `count` is that of its blocks, 0 for what is computed whole.

    In the program of a block, `index` runs along the block.

    `cuts` has, for each input, the axis along which it is cut, `joins`, for each output, that along which it is
    joined, counted from the end; None: the input is the same for every block, the output the sum over them.
    `sizes` are the params that stand for extents: name and symbol; `placed` tells what inputs the op has not.
    """

    op: str
    program: Program
    index: Index
    count: int
    cuts: tuple[int | None, ...]
    joins: tuple[int | None, ...]
    sizes: tuple[tuple[str, str], ...]
    placed: Placed


def parts(program: Program) -> tuple[Part, ...]:
    """The parts in order; none where the program has no chunk."""
    return () if program.chunk is None else _Parts(program).run()


class _Parts:
    def __init__(self, program: Program) -> None:
        assert program.chunk is not None
        self.placed = placed(program)
        self.program, self.chunk = self.placed.program, program.chunk
        self.rounds: Rounds = rounds(self.placed)
        program = self.program
        self.complex = complex_of(program)
        self.statements = {s.target: s for s in program.statements}
        self.inputs = {item.name: item for item in program.inputs}
        symbols = {*(symbol for symbol, _ in program.axes), *(symbol for symbol, _ in program.size_defs)}
        self.block = Namer(symbols).name(f"{self.chunk.index.name}_block")
        self.called_so: set[str] = set()  # the names of parts, but for what the name of a class does not tell apart
        self.names = {name for name, _ in program.size_names} | set(program.tensors) | {p.name for p in program.params}

    def run(self) -> tuple[Part, ...]:
        """A part for each round."""
        last = max(self.rounds.of.values())
        found = []
        for number in range(last + 1):
            wanted = [name for name, own in self.rounds.of.items() if own == number and self.leaves(name)]
            if wanted:
                found.append(self.part(self.needed(wanted), tuple(wanted), number))
        return tuple(found)

    def leaves(self, name: str) -> bool:
        """Whether the tensor is an output of its part: what is inside of blocks is computed again where it is read."""
        if name in self.program.outputs:
            return True
        if self.rounds.inside(name):
            return False
        own = self.rounds.of[name]
        names = {name, *(whole for whole, of in self.placed.wholes if of == name)}
        readers = [s.target for s in self.program.statements if any(a.tensor in names for a in accesses(s.value))]
        return self.rounds.sums(name) or any(r in self.rounds.blocked or self.rounds.of[r] != own for r in readers)

    def needed(self, wanted: Iterable[str]) -> list[Statement]:
        """The statements of the part: those of its round and kind that the outputs need, in order."""
        queue, found = list(wanted), set(wanted)
        own = self.rounds.of[queue[0]]
        while queue:
            for access in accesses(self.statements[queue.pop()].value):
                name = access.tensor
                same = self.rounds.inside(name) if own % 2 else self.rounds.of.get(name) == own
                if same and name not in found:
                    found.add(name)
                    queue.append(name)
        return [s for s in self.program.statements if s.target in found]

    def part(self, statements: list[Statement], outputs: tuple[str, ...], number: int) -> Part:
        """The program of these statements."""
        cut = number % 2 == 1
        program, own = self.program, {s.target for s in statements}
        reads = {access.tensor for s in statements for access in accesses(s.value)} - own
        given = [name for name in program.tensors if name in reads and program.tensors[name].role != "constant"]
        given += self.like(given)
        inputs = [self.input(name, cut and name in reads) for name in given]
        cuts = tuple(self.axis(name) if cut and name in reads else None for name in given)
        joins = tuple(self.axis(name) if cut and name in self.rounds.axes else None for name in outputs)
        if cut:
            statements = [self.blockwise(s) for s in statements]
        draft = replace(
            program,
            name=self.called(outputs, "block" if cut else "whole", again=number > 1 + cut),
            doc="",
            inputs=tuple(inputs),
            constants=tuple(c for c in program.constants if c.name in reads),
            statements=tuple(statements),
            outputs=outputs,
            save="inputs",
            chunk=None,
        )
        return _with_sizes(draft, self, self.chunk.count if cut else 0, cuts, joins)

    def called(self, outputs: tuple[str, ...], kind: str, again: bool) -> str:
        """The name of a part: of a kind that there is again, after the one tensor it computes, else with a number."""
        plain = f"{self.program.name}_{kind}"
        name = f"{self.program.name}_{outputs[0]}_{kind}" if again and len(outputs) == 1 else plain
        count = 1
        while _letters(name) in self.called_so:
            count += 1
            name = f"{plain}_{count}"
        self.called_so.add(_letters(name))
        return name

    def like(self, given: list[str]) -> list[str]:
        """An input that says dtype and device where no number that the part reads does."""
        real = {item.name for item in self.program.inputs if item.kind in ("real", "complex")} | self.complex
        if any(name in real or self.program.tensors[name].kind == "real" for name in given):
            return []
        sure = [item.name for item in self.program.inputs if item.default is None and item.name not in given]
        numbers = [name for name in sure if name in real]
        return numbers[:1] or ([] if given else sure[:1])

    def axis(self, name: str) -> int | None:
        """The axis that is cut, counted from the end."""
        place = self.rounds.axes.get(name)
        return None if place is None else place - len(self.program.tensors[name].indices)

    def input(self, name: str, cut: bool) -> Input:
        """The tensor as an input, of its part in the block where it is cut."""
        info = self.program.tensors[name]
        kind = "complex" if name in self.complex else info.kind
        item = self.inputs.get(name) or Input(name, info.indices, kind, grad=kind in ("real", "complex"))
        place = self.rounds.axes.get(name) if cut else None
        if place is None:
            return item
        return replace(item, indices=tuple(self.short(i) if k == place else i for k, i in enumerate(item.indices)))

    def short(self, index: Index) -> Index:
        """The index as it runs along a block."""
        return Index(index.name, self.block)

    def blockwise(self, statement: Statement) -> Statement:
        """The statement of a block: the index that is cut is as long as the block."""
        index = self.rounds.blocked[statement.target]
        short = self.short(index)
        if index in statement.indices:
            indices = tuple(short if i is index else i for i in statement.indices)
            return replace(statement, indices=indices, value=substitute(statement.value, {index: short}))
        factors = [self._sum(f, index, short) for f in factors_of(statement.value)]
        return replace(statement, value=mul(*factors))

    def _sum(self, factor: Expr, index: Index, short: Index) -> Expr:
        if not isinstance(factor, Sum) or index not in factor.indices:
            return factor
        return Sum(tuple(short if i is index else i for i in factor.indices), substitute(factor.body, {index: short}))


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _with_sizes(
    draft: Program, op: _Parts, count: int, cuts: tuple[int | None, ...], joins: tuple[int | None, ...]
) -> Part:
    """The part with the extents that it needs: of its inputs' axes, or as params."""
    places: dict[str, list[tuple[str, int]]] = {}
    for item in sorted(draft.inputs, key=lambda item: item.default is not None):
        for k, index in enumerate(item.indices):
            if isinstance(index.extent, str):
                places.setdefault(index.extent, []).append((item.name, k - len(item.indices)))
    optional = {item.name for item in draft.inputs if item.default is not None}
    sure = {symbol for symbol, axes in places.items() if any(name not in optional for name, _ in axes)}
    missing = sorted(_symbols(draft) - sure - {op.block, "..."})
    users = {symbol: name for name, symbol in reversed(draft.size_names)}
    names = Namer(op.names - set(users.values()))
    passed = {s: names.name(users.get(s) or (s.upper() if len(s) == 1 else f"size_{s}")) for s in missing}

    def visit(node: Expr) -> Expr:
        return Param(passed[node.symbol], "int") if isinstance(node, Extent) and node.symbol in passed else node

    statements = tuple(replace(s, value=map_nodes(s.value, visit)) for s in draft.statements)
    indexed = {i.extent for s in statements for i in (*s.indices, *all_indices(s.value))}
    nodes = [node for s in statements for node in walk(s.value)]
    read = {node.name for node in nodes if isinstance(node, Param)}
    read |= {p.name for node in nodes if isinstance(node, Root) for p in node.problem.program.params}
    sizes = [Parameter(name, None, "int") for name in passed.values()]
    program = replace(
        draft,
        statements=statements,
        params=(*(p for p in draft.params if p.name in read), *sizes),
        axes=tuple((symbol, tuple(axes)) for symbol, axes in places.items()),
        size_defs=tuple((s, Size("param", (passed[s],))) for s in missing if s in indexed),
        size_names=tuple((name, s) for name, s in draft.size_names if s not in passed and s in places),
        hints=tuple((s, n) for s, n in draft.hints if s in places),
    )
    return Part(
        op.program.name,
        program,
        op.short(op.chunk.index),
        count,
        cuts,
        joins,
        tuple((name, s) for s, name in passed.items()),
        op.placed,
    )


def _symbols(program: Program) -> set[str]:
    """The extents that the statements have to do with."""
    found: set[str] = set()
    for statement in program.statements:
        for index in (*statement.indices, *all_indices(statement.value)):
            found |= {index.extent} if isinstance(index.extent, str) else set()
        found |= {node.symbol for node in walk(statement.value) if isinstance(node, Extent)}
    return found
