"""Masks under a mask that says the same: `[c] f([c] a + b)` is `[c] f(a + b)`."""

from __future__ import annotations

from tensorgrad_gen.algebra import walk
from tensorgrad_gen.ir import Access, Add, Expr, Iverson, Mul, add, mul


def drop_implied(expr: Expr) -> Expr:
    """The expression without masks that one around them implies."""

    def visit(node: Expr, held: frozenset[Expr]) -> Expr:
        if node.bound:  # the same letter means another index there
            held = frozenset()
        if not isinstance(node, Mul):
            if not node.children or isinstance(node, Access):
                return node
            inner = node.rebuild(tuple(visit(child, held) for child in node.children))
            return add(*inner.terms) if isinstance(inner, Add) else inner
        inside, seen = held.union(f for f in node.factors if isinstance(f, Iverson)), set[Expr](held)
        factors: list[Expr] = []
        for factor in node.factors:
            if not isinstance(factor, Iverson):
                factors.append(visit(factor, inside))
            elif factor not in seen:
                factors.append(factor)
                seen.add(factor)
        return mul(*factors)

    return visit(expr, frozenset()) if any(isinstance(node, Iverson) for node in walk(expr)) else expr
