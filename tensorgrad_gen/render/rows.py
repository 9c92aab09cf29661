"""Which lines of a body go into a function of their own, that is called for a block of rows after another.

Law: a line goes there if it reads rows; what it makes is joined along the rows, or, a sum over them, added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tensorgrad_gen.ir import Index
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import reads, texpr_children
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Item, Lit, Method, Prefix, TExpr, TorchStatement, Var
from tensorgrad_gen.plan.model import Rows
from tensorgrad_gen.render.liveness import Guarded, Live

# Axes of each tensor that a body reads from outside or returns; None is an axis of size 1.
Axes = Mapping[str, "tuple[Index | None, ...]"]
SUM = "sum"


@dataclass(frozen=True, slots=True)
class Split:
    """Lines before, of a block, and after; `cuts` and `joins` say how many axes stand behind the rows.

    `cuts` has the tensors from outside that are cut, `joins` what a block makes for others to read, in order.
    """

    before: tuple[Guarded, ...]
    inside: tuple[Guarded, ...]
    after: tuple[Guarded, ...]
    cuts: dict[str, int]
    joins: dict[str, int | str]
    large: frozenset[str] = frozenset()  # what a block makes that has all the axes of the largest tensor that is cut


def split(live: Live, rows: Rows | None, tensors: Axes, results: Mapping[str, str]) -> Split | None:
    """The lines of a body that gains by it; `results` names the variable of each result."""
    if rows is None:
        return None
    outside = {local_name(name): len(axes) - 1 for name, axes in tensors.items() if name in rows.cut}
    parts = _Parts(live, {local_name(name) for name in rows.sums}, set(outside), results)
    if not parts.sort() or _computing([line.value for line in parts.inside], parts.cut) < 2:
        return None
    joins: dict[str, int | str] = {}
    large: set[str] = set()
    for name in parts.crossing():
        if name in parts.sums:
            joins[name] = SUM
            continue
        axes = next((tensors[result] for result, own in results.items() if own == name and result in tensors), None)
        if axes is None or axes[:1] != (rows.index,):
            return None
        joins[name] = behind = len(axes) - 1
        if None not in axes and behind >= max(outside.values(), default=0):
            large.add(name)
    if any(not _plain(line.value, parts.cut, _long(live, tensors, rows)) for line in parts.inside):
        return None
    cuts = {name: behind for name, behind in outside.items() if any(name in reads(p.value) for p in parts.inside)}
    return Split(tuple(parts.before), tuple(parts.inside), tuple(parts.after), cuts, joins, frozenset(large))


class _Parts:
    """The lines of a body, sorted by what they read."""

    def __init__(self, live: Live, sums: set[str], outside: set[str], results: Mapping[str, str]) -> None:
        self.live, self.sums, self.results = live, sums, results
        self.cut = set(outside)  # variables with rows
        self.late: set[str] = set()  # variables computed from sums
        self.before: list[Guarded] = []
        self.inside: list[Guarded] = []
        self.after: list[Guarded] = []

    def target(self, line: Guarded) -> str:
        """The variable that a line assigns."""
        return line.target if line.target is not None else self.results.get(line.result, "")

    def sort(self) -> bool:
        """Whether every line has its place: none reads rows and what waits for a sum over them."""
        made: set[str] = set()
        for line in self.live.lines:
            read, name = reads(line.value), self.target(line)
            if isinstance(line.value, Var) and line.value.name == name:
                continue  # a result that its own statement has named
            waits = read & (self.late | (self.sums & made))
            rows = read & (self.cut | made) - self.sums - self.late
            if waits and rows:
                return False
            if waits:
                self.late.add(name)
                self.after.append(line)
            elif rows:
                made.add(name)
                self.inside.append(line)
            else:
                self.before.append(line)
        self.cut |= made - self.sums
        return self.sums & made <= {line.target for line in self.inside if line.target is not None}

    def crossing(self) -> list[str]:
        """The variables of a block that others read, or that are results."""
        read = {name for line in self.after for name in reads(line.value)}
        wanted = read | {self.results[line.result] for line in self.live.lines if line.result in self.results}
        return [name for name in dict.fromkeys(map(self.target, self.inside)) if name in wanted]


def _long(live: Live, tensors: Axes, rows: Rows) -> frozenset[str]:
    """The sizes that depend on how many rows there are."""
    whole = {local_name(name): len(axes) - 1 for name, axes in tensors.items() if name in rows.cut}
    found: set[str] = set()
    for size in live.sizes:
        if reads(size.call) & found or _of_rows(size, whole):
            found.add(size.target)
    return frozenset(found)


def _of_rows(size: TorchStatement, whole: Mapping[str, int]) -> bool:
    match size.call:
        case Item(Attr(Var(name), "shape"), Lit(int(axis))):
            return name in whole and not -whole[name] <= axis < 0
    return bool(reads(size.call) & set(whole))


def _plain(expr: TExpr, cut: set[str], long: frozenset[str]) -> bool:
    """Whether the expression does not depend on the shape of what has rows, but for sizes as numbers."""
    match expr:
        case Var(name):
            return name not in long
        case Attr(inner, "shape") | Method(inner, "numel"):
            return not reads(inner) & cut
        case Infix(_, left, right):
            return all(isinstance(side, Var) or _plain(side, cut, long) for side in (left, right))
        case Prefix(_, Var()):
            return True
    return all(_plain(child, cut, long) for child in texpr_children(expr))


def _computing(expressions: list[TExpr], cut: set[str]) -> int:
    """How many calls make a tensor with rows."""
    count, queue = 0, list(expressions)
    while queue:
        expr = queue.pop()
        queue.extend(texpr_children(expr))
        one_pass = isinstance(expr, Call) and expr.function.startswith("_runtime.layer_norm")
        count += isinstance(expr, Infix | Call | Method) and not one_pass and bool(reads(expr) & cut)
    return count
