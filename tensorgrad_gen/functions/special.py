"""Error function, gamma function, and the internal functions that stable forms need."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tensorgrad_gen.functions.elementary import HALF, ONE, TWO, ZERO, apply, inside_unit
from tensorgrad_gen.functions.model import Function
from tensorgrad_gen.ir import Compare, Expr, IRError, Special, add, const, mul, neg, number, power, sub

PI = Special("pi")


def bell(z: Expr) -> Expr:
    """`2/sqrt(pi) exp(-z^2)`, the derivative of `erf`."""
    return mul(TWO, power(PI, -HALF), apply("exp", neg(power(z, 2))))


def elementwise(np: Any, function: Any, *args: Any) -> Any:
    """A function of Python floats at each entry: slow and obvious."""

    def safe(*numbers: float) -> float:
        try:
            return float(function(*numbers))
        except (ValueError, ZeroDivisionError, OverflowError):  # a pole, or too large
            return float("inf")

    arrays = np.broadcast_arrays(*args)
    flat = [safe(*map(float, point)) for point in zip(*(a.ravel() for a in arrays), strict=True)]
    return np.array(flat, dtype=np.float64).reshape(arrays[0].shape)


def of_math(name: str) -> Any:
    """Value by the function of that name in `math`."""

    def value(np: Any, *args: Any) -> Any:
        import math

        return elementwise(np, getattr(math, name), *args)

    return value


def of_mpmath(name: str) -> Any:
    """Value by the function of that name in `mpmath`, which SymPy brings along."""

    def value(np: Any, *args: Any) -> Any:
        import mpmath

        return elementwise(np, getattr(mpmath, name), *args)

    return value


def order_of(n: Expr) -> int:
    """The order of a family of functions: a constant integer."""
    value = number(n)
    if value is None or value.denominator != 1:
        raise IRError("the order of an internal function is a constant integer")
    return int(value)


def polygamma_partials(y: Expr, n: Expr, z: Expr) -> tuple[Expr | None, ...]:
    """Each order is the derivative of the one below."""
    return None, apply("polygamma", const(order_of(n) + 1), z)


def bessel_partials(y: Expr, n: Expr, z: Expr) -> tuple[Expr | None, ...]:
    """`j_n' = (n j_(n-1) - (n+1) j_(n+1)) / (2n + 1)`: no division by `z`."""
    order = order_of(n)
    above = mul(const(Fraction(-order - 1, 2 * order + 1)), apply("spherical_bessel", const(order + 1), z))
    if order == 0:
        return None, above
    return None, add(mul(const(Fraction(order, 2 * order + 1)), apply("spherical_bessel", const(order - 1), z)), above)


def exprel_partials(y: Expr, n: Expr, z: Expr) -> tuple[Expr | None, ...]:
    """`phi_n' = phi_n - n phi_(n+1)`: no division by `z`."""
    order = order_of(n)
    return None, sub(y, mul(const(order), apply("exprel", const(order + 1), z)))


def bessel_value(np: Any, n: Any, z: Any) -> Any:
    """`j_n(z) = sqrt(pi/(2z)) J_(n+1/2)(z)`, odd or even as `n` is."""
    import mpmath

    def value(order: float, x: float) -> float:
        if abs(x) < 1e-8:  # the leading term of the series
            return float(x**order / mpmath.fac2(2 * order + 1))
        size = mpmath.sqrt(mpmath.pi / (2 * abs(x))) * mpmath.besselj(order + 0.5, abs(x))
        return float(-size if x < 0 and order % 2 else size)

    return elementwise(np, value, n, z)


def exprel_value(np: Any, n: Any, z: Any) -> Any:
    """`phi_n(z) = 1F1(1; n+1; z) / n!`."""
    import mpmath

    return elementwise(np, lambda order, x: mpmath.hyp1f1(1, order + 1, x) / mpmath.factorial(order), n, z)


def moment_value(np: Any, n: Any, z: Any) -> Any:
    """`M_n(z) = 1F1(n+1; n+2; z) / (n+1)`."""
    import mpmath

    return elementwise(np, lambda order, x: mpmath.hyp1f1(order + 1, order + 2, x) / (order + 1), n, z)


def moment_sympy(sp: Any, n: Any, z: Any) -> Any:
    """The derivative of order n of `(exp(z) - 1)/z`."""
    x = sp.Symbol("x")
    return sp.diff((sp.exp(x) - 1) / x, x, int(n)).subs(x, z)


def exprel_sympy(sp: Any, n: Any, z: Any) -> Any:
    """`(exp(z) - 1 - z - ... - z^(n-1)/(n-1)!) / z^n`."""
    return (sp.exp(z) - sum(z**k / sp.factorial(k) for k in range(int(n)))) / z ** int(n)


ROWS = (
    Function(
        name="erf",
        parameters=("z",),
        derivative=lambda y, z: (bell(z),),
        numpy=of_math("erf"),
        sympy=lambda sp, z: sp.erf(z),
        latex=r"\operatorname{erf}",
        title="error function",
    ),
    Function(
        name="erfc",
        parameters=("z",),
        derivative=lambda y, z: (neg(bell(z)),),
        numpy=of_math("erfc"),
        sympy=lambda sp, z: sp.erfc(z),
        latex=r"\operatorname{erfc}",
        title="complementary error function",
    ),
    Function(
        name="erfinv",
        parameters=("z",),
        derivative=lambda y, z: (mul(const(HALF), power(PI, HALF), apply("exp", power(y, 2))),),
        numpy=of_mpmath("erfinv"),
        sympy=lambda sp, z: sp.erfinv(z),
        latex=r"\operatorname{erf}^{-1}",
        title="inverse error function",
        domain=inside_unit,
        singular="at -1 and 1 the value is infinite and the derivative +inf",
    ),
    Function(
        name="lgamma",
        parameters=("z",),
        derivative=lambda y, z: (apply("digamma", z),),
        numpy=of_math("lgamma"),
        sympy=lambda sp, z: sp.loggamma(z),
        latex=r"\log\left|\Gamma\left(#1\right)\right|",
        title="logarithm of the absolute value of the gamma function",
        domain=lambda z: (Compare(">", z, ZERO),),
        singular="at 0, -1, -2, ... the value is inf",
    ),
    Function(
        name="digamma",
        parameters=("z",),
        derivative=lambda y, z: (apply("polygamma", ONE, z),),
        numpy=of_mpmath("digamma"),
        sympy=lambda sp, z: sp.digamma(z),
        latex=r"\psi",
        title="digamma function",
        domain=lambda z: (Compare(">", z, ZERO),),
        singular="at 0, -1, -2, ... the value is infinite",
    ),
    Function(
        name="polygamma",
        parameters=("n", "z"),
        derivative=polygamma_partials,
        numpy=of_mpmath("polygamma"),
        sympy=lambda sp, n, z: sp.polygamma(n, z),
        latex=r"\psi^{(#1)}\left(#2\right)",
        title="derivative of order n of the digamma function",
        domain=lambda n, z: (Compare(">", z, ZERO),),
        singular="at 0, -1, -2, ... the value is infinite",
        internal=True,
    ),
    Function(
        name="log_cosh",
        parameters=("z",),
        derivative=lambda y, z: (apply("tanh", z),),
        numpy=lambda np, z: np.logaddexp(z, -z) - np.log(2.0),
        sympy=lambda sp, z: sp.log(sp.cosh(z)),
        latex=r"\log\cosh",
        title="logarithm of the hyperbolic cosine",
        internal=True,
    ),
    Function(
        name="log1mexp",
        parameters=("z",),
        derivative=lambda y, z: (neg(apply("exp", sub(z, y))),),  # autograd of 1/expm1(-z) overflows
        numpy=lambda np, z: np.where(z > -0.7, np.log(-np.expm1(z)), np.log1p(-np.exp(z))),
        sympy=lambda sp, z: sp.log(1 - sp.exp(z)),
        latex=r"\operatorname{log1mexp}",
        title="log(1 - exp(z)) of a negative number",
        domain=lambda z: (Compare("<", z, ZERO),),
        singular="at 0 the value is -inf and the derivative -inf",
        internal=True,
    ),
    Function(
        name="sech",
        parameters=("z",),
        derivative=lambda y, z: (neg(mul(y, apply("tanh", z))),),
        numpy=lambda np, z: np.exp(np.log(2.0) - np.logaddexp(z, -z)),
        sympy=lambda sp, z: 1 / sp.cosh(z),
        latex=r"\operatorname{sech}",
        title="hyperbolic secant",
        internal=True,
    ),
    Function(
        name="sech_squared",  # the derivative of tanh, which 1 - tanh(z)^2 loses where tanh is 1
        parameters=("z",),
        derivative=lambda y, z: (mul(const(-2), y, apply("tanh", z)),),
        numpy=lambda np, z: np.exp(2 * (np.log(2.0) - np.logaddexp(z, -z))),
        sympy=lambda sp, z: 1 / sp.cosh(z) ** 2,
        latex=r"\operatorname{sech}^2",
        title="square of the hyperbolic secant",
        internal=True,
    ),
    Function(
        name="exp_tail",
        parameters=("z",),
        derivative=lambda y, z: (apply("expm1", z),),
        numpy=lambda np, z: np.where(abs(z) < 1, z * z * exprel_value(np, 2.0, np.clip(z, -1, 1)), np.expm1(z) - z),
        sympy=lambda sp, z: sp.exp(z) - 1 - z,
        latex=r"\operatorname{exptail}",
        title="exp(z) - 1 - z",
        internal=True,
    ),
    Function(
        name="spherical_bessel",  # order 0 is sin(z)/z
        parameters=("n", "z"),
        derivative=bessel_partials,
        numpy=bessel_value,
        sympy=lambda sp, n, z: sp.expand_func(sp.jn(n, z)),
        latex=r"j_{#1}\left(#2\right)",
        title="spherical Bessel function of order n",
        internal=True,
    ),
    Function(
        name="exp_moment",  # order 0 is (exp(z) - 1)/z
        parameters=("n", "z"),
        derivative=lambda y, n, z: (None, apply("exp_moment", const(order_of(n) + 1), z)),
        numpy=moment_value,
        sympy=moment_sympy,
        latex=r"\mathrm{M}_{#1}\left(#2\right)",
        title="integral of s^n exp(s z) for s from 0 to 1",
        internal=True,
    ),
    Function(
        name="exprel",  # order 2 is (exp(z) - 1 - z)/z^2
        parameters=("n", "z"),
        derivative=exprel_partials,
        numpy=exprel_value,
        sympy=exprel_sympy,
        latex=r"\varphi_{#1}\left(#2\right)",
        title="relative exponential of order n: the tail of the series of exp from z^n on, divided by z^n",
        internal=True,
    ),
)
