"""A product, split into what stands before the fraction bar, below it, and under a sum."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.ir import Const, Expr, Extent, Iverson, Mul, Pow, Sum
from tensorgrad_gen.notation.printer import exponent


@dataclass(frozen=True, slots=True)
class Product:
    """`sign * over / under * above / below * sums`.

    `over / under` is the coefficient: a positive rational and extents; `above`, `below` are the
    other factors, `below` with positive exponents; `sums` are the sums, printed last.
    """

    minus: bool
    over: tuple[Expr, ...]
    under: tuple[Expr, ...]
    above: tuple[Expr, ...]
    below: tuple[Expr, ...]
    sums: tuple[Expr, ...]


def flatten(expr: Expr) -> tuple[Expr, ...]:
    """The factors, those of nested products included."""
    if not isinstance(expr, Mul):
        return (expr,)
    return tuple(f for factor in expr.factors for f in flatten(factor))


def _reciprocal(expr: Pow, value: Fraction) -> Expr:
    """`1/expr` with a positive exponent."""
    if value == -1:
        return expr.base
    return Pow(expr.base, Const(-value))


def split(expr: Expr) -> Product:
    """Sort the factors of a product into their places."""
    constant = Fraction(1)
    over: list[Expr] = []
    under: list[Expr] = []
    above: list[Expr] = []
    below: list[Expr] = []
    sums: list[Expr] = []
    for factor in flatten(expr):
        value = exponent(factor)
        if isinstance(factor, Const):
            constant *= factor.value
        elif isinstance(factor, Sum):
            sums.append(factor)
        elif isinstance(factor, Pow) and value is not None and value < 0:
            (under if isinstance(factor.base, Extent) else below).append(_reciprocal(factor, value))
        else:
            base = factor.base if isinstance(factor, Pow) else factor
            (over if isinstance(base, Extent) else above).append(factor)
    if abs(constant) != 1:
        size = abs(constant)
        if size.denominator <= 64 and (under or not (above or sums)):
            over[:0] = [Const(Fraction(size.numerator))] if size.numerator != 1 else []
            under[:0] = [Const(Fraction(size.denominator))] if size.denominator != 1 else []
        else:
            over.insert(0, Const(size))
    above.sort(key=lambda f: not isinstance(f, Iverson))  # a condition first: it says where the rest counts
    return Product(constant < 0, tuple(over), tuple(under), tuple(above), tuple(below), tuple(sums))
