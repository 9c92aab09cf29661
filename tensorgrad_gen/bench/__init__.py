"""What an op costs: counters, timings, and the plain formula beside it."""

from tensorgrad_gen.bench.cases import Case, drawn, medium
from tensorgrad_gen.bench.counters import COUNTERS, Call, Counts, count, touched
from tensorgrad_gen.bench.formula import formula
from tensorgrad_gen.bench.op import FORMULA, OURS, Measured, measure, moved_at_least
from tensorgrad_gen.bench.sizes import SizeError, parse_sizes, with_sizes
from tensorgrad_gen.bench.straight import straight
from tensorgrad_gen.bench.timing import Limits, Timer, Timing, both_ways, interleaved, limits, threads, timer

__all__ = [
    "COUNTERS",
    "FORMULA",
    "OURS",
    "Call",
    "Case",
    "Counts",
    "Limits",
    "Measured",
    "SizeError",
    "Timer",
    "Timing",
    "both_ways",
    "count",
    "drawn",
    "formula",
    "interleaved",
    "limits",
    "measure",
    "medium",
    "moved_at_least",
    "parse_sizes",
    "straight",
    "threads",
    "timer",
    "touched",
    "with_sizes",
]
