"""Intermediates that are the same along an index lose it: what reads them says where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorgrad_gen.algebra.indices import map_nodes
from tensorgrad_gen.algebra.rewrite import simplify
from tensorgrad_gen.ir import Access, Expr, Statement


def drop_broadcasts(statements: Sequence[Statement], kept: set[str]) -> list[Statement]:
    """`u[c,a] = 2 s[a]` becomes `u[a] = 2 s[a]`, and a sum over `c` of it counts `c`; `kept` stay as declared."""
    places: dict[str, tuple[int, ...]] = {}  # the axes that are left, of each tensor that lost one
    out = []
    for statement in statements:
        value = simplify(_read(statement.value, places)) if places else statement.value
        left = tuple(n for n, i in enumerate(statement.indices) if i in value.free)
        if statement.target not in kept and len(left) < len(statement.indices):
            places[statement.target] = left
            indices = tuple(statement.indices[n] for n in left)
            statement = replace(statement, indices=indices)
        out.append(replace(statement, value=value))
    return out


def _read(value: Expr, places: dict[str, tuple[int, ...]]) -> Expr:
    def visit(node: Expr) -> Expr:
        if isinstance(node, Access) and node.tensor in places:
            return Access(node.tensor, tuple(node.subs[n] for n in places[node.tensor]))
        return node

    return map_nodes(value, visit)
