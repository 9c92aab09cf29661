"""Pointwise functions of complex numbers.

A function of the language that has a complex argument is its complex form: a row of its own, so that no
rule of real numbers (`sqrt(x^2) = |x|`, `log(exp(x)) = x`, a stable form of torch's) ever applies to it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tensorgrad_gen.functions.elementary import ONE
from tensorgrad_gen.functions.elementary import ROWS as ELEMENTARY
from tensorgrad_gen.functions.model import Function, Partials
from tensorgrad_gen.ir import Apply, Expr, IRError, add, const, inverse, mul, neg, power, sub


def _not_real(sp: Any, *args: Any) -> Any:
    """The column `sympy` of a complex function."""
    raise IRError("no real definition of a complex function")


def _by_its_law(*args: Expr) -> Partials:
    """The column `derivative` of a function that has no complex derivative: `derive` has a law for each."""
    raise IRError("no complex derivative")


def _of(name: str, z: Expr) -> Expr:
    return Apply(name, (z,))


def _root(z: Expr) -> Expr:
    return _of("complex_sqrt", z)


def _pow(y: Expr, z: Expr, w: Expr) -> Partials:
    """z^w: w z^(w-1), z^w log(z)"""
    return mul(w, Apply("complex_pow", (z, sub(w, ONE)))), mul(y, _of("complex_log", z))


# The derivative of each by its argument, `y` being its value.
_DERIVATIVES: dict[str, Callable[[Expr, Expr], Expr]] = {
    "exp": lambda y, z: y,
    "expm1": lambda y, z: add(y, ONE),
    "log": lambda y, z: inverse(z),
    "log1p": lambda y, z: inverse(add(ONE, z)),
    "sqrt": lambda y, z: mul(const(Fraction(1, 2)), inverse(y)),
    "sin": lambda y, z: _of("complex_cos", z),
    "cos": lambda y, z: neg(_of("complex_sin", z)),
    "tan": lambda y, z: add(ONE, power(y, 2)),
    "sinh": lambda y, z: _of("complex_cosh", z),
    "cosh": lambda y, z: _of("complex_sinh", z),
    "tanh": lambda y, z: sub(ONE, power(y, 2)),
    "asin": lambda y, z: inverse(_root(sub(ONE, power(z, 2)))),
    "acos": lambda y, z: neg(inverse(_root(sub(ONE, power(z, 2))))),
    "atan": lambda y, z: inverse(add(ONE, power(z, 2))),
    "asinh": lambda y, z: inverse(_root(add(ONE, power(z, 2)))),
    "acosh": lambda y, z: inverse(mul(_root(sub(z, ONE)), _root(add(z, ONE)))),
    "atanh": lambda y, z: inverse(sub(ONE, power(z, 2))),
}
_BASE = {row.name: row for row in ELEMENTARY}
# Infinite somewhere, in value or slope.
_SINGULAR = {
    "log": "log has no derivative at 0",
    "log1p": "log1p has no derivative at -1",
    "sqrt": "the derivative of sqrt is infinite at 0",
    "tan": "tan is infinite at pi/2",
    "atan": "atan is infinite at i and -i",
}


def _holomorphic(name: str) -> Function:
    derivative, base = _DERIVATIVES[name], _BASE[name]
    return Function(
        name=f"complex_{name}",
        parameters=("z",),
        derivative=lambda y, z: (derivative(y, z),),
        numpy=lambda np, z: getattr(np, _NUMPY.get(name, name))(np.asarray(z, dtype=np.complex128)),
        sympy=_not_real,
        latex=base.latex,
        title=f"{base.title}, of a complex number",
        singular=_SINGULAR.get(name),
        complex=True,
        internal=True,
    )


_NUMPY = {
    **{name: f"arc{name[1:]}" for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
}


def _part(
    name: str, latex: str, title: str, numpy: Callable[..., Any], parameters: tuple[str, ...] = ("z",), **more: Any
) -> Function:
    return Function(
        name=name,
        parameters=parameters,
        derivative=more.pop("derivative", _by_its_law),
        numpy=numpy,
        sympy=_not_real,
        latex=latex,
        title=title,
        complex=True,
        **more,
    )


PARTS = (
    _part(
        "complex",
        r"#1 + \mathrm{i}\, #2",
        "complex number of a real and an imaginary part",
        lambda np, re, im: np.asarray(re) + 1j * np.asarray(im),
        ("re", "im"),
    ),
    _part("conj", r"\overline{#1}", "complex conjugate", lambda np, z: np.conj(z)),
    _part("real", r"\operatorname{Re}", "real part", lambda np, z: np.real(z)),
    _part("imag", r"\operatorname{Im}", "imaginary part", lambda np, z: np.imag(z)),
    _part(
        "angle",
        r"\arg",
        "argument of a complex number",
        lambda np, z: np.angle(z),
        singular="the angle has no derivative at 0",
    ),
    _part(
        "complex_abs",
        _BASE["abs"].latex,
        "magnitude of a complex number",
        lambda np, z: np.abs(z),
        singular="the magnitude has no derivative at 0: taken as 0",
        internal=True,
    ),
    _part(
        "complex_pow",
        "#1^{#2}",
        "power of a complex number, its principal value",
        lambda np, z, w: np.power(np.asarray(z, dtype=np.complex128), w),
        ("z", "w"),
        derivative=_pow,
        singular="a power has no derivative at 0",
        internal=True,
    ),
)

ROWS = (*PARTS, *map(_holomorphic, _DERIVATIVES))


def plain_name(name: str) -> str:
    """What the language calls the function: `exp` for its complex form too."""
    return _PLAIN.get(name, name)


# Of each function of the language that takes complex numbers as it takes real ones: its complex form.
COMPLEX_FORMS: dict[str, str] = {"abs": "complex_abs", "pow": "complex_pow"} | {
    name: f"complex_{name}" for name in _DERIVATIVES
}
_PLAIN = {form: name for name, form in COMPLEX_FORMS.items()}
