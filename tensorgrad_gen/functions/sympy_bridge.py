"""The table's functions as SymPy functions, whose `fdiff` is the row.

SymPy checks the rows in tests.  Nothing here reads text: objects are built from the IR, node by node.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import sympy

from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Expr,
    IRError,
    Iverson,
    Logic,
    Mul,
    Param,
    Pow,
    Special,
    Where,
)

SPECIAL = {"pi": sympy.pi, "inf": sympy.oo, "nan": sympy.nan}
RELATION = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}
LOGIC = {"and": sympy.And, "or": sympy.Or, "not": sympy.Not}


@cache
def sympy_function(name: str) -> Any:
    """The SymPy function class of a row: differentiated by the row's law, evaluated by its definition."""
    row = FUNCTIONS[name]

    def fdiff(self: Any, argindex: int = 1) -> Any:
        slots = tuple(Param(f"_{k}", "real") for k in range(len(self.args)))
        numbers = {f"_{k}": arg for k, arg in enumerate(self.args)}
        partial = row.partials(tuple(_constant(a) or s for a, s in zip(self.args, slots)))[argindex - 1]
        return sympy.S.Zero if partial is None else to_sympy(partial, numbers)

    def definition(self: Any) -> Any:
        return row.sympy(sympy, *self.args)

    def evalf(self: Any, precision: int) -> Any:
        return definition(self)._eval_evalf(precision)

    body = {"fdiff": fdiff, "definition": definition, "_eval_evalf": evalf, "__doc__": row.title}
    return type(name, (sympy.Function,), body)


def _constant(expr: Any) -> Const | None:
    """A rational as a node: the order of a family of functions must be one."""
    from fractions import Fraction

    return Const(Fraction(int(expr.p), int(expr.q))) if isinstance(expr, sympy.Rational) and expr.is_finite else None


def to_sympy(expr: Expr, symbols: dict[str, Any]) -> Any:
    """A pointwise expression as a SymPy one; `symbols` gives what each tensor or param becomes."""

    def convert(node: Expr) -> Any:
        return to_sympy(node, symbols)

    laws: dict[type[Expr], Callable[[Any], Any]] = {
        Const: lambda e: sympy.Rational(e.value.numerator, e.value.denominator),
        Special: lambda e: SPECIAL[e.name],
        Param: lambda e: symbols[e.name],
        Access: lambda e: symbols[e.tensor],
        Add: lambda e: sympy.Add(*map(convert, e.terms)),
        Mul: lambda e: sympy.Mul(*map(convert, e.factors)),
        Pow: lambda e: sympy.Pow(convert(e.base), convert(e.exponent)),
        Apply: lambda e: sympy_function(e.function)(*map(convert, e.args)),
        Compare: lambda e: RELATION[e.op](convert(e.left), convert(e.right)),
        Logic: lambda e: LOGIC[e.op](*map(convert, e.args)),
        Iverson: lambda e: sympy.Piecewise((1, convert(e.condition)), (0, True)),
        Where: lambda e: sympy.Piecewise((convert(e.then), convert(e.condition)), (convert(e.other), True)),
    }
    law = laws.get(type(expr))
    if law is None:
        raise IRError(f"{type(expr).__name__} is not pointwise")
    return law(expr)
