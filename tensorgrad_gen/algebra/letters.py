"""Indices under letters that a reader expects."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.algebra.indices import all_indices, apart, by_name, substitute
from tensorgrad_gen.ir import Expr, Index, Reduce, Statement, Sub, Sum


def readable(statement: Statement) -> Statement:
    """The statement with no dummy that has the letter of an index around it, and plain letters otherwise."""
    value = apart(statement.value, frozenset(statement.indices))
    return plain_letters(replace(statement, value=value))


def plain_dummies(statement: Statement) -> Statement:
    """The statement with its dummies alone under plain letters."""
    return replace(statement, value=_plain_bound(statement.value, {i.name for i in statement.indices}))


def plain_letters(statement: Statement) -> Statement:
    """The statement with each index under its stem where that is free: `h1` as `h`."""
    value = statement.value
    names = {i.name for i in all_indices(value)} | {i.name for i in statement.indices}
    renaming: dict[Index, Sub] = {}
    for index in statement.indices:
        stem = index.name.rstrip("0123456789")
        if stem and stem != index.name and stem not in names:
            names.add(stem)
            renaming[index] = Index(stem, index.extent)
    if renaming:
        value = substitute(value, renaming)
    indices = tuple(n if isinstance(n := renaming.get(i, i), Index) else i for i in statement.indices)
    return plain_dummies(replace(statement, indices=indices, value=value))


def _plain_bound(expr: Expr, used: set[str]) -> Expr:
    """Dummies under their stems, as long as nothing around or inside has the name."""
    if not expr.children:
        return expr
    if isinstance(expr, Sum | Reduce):
        for index in by_name(expr.indices):
            stem = index.name.rstrip("0123456789")
            taken = used | {i.name for i in all_indices(expr) if i is not index}
            if stem and stem != index.name and stem not in taken:
                expr = _rename_one(expr, index, Index(stem, index.extent))
    inner = used | {i.name for i in expr.bound}
    children = tuple(_plain_bound(child, inner) for child in expr.children)
    return expr if children == expr.children else expr.rebuild(children)


def _rename_one(expr: Sum | Reduce, old: Index, new: Index) -> Sum | Reduce:
    indices = tuple(new if i is old else i for i in expr.indices)
    body = substitute(expr.body, {old: new})
    return Sum(indices, body) if isinstance(expr, Sum) else Reduce(expr.kind, indices, body)
