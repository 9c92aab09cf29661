"""What is 0 where a condition is false: `z` outside of `|z| != 0`, a vector where its norm is 0.

There a quotient by the norm is that by infinity, and a product without a divisor needs no mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.algebra.indices import accesses, by_name, substitute
from tensorgrad_gen.algebra.keys import key
from tensorgrad_gen.algebra.parts import may_be_infinite, split_power
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Expr,
    Logic,
    Program,
    Reduce,
    Special,
    Statement,
    Where,
    number,
    power,
)

# Functions that are 0 where all their arguments are, and nowhere else.
_MAGNITUDES = ("abs", "complex_abs", "hypot")


def zero_outside(factor: Expr, condition: Expr, program: Program) -> bool:
    """Whether the factor is 0 wherever the condition, that a size of it is not, is false."""
    if not isinstance(condition, Compare) or condition.op != "!=" or number(condition.right) != 0:
        return False
    return _is_part(factor, condition.left, _meaning(condition.left, program))


def is_size(expr: Expr, program: Program) -> bool:
    """Whether the value is a magnitude or a norm: never below 0."""
    value = _meaning(expr, program)
    magnitude = isinstance(value, Apply) and value.function in _MAGNITUDES
    return magnitude or (isinstance(value, Reduce) and value.kind == "norm")


def is_compared(factor: Expr, condition: Expr) -> bool:
    """Whether the factor itself is compared with 0: `u` in `u != 0`, or in `u != 0 or v != 0`."""
    if isinstance(condition, Logic) and condition.op == "or":
        return any(is_compared(factor, arg) for arg in condition.args)
    unequal = isinstance(condition, Compare) and condition.op == "!=" and number(condition.right) == 0
    return unequal and isinstance(condition, Compare) and key(factor) == key(condition.left)


def masked_divisors(factors: Iterable[Expr], conditions: Sequence[Expr]) -> list[Expr] | None:
    """The factors with infinity for what divides where a condition is false; None if none does, or another may blow up.

    `u/n` is `u/where(n != 0, n, inf)`: 0 where the condition is false, and so are all its derivatives.
    """
    out, divides = [], False
    condition = conditions[0] if len(conditions) == 1 else Logic("and", tuple(conditions))
    for factor in factors:
        base, exponent = split_power(factor)
        if exponent < 0 and accesses(base):
            factor, divides = power(Where(condition, base, Special("inf")), exponent), True
        if may_be_infinite(base):
            return None
        out.append(factor)
    return out if divides else None


def _is_part(factor: Expr, size: Expr, value: Expr) -> bool:
    """Whether the size, whose value is this, is that of the factor: 0 only where that is."""
    if isinstance(value, Apply) and value.function in _MAGNITUDES:
        return key(factor) in map(key, value.args)
    if not isinstance(value, Reduce) or value.kind != "norm":
        return False
    own = by_name(factor.free - size.free)
    if len(own) != len(value.indices):
        return False
    return key(factor) == key(substitute(value.body, dict(zip(value.indices, own, strict=True))))


@lru_cache(maxsize=64)
def _values(statements: tuple[Statement, ...]) -> dict[str, Statement]:
    return {s.target: s for s in statements}


def _meaning(node: Expr, program: Program) -> Expr:
    """What a tensor that is read holds."""
    statement = _values(program.statements).get(node.tensor) if isinstance(node, Access) else None
    if statement is None or not isinstance(node, Access):
        return node
    return renamed(statement.value, statement.indices, node.subs)
