"""Values of pointwise functions as plain floats, for what an expression can be: no NumPy while building."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

INF = math.inf
Interval = tuple[float, float]
WHOLE: Interval = (-INF, INF)


@dataclass(frozen=True, slots=True)
class Values:
    """`value` at a point; `rising` in every argument, or else somewhere in `image`."""

    value: Callable[..., float]
    rising: bool = False
    image: Interval = WHOLE

    def of(self, args: tuple[Interval, ...]) -> Interval:
        """What the function can be where its arguments are in the intervals."""
        if self.rising or all(low == high for low, high in args):
            return self._at([low for low, _ in args], self.image[0]), self._at(
                [high for _, high in args], self.image[1]
            )
        return self.image

    def _at(self, args: list[float], otherwise: float) -> float:
        try:
            value = self.value(*args)
        except (ValueError, OverflowError, ZeroDivisionError):
            return otherwise
        return otherwise if math.isnan(value) else value


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > -700 else 0.0


def _round(z: float) -> float:
    return float(round(z))


VALUES: dict[str, Values] = {
    "exp": Values(math.exp, rising=True, image=(0, INF)),
    "expm1": Values(math.expm1, rising=True, image=(-1, INF)),
    "log": Values(math.log, rising=True),
    "log1p": Values(math.log1p, rising=True),
    "log2": Values(math.log2, rising=True),
    "sign": Values(lambda z: float((z > 0) - (z < 0)), rising=True, image=(-1, 1)),
    "floor": Values(math.floor, rising=True),
    "ceil": Values(math.ceil, rising=True),
    "round": Values(_round, rising=True),
    "abs": Values(abs, image=(0, INF)),
    "complex_abs": Values(abs, image=(0, INF)),
    "sin": Values(math.sin, image=(-1, 1)),
    "cos": Values(math.cos, image=(-1, 1)),
    "asin": Values(math.asin, rising=True, image=(-math.pi / 2, math.pi / 2)),
    "acos": Values(math.acos, image=(0, math.pi)),
    "atan": Values(math.atan, rising=True, image=(-math.pi / 2, math.pi / 2)),
    "sinh": Values(math.sinh, rising=True),
    "cosh": Values(math.cosh, image=(1, INF)),
    "tanh": Values(math.tanh, rising=True, image=(-1, 1)),
    "asinh": Values(math.asinh, rising=True),
    "acosh": Values(math.acosh, rising=True, image=(0, INF)),
    "atanh": Values(math.atanh, rising=True),
    "erf": Values(math.erf, rising=True, image=(-1, 1)),
    "erfc": Values(math.erfc, image=(0, 2)),
    "sigmoid": Values(_sigmoid, rising=True, image=(0, 1)),
    "logsigmoid": Values(lambda z: -math.log1p(math.exp(-z)), rising=True, image=(-INF, 0)),
    "relu": Values(lambda z: max(z, 0.0), rising=True, image=(0, INF)),
    "softplus": Values(lambda z, beta: math.log1p(math.exp(beta * z)) / beta, image=(0, INF)),
    "silu": Values(lambda z: z * _sigmoid(z), image=(-0.3, INF)),
    "gelu": Values(lambda z: z * math.erfc(-z / math.sqrt(2)) / 2, image=(-0.2, INF)),
    "log_cosh": Values(lambda z: math.log(math.cosh(z)), image=(0, INF)),
    "max": Values(max, rising=True),
    "min": Values(min, rising=True),
    "clamp": Values(lambda z, lo, hi: min(max(z, lo), hi), rising=True),
    "hypot": Values(math.hypot, image=(0, INF)),
    "atan2": Values(math.atan2, image=(-math.pi, math.pi)),
    "stop_gradient": Values(lambda z: z, rising=True),
    "straight_through": Values(lambda f, z: f, rising=True),
}
