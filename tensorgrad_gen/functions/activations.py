"""Activations: functions that networks apply pointwise."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.functions.elementary import HALF, ONE, TWO, ZERO, apply
from tensorgrad_gen.functions.model import Function, Partials
from tensorgrad_gen.functions.special import PI, of_math
from tensorgrad_gen.ir import Compare, Expr, Iverson, Where, add, const, div, mul, neg, power, sub

CUBIC = const(Fraction("0.044715"))  # of the tanh approximation of gelu (Hendrycks and Gimpel, 2016)


def above_zero(z: Expr) -> Expr:
    """The condition `z > 0`, false at 0 and for NaN."""
    return Compare(">", z, ZERO)


def silu_partials(y: Expr, z: Expr) -> Partials:
    """`s (1 + z (1 - s))` with `s` the sigmoid of `z`, `1 - s` that of `-z`."""
    return (mul(apply("sigmoid", z), add(mul(z, apply("sigmoid", neg(z))), ONE)),)


def softplus_partials(y: Expr, z: Expr, beta: Expr) -> Partials:
    """`s` and `(z s - y)/beta` with `s` the sigmoid of `beta z`."""
    s = apply("sigmoid", mul(beta, z))
    return s, div(sub(mul(z, s), y), beta)


def gelu_partials(y: Expr, z: Expr) -> Partials:
    """`Phi(z) + z phi(z)`; `erfc` keeps the tail that `1 + erf` would cancel."""
    below = mul(const(HALF), apply("erfc", mul(const(-1), power(TWO, -HALF), z)))
    density = mul(power(mul(TWO, PI), -HALF), apply("exp", mul(const(-HALF), power(z, 2))))
    return (add(below, mul(z, density)),)


def gelu_tanh_partials(y: Expr, z: Expr) -> Partials:
    """`(1 + tanh(u))/2 + z/2 sech(u)^2 u'` with `u = sqrt(2/pi) (z + c z^3)`; the first is the sigmoid of `2 u`.

    The mask is true but where `sech` has rounded to 0: there the second term is 0, and `u'` may be inf.
    """
    scale = mul(power(TWO, HALF), power(PI, -HALF))
    u = mul(scale, add(z, mul(CUBIC, power(z, 3))))
    slope = mul(scale, add(mul(const(3), CUBIC, power(z, 2)), ONE))
    square = apply("sech_squared", u)
    bump = mul(Iverson(Compare(">", square, ZERO)), const(HALF), z, square, slope)
    return (add(apply("sigmoid", mul(TWO, u)), bump),)


def mish_partials(y: Expr, z: Expr) -> Partials:
    """`tanh(u) + z sech(u)^2 s` with `u = softplus(z)`, `s` the sigmoid."""
    u = apply("softplus", z, ONE)
    return (add(apply("tanh", u), mul(z, apply("sech_squared", u), apply("sigmoid", z))),)


ROWS = (
    Function(
        name="sigmoid",
        parameters=("z",),
        derivative=lambda y, z: (mul(y, apply("sigmoid", neg(z))),),  # 1 - y loses its digits where y is 1
        numpy=lambda np, z: np.exp(-np.logaddexp(0, -z)),
        sympy=lambda sp, z: 1 / (1 + sp.exp(-z)),
        latex=r"\sigma",
        title="logistic function",
    ),
    Function(
        name="logsigmoid",
        parameters=("z",),
        derivative=lambda y, z: (apply("sigmoid", neg(z)),),
        numpy=lambda np, z: -np.logaddexp(0, -z),
        sympy=lambda sp, z: -sp.log(1 + sp.exp(-z)),
        latex=r"\log\sigma",
        title="logarithm of the logistic function",
    ),
    Function(
        name="relu",
        parameters=("z",),
        derivative=lambda y, z: (Iverson(above_zero(z)),),
        numpy=lambda np, z: np.maximum(z, 0),
        sympy=lambda sp, z: sp.Max(z, 0),
        latex=r"\operatorname{relu}",
        title="rectifier",
        kinks=lambda z: (z,),
    ),
    Function(
        name="silu",
        parameters=("z",),
        derivative=silu_partials,
        numpy=lambda np, z: z * np.exp(-np.logaddexp(0, -z)),
        sympy=lambda sp, z: z / (1 + sp.exp(-z)),
        latex=r"\operatorname{silu}",
        title="argument times its logistic function (swish)",
    ),
    Function(
        name="gelu",
        parameters=("z",),
        derivative=gelu_partials,
        numpy=lambda np, z: z * of_math("erfc")(np, -z / np.sqrt(2.0)) / 2,
        sympy=lambda sp, z: z * sp.erfc(-z / sp.sqrt(2)) / 2,
        latex=r"\operatorname{gelu}",
        title="argument times the normal distribution function",
    ),
    Function(
        name="gelu_tanh",
        parameters=("z",),
        derivative=gelu_tanh_partials,
        numpy=lambda np, z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
        sympy=lambda sp, z: z / 2 * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (z + sp.Rational(44715, 1000000) * z**3))),
        latex=r"\operatorname{gelu}_{\tanh}",
        title="gelu by its tanh approximation",
    ),
    Function(
        name="mish",
        parameters=("z",),
        derivative=mish_partials,
        numpy=lambda np, z: z * np.tanh(np.logaddexp(0, z)),
        sympy=lambda sp, z: z * sp.tanh(sp.log(1 + sp.exp(z))),
        latex=r"\operatorname{mish}",
        title="argument times the tanh of its softplus",
    ),
    Function(
        name="softplus",
        parameters=("z", ("beta", Fraction(1))),
        derivative=softplus_partials,
        numpy=lambda np, z, beta: np.logaddexp(0, beta * z) / beta,
        sympy=lambda sp, z, beta: sp.log(1 + sp.exp(beta * z)) / beta,
        latex=r"\operatorname{softplus}",
        title="smooth rectifier, log(1 + exp(beta z))/beta",
    ),
    Function(
        name="leaky_relu",
        parameters=("z", ("slope", Fraction("0.01"))),
        derivative=lambda y, z, slope: (
            Where(above_zero(z), ONE, slope),
            mul(Iverson(Compare("<", z, ZERO)), z),
        ),
        numpy=lambda np, z, slope: np.where(z > 0, z, slope * z),
        sympy=lambda sp, z, slope: sp.Piecewise((z, z > 0), (slope * z, True)),
        latex=r"\operatorname{leakyrelu}",
        title="rectifier with a slope below 0",
        kinks=lambda z, slope: (z,),
    ),
    Function(
        name="elu",
        parameters=("z", ("alpha", Fraction(1))),
        derivative=lambda y, z, alpha: (
            Where(above_zero(z), ONE, mul(alpha, apply("exp", z))),
            mul(Iverson(Compare("<", z, ZERO)), apply("expm1", z)),
        ),
        numpy=lambda np, z, alpha: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))),
        sympy=lambda sp, z, alpha: sp.Piecewise((z, z > 0), (alpha * (sp.exp(z) - 1), True)),
        latex=r"\operatorname{elu}",
        title="exponential linear unit",
        kinks=lambda z, alpha: (z,),
    ),
)
