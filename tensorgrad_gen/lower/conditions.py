"""Conditions: comparisons, logic, and what is chosen between two of them."""

from __future__ import annotations

from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import reads_at_position, split_coefficient
from tensorgrad_gen.ir import Add, Compare, Const, Expr, Iverson, Logic, Where, neg
from tensorgrad_gen.ir import number as constant
from tensorgrad_gen.lower.arith import pointwise
from tensorgrad_gen.lower.builder import Builder, Rule, is_integer
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.pointwise import negated, where
from tensorgrad_gen.lower.torch_ir import Infix, Lit, Prefix
from tensorgrad_gen.lower.values import Val


def _sides(b: Builder, node: Compare) -> tuple[str, Expr, Expr]:
    """`1 - u > 0` as `u < 1`, `u - v > 0` as `u > v`: a difference is 0 for equal numbers alone, and need not be made.

    Not where it is made anyway.
    """
    terms = node.left.terms if isinstance(node.left, Add) else ()
    if node.op not in "<>" or constant(node.right) != 0 or len(terms) != 2 or node.left in b.shared:
        return node.op, node.left, node.right
    for first, second in (terms, terms[::-1]):
        negative = split_coefficient(second)[0] < 0
        if negative and not scalar(second):
            if scalar(first):  # the tensor stands on the left
                return {"<": ">", ">": "<"}[node.op], neg(second), first
            return node.op, first, neg(second)
    return node.op, node.left, node.right


def _condition_compare(b: Builder, node: Compare, order: Layout) -> Val:
    op, *sides = _sides(b, node)
    lower = b.integer if all(is_integer(side, b.labels) for side in sides) else b.lower
    left, right = (lower(side, order) for side in sides)
    kind = "flag" if left.scalar and right.scalar else "bool"
    return pointwise(Infix(op, left.expr, right.expr), left, right, kind=kind)


def _condition_logic(b: Builder, node: Logic, order: Layout) -> Val:
    if node.op == "not":
        part = b.condition(node.args[0], order)
        return part.over(Prefix("not " if part.kind == "flag" else "~", part.expr))
    parts = []
    for count, arg in enumerate(node.args):
        # A label is read where the conditions before it leave the answer open.
        decided = node.args[:count] if reads_at_position(arg) else ()
        with b.guarded(*(decided if node.op == "and" else map(negated, decided))):
            parts.append(b.condition(arg, order))
    whole = parts[0]
    for part in parts[1:]:
        kind = "flag" if whole.kind == part.kind == "flag" else "bool"
        whole = pointwise(Infix("&" if node.op == "and" else "|", whole.expr, part.expr), whole, part, kind=kind)
    return whole


def _condition_iverson(b: Builder, node: Iverson, order: Layout) -> Val:
    return b.condition(node.condition, order)


def _condition_const(b: Builder, node: Const, order: Layout) -> Val:
    return Val(Lit(node.value != 0), kind="flag")


def _condition_where(b: Builder, node: Where, order: Layout) -> Val:
    return where(b, node, order, "bool")


BOOL: dict[type, Rule] = {
    Compare: _condition_compare,
    Logic: _condition_logic,
    Iverson: _condition_iverson,
    Const: _condition_const,
    Where: _condition_where,
}
