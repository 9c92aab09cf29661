"""Which names of LaTeX equations are indices, inputs, defined tensors and sizes, and which letters share an extent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from tensorgrad_gen.errors import quote
from tensorgrad_gen.importing.draft import operand
from tensorgrad_gen.importing.latex.builder import bare
from tensorgrad_gen.importing.naming import allowed, fresh
from tensorgrad_gen.importing.source import Node, Source
from tensorgrad_gen.ir import Input

CONSTANTS = {"pi": "pi", r"\infty": "inf"}


def walk(node: Node) -> Iterator[Node]:
    """The node and all its parts."""
    yield node
    for part in node.parts:
        yield from walk(part)


def is_delta(node: Node) -> bool:
    """Kronecker's delta is a delta with two indices."""
    return node.kind == "access" and node.text == "delta" and len(node.parts) == 2


def is_permutation(node: Node) -> bool:
    """Levi-Civita's symbol is an epsilon with three indices or more."""
    return node.kind == "access" and node.text in ("epsilon", "varepsilon") and len(node.parts) >= 3


@dataclass(slots=True)
class Symbols:
    """The names of all equations together: a letter has one extent, wherever it stands."""

    source: Source
    equations: Sequence[Node]
    defined: dict[str, Node] = field(default_factory=dict)  # name -> left side
    order: dict[str, int] = field(default_factory=dict)  # letter -> where it first stands as an index
    shapes: dict[str, list[Node]] = field(default_factory=dict)  # tensor -> subscripts of its first access
    places: dict[str, int] = field(default_factory=dict)  # tensor -> where it first stands
    scalars: dict[str, Node] = field(default_factory=dict)
    sizes: dict[str, Node] = field(default_factory=dict)  # N of a sum to N -> its index
    labels: dict[str, str] = field(default_factory=dict)  # tensor that is a subscript -> the axis it reads
    leaders: dict[str, str] = field(default_factory=dict)  # letters and axes -> another one of the same extent

    def __post_init__(self) -> None:
        for equation in self.equations:
            self.define(bare(equation.parts[0]))
        for name in (n for e in self.equations for n in self.subscripts(e) if n.kind == "name"):
            self.order.setdefault(name.text, name.start)
        found = [node for equation in self.equations for node in walk(equation)]
        for node in found:
            self.visit(node)
        for node in found:
            self.compared(node)
        for equation in self.equations:
            self.find_scalars(equation.parts[1])

    def define(self, left: Node) -> None:
        if left.kind not in ("name", "access") or is_delta(left) or is_permutation(left):
            remedy = "an equation is like `y_{ij} = ...`: a name with its indices, then what it is"
            raise self.source.fault("E210", "the left side is no tensor", left.start, left.end, remedy)
        self.defined.setdefault(left.text, left)

    def subscripts(self, node: Node) -> Iterator[Node]:
        """All names in subscripts and below sums, those of positions included."""
        for part in walk(node):
            if part.kind in ("access", "bound"):
                for sub in part.parts[1:] if part.kind == "bound" else part.parts:
                    yield from (inner for inner in walk(sub.parts[0] if sub.kind == "range" else sub))
            if part.kind == "call" and part.text == "size":
                yield from map(bare, part.parts)

    # extents

    def leader(self, of: str) -> str:
        while of in self.leaders:
            of = self.leaders[of]
        return of

    def equate(self, one: str, other: str) -> None:
        """Letters lead axes, and the letter that comes first the others."""
        first, second = sorted((self.leader(one), self.leader(other)), key=lambda name: self.order.get(name, 1 << 30))
        if first != second:
            self.leaders[second] = first

    def visit(self, node: Node) -> None:
        if is_delta(node) or is_permutation(node):
            letters = [part.text for part in node.parts if part.kind == "name"]
            for letter in letters[1:]:
                self.equate(letters[0], letter)
        elif node.kind == "access":
            self.shapes.setdefault(node.text, list(node.parts))
            self.places[node.text] = min(node.start, self.places.get(node.text, node.start))
            for k, sub in enumerate(node.parts):
                if sub.kind == "name":
                    self.equate(sub.text, f"{node.text} {k}")
                elif sub.kind == "access":
                    self.labels.setdefault(sub.text, f"{node.text} {k}")
        elif node.kind == "range":
            self.bounds(node)

    def compared(self, node: Node) -> None:
        r"""Indices compared with each other, one of which no tensor has, have one extent: `[j \le i]`."""
        sides = [bare(side).text for side in node.parts] if node.kind == "compare" else []
        if len(sides) == 2 and all(side in self.order for side in sides):
            given = [(name, subs) for name, subs in self.shapes.items() if name not in self.defined]
            axes = {self.leader(f"{name} {k}") for name, subs in given for k in range(len(subs))}
            if any(self.leader(side) not in axes for side in sides):
                self.equate(*sides)

    def bounds(self, node: Node) -> None:
        r"""`\sum_{i=1}^{N}`: all of `i`, whose extent is called `N`."""
        index, first, last = node.parts
        if first.kind != "number" or first.text not in ("0", "1") or index.kind != "name":
            raise self.source.fault("E703", "a sum is over all of an index", node.start, node.end, r"write `\sum_{i}`")
        if first.text == "0":
            whole = last.kind == "sum" and last.text == "+-" and last.parts[1].text == "1"
            last = last.parts[0] if whole else Node("", last.start, last.end)
        if last.kind != "name" or last.text in self.defined or last.text in self.indices:
            remedy = r"its extent gets a name of its own: `\sum_{i=1}^{N}`, or `\sum_{i=0}^{N-1}`"
            raise self.source.fault("E703", "a sum is over all of an index", node.start, node.end, remedy)
        known = self.sizes.setdefault(last.text, index)
        self.equate(known.text, index.text)

    # names

    @property
    def indices(self) -> Collection[str]:
        """The letters that are indices somewhere."""
        return self.order.keys()

    def find_scalars(self, node: Node) -> None:
        """Bare names that are no indices are inputs of order 0."""
        if node.kind == "name" and self.is_scalar(node):
            self.scalars.setdefault(node.text, node)
        for part in self.values(node):
            self.find_scalars(part)

    def is_scalar(self, node: Node) -> bool:
        name = node.text
        known = name in self.defined or name in self.sizes or name in self.indices or name in CONSTANTS
        if name in self.shapes and not known:
            remedy = "give it its subscripts here too, or another name"
            raise self.source.fault("E201", f"{quote(name)} has subscripts elsewhere", node.start, node.end, remedy)
        return not known and name != "e"

    def values(self, node: Node) -> list[Node]:
        """The parts that are values, and no indices."""
        if node.kind == "access":
            return [sub for sub in node.parts if sub.kind != "name"]
        if node.kind == "bound":
            return [node.parts[0]]
        return [] if node.kind == "call" and node.text == "size" else list(node.parts)

    def inputs(self) -> Iterator[Input]:
        """What nothing defines, in order of appearance."""
        found: list[tuple[int, str]] = [(node.start, name) for name, node in self.scalars.items()]
        found += [
            (self.places[name], name)
            for name in self.shapes
            if name not in self.defined and not (name == "delta" and len(self.shapes[name]) == 2)
        ]
        for _, name in sorted(found):
            more = {"kind": "label", "labels": self.letter(self.labels[name])} if name in self.labels else {}
            yield operand(allowed(name), [] if name in self.scalars else self.axes(name), **more)

    def axes(self, name: str) -> list[str]:
        """The letters that an input is declared with: one an extent."""
        return ["..." if s.kind == "dots" else self.letter(f"{name} {k}") for k, s in enumerate(self.shapes[name])]

    def letter(self, axis: str) -> str:
        """The letter of an axis; a new one where only positions and labels read it."""
        leader = self.leader(axis)
        if " " not in leader:
            return leader
        new = fresh({*self.indices, *self.scalars, *self.shapes}, "n")
        self.order[new] = len(self.source.text)
        self.leaders[leader] = new
        return new
