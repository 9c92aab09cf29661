"""The exact numbers of a row: its formula in mpmath, with more digits than cancel, and central differences of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import mpmath
import numpy as np

from benchmarks.numerics.formulas import COTANGENT, Numbers, Row, along, formula


def _each(function: Callable[[Any], Any]) -> Any:
    return np.frompyfunc(cache(function), 1, 1)


def _names() -> dict[str, Any]:
    pointwise = {name: _each(getattr(mpmath, name)) for name in ("exp", "log", "sqrt", "sin", "cos", "cosh", "erf")}
    return {
        **pointwise,
        "tanh": _each(mpmath.tanh),
        "expm1": _each(mpmath.expm1),
        "sigmoid": _each(lambda x: 1 / (1 + mpmath.exp(-x))),
        "abs": _each(abs),
        "relu": _each(lambda x: max(x, mpmath.mpf(0))),
        "where": np.where,
        "sum": np.sum,
        "mean": lambda x: np.sum(x) / len(x),
        "sqrt2": mpmath.sqrt(2),
    }


def exact(row: Row, place: int) -> Numbers:
    """Value, gradient and derivative of the gradient at one point."""
    point = [list(x) if isinstance(x, tuple) else [x] for x in row.at[place]]
    size = min(max(abs(x) for numbers in point for x in numbers), 1e4)  # nothing larger is an exponent
    with mpmath.workdps(200 + math.ceil((0.45 if row.pointwise else 0.7) * size)):
        return _Exact(row, [[mpmath.mpf(x) for x in numbers] for numbers in point]).numbers()


class _Exact:
    def __init__(self, row: Row, point: list[list[Any]]) -> None:
        self.row, self.point, self.step = row, point, mpmath.mpf(10) ** -32
        self.function = formula(row.plain, _names())
        self.fixed = {
            name: value if isinstance(value, int) else np.array([mpmath.mpf(v) for v in np.atleast_1d(value)])
            for name, value in row.fixed.items()
        }

    def numbers(self) -> Numbers:
        places = [(n, k) for n, numbers in enumerate(self.point) for k in range(len(numbers))]
        value = self.value()
        first = {place: self.slope(place) for place in places}
        second = {place: self.bend(place) for place in places}
        shaped = [
            [[float(found[n, k]) for k in range(len(numbers))] for n, numbers in enumerate(self.point)]
            for found in (first, second)
        ]
        return [[[float(v) for v in value]], *shaped]

    def output(self, *moves: tuple[tuple[int, int], Any]) -> Any:
        point = [list(numbers) for numbers in self.point]
        for (n, k), by in moves:
            point[n][k] += by
        given = dict(zip(self.row.names, (np.array(numbers, dtype=object) for numbers in point), strict=True))
        return np.atleast_1d(self.function(**given, **self.fixed))

    def value(self) -> Sequence[Any]:
        """At a point where the formula is 0/0, the mean of both sides."""
        try:
            return list(self.output())
        except ZeroDivisionError:
            sides = [self.output(((0, 0), sign * self.step)) for sign in (1, -1)]
            return [(a + b) / 2 for a, b in zip(*sides, strict=True)]

    def total(self, *moves: tuple[tuple[int, int], Any]) -> Any:
        return sum(c * v for c, v in zip(COTANGENT, self.output(*moves), strict=False))

    def slope(self, place: tuple[int, int], *moves: tuple[tuple[int, int], Any]) -> Any:
        above, below = (self.total((place, sign * self.step), *moves) for sign in (1, -1))
        return (above - below) / (2 * self.step)

    def bend(self, place: tuple[int, int]) -> Any:
        """Along the direction; a step of another length, so that the point itself is never read."""
        step = self.step * 3
        moves = {
            sign: [((n, k), sign * step * along(n, k)) for n, row in enumerate(self.point) for k in range(len(row))]
            for sign in (1, -1)
        }
        return (self.slope(place, *moves[1]) - self.slope(place, *moves[-1])) / (2 * step)
