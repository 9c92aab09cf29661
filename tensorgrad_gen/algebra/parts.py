"""Factors of products, terms of sums, and their coefficients."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import Access, Add, Apply, Delta, Expr, Iverson, Mul, Pow, mul, number
from tensorgrad_gen.ir.build import ONE


def factors_of(expr: Expr) -> tuple[Expr, ...]:
    """The factors of a product, or the expression alone."""
    return expr.factors if isinstance(expr, Mul) else (expr,)


def terms_of(expr: Expr) -> tuple[Expr, ...]:
    """The terms of a sum, or the expression alone."""
    return expr.terms if isinstance(expr, Add) else (expr,)


def split_coefficient(term: Expr) -> tuple[Fraction, Expr]:
    """The rational factor of a term and the rest."""
    value = number(term)
    if value is not None:
        return value, ONE
    if isinstance(term, Mul):
        head = number(term.factors[0])
        if head is not None:
            return head, mul(*term.factors[1:])
    return Fraction(1), term


def has_delta(term: Expr) -> bool:
    """Whether the term has a Kronecker delta as a factor."""
    return any(isinstance(f, Delta) for f in factors_of(term))


def reads_at_position(expr: Expr) -> bool:
    """Whether a tensor inside is read at a label or a computed position, which may be outside of its axis."""
    if isinstance(expr, Access) and any(isinstance(sub, Expr) for sub in expr.subs):
        return True
    return any(reads_at_position(child) for child in expr.children)


def wants_its_mask(expr: Expr) -> bool:
    """Whether the value, or a derivative of it, may be undefined where a mask hides it."""
    return reads_at_position(expr) or _singular(expr)


def _singular(expr: Expr) -> bool:
    """Whether a function inside is singular somewhere."""
    if isinstance(expr, Pow):
        exponent = number(expr.exponent)
        if (exponent is None or exponent < 0 or exponent.denominator != 1) and _reads(expr):
            return True
    if isinstance(expr, Apply) and FUNCTIONS[expr.function].singular is not None and _reads(expr):
        return True
    return any(_singular(child) for child in expr.children)


def _reads(expr: Expr) -> bool:
    """Whether a tensor is inside."""
    return isinstance(expr, Access) or any(_reads(child) for child in expr.children)


def masked(factors: tuple[Expr, ...]) -> bool:
    """Whether a condition is among the factors: the rest is then not read everywhere."""
    return any(isinstance(f, Iverson) for f in factors)
