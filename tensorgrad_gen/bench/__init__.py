"""What an op costs: counters, timings, and the plain formula beside it."""

from tensorgrad_gen.bench.cases import Case, drawn, medium
from tensorgrad_gen.bench.counters import COUNTERS, Call, Counts, count, touched
from tensorgrad_gen.bench.formula import formula
from tensorgrad_gen.bench.straight import straight
from tensorgrad_gen.bench.timing import Limits, Timing, both_ways, interleaved, limits, threads, timer

__all__ = [
    "COUNTERS",
    "Call",
    "Case",
    "Counts",
    "Limits",
    "Timing",
    "both_ways",
    "count",
    "drawn",
    "formula",
    "interleaved",
    "limits",
    "medium",
    "straight",
    "threads",
    "timer",
    "touched",
]
