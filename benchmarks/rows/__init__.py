"""The rows of the benchmark, in the order of the table of goals."""

from benchmarks.model import Row
from benchmarks.rows import activations, contractions, hessians, losses, norms, small, windows

ROWS: tuple[Row, ...] = (
    *norms.ROWS,
    *activations.ROWS,
    *losses.ROWS,
    *contractions.ROWS,
    *small.ROWS,
    *hessians.ROWS,
    *windows.ROWS,
)
