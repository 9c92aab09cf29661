"""Last looks at a statement: contractions of several products split, indices under plain letters."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.algebra import all_indices, by_name, map_nodes, substitute
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Add, Expr, Index, Iverson, Mul, Statement, Sub, Sum, add


def split_contractions(expr: Expr) -> Expr:
    """`sum_k (a[i,k] b[k,j] + c[i,k] d[k,j])` as two contractions: each is one matrix product.

    A sum over terms that have the same axes as the whole stays one pass over memory.
    """

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Sum) or not isinstance(node.body, Add):
            return node
        if not any(_contracts(term, node.body.free) for term in node.body.terms):
            return node
        return add(*(Sum(node.indices, term) for term in node.body.terms))

    return map_nodes(expr, visit)


def _contracts(term: Expr, whole: frozenset[Index]) -> bool:
    """Whether the term is a product none of whose factors has all the axes."""
    factors = [f for f in factors_of(term) if not scalar(f)]
    if len(factors) < 2 or any(isinstance(f, Iverson) for f in factors):
        return False
    return not any(f.free == whole for f in factors)


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
    return replace(statement, indices=indices, value=_plain_bound(value, {i.name for i in indices}))


def _plain_bound(expr: Expr, used: set[str]) -> Expr:
    """Dummies under their stems, as long as nothing around or inside has the name."""
    if isinstance(expr, Sum):
        for index in by_name(expr.indices):
            stem = index.name.rstrip("0123456789")
            taken = used | {i.name for i in all_indices(expr) if i is not index}
            if stem and stem != index.name and stem not in taken:
                new = Index(stem, index.extent)
                indices = tuple(new if i is index else i for i in expr.indices)
                expr = Sum(indices, substitute(expr.body, {index: new}))
        return Sum(expr.indices, _plain_bound(expr.body, used | {i.name for i in expr.indices}))
    if isinstance(expr, Add | Mul):
        return expr.rebuild(tuple(_plain_bound(c, used) for c in expr.children))
    return expr


__all__ = ["plain_letters", "split_contractions"]
