"""Masks that hide nothing but zeros: `[|z| != 0] z` is `z`."""

from __future__ import annotations

from tensorgrad_gen.algebra import map_nodes
from tensorgrad_gen.algebra.hidden_zeros import zero_outside
from tensorgrad_gen.algebra.parts import may_be_infinite, split_power
from tensorgrad_gen.ir import Expr, Iverson, Mul, Program, mul


def drop_masks(expr: Expr, program: Program) -> Expr:
    """The expression without masks beside a factor that is 0 where they are, if no other may be infinite there."""

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Mul):
            return node
        for mask in node.factors:
            rest = tuple(f for f in node.factors if f is not mask)
            if not isinstance(mask, Iverson) or any(map(may_be_infinite, rest)):
                continue
            bases = [base for base, exponent in map(split_power, rest) if exponent > 0]
            if any(zero_outside(base, mask.condition, program) for base in bases):
                return visit(mul(*rest))
        return node

    return map_nodes(expr, visit)
