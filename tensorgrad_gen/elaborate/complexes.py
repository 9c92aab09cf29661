"""Complex numbers in equations: what each function means for them, and which take real numbers only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tensorgrad_gen.functions import COMPLEX_FORMS
from tensorgrad_gen.ir import (
    Apply,
    Compare,
    Expr,
    Special,
    Where,
    add,
    const,
    inverse,
    is_complex,
    mul,
    neg,
    number,
    power,
)
from tensorgrad_gen.syntax import tree as t

if TYPE_CHECKING:
    from tensorgrad_gen.elaborate.expressions import Builder

REMEDY = "take its real part, its imaginary part or its magnitude: `real(...)`, `imag(...)`, `abs(...)`"
ONE, ZERO = const(1), const(0)


def complex_value(builder: Builder, *values: Expr) -> bool:
    """Whether one of the values is complex."""
    return any(is_complex(value, builder.scope.names.complex) for value in values)


def call(builder: Builder, tree: t.Call, args: tuple[Expr, ...]) -> Expr:
    """A function of complex numbers, or one that makes or splits them."""
    name = tree.name
    if name == "complex":
        return refused(builder, tree) if complex_value(builder, *args) else Apply(name, args)
    if name in _PARTS:
        return Apply(name, args) if complex_value(builder, *args) else _PARTS[name](args[0])
    if name in _SPELLED:
        return _SPELLED[name](*args)
    if name == "pow":
        return raised(*args)
    if name in COMPLEX_FORMS:
        return Apply(COMPLEX_FORMS[name], args)
    if name in ("stop_gradient", "straight_through") or (
        name == "scale_gradient" and not complex_value(builder, *args[1:])
    ):
        return Apply(name, args)
    return refused(builder, tree)


def raised(base: Expr, exponent: Expr) -> Expr:
    """A power of complex numbers: of an integer a product, of any other its principal value."""
    value = number(exponent)
    if value is not None and value.denominator == 1:
        return power(base, exponent)
    return Apply("complex_pow", (base, exponent))


def refused(builder: Builder, tree: t.Call | t.Bound | t.Comparison) -> Expr:
    """The error of what takes real numbers only."""
    what = f"a comparison with `{tree.op}`" if isinstance(tree, t.Comparison) else f"`{tree.name}`"
    return builder.error("E319", f"{what} takes real numbers, and this one is complex", tree.span, REMEDY)


def sign_of(logarithm: Expr) -> Expr:
    """The complex number of magnitude 1 with that logarithm, but for its real part."""
    return _exp(Apply("complex", (ZERO, Apply("imag", (logarithm,)))))


def _angle(z: Expr) -> Expr:
    """The angle of a real number: pi where it is negative."""
    return Where(Compare("<", z, ZERO), Special("pi"), ZERO)


def _exp(z: Expr) -> Expr:
    return Apply("complex_exp", (z,))


def _sigmoid(z: Expr) -> Expr:
    return inverse(add(ONE, _exp(neg(z))))


# Of a real number.
_PARTS: dict[str, Callable[[Expr], Expr]] = {
    "conj": lambda z: z,
    "real": lambda z: z,
    "imag": lambda z: ZERO,
    "angle": _angle,
}
# Functions that are others in another spelling.
_SPELLED: dict[str, Callable[..., Expr]] = {
    "square": lambda z: power(z, 2),
    "reciprocal": inverse,
    "rsqrt": lambda z: inverse(Apply("complex_sqrt", (z,))),
    "log2": lambda z: mul(Apply("complex_log", (z,)), inverse(Apply("log", (const(2),)))),
    "sigmoid": _sigmoid,
    "silu": lambda z: mul(z, _sigmoid(z)),
}
