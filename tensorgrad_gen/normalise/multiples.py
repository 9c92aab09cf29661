"""Expressions as combinations of what is no sum: multiples, and their ratios."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import isqrt

from tensorgrad_gen.algebra import key, simplify
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.ir import Add, Apply, Expr, Extent, Mul, Pow, Special, add, const, mul, number
from tensorgrad_gen.ir.build import ONE

# A power beyond this is no spelling of a stable form.
MOST = 24


@lru_cache(maxsize=20_000)
def scaled(expr: Expr, n: Fraction) -> Expr:
    """`n` times the expression, term by term."""
    return simplify(add(*(mul(const(n), term) for term in terms_of(expr))))


def rational_power(base: Fraction, n: Fraction) -> Fraction | None:
    """`base^n` if it is rational, `n` an integer or a half of one, or the base 1."""
    if base == 1:
        return base
    if n.denominator == 2 and base > 0:
        top, below = isqrt(base.numerator), isqrt(base.denominator)
        if top * top != base.numerator or below * below != base.denominator:
            return None
        base, n = Fraction(top, below), n * 2
    return base ** int(n) if n.denominator == 1 and base and abs(n) <= MOST else None


def expanded(expr: Expr) -> Expr:
    """The expression with products with one sum multiplied out."""
    found: list[Expr] = []
    for term in terms_of(simplify(expr)):
        sums = [f for f in factors_of(term) if isinstance(f, Add)]
        others = [f for f in factors_of(term) if not sums or f is not sums[0]]
        found += [mul(*others, t) for t in sums[0].terms] if len(sums) == 1 else [term]
    return simplify(add(*found))


@lru_cache(maxsize=20_000)
def vector(expr: Expr) -> Mapping[str, Fraction]:
    """The expression as a combination of what is no sum, products with one sum multiplied out."""
    found: dict[str, Fraction] = {}
    for term in terms_of(expanded(expr)):
        coefficient, rest = split_coefficient(term)
        if isinstance(rest, Apply) and rest.function == "logsigmoid":  # that is -softplus(-z)
            coefficient, rest = -coefficient, Apply("softplus", (scaled(rest.args[0], Fraction(-1)), ONE))
        name = key(rest)
        found[name] = found.get(name, Fraction(0)) + coefficient
    return {name: value for name, value in found.items() if value}


def ratio(expr: Expr, unit: Expr) -> Fraction | None:
    """`r` where `expr = r unit`; None if there is no such number."""
    one, other = vector(expr), vector(unit)
    if not one:
        return Fraction(0)
    if one.keys() != other.keys():
        return None
    found = {one[name] / other[name] for name in one}
    return found.pop() if len(found) == 1 else None


def positive(expr: Expr) -> bool:
    """Whether it is made of pi, extents and positive numbers."""
    if isinstance(expr, Pow):
        return positive(expr.base) and number(expr.exponent) is not None
    if isinstance(expr, Mul):
        return all(positive(f) for f in expr.factors)
    value = number(expr)
    return isinstance(expr, Extent) or (isinstance(expr, Special) and expr.name == "pi") or (value or 0) > 0
