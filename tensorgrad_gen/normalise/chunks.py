"""Which statements are worked block by block, and in which round.

Law: a tensor that has the chunk's index has it at one axis, and its block is computed from the blocks of what it
reads: the index is read plainly, and nothing runs along it but a sum at the root of a statement, which is the sum
of the sums over the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tensorgrad_gen.algebra import accesses, walk
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import (
    Access,
    Delta,
    Expr,
    Index,
    LeviCivita,
    Linalg,
    Position,
    Program,
    Reduce,
    Root,
    Scan,
    Statement,
    Sum,
)
from tensorgrad_gen.normalise.chunk_places import Placed


@dataclass(frozen=True)
class NotBatchLikeError(Exception):
    """The op cannot be worked in blocks of its chunk's index: of `why`, `{along}` and `{read}` are the next fields.

    `tensor` is what is computed there, "" where it is no one tensor; `along` the reduction, scan or matrix function
    that runs along the index; `read` a tensor that is read otherwise than along it.
    """

    index: Index
    why: str
    tensor: str = ""
    along: str = ""
    read: str = ""

    def __str__(self) -> str:
        why = self.why.format(along=f"`{self.along}`", read=f"`{self.read}`")
        return f"`{self.index}` is not batch-like in `{self.tensor}`: {why}" if self.tensor else why


@dataclass(slots=True)
class Rounds:
    """The round of each statement: even ones are computed whole, odd ones in blocks.

    `axes` has the axis of each tensor that is cut; `blocked` the index that is cut in each statement of a block,
    by its target: free there, or summed, where the target is a sum over the blocks.
    """

    axes: dict[str, int] = field(default_factory=dict)
    blocked: dict[str, Index] = field(default_factory=dict)
    of: dict[str, int] = field(default_factory=dict)
    wholes: dict[str, str] = field(default_factory=dict)  # tensors by the name under which they are not cut

    def sums(self, name: str) -> bool:
        """Whether the tensor is a sum over the blocks."""
        return name in self.blocked and name not in self.axes

    def inside(self, name: str) -> bool:
        """Whether the tensor has a part in each block, computed there."""
        return name in self.blocked and name in self.axes


def rounds(given: Placed) -> Rounds:
    """The rounds of a program with a chunk; raises `NotBatchLikeError` where its index is no batch."""
    program, place = given.program, given.place
    assert program.chunk is not None
    index = program.chunk.index
    found = Rounds({item.name: item.indices.index(index) for item in program.inputs if index in item.indices})
    found.wholes.update(given.wholes)
    for item in program.inputs:
        if item.structure != "general" and index in item.indices[-2:]:
            raise NotBatchLikeError(index, f"it is an axis of a {item.structure} matrix", item.name)
    for statement in program.statements:
        enter(statement, index, found, given.made)
    if not any(item.default is None and item.name in found.axes and item.name != place for item in program.inputs):
        why = f"every input with an axis `{index}` may be left out: nothing tells how long it is"
        raise NotBatchLikeError(index, why)
    if not found.blocked:
        raise NotBatchLikeError(index, f"nothing is computed along `{index}`")
    _later(program, found)
    return found


def enter(statement: Statement, chunk: Index, found: Rounds, whole: frozenset[str] = frozenset()) -> None:
    """Enter the index that is cut in the statement, and its round; raises `NotBatchLikeError`.

    `whole`: what is computed whole though it could be in blocks.
    """
    name, reads = statement.target, accesses(statement.value)
    if name in whole or not any(access.tensor in found.axes for access in reads):
        if chunk in statement.indices:  # computed whole, and cut where it is read
            found.axes[name] = statement.indices.index(chunk)
        found.of[name] = max((_after(a.tensor, found, whole=True) for a in reads), default=0)
        return
    index = _plain(statement, chunk, found)
    found.blocked[name] = index
    if index in statement.indices:
        found.axes[name] = statement.indices.index(index)
    elif not _summed(statement.value, index):
        raise NotBatchLikeError(chunk, "it is summed inside of something else", name)
    found.of[name] = max(1, *(_after(a.tensor, found, whole=False) for a in reads))


def _after(name: str, found: Rounds, whole: bool) -> int:
    """The first round in which the tensor can be read."""
    name = found.wholes.get(name, name)
    own = found.of.get(name, 0)
    if found.inside(name):
        return own
    return own + found.sums(name) + (not whole)


def _plain(statement: Statement, chunk: Index, found: Rounds) -> Index:
    """The one index at which all that is cut is read."""
    name = statement.target
    cut: dict[Index, str] = {}
    for access in accesses(statement.value):
        if access.tensor in found.axes:
            sub = access.subs[found.axes[access.tensor]]
            if not isinstance(sub, Index):
                raise NotBatchLikeError(chunk, "{read} is read there at a position or label", name, read=access.tensor)
            cut.setdefault(sub, access.tensor)
    index, *others = cut
    if others:
        why = f"{{read}} is read there at another index, `{others[0]}`, too"
        raise NotBatchLikeError(chunk, why, name, read=cut[others[0]])
    for node in walk(statement.value):
        if isinstance(node, Access):
            own = found.axes.get(node.tensor)
            if any(sub is index for place, sub in enumerate(node.subs) if place != own):
                raise NotBatchLikeError(chunk, "it is an axis of {read} that is not cut", name, read=node.tensor)
        elif why := _along(node, index):
            raise NotBatchLikeError(chunk, why, name, node.kind if isinstance(node, Reduce | Scan) else "")
    return index


def _along(node: Expr, index: Index) -> str:
    """What the node does along the index, if it is not the same in each block."""
    match node:
        case Position():
            return "a sum along it compares its position with another" if node.index is index else ""
        case Delta() | LeviCivita():
            subs = (node.left, node.right) if isinstance(node, Delta) else node.subs
            return "it is compared with another index" if any(sub is index for sub in subs) else ""
        case Reduce() | Scan():
            return "{along} runs along it" if index in node.indices else ""
        case Linalg():
            return "it is an axis of a matrix" if index in (*node.rows, *node.cols, *node.number) else ""
        case Root():
            return "an equation is solved by iteration"
    return ""


def _summed(value: Expr, index: Index) -> bool:
    """Whether the value is a sum over the index, times numbers."""
    factors = factors_of(value)
    sums = [f for f in factors if isinstance(f, Sum) and index in f.indices]
    return len(sums) == 1 and all(scalar(f) for f in factors if f is not sums[0])


def _later(program: Program, found: Rounds) -> None:
    """What is computed whole, as late as its readers allow: so there are few rounds."""
    last = max(found.of.values())
    last -= last % 2
    limits: dict[str, int] = {}
    for statement in reversed(program.statements):
        name = statement.target
        if name not in found.blocked:
            found.of[name] = limits.get(name, max(last, found.of[name]))
        own = found.of[name] - (name in found.blocked)
        for access in accesses(statement.value):
            read = found.wholes.get(access.tensor, access.tensor)
            limits[read] = min(limits.get(read, own), own)
