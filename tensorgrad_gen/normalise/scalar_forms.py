"""Stable forms of scalar functions: spellings by exponentials and logarithms that overflow or cancel."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tensorgrad_gen.algebra import accesses, key, simplify
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.functions.values import INF
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Expr,
    Iverson,
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
    sub,
)
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.normalise.multiples import expanded, ratio
from tensorgrad_gen.normalise.ranges import Ranges


def _is(expr: Expr, function: str) -> bool:
    return isinstance(expr, Apply) and expr.function == function


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


def _tanh_over(z: Expr) -> Expr:
    """`tanh(z)/z = 2 (1 - e^-2z)/(2z) sigmoid(2z)`, an even function, taken of `|z|`, of which nothing grows."""
    double = simplify(mul(const(2), z))
    return mul(const(2), Apply("exp_moment", (ZERO, simplify(neg(double)))), Apply("sigmoid", (double,)))


def _sinh_over(z: Expr) -> Expr:
    """`sinh(z)/z = e^z (1 - e^-2z)/(2z)`, an even function, taken of `|z|`."""
    return mul(Apply("exp", (z,)), Apply("exp_moment", (ZERO, simplify(mul(const(-2), z)))))


def _magnitude(z: Expr, ranges: Ranges | None) -> Expr:
    """`z` or `-z`, for an even function: not an absolute value, which has a kink at 0, where either is smooth."""
    low, high = (-INF, INF) if ranges is None else ranges.of(z)
    if low >= 0 or high <= 0:
        return z if low >= 0 else simplify(neg(z))
    return Where(Compare(">", z, ZERO), z, simplify(neg(z)))


def _over_expm1(z: Expr, ranges: Ranges | None) -> Expr:
    """`z/(e^z - 1)`, taken of `-|z|`, of which nothing grows: `e^-z (-z)/(e^-z - 1)` where `z > 0`."""
    size = _magnitude(z, ranges)
    below = Apply("exp_moment", (ZERO, simplify(neg(size))))
    low, high = (-INF, INF) if ranges is None else ranges.of(z)
    if high <= 0:
        return power(below, -1)
    positive = z if low >= 0 else Where(Compare(">", z, ZERO), z, ZERO)
    return mul(Apply("exp", (simplify(neg(positive)),)), power(below, -1))


# Functions that are 0 at 0, the power of the argument that they are divided by, and the quotient, smooth at 0.
_QUOTIENTS: dict[str, tuple[int, Callable[[Expr], Expr]]] = {
    "expm1": (1, lambda z: Apply("exp_moment", (ZERO, z))),
    "exp_tail": (2, lambda z: Apply("exprel", (const(2), z))),
    "sin": (1, lambda z: Apply("spherical_bessel", (const(0), z))),
    "log1p": (1, lambda z: power(Apply("exp_moment", (ZERO, Apply("log1p", (z,)))), -1)),
    "tanh": (1, _tanh_over),
    "sinh": (1, _sinh_over),
}
_OF_MAGNITUDES = ("tanh", "sinh")


def quotient(expr: Expr, ranges: Ranges | None) -> Expr | None:
    """sin(x)/x, (exp(x) - 1)/x at 0; x/|x| -> sign(x); p log(p) -> xlogy(p, p)"""
    if not isinstance(expr, Mul):
        return None
    for n, first in enumerate(expr.factors):
        if (whole := _over_argument(first, [f for k, f in enumerate(expr.factors) if k != n], ranges)) is not None:
            return whole
        for m, second in enumerate(expr.factors):
            if n != m and _vanish_together(first, second):
                mask = Iverson(Compare("!=", second, ZERO))
                if mask not in expr.factors:
                    return mul(mask, expr)
            new = _pair(first, second) if n != m else None
            if new is not None:
                return mul(*(f for k, f in enumerate(expr.factors) if k not in (n, m)), new)
    return None


def _over_argument(function: Expr, others: list[Expr], ranges: Ranges | None) -> Expr | None:
    """`sin(c u v)^n / (u v)^n`, `c` a number, as a power of the function of that quotient, which has a value at 0."""
    n = Fraction(1)
    if isinstance(function, Pow):
        n = number(function.exponent) or Fraction(0)
        function = function.base
    if not isinstance(function, Apply) or function.function not in _QUOTIENTS or n.denominator != 1 or n == 0:
        return None
    order, value = _QUOTIENTS[function.function]
    (argument,) = function.args
    tensors = [f for f in factors_of(argument) if not scalar(f)]
    tensors = tensors or [f for f in factors_of(argument) if not isinstance(f, Const)]  # a param may be 0 too
    for k in range(int(abs(n)), 0, -1):
        taken = Fraction(k) if n > 0 else Fraction(-k)
        left, missing = _divided_out(others, tensors, -order * taken)
        if left is not None:
            numbers = [
                power(f, order * taken) for f in (*(f for f in factors_of(argument) if f not in tensors), *missing)
            ]
            z = _magnitude(argument, ranges) if function.function in _OF_MAGNITUDES else argument
            whole = power(value(z), taken)
            if function.function == "expm1" and taken < 0:
                whole = power(_over_expm1(z, ranges), -taken)
            return mul(*left, *numbers, whole, power(function, n - taken))
    return None


def _divided_out(others: list[Expr], tensors: list[Expr], exponent: Fraction) -> tuple[list[Expr] | None, list[Expr]]:
    """The factors without that power of the tensors, and the tensors that are not among them; None if none is."""
    left = list(others)
    missing: list[Expr] = []
    for part in (f for tensor in tensors for f in factors_of(simplify(power(tensor, exponent)))):
        base, wanted = (part.base, number(part.exponent)) if isinstance(part, Pow) else (part, Fraction(1))
        for place, factor in enumerate(left):
            own = number(factor.exponent) if isinstance(factor, Pow) else Fraction(1)
            same = key(factor.base if isinstance(factor, Pow) else factor) == key(base)
            if same and own is not None and wanted is not None and own / wanted >= 1:
                left[place] = power(base, own - wanted)
                break
        else:
            missing.append(power(part, 1 / exponent))
    return (None if len(missing) == len(tensors) else left), missing


def _pair(first: Expr, second: Expr) -> Expr | None:
    if _is(first, "log") and key(first.children[0]) == key(second):
        return Apply("xlogy", (second, second))
    if _is(first, "log2") and key(first.children[0]) == key(second):
        return mul(Apply("xlogy", (second, second)), power(Apply("log", (const(2),)), -1))
    if not isinstance(second, Pow) or number(second.exponent) != -1:
        return None
    if _is(second.base, "abs") and key(second.base.children[0]) == key(first):
        return Apply("sign", (first,))
    return None


def _vanish_together(log: Expr, factor: Expr) -> bool:
    """Whether the logarithm is infinite where the factor is 0, as `p log(p/q)`: the product is then taken as 0."""
    if not isinstance(log, Apply) or log.function not in ("log", "log1p") or isinstance(factor, Const | Iverson):
        return False
    if log.args[0] is factor:
        return False  # xlogy
    argument = add(log.args[0], ONE) if log.function == "log1p" else log.args[0]
    bases = [f.base if isinstance(f, Pow) else f for f in factors_of(simplify(argument))]
    return bool(factor.free or isinstance(factor, Access)) and key(factor) in {key(base) for base in bases}


def tail_of_exponential(expr: Expr) -> Expr | None:
    """c e^x - c - c x -> c exp_tail(x); the same of expm1; c (e^x - 1)/x - c e^x -> -c x exp_moment(1, x)"""
    if not isinstance(expr, Add):
        return None
    for place, term in enumerate(expr.terms):
        coefficient, rest = split_coefficient(term)
        others = [t for k, t in enumerate(expr.terms) if k != place]
        if isinstance(rest, Apply) and rest.function == "exp_moment" and number(rest.args[0]) == 0:
            z = rest.args[1]
            left = without(others, simplify(mul(const(-coefficient), Apply("exp", (z,)))))
            if left is not None:
                return simplify(add(*left, mul(const(-coefficient), z, Apply("exp_moment", (ONE, z)))))
        if not isinstance(rest, Apply) or rest.function not in ("exp", "expm1"):
            continue
        (z,) = rest.args
        start = z if rest.function == "expm1" else add(z, ONE)
        left = without(others, simplify(mul(const(-coefficient), start)))
        if left is not None:
            return simplify(add(*left, mul(const(coefficient), Apply("exp_tail", (z,)))))
    return None


def without(terms: list[Expr], part: Expr, parts: Callable[[Expr], tuple[Expr, ...]] = terms_of) -> list[Expr] | None:
    """The terms without those that make up `part`, numbers among them; None if they are not there."""
    left = list(terms)
    for piece in parts(part):
        value = number(piece)
        names = [key(t) for t in left]
        if value is not None:
            place = next((k for k, t in enumerate(left) if number(t) == value), None)
        else:
            place = names.index(key(piece)) if key(piece) in names else None
        if place is None:
            return None
        left.pop(place)
    return left


def complements(expr: Expr) -> Expr | None:
    """1 - cos(x) -> 2 sin(x/2)^2, 1 - erf(x) -> erfc(x), sqrt(1 + u) - 1 -> u/(1 + sqrt(1 + u))"""
    if not isinstance(expr, Add) or (constant := number(expr.terms[-1])) is None:
        return None
    for place, term in enumerate(expr.terms[:-1]):
        coefficient, rest = split_coefficient(term)
        new = _complement(rest, -coefficient / constant)
        if new is not None:
            rest_of_sum = [t for k, t in enumerate(expr.terms[:-1]) if k != place]
            return simplify(add(*rest_of_sum, mul(const(constant), new)))
    return None


def _complement(function: Expr, sign: Fraction) -> Expr | None:
    """`1 - sign f` by a function that keeps its digits."""
    if sign == Fraction(1, 2) and _is(function, "erfc"):
        return mul(const(sign), Apply("erfc", (simplify(neg(function.children[0])),)))
    if isinstance(function, Pow) and sign == 1 and number(function.exponent) == Fraction(1, 2):
        u = simplify(add(function.base, const(-1)))
        has_one = isinstance(function.base, Add) and number(function.base.terms[-1]) == 1
        return mul(const(-1), u, power(add(function, ONE), -1)) if has_one else None
    if not isinstance(function, Apply):
        return None
    z = function.args[0]
    half = simplify(mul(const(Fraction(1, 2)), z))
    match function.function, sign:
        case "cos", 1:
            return mul(const(2), power(Apply("sin", (half,)), 2))
        case "cos", -1:
            return mul(const(2), power(Apply("cos", (half,)), 2))
        case "erf", 1:
            return Apply("erfc", (z,))
        case "erf", -1:
            return Apply("erfc", (simplify(neg(z)),))
        case "erfc", 1:
            return Apply("erf", (z,))
    return None


def logarithm_of_quotient(expr: Expr) -> Expr | None:
    """log(1 - e^z) - log(-z) -> log((e^z - 1)/z), smooth at 0"""
    if not isinstance(expr, Add):
        return None
    terms = terms_of(expanded(expr))
    parts = [split_coefficient(term) for term in terms]
    for first, (n, log) in enumerate(parts):
        if not isinstance(log, Apply) or log.function != "log1mexp":
            continue
        (z,) = log.args
        for second, (m, other) in enumerate(parts):
            if n + m or not isinstance(other, Apply) or other.function != "log":
                continue
            share = simplify(mul(const(-1), other.args[0], power(z, -1)))  # log(u) = log(-z) + log(u/-z)
            if len(accesses(share)) < len(accesses(other)):
                left = [t for k, t in enumerate(terms) if k not in (first, second)]
                smooth = Apply("log", (Apply("exp_moment", (ZERO, z)),))
                return simplify(add(*left, mul(const(n), smooth), mul(const(m), Apply("log", (share,)))))
    return None


def stabilised_by_hand(expr: Expr) -> Expr | None:
    """max(z, 0) + softplus(-|z|) -> softplus(z), and the same of two arguments, and of `log_cosh`"""
    if not isinstance(expr, Add):
        return None
    for place, term in enumerate(expr.terms):
        coefficient, rest = split_coefficient(term)
        if not isinstance(rest, Apply) or rest.function != "softplus" or number(rest.args[1]) != 1:
            continue
        scale, size = split_coefficient(rest.args[0])
        if scale >= 0 or not isinstance(size, Apply) or size.function != "abs":
            continue
        z = simplify(mul(const(-scale), size.args[0]))
        for other, candidate in enumerate(expr.terms):
            own, larger = split_coefficient(candidate)
            new = _with_larger(z, larger, own / coefficient) if other != place else None
            if new is not None:
                left = [t for k, t in enumerate(expr.terms) if k not in (place, other)]
                return simplify(add(*left, mul(const(coefficient), new)))
    return None


def _with_larger(z: Expr, larger: Expr, scale: Fraction) -> Expr | None:
    """`scale larger + log(1 + e^-|z|)`"""
    if not isinstance(larger, Apply):
        return None
    if larger.function == "abs":
        part = ratio(mul(const(scale), larger.args[0]), z)
        if part is not None and abs(part) == Fraction(1, 2):
            return add(Apply("log_cosh", (simplify(mul(const(part), z)),)), Apply("log", (const(2),)))
        return None
    if larger.function == "relu":
        sides: tuple[Expr, ...] = (larger.args[0], ZERO)
    elif larger.function == "max":
        sides = larger.args
    else:
        return None
    first, second = (simplify(mul(const(scale), side)) for side in sides)
    if scale <= 0 or ratio(simplify(sub(first, second)), z) not in (Fraction(1), Fraction(-1)):
        return None
    for side, other in ((first, second), (second, first)):
        if number(other) == 0:
            return Apply("softplus", (side, ONE))
    return Apply("logaddexp", (first, second))


def log_of_determinant(expr: Expr) -> Expr | None:
    """log(det(x)) -> logdet(x)"""
    if (
        isinstance(expr, Apply)
        and expr.function == "log"
        and isinstance(expr.children[0], Linalg)
        and expr.children[0].kind == "det"
    ):
        inner = expr.children[0]
        return Linalg("logdet", inner.matrix, inner.rows, inner.cols, None)
    return None


__all__ = [
    "complements",
    "elu_shifted",
    "log_of_determinant",
    "logarithm_of_quotient",
    "quotient",
    "stabilised_by_hand",
    "tail_of_exponential",
]
