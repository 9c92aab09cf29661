"""Pointwise functions, reductions and scans in mpmath, each by its definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpmath import mp, mpf

Number = Any  # an mpf, or what becomes one


def logaddexp(a: Number, b: Number) -> Number:
    return logsumexp([a, b])


def logsumexp(row: Sequence[Number]) -> Number:
    top = max(row, default=-mp.inf)
    return top if mp.isinf(top) else top + mp.log(mp.fsum(mp.exp(z - top) for z in row))


def softmax(row: Sequence[Number]) -> list[Number]:
    return [mp.exp(z - logsumexp(row)) for z in row]


def sigmoid(z: Number) -> Number:
    return 1 / (1 + mp.exp(-z))


def softplus(z: Number, beta: Number = 1) -> Number:
    return logaddexp(beta * z, mpf(0)) / beta


def power(base: Number, exponent: Number) -> Number:
    if base == 0:
        return mp.inf if exponent < 0 else mpf(exponent == 0)
    if base < 0 and exponent != mp.floor(exponent):
        return mp.nan
    return mpf(base) ** (int(exponent) if exponent == mp.floor(exponent) else mpf(exponent))


def exprel(n: Number, z: Number) -> Number:
    """The series of exp from z^n on, divided by z^n."""
    return mp.hyp1f1(1, n + 1, z) / mp.factorial(n)


def exp_moment(n: Number, z: Number) -> Number:
    """The integral of s^n exp(s z) for s from 0 to 1."""
    return mp.hyp1f1(n + 1, n + 2, z) / (n + 1)


def spherical_bessel(n: Number, z: Number) -> Number:
    return mp.hyp0f1(n + mpf(3) / 2, -z * z / 4) * z ** int(n) / mp.fac2(2 * n + 1)


def gelu_tanh(z: Number) -> Number:
    return z * sigmoid(2 * mp.sqrt(2 / mp.pi) * (z + mpf("0.044715") * z**3))


def xlogy(x: Number, y: Number) -> Number:
    return mpf(0) if x == 0 else x * logarithm(y)


def logarithm(z: Number) -> Number:
    return -mp.inf if z == 0 else mp.nan if z < 0 else mp.log(z)


FUNCTIONS: dict[str, Callable[..., Number]] = {
    **{name: getattr(mp, name) for name in ("exp", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "atan2")},
    **{name: getattr(mp, name) for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sign", "hypot")},
    **{name: getattr(mp, name) for name in ("erf", "erfc", "erfinv", "digamma", "floor", "ceil", "sech", "conj")},
    "polygamma": lambda n, z: mp.polygamma(int(n), z),
    "log": logarithm,
    "log1p": lambda z: logarithm(1 + z),
    "log2": lambda z: logarithm(z) / mp.log(2),
    "sqrt": mp.sqrt,
    "rsqrt": lambda z: power(z, mpf(-0.5)),
    "abs": abs,
    "square": lambda z: z * z,
    "reciprocal": lambda z: power(z, -1),
    "lgamma": mp.loggamma,
    "sigmoid": sigmoid,
    "logsigmoid": lambda z: -softplus(-z),
    "relu": lambda z: max(z, mpf(0)),
    "silu": lambda z: z * sigmoid(z),
    "gelu": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
    "gelu_tanh": gelu_tanh,
    "mish": lambda z: z * mp.tanh(softplus(z)),
    "softplus": softplus,
    "leaky_relu": lambda z, slope: z if z > 0 else slope * z,
    "elu": lambda z, alpha: z if z > 0 else alpha * mp.expm1(z),
    "max": max,
    "min": min,
    "pow": power,
    "logaddexp": logaddexp,
    "xlogy": xlogy,
    "clamp": lambda z, low, high: min(max(z, low), high),
    "stop_gradient": lambda z: z,
    "log_cosh": lambda z: logaddexp(z, -z) - mp.log(2),
    "log1mexp": lambda z: logarithm(-mp.expm1(z)),
    "sech_squared": lambda z: mp.sech(z) ** 2,
    "exp_tail": lambda z: mp.expm1(z) - z,
    "exprel": exprel,
    "exp_moment": exp_moment,
    "spherical_bessel": spherical_bessel,
}


def _products(row: Sequence[Number]) -> list[Number]:
    return [mp.fprod(row[: k + 1]) for k in range(len(row))]


REDUCTIONS: dict[str, Callable[[Sequence[Number]], Number]] = {
    "prod": mp.fprod,
    "max": max,
    "min": min,
    "logsumexp": logsumexp,
    "norm": lambda row: mp.sqrt(mp.fsum(z * z for z in row)),
    "any": any,
    "all": all,
    "argmax": lambda row: list(row).index(max(row)),
    "argmin": lambda row: list(row).index(min(row)),
}

SCANS: dict[str, Callable[[Sequence[Number]], Sequence[Number]]] = {
    "softmax": softmax,
    "log_softmax": lambda row: [z - logsumexp(row) for z in row],
    "cumsum": lambda row: [mp.fsum(row[: k + 1]) for k in range(len(row))],
    "cumprod": _products,
    "flip": lambda row: row[::-1],
    "sort": sorted,
}
