"""Polynomials in one `w` with rational coefficients, and their factors `1 + w^m` and `1 - w^m`."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

# Coefficients by degree; degrees may be negative.
Polynomial = dict[int, Fraction]


def over_common(
    terms: list[tuple[Fraction, int, list[tuple[int, int, int]]]],
) -> tuple[Polynomial, dict[tuple[int, int], int]]:
    """Numerator and denominator of `sum c w^shift prod (1 + s w^m)^n`, all `m` positive."""
    sides = []
    below: dict[tuple[int, int], int] = {}
    for coefficient, shift, binomials in terms:
        powers: dict[tuple[int, int], int] = {}
        for sign, m, n in binomials:
            if m < 0:  # 1 + s w^-m = s w^-m (1 + s w^m)
                coefficient, shift, m = coefficient * sign**n, shift + m * n, -m
            powers[sign, m] = powers.get((sign, m), 0) + n
        sides.append((coefficient, shift, powers))
        for name, n in powers.items():
            below[name] = max(below.get(name, 0), -n)
    below = {name: n for name, n in below.items() if n > 0}
    top: Polynomial = {}
    for coefficient, shift, powers in sides:
        product: Polynomial = {shift: coefficient}
        for name in {*powers, *below}:
            for _ in range(powers.get(name, 0) + below.get(name, 0)):
                product = _times(product, name)
        for degree, value in product.items():
            top[degree] = top.get(degree, Fraction(0)) + value
    return {degree: value for degree, value in top.items() if value}, below


def _times(one: Polynomial, binomial: tuple[int, int]) -> Polynomial:
    sign, m = binomial
    out = dict(one)
    for degree, value in one.items():
        out[degree + m] = out.get(degree + m, Fraction(0)) + sign * value
    return out


def factored(top: Polynomial, known: set[tuple[int, int]]) -> tuple[Fraction, int, dict[tuple[int, int], int]] | None:
    """`c w^a prod (1 + s w^m)^n`, or None where the polynomial is no such product."""
    if not top:
        return None
    lowest = min(top)
    left = {degree - lowest: value for degree, value in top.items()}
    powers: dict[tuple[int, int], int] = {}
    step = gcd(*left)
    for sign, m in sorted(known | {(1, step), (-1, step)}, key=lambda name: (-name[1], -name[0])):
        while m and (quotient := _quotient(left, sign, m)) is not None:
            left = quotient
            powers[sign, m] = powers.get((sign, m), 0) + 1
    return (left[0], lowest, powers) if left.keys() == {0} else None


def _quotient(top: Polynomial, sign: int, m: int) -> Polynomial | None:
    """`top / (1 + s w^m)` if it leaves nothing."""
    if max(top) < m:
        return None
    rest, out = dict(top), {}
    for degree in range(max(top) - m + 1):
        value = rest.pop(degree, Fraction(0))
        if value:
            out[degree] = value
            rest[degree + m] = rest.get(degree + m, Fraction(0)) - sign * value
    return None if any(rest.values()) else out


def conjugates_joined(powers: dict[tuple[int, Fraction], Fraction]) -> dict[tuple[int, Fraction], Fraction]:
    """`(1 - e^y)^n (1 + e^y)^n` as `(1 - e^2y)^n`: the logarithms of both cancel where y is far below 0."""
    out = dict(powers)
    for m in sorted({m for sign, m in powers if sign > 0}):
        plus, minus = out[1, m], out.get((-1, m), Fraction(0))
        if plus * minus > 0:
            both = min(plus, minus, key=abs)
            out[1, m], out[-1, m] = plus - both, minus - both
            out[-1, 2 * m] = out.get((-1, 2 * m), Fraction(0)) + both
    return out
