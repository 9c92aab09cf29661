"""What the stable forms must equal: mathematics in mpmath, its derivatives by differences of 250 digits.

A difference of step 1e-40 has 80 digits of truncation and 170 of rounding to spare, so `exp(-1e4)` beside 1 does no
harm: what it loses is far below the smallest float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

DIGITS = 250
STEP = mpf(10) ** -40
LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float32).tiny)

Number = Any  # an mpf
Truth = Callable[..., Any]


def single(value: Any) -> Any:
    """The numbers that float32 has for these, exactly."""
    if isinstance(value, list | tuple):
        return type(value)(single(v) for v in value)
    return float(np.float32(value)) if isinstance(value, float) else value


def flat(value: Any) -> list[Any]:
    """The numbers of nested lists, in order."""
    return [n for part in value for n in flat(part)] if isinstance(value, list | tuple) else [value]


def real(value: Any) -> bool:
    """Whether an argument is one to differentiate by: of floats."""
    return all(isinstance(n, float) for n in flat(value))


def refilled(value: Any, numbers: Iterable[Any]) -> Any:
    """Nested lists of the same form with other numbers."""
    return [refilled(v, numbers) for v in value] if isinstance(value, list) else next(iter(numbers))


@dataclass(frozen=True)
class Exact:
    """Values, and for each argument of floats the gradient of a combination of them, and its change in a direction."""

    values: list[Number]
    gradients: list[list[Number]]
    changes: list[list[Number]]


def weights(count: int, start: int = 0) -> list[float]:
    """Numbers of order one that float32 has, no two alike."""
    return [(-1.0) ** k * (0.75 + (5 * k % 8) / 8) for k in range(start, start + count)]


def exact(truth: Truth, arguments: Sequence[Any], derivatives: bool = True) -> Exact:
    """The truth at these arguments."""
    with mp.workdps(DIGITS):
        places = [k for k, a in enumerate(arguments) if real(a)]
        point = [mpf(n) for k in places for n in flat(arguments[k])]

        def at(numbers: Sequence[Number]) -> list[Number]:
            source = iter(numbers)
            given = [refilled(a, source) if k in places else a for k, a in enumerate(arguments)]
            return flat(truth(*given))

        values = at(point)
        if not derivatives:
            return Exact(values, [], [])
        combination, direction = weights(len(values)), weights(len(point), 1)

        def loss(numbers: Sequence[Number]) -> Number:
            return mp.fdot(combination, at(numbers))

        def moved(numbers: Sequence[Number], k: int, by: Number) -> list[Number]:
            return [n + by if place == k else n for place, n in enumerate(numbers)]

        def gradient(numbers: Sequence[Number]) -> list[Number]:
            return [
                (loss(moved(numbers, k, STEP)) - loss(moved(numbers, k, -STEP))) / (2 * STEP) for k in range(len(point))
            ]

        ahead, behind = (gradient([n + s * STEP * d for n, d in zip(point, direction)]) for s in (1, -1))
        found = gradient(point) if len(point) > 1 else [(ahead[0] + behind[0]) / 2]
        changes = [(a - b) / (2 * STEP) for a, b in zip(ahead, behind)]
        sizes = [len(flat(arguments[k])) for k in places]
        ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
        parts = [slice(end - size, end) for size, end in zip(sizes, ends)]
        return Exact(values, [found[p] for p in parts], [changes[p] for p in parts])


def complaints(got: Sequence[float], want: Sequence[Number], least: float, allowed: float = 0.0) -> list[str]:
    """Where `got` is further from `want` than 1e-5 of the largest number wanted, or of `least`, and than is allowed."""
    sizes = [abs(w) for w in want if abs(w) <= LARGEST]
    scale = max([mpf(least), *sizes])
    found = []
    for k, (one, two) in enumerate(zip(got, want, strict=True)):
        if abs(two) > LARGEST:
            continue
        if not abs(mpf(one) - two) <= mpf(1e-5) * scale + allowed + SMALLEST:
            found.append(f"[{k}] {one!r}, not {mp.nstr(two, 9)}")
    return found


# -- functions ------------------------------------------------------------------------------------


def sigmoid(x: Number) -> Number:
    return 1 / (1 + mp.exp(-x))


def softplus(x: Number) -> Number:
    return max(x, mpf(0)) + mp.log1p(mp.exp(-abs(x)))


def log_cosh(x: Number) -> Number:
    return abs(x) + mp.log1p(mp.exp(-2 * abs(x))) - mp.log(2)


def softmax(row: Sequence[Number]) -> list[Number]:
    top = max(row, default=mpf(0))
    parts = [mp.exp(z - top) for z in row]
    whole = mp.fsum(parts)
    return [p / whole for p in parts]


def masked_softmax(row: Sequence[Number], mask: Sequence[bool]) -> list[Number]:
    """Of the entries that the mask lets through; 0 elsewhere."""
    soft = iter(softmax([z for z, kept in zip(row, mask) if kept]))
    return [next(soft) if kept else mpf(0) for kept in mask]


def logsumexp(row: Sequence[Number]) -> Number:
    top = max(row)
    return top + mp.log(mp.fsum(mp.exp(z - top) for z in row))


def log_softmax(row: Sequence[Number]) -> list[Number]:
    whole = logsumexp(row)
    return [z - whole for z in row]


def kl(row: Sequence[Number], other: Sequence[Number]) -> Number:
    """The divergence of the softmax of one from that of the other."""
    return mp.fsum(mp.exp(a) * (a - b) for a, b in zip(log_softmax(row), log_softmax(other)))


def jsd(row: Sequence[Number], other: Sequence[Number]) -> Number:
    """Jensen's and Shannon's, from logits."""
    total = mpf(0)
    for a, b in zip(log_softmax(row), log_softmax(other)):
        middle = logsumexp([a, b]) - mp.log(2)
        total += (mp.exp(a) * (a - middle) + mp.exp(b) * (b - middle)) / 2
    return total


def norm(row: Sequence[Number]) -> Number:
    return mp.sqrt(mp.fsum(z * z for z in row))


def log_det(matrix: Sequence[Sequence[Number]]) -> Number:
    return mp.log(mp.det(mp.matrix(matrix)))


def quotient(function: Callable[[Number], Number], x: Number) -> Number:
    """`f(x)/x` of a function with slope 1 at 0."""
    return function(x) / x if x else mpf(1)
