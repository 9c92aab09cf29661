"""An op measured beside autograd of its formula: counters, times, and what the machine could do at best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.bench.cases import Case
from tensorgrad_gen.bench.counters import Call, Counts, count, wanted
from tensorgrad_gen.bench.formula import formula
from tensorgrad_gen.bench.straight import straight
from tensorgrad_gen.bench.timing import Timing, both_ways, interleaved, limits, timer

OURS, FORMULA = "generated", "formula"
COMPILED = {"generated, compiled": OURS, "formula, compiled": FORMULA}


@dataclass(frozen=True, slots=True)
class Measured:
    """What an op costs at some extents; sides that are compiled have no counters."""

    op: str
    extents: str
    limit: float
    timings: dict[str, Timing]
    counts: dict[str, Counts]

    def as_data(self) -> dict[str, Any]:
        """Plain values, in seconds and bytes."""
        return {
            "op": self.op,
            "extents": self.extents,
            "limit": self.limit,
            "seconds": {name: asdict(timing) for name, timing in self.timings.items()},
            "counts": {name: {**asdict(found), "extra": found.extra} for name, found in self.counts.items()},
        }


def measure(case: Case, op: Call, rounds: int, device: str = "cpu", *, compiled: bool = False) -> Measured:
    """The op, and the formula as one would write it, at the extents of the case."""
    leaves = case.leaves()
    sides: dict[str, Call] = {
        OURS: lambda *tensors: op(*tensors, **case.params),
        FORMULA: straight(formula(case.program, case.params), leaves),
    }
    counts = {name: count(call, leaves) for name, call in sides.items()}
    if compiled:
        sides |= {name: torch.compile(sides[of]) for name, of in COMPILED.items()}
    timers = {name: timer(both_ways(call, leaves), device) for name, call in sides.items()}
    samples = interleaved(timers, rounds)
    least = limits(device).least(moved_at_least(sides[OURS], leaves), min(c.flops for c in counts.values()))
    timings = {name: Timing.of(found) for name, found in samples.items()}
    return Measured(case.program.name, case.shape.label, least, timings, counts)


def moved_at_least(call: Call, tensors: Sequence[Tensor | None]) -> int:
    """The bytes of inputs, values, cotangents and gradients: each is moved once at least."""
    value = call(*[None if t is None else t.detach() for t in tensors])
    outputs = [value] if isinstance(value, Tensor) else list(value)
    gradients = sum(t.nbytes for t in wanted(tensors))
    inputs = sum(t.nbytes for t in tensors if t is not None)
    return inputs + gradients + sum(o.nbytes for o in outputs) * (2 if gradients else 1)
