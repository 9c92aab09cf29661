"""Shares of odds that may overflow: `o/(1 + o)` by `1/o` where `o > 1`, `o` a product of weights and exponentials.

Law: `o^k (1 + o)^-n`, `0 <= k <= n`, is `v^(n - k) (1 + v)^-n`, `v = 1/o`, whatever the weights; neither side
loses what logarithms of weights cost second derivatives.  It comes last: a logarithm of it has a form of its own.
"""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.algebra import simplify
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Add, Apply, Compare, Expr, Iverson, Mul, Pow, Where, add, const, mul, neg, number, power
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.normalise.binomials import Form, analyse
from tensorgrad_gen.normalise.multiples import rational_power
from tensorgrad_gen.normalise.odds import HIGHEST, read_factors
from tensorgrad_gen.normalise.reading import Definitions, named


def weighted_shares(expr: Expr, definitions: Definitions) -> Expr:
    """The expression with its shares of odds by what does not overflow, the outermost products first."""
    found = _share(expr, definitions) if isinstance(expr, Mul | Pow) else None
    if found is not None:
        return found
    children = tuple(weighted_shares(child, definitions) for child in expr.children)
    same = all(one is two for one, two in zip(children, expr.children, strict=True))
    return expr if same else expr.rebuild(children)


def _share(expr: Expr, definitions: Definitions) -> Expr | None:
    factors = factors_of(expr)
    for place, factor in enumerate(factors):
        found = _odds(factor, definitions)
        if found is None or not isinstance(factor, Pow):
            continue
        (scale, odds), n = found, -(number(factor.exponent) or Fraction(0))
        one = _written(odds)
        others = read_factors(mul(*(f for k, f in enumerate(factors) if k != place)), definitions)
        k, left = 0, others
        while k < n and _count(less := simplify(mul(left, power(one, -1)))) < _count(left):
            k, left = k + 1, less
        if (below := rational_power(scale, -n)) is None or (k == 0 and odds.plain):
            continue  # it overflows no sooner than its inputs
        return simplify(mul(const(below), left, _bounded(odds, Fraction(k), n)))
    return None


def _count(expr: Expr) -> int:
    return sum(number(factor) is None for factor in factors_of(expr))


def _odds(factor: Expr, definitions: Definitions) -> tuple[Fraction, Form] | None:
    """`c` and `o` of a power of `c (1 + o)`, if it may overflow, and is not of exponentials alone."""
    n = number(factor.exponent) if isinstance(factor, Pow) else None
    if not isinstance(factor, Pow) or n is None or n >= 0 or n.denominator != 1:
        return None
    base = named(factor.base, definitions, (Add,))
    scale = number(base.terms[1]) if isinstance(base, Add) and len(base.terms) == 2 else None
    if not isinstance(base, Add) or scale is None or scale <= 0:
        return None
    form = analyse(simplify(mul(const(Fraction(1) / scale), read_factors(base.terms[0], definitions))))
    weights = [f for f in form.rest if not scalar(f)]
    powers = [number(f.exponent) if isinstance(f, Pow) else Fraction(1) for f in form.rest]
    if form.binomials or not weights or None in powers or any(isinstance(f, Iverson) for f in weights):
        return None
    alone = form.plain and len(weights) == 1 and powers[form.rest.index(weights[0])] == 1
    return None if alone else (scale, form)


def _written(odds: Form) -> Expr:
    grown = ONE if odds.exponent is ZERO else Apply("exp", (odds.exponent,))
    return simplify(mul(const(odds.coefficient), *odds.rest, grown))


def _bounded(odds: Form, k: Fraction, n: Fraction) -> Expr:
    """`o^k (1 + o)^-n`"""
    exponent = odds.exponent
    grown = ONE if exponent is ZERO else Apply("exp", (Apply("min", (exponent, HIGHEST)),))
    value = simplify(mul(const(odds.coefficient), *odds.rest, grown))
    large = Compare(">", value, ONE)

    def over(factor: Expr) -> Expr:
        base, m = (factor.base, factor.exponent) if isinstance(factor, Pow) else (factor, ONE)
        return power(Where(large, base, ONE), neg(m))

    shrunk = ONE if exponent is ZERO else Apply("exp", (Where(large, neg(exponent), ZERO),))
    inverse = simplify(mul(const(1 / odds.coefficient), *map(over, odds.rest), shrunk))
    below = Where(large, ZERO, value)
    return Where(large, _power_of_share(inverse, n - k, n), _power_of_share(below, k, n))


def _power_of_share(odds: Expr, k: Fraction, n: Fraction) -> Expr:
    return mul(power(odds, k), power(add(ONE, odds), -n))


__all__ = ["weighted_shares"]
