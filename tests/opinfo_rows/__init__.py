"""The rows: which op of the library is which op of PyTorch."""

from __future__ import annotations

from tests.opinfo_rows import activations, algebra, layers, losses, windows
from tests.opinfo_table import Row

ROWS: tuple[Row, ...] = (*activations.ROWS, *algebra.ROWS, *layers.ROWS, *windows.ROWS, *losses.ROWS)
