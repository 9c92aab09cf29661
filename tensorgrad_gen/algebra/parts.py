"""Factors of products, terms of sums, and their coefficients."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.algebra.indices import accesses, walk
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.functions.model import Function
from tensorgrad_gen.ir import Access, Add, Apply, Delta, Expr, Iverson, Mul, Param, Pow, mul, number
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


def split_power(factor: Expr) -> tuple[Expr, Fraction]:
    """The base of a factor and its exponent, where that is a number."""
    exponent = number(factor.exponent) if isinstance(factor, Pow) else None
    return (factor.base, exponent) if isinstance(factor, Pow) and exponent is not None else (factor, Fraction(1))


def has_delta(term: Expr) -> bool:
    """Whether the term has a Kronecker delta as a factor."""
    return any(isinstance(f, Delta) for f in factors_of(term))


def reads_at_position(expr: Expr) -> bool:
    """Whether a tensor inside is read at a label or a computed position, which may be outside of its axis."""
    return any(isinstance(sub, Expr) for access in accesses(expr) for sub in access.subs)


def wants_its_mask(expr: Expr) -> bool:
    """Whether the value, or a derivative of it, may be undefined where a mask hides it."""
    return reads_at_position(expr) or may_be_infinite(expr)


def may_be_undefined(node: Expr) -> bool:
    """Whether this node itself reads a tensor at a label, or a position that a param decides, or is singular."""
    if isinstance(node, Access):
        labels = (sub for sub in node.subs if isinstance(sub, Expr))
        return any(isinstance(part, Access | Param) for label in labels for part in walk(label))
    return _singular(node) and bool(accesses(node))


def may_be_infinite(expr: Expr) -> bool:
    """Whether a function of tensors inside is singular somewhere."""
    return any(_singular(node) and bool(accesses(node)) for node in walk(expr))


def _singular(node: Expr) -> bool:
    """Whether the function of this node is singular somewhere; a delta is one, where a label in it may be wrong."""
    if isinstance(node, Delta):
        return bool(node.children)
    if isinstance(node, Pow):
        exponent = number(node.exponent)
        return exponent is None or exponent < 0 or exponent.denominator != 1
    return isinstance(node, Apply) and FUNCTIONS[node.function].singular is not None


def has_edges(expr: Expr) -> bool:
    """Whether a function inside is somewhere singular, or has a kink."""
    return any(_singular(n) or (isinstance(n, Apply) and _kinked(FUNCTIONS[n.function], n.args)) for n in walk(expr))


def _kinked(function: Function, args: tuple[Expr, ...]) -> bool:
    return bool(function.kinks(*args))


def masked(factors: tuple[Expr, ...]) -> bool:
    """Whether a condition is among the factors: the rest is then not read everywhere."""
    return any(isinstance(f, Iverson) for f in factors)
