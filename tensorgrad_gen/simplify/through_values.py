"""Derivatives through values: `exp(x[i])` is `y[i]` where a statement says `y[i] = exp(x[i])`."""

from __future__ import annotations

from functools import lru_cache

from tensorgrad_gen.algebra import abstract_key, map_nodes
from tensorgrad_gen.algebra import simplify as normal
from tensorgrad_gen.algebra.hoist import Known
from tensorgrad_gen.ir import Access, Add, Apply, Expr, Index, Linalg, Pow, Program, Reduce, Scan, Sum, number, power


@lru_cache(maxsize=64)
def _tables(statements: tuple[object, ...]) -> tuple[Known, dict[str, tuple[str, tuple[Index, ...], tuple[Index, ...], object]]]:
    known = Known()
    powers: dict[str, tuple[str, tuple[Index, ...], tuple[Index, ...], object]] = {}
    for statement in statements:
        known.enter(statement)  # type: ignore[arg-type]
        value, indices = statement.value, statement.indices  # type: ignore[attr-defined]
        if isinstance(value, Pow) and number(value.exponent) is not None and value.free == frozenset(indices):
            name, order = abstract_key(value.base)
            powers.setdefault(name, (statement.target, indices, order, value.exponent))  # type: ignore[attr-defined]
    return known, powers


def through_values(expr: Expr, program: Program) -> Expr:
    """The expression with every value that has a name replaced by an access to it."""
    known, powers = _tables(program.statements)

    def visit(node: Expr) -> Expr:
        if isinstance(node, Pow):
            root = _as_power(node, powers)
            if root is not None:
                return root
        if isinstance(node, Add | Apply | Pow | Sum | Reduce | Scan | Linalg):
            found = known.find(node)
            if found is not None:
                return found
        return node

    return normal(map_nodes(expr, visit))


def _as_power(
    node: Pow, powers: dict[str, tuple[str, tuple[Index, ...], tuple[Index, ...], object]]
) -> Expr | None:
    """`u^q` as `t^(q/p)` where `t = u^p` has a name and `q/p` is an integer."""
    exponent = number(node.exponent)
    if exponent is None or isinstance(node.base, Access):
        return None
    name, order = abstract_key(node.base)
    found = powers.get(name)
    if found is None:
        return None
    target, indices, known, named = found
    ratio = exponent / number(named)  # type: ignore[arg-type, operator]
    if ratio.denominator != 1:
        return None
    back = dict(zip(known, order, strict=True))
    return power(Access(target, tuple(back[i] for i in indices)), ratio)
