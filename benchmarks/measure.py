"""A row measured: counters of each side, interleaved timings, and the limit of the machine."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from benchmarks.jax_side import Jax
from benchmarks.model import Row
from tensorgrad_gen.bench import Call, Limits, Timer, Timing, both_ways, count, interleaved, moved_at_least, timer

# What is measured of a row, as plain values: what docs/benchmarks.json keeps.
Record = dict[str, Any]


# Rounds go on for so many seconds where they are short.
FILL = 2.0


def measured(row: Row, rounds: int, machine: Limits, jax: Jax | None = None, *, compiled: bool = True) -> Record:
    """Everything about a row."""
    work = row.work()
    counts = {name: counted(side, work.tensors) for name, side in work.sides.items()}
    sides: dict[str, Timer] = {name: timer(both_ways(call, work.tensors)) for name, call in work.sides.items()}
    if compiled and row.compiled:
        torch._dynamo.reset()
        for name, of in (("compiled", "ours"), ("C", "E")):
            sides[name] = timer(both_ways(torch.compile(work.sides[of]), work.tensors))
    if jax is not None and row.jax:
        sides["J"] = jax.side(row, work)
    samples = interleaved(sides, rounds, fill=FILL)
    timings = {name: Timing.of(found) for name, found in samples.items()}
    least = machine.least(
        moved_at_least(work.sides["ours"], work.tensors), min(found["flops"] for found in counts.values())
    )
    return {
        "name": row.name,
        "sizes": list(row.sizes),
        "seconds": {name: asdict(timing) for name, timing in timings.items()},
        "ratios": {name: _ratio(samples, *_pair(name)) for name in timings if name not in ("ours", "compiled")},
        "counts": counts,
        "limit": least,
    }


def counted(call: Call, tensors: tuple[Tensor, ...]) -> dict[str, int]:
    """The counters of both ways; what is beyond the results at the peak; what the gradients alone compute."""
    found = count(call, tensors)
    forward = count(call, [t.detach() for t in tensors])
    plain: dict[str, int] = asdict(found)
    return {**plain, "extra": found.extra, "gradient flops": found.flops - forward.flops}


def _pair(peer: str) -> tuple[str, str]:
    """Which of our sides a peer is compared with."""
    return ("compiled" if peer == "C" else "ours", peer)


def _ratio(samples: dict[str, list[float]], ours: str, peer: str) -> list[float]:
    """The ratio of medians, and the quartiles of the rounds' own ratios."""
    each = Timing.of([a / b for a, b in zip(samples[ours], samples[peer], strict=True)])
    return [statistics.median(samples[ours]) / statistics.median(samples[peer]), each.low, each.high]
