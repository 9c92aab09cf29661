"""Masks that hide nothing but zeros: `[x > 0] relu(x)` is `relu(x)`, `[|z| != 0] z` is `z`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tensorgrad_gen.algebra import key, map_nodes
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.algebra.indices import by_name, substitute
from tensorgrad_gen.algebra.parts import may_be_infinite, split_power
from tensorgrad_gen.ir import Access, Apply, Compare, Expr, Iverson, Mul, Program, Reduce, mul, number

Meaning: TypeAlias = Callable[[Expr], Expr]  # what a tensor holds

# Functions that are 0 where their argument is, and nowhere else.
_MAGNITUDES = ("abs", "complex_abs")


def drop_masks(expr: Expr, program: Program) -> Expr:
    """The expression without masks beside a factor that is 0 where they are, if no other may be infinite there."""
    values = {s.target: s for s in program.statements}

    def meaning(node: Expr) -> Expr:
        statement = values.get(node.tensor) if isinstance(node, Access) else None
        return (
            renamed(statement.value, statement.indices, node.subs) if statement and isinstance(node, Access) else node
        )

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Mul):
            return node
        for mask in node.factors:
            rest = tuple(f for f in node.factors if f is not mask)
            if (
                isinstance(mask, Iverson)
                and isinstance(mask.condition, Compare)
                and not any(map(may_be_infinite, rest))
            ):
                bases = [base for base, exponent in map(split_power, rest) if exponent > 0]
                if any(_is_zero_outside(base, meaning(base), mask.condition, meaning) for base in bases):
                    return visit(mul(*rest))
        return node

    return map_nodes(expr, visit)


def _is_zero_outside(factor: Expr, value: Expr, condition: Compare, of: Meaning) -> bool:
    """Whether the factor, whose value is this, is 0 wherever the condition is false."""
    left = condition.left
    if number(condition.right) != 0:
        return False
    if condition.op == ">":
        rectified = Apply("relu", (left,))
        return (
            key(factor) == key(rectified)
            or key(value) == key(rectified)
            or (key(factor) == key(left) and _rectifies(value))
        )
    if condition.op != "!=":
        return False
    size = of(left)
    if isinstance(size, Apply) and size.function in _MAGNITUDES:
        return key(factor) == key(size.args[0])
    if isinstance(size, Reduce) and size.kind == "norm":
        own = by_name(factor.free - left.free)
        if len(own) == len(size.indices):
            return key(factor) == key(substitute(size.body, dict(zip(size.indices, own, strict=True))))
    return False


def _rectifies(value: Expr) -> bool:
    return isinstance(value, Apply) and value.function == "relu"
