"""How long calls take, side by side: rounds in which each is timed in turn, so that all meet the same machine.

A sample is the time of one call, or the mean of as many as fill a millisecond.  Ratios are of medians.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from tensorgrad_gen.bench.counters import Call, cotangents, wanted

# Runs a side that many times and tells the seconds it took.
Timer = Callable[[int], float]

_SAMPLE = 1e-3
_WARM_UP = 3
_MOST_CALLS = 10_000
MOST = 25  # times as many rounds where calls are short


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds a call: the median of the rounds, and the quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Timing:
        """Of the samples of one side."""
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0])
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the machine can do: bytes read and written a second, operations of a matrix product a second."""

    bandwidth: float
    flops: float

    def least(self, moved: float, operations: float) -> float:
        """The seconds below which nothing that moves so much and computes so much can be."""
        return max(moved / self.bandwidth, operations / self.flops)


def timer(call: Callable[[], object], device: str = "cpu") -> Timer:
    """Times a call in this process."""

    def run(times: int) -> float:
        _synchronise(device)
        start = time.perf_counter()
        for _ in range(times):
            call()
        _synchronise(device)
        return time.perf_counter() - start

    return run


def both_ways(call: Call, tensors: Sequence[Tensor | None]) -> Callable[[], object]:
    """The value and the gradients by all tensors that require one."""
    leaves = wanted(tensors)
    result = call(*tensors)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    reached = [n for n, output in enumerate(outputs) if output.requires_grad]
    along = cotangents([outputs[n] for n in reached])

    def forward() -> object:
        return call(*tensors)

    def forward_and_backward() -> object:
        found = call(*tensors)
        ends = [found] if isinstance(found, Tensor) else [found[n] for n in reached]
        return torch.autograd.grad(ends, leaves, along, allow_unused=True)

    return forward_and_backward if reached else forward


def interleaved(
    sides: Mapping[str, Timer], rounds: int, seconds: float = math.inf, fill: float = 0.0
) -> dict[str, list[float]]:
    """The samples of each side, `rounds` of them, or fewer if they would take longer than `seconds`.

    More, up to `MOST` times as many, while they have not filled `fill` seconds: short calls vary most.
    """
    times = {name: _repeats(run) for name, run in sides.items()}
    samples: dict[str, list[float]] = {name: [] for name in sides}
    names, order = list(sides), random.Random(0)  # noqa: S311 - no secret
    start = time.perf_counter()
    with _no_collection():
        for count in range(rounds * MOST if fill else rounds):
            # In a new order each time: none always finds caches and threads as the same other left them.
            for name in order.sample(names, len(names)):
                samples[name].append(sides[name](times[name]) / times[name])
            taken = time.perf_counter() - start
            if taken > seconds or (count + 1 >= rounds and taken > fill):
                break
    return samples


def _repeats(run: Timer) -> int:
    """How many calls fill a sample, counted where calls before have warmed up.

    The first call of a process may take a hundred times as long as the next: it decides nothing.
    """
    run(1)
    for _ in range(_WARM_UP):
        if run(1) > 100 * _SAMPLE:
            return 1
    times = 1
    while (taken := run(times)) < _SAMPLE and times < _MOST_CALLS:
        times *= 2
    return max(1, math.ceil(times * _SAMPLE / max(taken, 1e-7)))


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """So many threads of PyTorch inside; None: as many as there are."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def limits(device: str = "cpu", rounds: int = 5) -> Limits:
    """Measured now: a copy of 64 MiB, a product of matrices of order 1024, both in float32; the best of the rounds."""
    source, target = torch.ones(2**24, device=device), torch.empty(2**24, device=device)
    order = 1024
    left, right = torch.ones(2, order, order, device=device)
    out = torch.empty(order, order, device=device)
    sides = {
        "copy": timer(lambda: target.copy_(source), device),
        "product": timer(lambda: torch.mm(left, right, out=out), device),
    }
    best = {name: min(samples) for name, samples in interleaved(sides, rounds).items()}
    return Limits(2 * source.nbytes / best["copy"], 2 * order**3 / best["product"])


def _synchronise(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize(device)
