"""Builders that fold the obvious: flattening, zeros, ones, rational constants."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.ir.base import Expr
from tensorgrad_gen.ir.nodes import Add, Const, Mul, Pow

ZERO = Const(Fraction(0))
ONE = Const(Fraction(1))
MINUS_ONE = Const(Fraction(-1))


def const(value: int | Fraction) -> Const:
    """The number as a node."""
    return Const(Fraction(value))


def number(expr: Expr) -> Fraction | None:
    """The rational value of a constant, or `None`."""
    return expr.value if isinstance(expr, Const) else None


def add(*terms: Expr) -> Expr:
    """Sum of terms: flattened, constants added, zeros dropped."""
    flat: list[Expr] = []
    constant = Fraction(0)
    for term in terms:
        for part in term.terms if isinstance(term, Add) else (term,):
            value = number(part)
            if value is None:
                flat.append(part)
            else:
                constant += value
    if constant:
        flat.append(Const(constant))
    if not flat:
        return ZERO
    return flat[0] if len(flat) == 1 else Add(tuple(flat))


def mul(*factors: Expr) -> Expr:
    """Product of factors: flattened, constants multiplied to the front, ones dropped, 0 if any is 0."""
    flat: list[Expr] = []
    constant = Fraction(1)
    for factor in factors:
        for part in factor.factors if isinstance(factor, Mul) else (factor,):
            value = number(part)
            if value is None:
                flat.append(part)
            else:
                constant *= value
    if constant == 0:
        return ZERO
    if constant != 1:
        flat.insert(0, Const(constant))
    if not flat:
        return ONE
    return flat[0] if len(flat) == 1 else Mul(tuple(flat))


def neg(expr: Expr) -> Expr:
    """Minus the expression."""
    return mul(MINUS_ONE, expr)


def sub(left: Expr, right: Expr) -> Expr:
    """The difference."""
    return add(left, neg(right))


def power(base: Expr, exponent: Expr | int | Fraction) -> Expr:
    """`base ^ exponent`, with exponents 0 and 1 and rational bases to integer powers folded."""
    if not isinstance(exponent, Expr):
        exponent = const(exponent)
    value = number(exponent)
    if value == 0:
        return ONE
    if value == 1:
        return base
    rational = number(base)
    if rational is not None and value is not None and value.denominator == 1 and rational != 0 and abs(value) <= 64:
        return Const(rational ** int(value))
    return Pow(base, exponent)


def inverse(expr: Expr) -> Expr:
    """The reciprocal."""
    return power(expr, -1)


def div(left: Expr, right: Expr) -> Expr:
    """The quotient."""
    return mul(left, inverse(right))


def total(expr: Expr) -> int:
    """How many nodes the expression has, shared ones counted each time."""
    return 1 + sum(total(child) for child in expr.children)
