"""Masks under a mask that says the same: `[c] f([c] a + b)` is `[c] f(a + b)`."""

from __future__ import annotations

from tensorgrad_gen.algebra.hidden_zeros import is_size
from tensorgrad_gen.ir import Access, Add, Compare, Expr, Iverson, Mul, Program, add, mul, number


def drop_implied(expr: Expr, program: Program) -> Expr:
    """The expression without masks that one around them implies; that a size is above 0 is that it is not 0."""

    def visit(node: Expr, held: frozenset[Expr]) -> Expr:
        if node.bound:  # the same letter means another index there
            held = frozenset()
        if not isinstance(node, Mul):
            if not node.children or isinstance(node, Access):
                return node
            inner = node.rebuild(tuple(visit(child, held) for child in node.children))
            return add(*inner.terms) if isinstance(inner, Add) else inner
        masks = {f: Iverson(_not_zero(f.condition, program)) for f in node.factors if isinstance(f, Iverson)}
        inside, seen = held.union(masks.values()), set[Expr](held)
        factors: list[Expr] = []
        for factor in node.factors:
            if not isinstance(factor, Iverson):
                factors.append(visit(factor, inside))
            elif masks[factor] not in seen:
                factors.append(masks[factor])
                seen.add(masks[factor])
        return mul(*factors)

    return visit(expr, frozenset())


def _not_zero(condition: Expr, program: Program) -> Expr:
    """`r > 0` as `r != 0`, where `r` is never below."""
    above = isinstance(condition, Compare) and condition.op == ">" and number(condition.right) == 0
    if above and isinstance(condition, Compare) and is_size(condition.left, program):
        return Compare("!=", condition.left, condition.right)
    return condition
