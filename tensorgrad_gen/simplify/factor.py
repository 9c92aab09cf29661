"""Common factors of all terms of a sum, pulled out: `a b + a c -> a (b + c)`."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.algebra import key, walk
from tensorgrad_gen.algebra.complements import complementary
from tensorgrad_gen.algebra.parts import factors_of, reads_at_position, split_coefficient, split_power
from tensorgrad_gen.ir import (
    Add,
    Apply,
    Const,
    Delta,
    Expr,
    Iverson,
    Linalg,
    Mul,
    Pow,
    Reduce,
    Root,
    Scan,
    Sum,
    Where,
    add,
    const,
    mul,
    power,
)


def factor(expr: Expr) -> Expr:
    """The expression with the common factors of each sum of terms in front of it."""
    if expr.children and isinstance(expr, Add | Mul | Sum | Pow | Apply | Reduce | Scan):
        new = tuple(factor(child) for child in expr.children)
        if new != expr.children:
            # A sum that became a product is one of the factors' own: a product of products has no order of contraction.
            expr = mul(*new) if isinstance(expr, Mul) else expr.rebuild(new)
    if not isinstance(expr, Add):
        return expr
    chosen = _choices(expr)
    return _pull(chosen) if isinstance(chosen, Add) else chosen


def _choices(expr: Add) -> Expr:
    """`[c] a d + [not c] b d -> d where(c, a, b)`, of tensors as large as the condition: one pass for three."""
    for pair in complementary(expr.terms):
        parts = (pair.then, pair.other)
        if not all(map(_pointwise, parts)) or not all(part.free >= pair.condition.free for part in parts):
            continue
        left = [list(factors_of(part)) for part in parts]
        common = [f for f in left[0] if f in left[1]]
        for part in left:
            for shared in common:
                part.remove(shared)
        choice = mul(*common, Where(pair.condition, mul(*left[0]), mul(*left[1])))
        rest = add(choice, *(term for k, term in enumerate(expr.terms) if k not in pair.places))
        return _choices(rest) if isinstance(rest, Add) else rest
    return expr


def _pointwise(expr: Expr) -> bool:
    """Whether a value is made of what is there at one point."""
    heavy = Sum | Reduce | Scan | Linalg | Root | Delta | Iverson
    return not any(isinstance(node, heavy) for node in walk(expr)) and not reads_at_position(expr)


def _powers(term: Expr) -> dict[str, tuple[Expr, Fraction]]:
    """Each factor's base and exponent, by the key of the base."""
    found: dict[str, tuple[Expr, Fraction]] = {}
    for part in factors_of(term):
        if isinstance(part, Const | Delta):
            continue
        base, exponent = split_power(part)
        name = key(base)
        if name not in found:
            found[name] = (base, exponent)
    return found


def _pull(expr: Add) -> Expr:
    tables = [_powers(split_coefficient(t)[1]) for t in expr.terms]
    common: list[Expr] = []
    for name, (base, _) in tables[0].items():
        exponents = [t[name][1] for t in tables if name in t]
        if len(exponents) < len(tables):
            continue
        if all(e > 0 for e in exponents):
            common.append(power(base, min(exponents)))
        elif all(e < 0 for e in exponents):
            common.append(power(base, max(exponents)))
    shared = {key(part) for part in common}
    if not all(_conditions(term) <= shared for term in expr.terms):
        return expr  # what a condition hides is not read, so nothing leaves its product
    coefficients = [split_coefficient(t)[0] for t in expr.terms]
    outer = _common_coefficient(coefficients)
    if not common and outer == 1:
        return expr
    inner = [_without(t, common, outer) for t in expr.terms]
    return mul(const(outer), *common, add(*inner))


def _conditions(term: Expr) -> set[str]:
    """Keys of the conditions that the term is multiplied by."""
    return {key(part) for part in factors_of(split_coefficient(term)[1]) if isinstance(part, Iverson)}


def _common_coefficient(coefficients: list[Fraction]) -> Fraction:
    """What all terms share: their common size, and the sign if all are negative."""
    sizes = {abs(c) for c in coefficients}
    size = sizes.pop() if len(sizes) == 1 else Fraction(1)
    return -size if all(c < 0 for c in coefficients) else size


def _without(term: Expr, common: list[Expr], outer: Fraction) -> Expr:
    """The term divided by the common factors, which it has."""
    coefficient, rest = split_coefficient(term)
    remaining = list(factors_of(rest))
    for part in common:
        base, exponent = split_power(part)
        name = key(base)
        for position, candidate in enumerate(remaining):
            own, power_of = split_power(candidate)
            if key(own) == name:
                remaining[position] = power(own, power_of - exponent)
                break
    return mul(const(coefficient / outer), *remaining)
