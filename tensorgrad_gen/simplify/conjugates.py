"""Conjugates that meet: `conj(r conj(z)) -> r z` for a real `r`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import map_nodes, walk
from tensorgrad_gen.derive.conjugate import conjugate
from tensorgrad_gen.ir import Apply, Expr, Program, Statement, complex_of, complex_tensors
from tensorgrad_gen.simplify.through_values import through_values


def fewer_conjugates(statements: Sequence[Statement], program: Program, roots: Sequence[str]) -> list[Statement]:
    """The statements, each conjugate moved inside what it is of where that leaves fewer: each is a pass over memory."""
    given = complex_of(program)
    if not given:
        return list(statements)
    given |= {f"grad_{root}" for root in roots if root in given}
    complex_ = complex_tensors(statements, given)

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Apply) or node.function != "conj":
            return node
        inside = through_values(conjugate(node.args[0], complex_), program)
        return inside if _count(inside) < _count(node) else node

    return [replace(s, value=map_nodes(s.value, visit)) for s in statements]


def _count(expr: Expr) -> int:
    return sum(1 for node in walk(expr) if isinstance(node, Apply) and node.function == "conj")
