"""How much of an expression may overflow or cancel: a rule makes less of it, so that none undoes another."""

from __future__ import annotations

from functools import lru_cache

from tensorgrad_gen.algebra.parts import split_coefficient
from tensorgrad_gen.ir import Add, Apply, Expr, Mul, Pow, number

RISKS = {
    **dict.fromkeys(("exp", "cosh", "sinh", "expm1"), 2),
    **dict.fromkeys(("sigmoid", "tanh", "sech", "sech_squared", "softplus", "logsigmoid", "log_cosh"), 1),
}


@lru_cache(maxsize=20_000)
def risk(expr: Expr) -> int:
    """How much of the expression may overflow or cancel: what a rule makes less of."""
    own = 0
    if isinstance(expr, Apply):
        own = RISKS.get(expr.function, 0)
    if isinstance(expr, Pow):
        exponent = number(expr.exponent)
        own = 2 if exponent is None else int(exponent.denominator != 1 and exponential(expr.base))
    if isinstance(expr, Pow) and isinstance(expr.base, Apply):
        n = -int(number(expr.exponent) or 0)
        if expr.base.function == "expm1":
            own = max(n - 1, 0)  # its power overflows before it does
        if expr.base.function == "sigmoid":
            own = max(own, n)  # it is 0 far from 0
    if isinstance(expr, Add):
        own = 2 * (sum(exponential(term) or number(term) is not None for term in expr.terms) - 1)
        own = max(own, 0) if any(exponential(term) for term in expr.terms) else 0
    return own + sum(risk(child) for child in expr.children)


def exponential(term: Expr) -> bool:
    """Whether a function of exponentials is a factor of the term."""
    _, rest = split_coefficient(term)
    if isinstance(rest, Mul):
        return any(exponential(f) for f in rest.factors)
    if isinstance(rest, Pow):
        return exponential(rest.base) or number(rest.exponent) is None
    return isinstance(rest, Apply) and rest.function in RISKS and rest.function != "softplus"
