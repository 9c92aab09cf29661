"""Names for intermediates: after what they are, unique, valid in Python."""

from __future__ import annotations

import keyword

from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.functions import plain_name
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Const,
    Expr,
    Extent,
    Linalg,
    Mul,
    Param,
    Pow,
    Reduce,
    Scan,
    Sum,
    number,
)

_LONGEST = 28
_POWERS = {"2": "squared", "-1": "inverse", "1/2": "sqrt", "-1/2": "rsqrt"}


def describe(expr: Expr) -> str:
    """A name for the value: `sum_exp_x`, `x_squared`, `gw` stays with the user."""
    if isinstance(expr, Access):
        return expr.tensor
    if isinstance(expr, Param):
        return expr.name
    if isinstance(expr, Sum):
        return _join("sum", describe(expr.body))
    if isinstance(expr, Reduce | Scan):
        return _join(expr.kind, describe(expr.body))
    if isinstance(expr, Apply):
        return _join(plain_name(expr.function), *(describe(a) for a in expr.args[:1]))
    if isinstance(expr, Pow):
        exponent = number(expr.exponent)
        return _join(describe(expr.base), _POWERS.get(str(exponent), "power"))
    if isinstance(expr, Linalg):
        return _join(expr.kind, describe(expr.matrix))
    if isinstance(expr, Mul):
        parts = [f for f in factors_of(expr) if not isinstance(f, Const | Extent)]
        return _join(*(describe(f) for f in parts))
    if isinstance(expr, Add):
        return _join(*(describe(t) for t in expr.terms[:2]))
    return type(expr).__name__.lower()


def _join(*parts: str) -> str:
    kept = ""
    for part in parts:
        trial = f"{kept}_{part}" if kept else part
        if len(trial) > _LONGEST:
            break
        kept = trial
    return (kept or "".join(parts[:1])[:_LONGEST]).strip("_") or "value"


class Namer:
    """Hands out names that nothing has yet.

    `reserved` names are for those who ask for them as their own: the cotangent of `u_2` is `grad_u_2`,
    so no second `grad_u` may be called so.
    """

    def __init__(self, taken: set[str], reserved: set[str] | None = None) -> None:
        self.taken = taken
        self.reserved = reserved or set()

    def name(self, wanted: str, own: bool = False) -> str:
        """`wanted`, or with the smallest number that makes it new; `own`: it may be a reserved name."""
        if keyword.iskeyword(wanted):
            wanted += "_"
        trial, count = wanted, 1
        while trial in self.taken or (trial in self.reserved and not (own and trial == wanted)):
            count += 1
            trial = f"{wanted}_{count}"
        self.taken.add(trial)
        return trial


def derivative_names(tensors: set[str]) -> set[str]:
    """The names of cotangents and tangents of tensors."""
    return {f"{prefix}_{name}" for name in tensors for prefix in ("grad", "total_grad", "tangent")}
