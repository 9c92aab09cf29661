"""Cotangents with the same value, up to the names and the order of indices, become one."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.algebra import abstract_key, map_nodes
from tensorgrad_gen.algebra import simplify as normal
from tensorgrad_gen.ir import Access, Expr, Index, Statement


def merge_equal(statements: list[Statement], wanted: set[str]) -> list[Statement]:
    """`s[i,j] = e; t[j,i] = e` -> `s[i,j] = e`, and `s[i,j]` for `t[j,i]`; what is wanted stays."""
    known: dict[str, tuple[Statement, tuple[Index, ...]]] = {}
    places: dict[str, tuple[str, tuple[int, ...]]] = {}  # a dropped target -> the one kept, and where its subscripts go

    def visit(node: Expr) -> Expr:
        if isinstance(node, Access) and node.tensor in places:
            target, order = places[node.tensor]
            return Access(target, tuple(node.subs[place] for place in order))
        return node

    kept: list[Statement] = []
    for statement in statements:
        value = map_nodes(statement.value, visit) if places else statement.value
        if value is not statement.value:
            statement = replace(statement, value=normal(value))
        name, order = abstract_key(statement.value)
        if statement.target in wanted or set(order) != set(statement.indices):
            kept.append(statement)
            continue
        first, own = known.setdefault(name, (statement, order))
        if first is statement:
            kept.append(statement)
            continue
        twin = dict(zip(own, order, strict=True))
        places[statement.target] = (first.target, tuple(statement.indices.index(twin[i]) for i in first.indices))
    return kept
