"""THE table of pointwise functions: one row a function."""

from __future__ import annotations

from tensorgrad_gen.functions import activations, elementary, several, special
from tensorgrad_gen.functions.model import Function, Partials

FUNCTIONS: dict[str, Function] = {
    row.name: row for rows in (elementary.ROWS, special.ROWS, activations.ROWS, several.ROWS) for row in rows
}

__all__ = ["FUNCTIONS", "Function", "Partials"]
