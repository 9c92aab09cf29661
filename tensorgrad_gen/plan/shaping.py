"""Contractions of several products split: each is one matrix product."""

from __future__ import annotations

from tensorgrad_gen.algebra import map_nodes
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Add, Expr, Index, Iverson, Sum, add


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
