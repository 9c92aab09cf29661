"""Elementary functions of one argument."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.functions.model import Function
from tensorgrad_gen.ir import Apply, Compare, Expr, add, const, inverse, mul, neg, power, sub

ZERO, ONE, TWO = const(0), const(1), const(2)
HALF = Fraction(1, 2)


def apply(name: str, *args: Expr) -> Expr:
    """The function at the arguments."""
    return Apply(name, args)


def one_minus_square(z: Expr) -> Expr:
    """`(1 - z)(1 + z)`: unlike `1 - z^2` it is accurate near its zeros."""
    return mul(sub(ONE, z), add(ONE, z))


def positive(z: Expr) -> tuple[Expr, ...]:
    """The domain `z > 0`."""
    return (Compare(">", z, ZERO),)


def inside_unit(z: Expr) -> tuple[Expr, ...]:
    """The domain `|z| < 1`."""
    return (Compare("<", apply("abs", z), ONE),)


def to_integer(z: Expr) -> Expr:
    """Signed distance to the nearest integer."""
    return sub(z, apply("round", z))


EXPONENTIAL = (
    Function(
        name="exp",
        parameters=("z",),
        derivative=lambda y, z: (y,),
        numpy=lambda np, z: np.exp(z),
        sympy=lambda sp, z: sp.exp(z),
        latex=r"\exp",
        title="exponential",
    ),
    Function(
        name="expm1",
        parameters=("z",),
        derivative=lambda y, z: (apply("exp", z),),
        numpy=lambda np, z: np.expm1(z),
        sympy=lambda sp, z: sp.exp(z) - 1,
        latex=r"\operatorname{expm1}",
        title="exponential minus 1",
    ),
    Function(
        name="log",
        parameters=("z",),
        derivative=lambda y, z: (inverse(z),),
        numpy=lambda np, z: np.log(z),
        sympy=lambda sp, z: sp.log(z),
        latex=r"\log",
        title="natural logarithm",
        domain=positive,
        singular="at 0 the value is -inf and the derivative inf",
    ),
    Function(
        name="log1p",
        parameters=("z",),
        derivative=lambda y, z: (inverse(add(ONE, z)),),
        numpy=lambda np, z: np.log1p(z),
        sympy=lambda sp, z: sp.log(1 + z),
        latex=r"\operatorname{log1p}",
        title="logarithm of 1 plus the argument",
        domain=lambda z: (Compare(">", z, const(-1)),),
        singular="at -1 the value is -inf and the derivative inf",
    ),
    Function(
        name="log2",
        parameters=("z",),
        derivative=lambda y, z: (inverse(mul(z, apply("log", TWO))),),
        numpy=lambda np, z: np.log2(z),
        sympy=lambda sp, z: sp.log(z) / sp.log(2),
        latex=r"\log_2",
        title="logarithm to base 2",
        domain=positive,
        singular="at 0 the value is -inf and the derivative inf",
    ),
)

ALGEBRAIC = (
    Function(
        name="sqrt",
        parameters=("z",),
        derivative=lambda y, z: (mul(const(HALF), inverse(y)),),
        numpy=lambda np, z: np.sqrt(z),
        sympy=lambda sp, z: sp.sqrt(z),
        latex=r"\sqrt{#1}",
        title="square root",
        domain=positive,
        singular="at 0 the derivative is +inf",
    ),
    Function(
        name="rsqrt",
        parameters=("z",),
        derivative=lambda y, z: (mul(const(-HALF), power(y, 3)),),
        numpy=lambda np, z: 1 / np.sqrt(z),
        sympy=lambda sp, z: 1 / sp.sqrt(z),
        latex=r"\frac{1}{\sqrt{#1}}",
        title="reciprocal square root",
        domain=positive,
        singular="at 0 the value is inf and the derivative -inf",
    ),
    Function(
        name="reciprocal",
        parameters=("z",),
        derivative=lambda y, z: (neg(power(y, 2)),),
        numpy=lambda np, z: 1 / z,
        sympy=lambda sp, z: 1 / z,
        latex=r"\frac{1}{#1}",
        title="reciprocal",
        domain=lambda z: (Compare("!=", z, ZERO),),
        singular="at 0 the value is infinite and the derivative -inf",
    ),
    Function(
        name="square",
        parameters=("z",),
        derivative=lambda y, z: (mul(TWO, z),),
        numpy=lambda np, z: z * z,
        sympy=lambda sp, z: z**2,
        latex=r"{\left(#1\right)}^2",
        title="square",
    ),
    Function(
        name="abs",
        parameters=("z",),
        derivative=lambda y, z: (apply("sign", z),),  # 0 at 0, as sign is
        numpy=lambda np, z: np.abs(z),
        sympy=lambda sp, z: sp.Abs(z),
        latex=r"\left|#1\right|",
        title="absolute value",
        kinks=lambda z: (z,),
    ),
    Function(
        name="sign",
        parameters=("z",),
        derivative=lambda y, z: (None,),
        numpy=lambda np, z: np.sign(z),
        sympy=lambda sp, z: sp.sign(z),
        latex=r"\operatorname{sign}",
        title="sign",
        kinks=lambda z: (z,),
    ),
    Function(
        name="floor",
        parameters=("z",),
        derivative=lambda y, z: (None,),
        numpy=lambda np, z: np.floor(z),
        sympy=lambda sp, z: sp.floor(z),
        latex=r"\left\lfloor #1 \right\rfloor",
        title="largest integer not above",
        kinks=lambda z: (to_integer(z),),
    ),
    Function(
        name="ceil",
        parameters=("z",),
        derivative=lambda y, z: (None,),
        numpy=lambda np, z: np.ceil(z),
        sympy=lambda sp, z: sp.ceiling(z),
        latex=r"\left\lceil #1 \right\rceil",
        title="smallest integer not below",
        kinks=lambda z: (to_integer(z),),
    ),
    Function(
        name="round",
        parameters=("z",),
        derivative=lambda y, z: (None,),
        numpy=lambda np, z: np.round(z),
        sympy=lambda sp, z: sp.floor(z + sp.Rational(1, 2)),
        latex=r"\operatorname{round}",
        title="nearest integer, halves to the even one",
        kinks=lambda z: (to_integer(sub(z, const(HALF))),),
    ),
)

TRIGONOMETRIC = (
    Function(
        name="sin",
        parameters=("z",),
        derivative=lambda y, z: (apply("cos", z),),
        numpy=lambda np, z: np.sin(z),
        sympy=lambda sp, z: sp.sin(z),
        latex=r"\sin",
        title="sine",
    ),
    Function(
        name="cos",
        parameters=("z",),
        derivative=lambda y, z: (neg(apply("sin", z)),),
        numpy=lambda np, z: np.cos(z),
        sympy=lambda sp, z: sp.cos(z),
        latex=r"\cos",
        title="cosine",
    ),
    Function(
        name="tan",
        parameters=("z",),
        derivative=lambda y, z: (add(power(y, 2), ONE),),
        numpy=lambda np, z: np.tan(z),
        sympy=lambda sp, z: sp.tan(z),
        latex=r"\tan",
        title="tangent",
        kinks=lambda z: (apply("cos", z),),
    ),
    Function(
        name="asin",
        parameters=("z",),
        derivative=lambda y, z: (power(one_minus_square(z), -HALF),),
        numpy=lambda np, z: np.arcsin(z),
        sympy=lambda sp, z: sp.asin(z),
        latex=r"\arcsin",
        title="inverse sine",
        domain=inside_unit,
        singular="at -1 and 1 the derivative is +inf",
    ),
    Function(
        name="acos",
        parameters=("z",),
        derivative=lambda y, z: (neg(power(one_minus_square(z), -HALF)),),
        numpy=lambda np, z: np.arccos(z),
        sympy=lambda sp, z: sp.acos(z),
        latex=r"\arccos",
        title="inverse cosine",
        domain=inside_unit,
        singular="at -1 and 1 the derivative is -inf",
    ),
    Function(
        name="atan",
        parameters=("z",),
        derivative=lambda y, z: (inverse(add(power(z, 2), ONE)),),
        numpy=lambda np, z: np.arctan(z),
        sympy=lambda sp, z: sp.atan(z),
        latex=r"\arctan",
        title="inverse tangent",
    ),
)

HYPERBOLIC = (
    Function(
        name="sinh",
        parameters=("z",),
        derivative=lambda y, z: (apply("cosh", z),),
        numpy=lambda np, z: np.sinh(z),
        sympy=lambda sp, z: sp.sinh(z),
        latex=r"\sinh",
        title="hyperbolic sine",
    ),
    Function(
        name="cosh",
        parameters=("z",),
        derivative=lambda y, z: (apply("sinh", z),),
        numpy=lambda np, z: np.cosh(z),
        sympy=lambda sp, z: sp.cosh(z),
        latex=r"\cosh",
        title="hyperbolic cosine",
    ),
    Function(
        name="tanh",
        parameters=("z",),
        derivative=lambda y, z: (apply("sech_squared", z),),
        numpy=lambda np, z: np.tanh(z),
        sympy=lambda sp, z: sp.tanh(z),
        latex=r"\tanh",
        title="hyperbolic tangent",
    ),
    Function(
        name="asinh",
        parameters=("z",),
        derivative=lambda y, z: (power(add(power(z, 2), ONE), -HALF),),
        numpy=lambda np, z: np.arcsinh(z),
        sympy=lambda sp, z: sp.asinh(z),
        latex=r"\operatorname{arsinh}",
        title="inverse hyperbolic sine",
    ),
    Function(
        name="acosh",
        parameters=("z",),
        derivative=lambda y, z: (power(mul(sub(z, ONE), add(z, ONE)), -HALF),),
        numpy=lambda np, z: np.arccosh(z),
        sympy=lambda sp, z: sp.acosh(z),
        latex=r"\operatorname{arcosh}",
        title="inverse hyperbolic cosine",
        domain=lambda z: (Compare(">", z, ONE),),
        singular="at 1 the derivative is +inf",
    ),
    Function(
        name="atanh",
        parameters=("z",),
        derivative=lambda y, z: (inverse(one_minus_square(z)),),
        numpy=lambda np, z: np.arctanh(z),
        sympy=lambda sp, z: sp.atanh(z),
        latex=r"\operatorname{artanh}",
        title="inverse hyperbolic tangent",
        domain=inside_unit,
        singular="at -1 and 1 the value is infinite and the derivative +inf",
    ),
)

ROWS = (*EXPONENTIAL, *ALGEBRAIC, *TRIGONOMETRIC, *HYPERBOLIC)
