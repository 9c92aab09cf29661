"""A record of what simplification does, for those who print it; a build keeps none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tensorgrad_gen.ir import Expr, Statement


@dataclass(frozen=True, slots=True)
class Event:
    """All statements after one rewrite: its rule, the tensor put in (if any), the sums found to be zero."""

    rule: str
    tensor: str
    zeros: tuple[Expr, ...]
    statements: tuple[Statement, ...]


@dataclass(slots=True)
class Trace:
    """The rewrites so far, in order."""

    events: list[Event] = field(default_factory=list)
    zeros: list[Expr] = field(default_factory=list)  # found since the last event

    def record(self, rule: str, statements: Sequence[Statement], tensor: str = "") -> None:
        """Enter a rewrite, if it changed anything."""
        after = tuple(statements)
        if not self.events or self.events[-1].statements != after:
            self.events.append(Event(rule, tensor, tuple(dict.fromkeys(self.zeros)), after))
        self.zeros.clear()
