"""Which goals the measurements reach."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measure import Record
from benchmarks.model import Goal, title_of
from benchmarks.rows import ROWS


@dataclass(frozen=True)
class Verdict:
    """A goal and what was reached; None where a side was not measured."""

    goal: Goal
    reached: float | None

    @property
    def missed(self) -> bool:
        """Whether it was measured, and is more than is wanted."""
        return self.reached is not None and self.reached > self.goal.at_most

    def __str__(self) -> str:
        if self.reached is None:
            return "not measured"
        return "**missed**" if self.missed else "met"


def verdicts(record: Record) -> list[Verdict]:
    """Of the goals of a row."""
    [row] = [row for row in ROWS if row.title == title_of(record["name"], record["sizes"])]
    return [Verdict(goal, _reached(goal, record)) for goal in row.goals]


def _reached(goal: Goal, record: Record) -> float | None:
    ours = _value(goal, goal.of, record)
    theirs = _value(goal, goal.peer, record) if goal.peer else 1.0
    if ours is None or theirs is None:
        return None
    if theirs == 0:
        return 0.0 if ours == 0 else float("inf")
    return ours / theirs


def _value(goal: Goal, side: str, record: Record) -> float | None:
    """Milliseconds, or a counter."""
    if goal.what == "time":
        found = record["seconds"].get(side)
        return None if found is None else float(found["median"] * 1e3)
    return float(record["counts"][side][goal.what]) if side in record["counts"] else None
