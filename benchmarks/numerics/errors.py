"""How far numbers are from the exact ones: of a value, a gradient, a second derivative, the worst of all points.

Law: the error of a tensor is the largest difference over the largest exact number of it, or over the row's unit; in a
pointwise formula each component is a tensor of its own. Where the exact number overflows nothing is asked; a difference
below the smallest normal number is none, and nothing is relative to less than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.numerics.formulas import Numbers

TINY, LARGEST = 2.0**-126, 3.38e38  # of float32 and bfloat16


def worst(found: Sequence[Numbers], exact: Sequence[Numbers], unit: float = 0.0) -> list[float]:
    """The worst errors of the three orders; nan or inf where a number is that and the exact one is finite."""
    pairs = zip(found, exact, strict=True)
    orders = zip(*([error(*both, unit) for both in zip(one, other, strict=True)] for one, other in pairs), strict=True)
    return [_largest(order) for order in orders]


def error(found: list[list[float]], exact: list[list[float]], unit: float) -> float:
    """Of one order at one point."""
    return _largest([_of_tensor(one, other, unit) for one, other in zip(found, exact, strict=True)])


def _of_tensor(found: list[float], exact: list[float], unit: float) -> float:
    size = max(unit, TINY, *(abs(x) for x in exact))
    if not size < LARGEST:
        return 0.0
    difference = _largest([abs(a - b) for a, b in zip(found, exact, strict=True)])
    return 0.0 if difference <= TINY else difference / size


def _largest(errors: Sequence[float]) -> float:
    return math.nan if any(math.isnan(e) for e in errors) else max(errors, default=0.0)
