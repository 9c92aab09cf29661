"""Which gradient needs which statement, read off the data flow.

Law: a statement or a saved tensor is needed by exactly the results that are computed from it.
A tensor of which only a size is wanted is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tensorgrad_gen.lower.model import Body
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import reads, walk
from tensorgrad_gen.lower.torch_ir import Method, TExpr, TorchStatement, Var


@dataclass(frozen=True, slots=True)
class Guarded:
    """A statement under the test that one of `needed` is needed; `target` None: the result `result`."""

    target: str | None
    value: TExpr
    formula: str
    needed: frozenset[str]
    result: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """A body's statements and results in order, the sizes they need, and who needs each name read from outside."""

    sizes: tuple[TorchStatement, ...]
    lines: tuple[Guarded, ...]
    outside: dict[str, frozenset[str]]

    @property
    def direct(self) -> frozenset[str]:
        """The sizes that a statement or result reads, not only another size."""
        read = {name for line in self.lines for name in reads(line.value)}
        return frozenset(s.target for s in self.sizes if s.target in read)


def analyse(body: Body) -> Live:
    """Guards of a body; statements that nothing needs are dropped."""
    needed: dict[str, frozenset[str]] = {}
    for name, expr in body.results:
        _mark(needed, reads(expr), frozenset((name,)))
    lines: list[Guarded] = []
    for statement in reversed(body.statements):
        own = needed.pop(statement.target, frozenset())
        if own:
            _mark(needed, reads(statement.call), own)
            lines.append(Guarded(statement.target, statement.call, statement.formula, own))
    lines.reverse()
    sizes: list[TorchStatement] = []
    wanted = set(needed)
    for statement in reversed(body.sizes):
        if statement.target in wanted:
            sizes.append(statement)
            wanted |= reads(statement.call)
    for statement in body.sizes:
        needed.pop(statement.target, None)
    return Live(tuple(reversed(sizes)), _with_results(tuple(lines), body.results), needed)


def changes_in_place(expr: TExpr) -> bool:
    """Whether a method inside ends in `_`, torch's mark of a change in place."""
    return any(isinstance(part, Method) and part.name.endswith("_") for part in walk(expr))


def _mark(needed: dict[str, frozenset[str]], names: Iterable[str], who: frozenset[str]) -> None:
    for name in names:
        needed[name] = needed.get(name, frozenset()) | who


def _with_results(lines: tuple[Guarded, ...], results: tuple[tuple[str, TExpr], ...]) -> tuple[Guarded, ...]:
    """Each result right after the last statement it reads; at the end where a later one changes in place,
    or reads the tensor that the result's own variable is about to replace by another layout of it.
    """
    end = len(lines)
    made = {line.target: k for k, line in enumerate(lines)}
    read = {name: k for k, line in enumerate(lines) for name in reads(line.value)}  # the last to read it
    changed = max((k for k, line in enumerate(lines) if changes_in_place(line.value)), default=-1)
    before: dict[int, list[Guarded]] = {}  # the results that come before a line
    for name, expr in results:
        used = reads(expr)
        replaced = frozenset() if isinstance(expr, Var) else used | {local_name(name)}
        place = 1 + max((made[target] for target in used if target in made), default=-1)
        if changed >= place or any(read.get(target, -1) >= place for target in replaced):
            place = end
        before.setdefault(place, []).append(Guarded(None, expr, "", frozenset((name,)), name))
        read |= {target: max(place, read.get(target, -1)) for target in used}
        changed = max(changed, place) if changes_in_place(expr) else changed
    return tuple(line for k in range(end + 1) for line in (*before.get(k, ()), *lines[k : k + 1]))
