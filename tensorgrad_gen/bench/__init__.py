"""What an op costs: counters, timings, and the plain formula beside it."""

from tensorgrad_gen.bench.cases import Case, drawn, medium
from tensorgrad_gen.bench.counters import COUNTERS, Call, Counts, count, touched
from tensorgrad_gen.bench.formula import formula

__all__ = ["COUNTERS", "Call", "Case", "Counts", "count", "drawn", "formula", "medium", "touched"]
