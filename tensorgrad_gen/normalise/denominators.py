"""Terms over one denominator, where that cancels exactly what floating point would only nearly cancel.

Law: `a v^-1 + b v^-2 = (a v + b) v^-2`, taken where `a v + b`, multiplied out, has fewer terms than the sum:
`1/(1 + x) - x/(1 + x)^2 = 1/(1 + x)^2`.
"""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.algebra import key, simplify
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import Add, Expr, Pow, add, mul, number, power

# Sums with more terms, and higher powers, are left alone.
MOST_TERMS, MOST_POWER = 6, 2


def over_one_denominator(expr: Expr) -> Expr | None:
    """The sum over the denominator that it shares, if the numerator is then shorter than the sum."""
    if not isinstance(expr, Add) or len(expr.terms) > MOST_TERMS:
        return None
    factors = [f for term in expr.terms for f in factors_of(term)]
    divisors = {key(f.base): f.base for f in factors if isinstance(f, Pow) and _divides(f)}
    for base in divisors.values():
        found = _over(expr, base)
        if found is not None:
            return found
    return None


def _divides(factor: Pow) -> bool:
    exponent = number(factor.exponent)
    short = isinstance(factor.base, Add) and len(factor.base.terms) <= MOST_TERMS
    return short and exponent is not None and exponent < 0


def _over(expr: Add, base: Expr) -> Expr | None:
    parts = [_split(term, key(base)) for term in expr.terms]
    lowest = min(exponent for exponent, _ in parts)
    numerators: list[Expr] = []
    for exponent, rest in parts:
        missing = exponent - lowest
        if missing.denominator != 1 or missing > MOST_POWER:
            return None
        products = [rest]
        for _ in range(int(missing)):
            products = [mul(one, term) for one in products for term in terms_of(base)]
        numerators += products
    top = simplify(add(*numerators))
    if len(terms_of(top)) >= len(expr.terms):
        return None
    return simplify(mul(top, power(base, lowest)))


def _split(term: Expr, name: str) -> tuple[Fraction, Expr]:
    """The exponent that the base of that key has in the term, and the rest of the term."""
    rest: list[Expr] = []
    total = Fraction(0)
    for factor in factors_of(term):
        base, exponent = (factor.base, number(factor.exponent)) if isinstance(factor, Pow) else (factor, Fraction(1))
        if exponent is not None and key(base) == name:
            total += exponent
        else:
            rest.append(factor)
    return total, mul(*rest)
