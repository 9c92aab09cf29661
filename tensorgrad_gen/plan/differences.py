"""Differences that spread over more axes than either tensor has: made once for the contractions that read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tensorgrad_gen.algebra import abstract_key, map_nodes, walk
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import split_coefficient
from tensorgrad_gen.ir import Access, Add, Delta, Expr, Index, Iverson, Mul, Pow, Statement, Sum, Where
from tensorgrad_gen.plan.masked import in_order


def share_differences(statements: list[Statement], names: Namer) -> list[Statement]:
    """`a = sum_j g[i,j] (x[i,d] - z[j,d]); b = sum_i g[i,j] (x[i,d] - z[j,d])` -> `t = x - z; a = sum_j g t; b = ..`.

    Each would make the tensor of all indices for itself, in an order of its own; a product takes any.
    """
    counts = Counter(key for s in statements for key in {abstract_key(own)[0] for own in _contracted(s.value)})
    made: dict[str, tuple[str, tuple[int, ...]]] = {}
    out: list[Statement] = []

    def read(node: Expr) -> Expr:
        if not isinstance(node, Add) or not _spreads(node):
            return node
        key, order = abstract_key(node)
        if counts[key] < 2:
            return node
        if key not in made:
            indices = in_order(node)
            target = names.name(describe(node))
            out.append(Statement(target, indices, node))
            made[key] = target, tuple(order.index(i) for i in indices)
        target, places = made[key]
        return Access(target, tuple(order[k] for k in places))

    for s in statements:
        # Only what is contracted is read: elsewhere a difference is part of a pass that is made anyway.
        value = map_nodes(s.value, lambda node: map_nodes(node, read) if _contracts(node) else node)
        out.append(Statement(s.target, s.indices, value, s.kind))
    return out


def _contracts(node: Expr) -> bool:
    """Whether the node is a sum over a product; not under a mask, which keeps what it hides unread."""
    return isinstance(node, Sum) and isinstance(node.body, Mul) and not any(map(_hides, node.body.factors))


def _hides(factor: Expr) -> bool:
    return isinstance(factor, Iverson | Delta) or any(isinstance(node, Where) for node in walk(factor))


def _contracted(value: Expr) -> Iterator[Expr]:
    """The spreading differences that are factors, or powers of them, of something contracted."""
    for node in walk(value):
        if _contracts(node):
            for factor in node.children[0].children:
                base = factor.base if isinstance(factor, Pow) else factor
                if isinstance(base, Add) and _spreads(base):
                    yield base


def _spreads(node: Add) -> bool:
    """Whether the terms are tensors read at plain indices, none with all of them."""
    terms = [split_coefficient(term) for term in node.terms]
    return all(
        abs(number) == 1
        and isinstance(own, Access)
        and own.free < node.free
        and all(isinstance(sub, Index) for sub in own.subs)
        for number, own in terms
    )
