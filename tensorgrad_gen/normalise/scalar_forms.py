"""Stable forms of scalar functions: spellings by exponentials and logarithms that overflow or cancel."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.algebra import key, simplify
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Expr,
    Linalg,
    Mul,
    Pow,
    Where,
    add,
    const,
    mul,
    neg,
    number,
    power,
)
from tensorgrad_gen.ir.build import ONE


def _is(expr: Expr, function: str) -> bool:
    return isinstance(expr, Apply) and expr.function == function


def _same(left: Expr, right: Expr) -> bool:
    return key(simplify(left)) == key(simplify(right))


def _two_exponentials(expr: Expr) -> tuple[Fraction, Expr, Fraction, Expr] | None:
    """`c e^a + d e^b` as (c, a, d, b); the number 1 is e^0."""
    terms = terms_of(expr)
    if len(terms) != 2:
        return None
    found: list[Fraction | Expr] = []
    for term in terms:
        coefficient, rest = split_coefficient(term)
        if rest is ONE:
            found += [coefficient, const(0)]
        elif _is(rest, "exp"):
            found += [coefficient, rest.children[0]]
        else:
            return None
    c, a, d, b = found
    assert isinstance(c, Fraction)
    assert isinstance(d, Fraction)
    assert isinstance(a, Expr)
    assert isinstance(b, Expr)
    return c, a, d, b


def sigmoid(expr: Expr) -> Expr | None:
    """One over one plus an exponential is a sigmoid."""
    if not isinstance(expr, Pow) or not isinstance(expr.base, Add):
        return None
    exponent, found = number(expr.exponent), _two_exponentials(expr.base)
    if exponent is None or exponent >= 0 or exponent.denominator != 1 or found is None:
        return None
    c, a, d, b = found
    if c != 1 or d != 1 or not (number(a) == 0 or number(b) == 0):
        return None
    inner = b if number(a) == 0 else a
    return power(Apply("sigmoid", (simplify(neg(inner)),)), -exponent)


def sigmoid_of_ratio(expr: Expr) -> Expr | None:
    """exp(x) sigmoid(-x) -> sigmoid(x); expm1(x) sigmoid(-x) -> tanh(x/2)"""
    if not isinstance(expr, Mul):
        return None
    for n, first in enumerate(expr.factors):
        for m, second in enumerate(expr.factors):
            if not (_is(second, "sigmoid") and isinstance(first, Apply) and first.function in ("exp", "expm1")):
                continue
            argument = first.args[0]
            if not _same(neg(argument), second.children[0]):
                continue
            half = simplify(mul(const(Fraction(1, 2)), argument))
            new = Apply("sigmoid", (argument,)) if first.function == "exp" else Apply("tanh", (half,))
            return mul(*(f for k, f in enumerate(expr.factors) if k not in (n, m)), new)
    return None


def tanh(expr: Expr) -> Expr | None:
    """The difference of two exponentials over their sum is a hyperbolic tangent."""
    if not isinstance(expr, Mul):
        return None
    for n, over in enumerate(expr.factors):
        for m, under in enumerate(expr.factors):
            if not (isinstance(under, Pow) and number(under.exponent) == -1 and n != m):
                continue
            top, below = _two_exponentials(over), _two_exponentials(under.base)
            if top is None or below is None or below[0] != below[2] or top[0] != -top[2]:
                continue
            ends = {key(simplify(below[1])), key(simplify(below[3]))}
            if {key(simplify(top[1])), key(simplify(top[3]))} != ends:
                continue
            difference = add(top[1], neg(top[3])) if top[0] > 0 else add(top[3], neg(top[1]))
            argument = simplify(mul(const(Fraction(1, 2)), simplify(difference)))
            scale = const(abs(top[0]) / below[0])
            rest = [f for k, f in enumerate(expr.factors) if k not in (n, m)]
            return mul(scale, *rest, Apply("tanh", (argument,)))
    return None


def logarithm(expr: Expr) -> Expr | None:
    """log(1 + exp(x)) -> softplus(x), and the other rows of logarithms"""
    if not (_is(expr, "log") or _is(expr, "log1p")):
        return None
    argument = expr.children[0]
    if _is(expr, "log1p"):
        argument = simplify(add(argument, ONE))
    coefficient, rest = split_coefficient(argument)
    if coefficient <= 0:
        return None
    found = _log_of(rest)
    if found is None:
        return None
    return found if coefficient == 1 else add(found, Apply("log", (const(coefficient),)))


def _log_of(expr: Expr) -> Expr | None:
    if _is(expr, "cosh"):
        return Apply("log_cosh", expr.children)
    if _is(expr, "sigmoid"):
        return Apply("logsigmoid", expr.children)
    found = _two_exponentials(expr) if isinstance(expr, Add) else None
    if found is not None and found[0] == found[2] == 1:
        _, a, _, b = found
        if number(a) == 0 or number(b) == 0:
            return Apply("softplus", (b if number(a) == 0 else a, ONE))
        return Apply("logaddexp", (a, b))
    if isinstance(expr, Add) and len(expr.terms) == 2 and number(expr.terms[1]) == 1:
        negative, inner = split_coefficient(expr.terms[0])
        if negative == -1 and _is(inner, "sigmoid"):
            return Apply("logsigmoid", (simplify(neg(inner.children[0])),))
        return Apply("log1p", (expr.terms[0],))
    return None


def expm1(expr: Expr) -> Expr | None:
    """An exponential less one has a function of its own, which keeps its digits near 0."""
    found = _two_exponentials(expr) if isinstance(expr, Add) else None
    if found is None or number(found[3]) != 0 or found[0] != -found[2]:
        return None
    return mul(const(found[0]), Apply("expm1", (found[1],)))


def elu_shifted(expr: Expr) -> Expr | None:
    """The exponential unit moved up to 0 keeps its digits: `elu(z) + 1 -> where(z > 0, z + 1, exp(z))`."""
    if not isinstance(expr, Add):
        return None
    constant = number(expr.terms[-1])
    for position, term in enumerate(expr.terms[:-1]):
        if isinstance(term, Apply) and term.function == "elu" and number(term.args[1]) == constant:
            z, alpha = term.args
            rest = (*expr.terms[:position], *expr.terms[position + 1 : -1])
            above = Compare(">", z, const(0))
            return add(*rest, Where(above, add(z, alpha), mul(alpha, Apply("exp", (z,)))))
    return None


_QUOTIENTS = {"expm1": ("exprel", 1), "sin": ("spherical_bessel", 0)}


def quotient(expr: Expr) -> Expr | None:
    """sin(x)/x, (exp(x) - 1)/x at 0; x/|x| -> sign(x); p log(p) -> xlogy(p, p)"""
    if not isinstance(expr, Mul):
        return None
    for n, first in enumerate(expr.factors):
        if (whole := _over_argument(first, [f for k, f in enumerate(expr.factors) if k != n])) is not None:
            return whole
        for m, second in enumerate(expr.factors):
            new = _pair(first, second) if n != m else None
            if new is not None:
                return mul(*(f for k, f in enumerate(expr.factors) if k not in (n, m)), new)
    return None


def _over_argument(function: Expr, others: list[Expr]) -> Expr | None:
    """`sin(c u v) / (u v)`, `c` a number, as the function of that quotient, which has a value at 0."""
    if not isinstance(function, Apply) or function.function not in _QUOTIENTS:
        return None
    name, order = _QUOTIENTS[function.function]
    (argument,) = function.args
    tensors = [f for f in factors_of(argument) if not scalar(f)]
    tensors = tensors or [f for f in factors_of(argument) if not isinstance(f, Const)]  # a param may be 0 too
    numbers = [f for f in factors_of(argument) if f not in tensors]
    left = list(others)
    for part in factors_of(simplify(power(mul(*tensors), -1))):
        place = next((k for k, f in enumerate(left) if key(f) == key(part)), None)
        if place is None:
            return None
        left.pop(place)
    return mul(*left, *numbers, Apply(name, (const(order), argument)))


def _pair(first: Expr, second: Expr) -> Expr | None:
    if _is(first, "log") and key(first.children[0]) == key(second):
        return Apply("xlogy", (second, second))
    if not isinstance(second, Pow) or number(second.exponent) != -1:
        return None
    if _is(second.base, "abs") and key(second.base.children[0]) == key(first):
        return Apply("sign", (first,))
    return None


def exponential_over_definition(expr: Expr) -> bool:
    """Whether a definition is worth opening: it is pointwise and made of exponentials or their like."""
    if isinstance(expr, Linalg):
        return expr.kind == "det"
    names = ("exp", "log", "cosh", "sigmoid", "sin", "abs", "expm1")
    inside = any(_is(node, name) for node in _pointwise(expr) for name in names)
    return inside and all(isinstance(n, Add | Mul | Pow | Apply | Access) or not n.children for n in _pointwise(expr))


def _pointwise(expr: Expr) -> list[Expr]:
    found = [expr]
    for child in expr.children:
        found += _pointwise(child)
    return found


def log_of_determinant(expr: Expr) -> Expr | None:
    """log(det(x)) -> logdet(x)"""
    if _is(expr, "log") and isinstance(expr.children[0], Linalg) and expr.children[0].kind == "det":
        inner = expr.children[0]
        return Linalg("logdet", inner.matrix, inner.rows, inner.cols, None)
    return None


__all__ = [
    "elu_shifted",
    "expm1",
    "exponential_over_definition",
    "log_of_determinant",
    "logarithm",
    "quotient",
    "sigmoid",
    "sigmoid_of_ratio",
    "tanh",
]
