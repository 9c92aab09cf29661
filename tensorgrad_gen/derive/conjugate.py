"""Cotangents of complex numbers, in PyTorch's convention: the change of a real loss is Re(sum of conj(grad_z) dz).

Hence a value with a complex derivative, dy = J dz, gives grad_z = conj(J) grad_y; what has none is pulled back
by its own law.  Where all is real, a conjugate is the thing itself and nothing of this shows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tensorgrad_gen.algebra import walk
from tensorgrad_gen.ir import (
    Add,
    Apply,
    Compare,
    Delta,
    Expr,
    Iverson,
    Linalg,
    Mul,
    Pow,
    Sum,
    Where,
    inverse,
    is_complex,
    mul,
)
from tensorgrad_gen.ir import number as constant
from tensorgrad_gen.ir.build import ZERO, neg

Pulled = tuple[tuple[Expr, Expr], ...]


def conjugate(expr: Expr, tensors: Collection[str]) -> Expr:
    """The complex conjugate, moved inside products, sums and integer powers; `tensors` are the complex ones."""
    if not tensors or not is_complex(expr, tensors):
        return expr
    if isinstance(expr, Add | Mul | Sum) or _of_deltas(expr):
        return expr.rebuild(tuple(conjugate(child, tensors) for child in expr.children))
    if isinstance(expr, Where):
        return Where(expr.condition, conjugate(expr.then, tensors), conjugate(expr.other, tensors))
    if isinstance(expr, Pow):
        exponent = constant(expr.exponent)
        if exponent is not None and exponent.denominator == 1:
            return Pow(conjugate(expr.base, tensors), expr.exponent)
    if isinstance(expr, Apply) and expr.function == "conj":
        return expr.args[0]
    if isinstance(expr, Apply) and expr.function == "complex":
        return Apply("complex", (expr.args[0], neg(expr.args[1])))
    return Apply("conj", (expr,))


def _of_deltas(expr: Expr) -> bool:
    """Whether it is a solve for deltas, which choose the transposed system if nothing stands round it."""
    return isinstance(expr, Linalg) and expr.rhs is not None and any(isinstance(n, Delta) for n in walk(expr.rhs))


def pulled_back(cotangent: Expr, value: Expr) -> Pulled:
    """Cotangents and the values they are of, for a value whose law is not that of a derivative."""
    law = PULLED_BACK.get(value.function) if isinstance(value, Apply) else None
    return ((cotangent, value),) if law is None else law(cotangent, value)


def _clipped(g: Expr, value: Expr) -> Pulled:
    """clip_gradient: the one law that is not linear in the cotangent, which itself is clamped"""
    z, *edges = value.children
    return ((Apply("clamp", (g, *edges)), z),)


def _conj(g: Expr, value: Expr) -> Pulled:
    """conj(z): conj(g)"""
    (z,) = value.children
    return ((Apply("conj", (g,)), z),)


def _real(g: Expr, value: Expr) -> Pulled:
    """Re(z): g"""
    (z,) = value.children
    return ((g, z),)


def _imag(g: Expr, value: Expr) -> Pulled:
    """Im(z): i g"""
    (z,) = value.children
    return ((Apply("complex", (ZERO, g)), z),)


def _complex(g: Expr, value: Expr) -> Pulled:
    """a + i b: Re(g) for a, Im(g) for b"""
    re, im = value.children
    return (Apply("real", (g,)), re), (Apply("imag", (g,)), im)


def _magnitude(g: Expr, value: Expr) -> Pulled:
    """|z|: g z/|z|, 0 at 0"""
    (z,) = value.children
    return ((mul(Iverson(Compare("!=", value, ZERO)), g, inverse(value), z), z),)


def _angle(g: Expr, value: Expr) -> Pulled:
    """angle(z): i g/conj(z), 0 at 0"""
    (z,) = value.children
    return ((mul(Iverson(Compare("!=", z, ZERO)), Apply("complex", (ZERO, g)), inverse(Apply("conj", (z,)))), z),)


PULLED_BACK: dict[str, Callable[[Expr, Expr], Pulled]] = {
    "clip_gradient": _clipped,
    "conj": _conj,
    "real": _real,
    "imag": _imag,
    "complex": _complex,
    "complex_abs": _magnitude,
    "angle": _angle,
}
