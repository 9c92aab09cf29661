"""THE table of pointwise functions: one row a function."""

from __future__ import annotations

from tensorgrad_gen.functions import activations, elementary, numbers, several, special
from tensorgrad_gen.functions.model import Function, Partials
from tensorgrad_gen.functions.numbers import COMPLEX_FORMS, plain_name

FUNCTIONS: dict[str, Function] = {
    row.name: row
    for rows in (elementary.ROWS, special.ROWS, activations.ROWS, several.ROWS, numbers.ROWS)
    for row in rows
}

__all__ = ["COMPLEX_FORMS", "FUNCTIONS", "Function", "Partials", "plain_name"]
