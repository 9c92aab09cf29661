"""Functions of several arguments, of complex numbers, and gradient surgery."""

from __future__ import annotations

from typing import Any

from tensorgrad_gen.functions.elementary import HALF, ONE, ZERO, apply, to_integer
from tensorgrad_gen.functions.model import Function, Partials
from tensorgrad_gen.ir import (
    Compare,
    Expr,
    Iverson,
    Logic,
    add,
    const,
    div,
    inverse,
    mul,
    neg,
    number,
    power,
    sub,
)


def holds(op: str, left: Expr, right: Expr) -> Expr:
    """1 where the comparison holds."""
    return Iverson(Compare(op, left, right))


def choice(op: str, a: Expr, b: Expr) -> Partials:
    """All to the argument chosen, one half each at a tie."""
    tie = sub(ONE, mul(const(HALF), holds("==", a, b)))
    # One condition for all of it: what stands behind it is not read where the argument is not chosen.
    return mul(holds(f"{op}=", a, b), tie), mul(holds(f"{op}=", b, a), tie)


def pow_partials(y: Expr, a: Expr, b: Expr) -> Partials:
    """`b a^(b-1)`, 0 where `b` is 0; `a^b log(a)`, 0 where `a` is 0."""
    exponent = number(b)
    by_exponent = None
    if exponent is None:
        by_exponent = mul(holds("!=", a, ZERO), power(a, b), apply("log", a))
    if exponent == 0:
        return None, None
    slope = mul(b, power(a, sub(b, ONE)))
    return (slope if exponent is not None else mul(holds("!=", b, ZERO), slope)), by_exponent


def atan2_partials(y: Expr, a: Expr, b: Expr) -> Partials:
    """`b/(a^2 + b^2)` and `-a/(a^2 + b^2)`, 0 at the origin as in PyTorch."""
    mask = Iverson(Logic("or", (Compare("!=", a, ZERO), Compare("!=", b, ZERO))))
    square = inverse(add(power(a, 2), power(b, 2)))
    return mul(mask, b, square), neg(mul(mask, a, square))


def hypot_partials(y: Expr, a: Expr, b: Expr) -> Partials:
    """`a/y` and `b/y`, 0 at the origin as for any norm."""
    mask = holds("!=", y, ZERO)
    return mul(mask, a, inverse(y)), mul(mask, b, inverse(y))


def xlogy_partials(y: Expr, a: Expr, b: Expr) -> Partials:
    """`log(b)` but 0 where `a` is 0 and `b` not positive; `a/b` but 0 where `a` is 0."""
    read = Iverson(Logic("or", (Compare("!=", a, ZERO), Compare(">", b, ZERO))))
    return mul(read, apply("log", b)), mul(holds("!=", a, ZERO), div(a, b))


def clamp_partials(y: Expr, z: Expr, lo: Expr, hi: Expr) -> Partials:
    """1 between the edges, edges included; an edge has the derivative where it is the value."""
    inside = Iverson(Logic("and", (Compare(">=", z, lo), Compare("<=", z, hi))))
    low = Iverson(Logic("and", (Compare("<", z, lo), Compare("<", lo, hi))))
    high = Iverson(Logic("or", (Compare(">", z, hi), Compare("<", hi, lo))))
    return inside, low, high


def _xlogy(np: Any, a: Any, b: Any) -> Any:
    return np.where((a == 0) & ~np.isnan(b), 0.0, a * np.log(np.where(a == 0, 1.0, b)))


TWO_ARGUMENTS = (
    Function(
        name="max",
        parameters=("a", "b"),
        derivative=lambda y, a, b: choice(">", a, b),
        numpy=lambda np, a, b: np.maximum(a, b),
        sympy=lambda sp, a, b: sp.Max(a, b),
        latex=r"\max",
        title="larger of two",
        kinks=lambda a, b: (sub(a, b),),
    ),
    Function(
        name="min",
        parameters=("a", "b"),
        derivative=lambda y, a, b: choice("<", a, b),
        numpy=lambda np, a, b: np.minimum(a, b),
        sympy=lambda sp, a, b: sp.Min(a, b),
        latex=r"\min",
        title="smaller of two",
        kinks=lambda a, b: (sub(a, b),),
    ),
    Function(
        name="pow",
        parameters=("a", "b"),
        derivative=pow_partials,
        numpy=lambda np, a, b: np.power(a, b),
        sympy=lambda sp, a, b: a**b,
        latex=r"{\left(#1\right)}^{#2}",
        title="power",
        domain=lambda a, b: (Compare(">", a, ZERO),) if _fractional(b) else (),
        singular="at a = 0 the derivative is infinite for exponents below 1",
    ),
    Function(
        name="atan2",
        parameters=("a", "b"),
        derivative=atan2_partials,
        numpy=lambda np, a, b: np.arctan2(a, b),
        sympy=lambda sp, a, b: sp.atan2(a, b),
        latex=r"\operatorname{atan2}",
        title="angle of the point (b, a)",
        kinks=lambda a, b: (a,),
        singular="at the origin the derivative is undefined",
        taken="the derivatives of atan2(0, 0) are taken as 0: it has none",
    ),
    Function(
        name="hypot",
        parameters=("a", "b"),
        derivative=hypot_partials,
        numpy=lambda np, a, b: np.hypot(a, b),
        sympy=lambda sp, a, b: sp.sqrt(a**2 + b**2),
        latex=r"\sqrt{\left(#1\right)^2 + \left(#2\right)^2}",
        title="length of a vector of two components",
        kinks=lambda a, b: (apply("hypot", a, b),),
    ),
    Function(
        name="logaddexp",
        parameters=("a", "b"),
        derivative=lambda y, a, b: (apply("sigmoid", sub(a, b)), apply("sigmoid", sub(b, a))),
        numpy=lambda np, a, b: np.logaddexp(a, b),
        sympy=lambda sp, a, b: sp.log(sp.exp(a) + sp.exp(b)),
        latex=r"\operatorname{logaddexp}",
        title="logarithm of the sum of two exponentials",
    ),
    Function(
        name="xlogy",
        parameters=("a", "b"),
        derivative=xlogy_partials,
        numpy=_xlogy,
        sympy=lambda sp, a, b: a * sp.log(b),
        latex=r"\operatorname{xlogy}",
        title="a log(b), 0 where a is 0",
        domain=lambda a, b: (Compare(">", b, ZERO),),
        singular="at a = 0 and b = 0 both derivatives are 0, where the first has the limit -inf",
        taken="the derivatives of xlogy(0, 0) are taken as 0, where that by its first argument has the limit -inf",
    ),
    Function(
        name="mod",
        parameters=("z", "m"),
        derivative=lambda y, z, m: (ONE, neg(apply("floor", div(z, m)))),
        numpy=lambda np, z, m: np.mod(z, m),
        sympy=lambda sp, z, m: z - m * sp.floor(z / m),
        latex=r"\operatorname{mod}",
        title="remainder with the sign of m",
        kinks=lambda z, m: (to_integer(div(z, m)),),
    ),
    Function(
        name="clamp",
        parameters=("z", "lo", "hi"),
        derivative=clamp_partials,
        numpy=lambda np, z, lo, hi: np.minimum(np.maximum(z, lo), hi),
        sympy=lambda sp, z, lo, hi: sp.Min(sp.Max(z, lo), hi),
        latex=r"\operatorname{clamp}",
        title="argument kept between lo and hi",
        kinks=lambda z, lo, hi: (sub(z, lo), sub(z, hi)),
    ),
)


def _fractional(exponent: Expr) -> bool:
    value = number(exponent)
    return value is None or value.denominator != 1


SURGERY = (
    Function(
        name="stop_gradient",
        parameters=("z",),
        derivative=lambda y, z: (None,),
        numpy=lambda np, z: z,
        sympy=lambda sp, z: z,
        latex=r"\operatorname{stop}",
        title="argument, taken as a constant",
        surgery="stop",
    ),
    Function(
        name="scale_gradient",
        parameters=("z", "s"),
        derivative=lambda y, z, s: (s, None),
        numpy=lambda np, z, s: np.broadcast_arrays(z, s)[0],
        sympy=lambda sp, z, s: z,
        latex=r"\operatorname{scale}",
        title="argument, its derivative times s",
        surgery="scale",
    ),
    Function(
        # `derive` has a law of its own: the cotangent g becomes clamp(g, lo, hi).
        # It is not linear in g, so a tangent passes unchanged.
        name="clip_gradient",
        parameters=("z", "lo", "hi"),
        derivative=lambda y, z, lo, hi: (ONE, None, None),
        numpy=lambda np, z, lo, hi: np.broadcast_arrays(z, lo, hi)[0],
        sympy=lambda sp, z, lo, hi: z,
        latex=r"\operatorname{clip}",
        title="argument, its cotangent kept between lo and hi",
        surgery="clip",
    ),
    Function(
        name="straight_through",
        parameters=("f", "z"),
        derivative=lambda y, f, z: (None, ONE),
        numpy=lambda np, f, z: np.broadcast_arrays(f, z)[0],
        sympy=lambda sp, f, z: f,
        latex=r"\operatorname{through}",
        title="value of f, derivative of z",
        surgery="straight_through",
    ),
)

ROWS = (*TWO_ARGUMENTS, *SURGERY)
