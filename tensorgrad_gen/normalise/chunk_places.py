"""What a block needs of the rest: the positions of its rows as labels, and whole what it reads by another index too.

Law: the program with the new inputs, the positions and the inputs themselves, computes what the program computes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import accesses, map_nodes
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Input, Position, Program, Statement, Sub, complex_of


@dataclass(frozen=True, slots=True)
class Placed:
    """The program; `place` is the label that has the positions of the chunk's index, "" if none is read.

    `wholes` are tensors again, by the name under which they are not cut; `made` those of the op's own, which are
    computed whole, with all that they are computed from.
    """

    program: Program
    place: str
    wholes: tuple[tuple[str, str], ...] = ()
    made: frozenset[str] = frozenset()


def placed(program: Program) -> Placed:
    """The program, so that all that is cut is read at one index, whose position nowhere counts."""
    assert program.chunk is not None
    found = _Places(program, program.chunk.index)
    statements = tuple(map(found.statement, program.statements))
    new = [found.input(whole, name) for whole, name in found.wholes.items()]
    if found.read:
        new.append(Input(found.place, (found.chunk,), "label", grad=False, labels=found.chunk.extent, made=True))
    again = replace(program, inputs=(*program.inputs, *new), statements=statements)
    return Placed(again, found.place if found.read else "", tuple(found.wholes.items()), found.made())


class _Places:
    def __init__(self, program: Program, chunk: Index) -> None:
        self.program, self.chunk = program, chunk
        sizes = (name for name, _ in program.size_names)
        self.namer = Namer({*program.tensors, *(param.name for param in program.params), *sizes})
        self.place = self.namer.name(f"at_{chunk.name}")
        self.read = False
        self.wholes: dict[str, str] = {}
        self.inputs = {item.name for item in program.inputs}
        self.axes = {item.name: item.indices.index(chunk) for item in program.inputs if chunk in item.indices}

    def statement(self, statement: Statement) -> Statement:
        """The statement, read so; what it makes is cut, if it has the index."""
        index = self.index_of(statement)
        if index is None:
            if self.chunk in statement.indices:
                self.axes[statement.target] = statement.indices.index(self.chunk)
            return statement
        if index in statement.indices:
            self.axes[statement.target] = statement.indices.index(index)
        elif self.ordered(statement, index):
            return statement
        return replace(statement, value=map_nodes(statement.value, lambda node: self.node(node, index)))

    def index_of(self, statement: Statement) -> Index | None:
        """The index at which what is cut is read: that of most made in blocks, the chunk's own, a free one."""
        found: dict[Index, set[str]] = {}
        for access in accesses(statement.value):
            sub = access.subs[self.axes[access.tensor]] if access.tensor in self.axes else None
            if isinstance(sub, Index):
                found.setdefault(sub, set()).update({access.tensor} - self.inputs)
        free = [index for index in statement.indices if index in found]
        order = [index for index in (self.chunk, *free, *found) if index in found]
        return max(order, key=lambda index: len(found[index]), default=None)

    def ordered(self, statement: Statement, index: Index) -> bool:
        """Whether an index that is summed is ordered beside another of its extent: no block has a running sum."""
        found: set[Index] = set()

        def visit(node: Expr) -> Expr:
            if isinstance(node, Position):
                found.add(node.index)
            return node

        map_nodes(statement.value, visit)
        return index in found and any(other is not index and other.extent == index.extent for other in found)

    def node(self, node: Expr, index: Index) -> Expr:
        """The node with the positions of the index as labels."""
        match node:
            case Position() if node.index is index:
                return self.label(index)
            case Delta():
                return Delta(self.sub(node.left, index), self.sub(node.right, index))
            case Access() if node.tensor in self.axes:
                return self.cut(node, index)
            case Access() if any(sub is index for sub in node.subs):
                return Access(node.tensor, tuple(self.sub(sub, index) for sub in node.subs))
        return node

    def cut(self, node: Access, index: Index) -> Access:
        """A read of what is cut: at its axis by the index, or of all of an input."""
        axis = self.axes[node.tensor]
        if isinstance(node.subs[axis], Index) and node.subs[axis] is not index:
            return Access(self.whole(node.tensor), tuple(self.sub(sub, index) for sub in node.subs))
        subs = (sub if k == axis else self.sub(sub, index) for k, sub in enumerate(node.subs))
        return Access(node.tensor, tuple(subs))

    def sub(self, sub: Sub, index: Index) -> Sub:
        return self.label(index) if sub is index else sub

    def label(self, index: Index) -> Access:
        self.read = True
        return Access(self.place, (index,))

    def made(self) -> frozenset[str]:
        """The tensors of the op's own that are read whole, and those that they are computed from."""
        values = {statement.target: statement.value for statement in self.program.statements}
        queue = [name for name in self.wholes.values() if name in values]
        found = set(queue)
        while queue:
            read = {access.tensor for access in accesses(values[queue.pop()])} & values.keys()
            queue += read - found
            found |= read
        return frozenset(found)

    def input(self, whole: str, name: str) -> Input:
        """A tensor as an input that is not cut: its axis has a letter of its own."""
        info = self.program.tensors[name]
        kind = "complex" if name in complex_of(self.program) else info.kind
        item = next((item for item in self.program.inputs if item.name == name), None)
        item = item or Input(name, info.indices, kind, grad=kind in ("real", "complex"))
        letters = {index.name for index in info.indices}
        other = next(c for c in (f"{self.chunk.name}{k}" for k in range(1, 99)) if c not in letters)
        indices = (Index(other, i.extent) if k == self.axes[name] else i for k, i in enumerate(info.indices))
        return replace(item, name=whole, indices=tuple(indices), called="")

    def whole(self, name: str) -> str:
        """The name of a tensor where it is not cut."""
        for whole, own in self.wholes.items():
            if own == name:
                return whole
        new = self.namer.name(f"whole_{name}")
        self.wholes[new] = name
        return new
