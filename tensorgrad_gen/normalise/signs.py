"""Signs that cost nothing where they stand: `-logsigmoid(a - b)` is `softplus(b - a)`, which takes no minus at all."""

from __future__ import annotations

from tensorgrad_gen.algebra import map_nodes
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.ir import Add, Apply, Expr, Mul, Sum, const, mul, neg
from tensorgrad_gen.ir import add as total
from tensorgrad_gen.ir.build import ONE


def without_signs(expr: Expr) -> Expr:
    """The expression with `-n logsigmoid(z)`, or a sum of it, as `n softplus(-z)`, where `-z` takes no call more.

    Neither does its derivative, `sigmoid(-z)`: forward and backward have the same argument.
    """
    return map_nodes(expr, _visit)


def _visit(node: Expr) -> Expr:
    coefficient, rest = split_coefficient(node)
    if coefficient >= 0:
        return node
    own = [f for f in factors_of(rest) if not scalar(f)]
    inner = own[0].body if len(own) == 1 and isinstance(own[0], Sum) else own[0] if len(own) == 1 else None
    if not isinstance(inner, Apply) or inner.function != "logsigmoid":
        return node
    argument = _negative(inner.args[0])
    if argument is None:
        return node
    value: Expr = Apply("softplus", (argument, ONE))
    value = Sum(own[0].indices, value) if isinstance(own[0], Sum) else value
    return mul(const(-coefficient), *(f for f in factors_of(rest) if scalar(f)), value)


def _negative(expr: Expr) -> Expr | None:
    """Minus the expression, if it is a difference, the multiple of one, or a number times something."""
    if isinstance(expr, Add):
        terms = terms_of(expr)
        return total(*map(neg, terms)) if any(split_coefficient(t)[0] < 0 for t in terms) else None
    if not isinstance(expr, Mul):
        return None
    for factor in expr.factors:
        found = _negative(factor) if isinstance(factor, Add) else None
        if found is not None:
            return mul(*(found if f is factor else f for f in expr.factors))
    return neg(expr) if any(map(scalar, expr.factors)) else None


__all__ = ["without_signs"]
