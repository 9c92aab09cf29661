"""What is read once and need not be held: it is computed where it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, apart, map_nodes
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.algebra.parts import terms_of
from tensorgrad_gen.ir import Access, Expr, Index, Mul, Scan, Statement


def softmax_inside(statements: Sequence[Statement], kept: set[str]) -> list[Statement]:
    """The statements, a softmax that one product reads once inside of that: its tensor is freed with the product."""
    reads = Counter(a.tensor for s in statements for a in accesses(s.value))
    done: list[Statement] = []
    inside: dict[str, Statement] = {}
    for statement in statements:
        statement = _with(statement, inside)
        value = statement.value
        once = reads[statement.target] == 1 and statement.target not in kept
        if once and isinstance(value, Scan) and value.kind == "softmax" and not _folded(statement, statements):
            inside[statement.target] = statement
        else:
            done.append(statement)
    return done


def _folded(own: Statement, statements: Sequence[Statement]) -> bool:
    """Whether the one reader is more than a product with plain subscripts, or a sum of such products."""
    (reader,) = (s for s in statements if any(a.tensor == own.target for a in accesses(s.value)))
    for term in terms_of(reader.value):
        factors = term.factors if isinstance(term, Mul) else (term,)
        for factor in factors:
            if isinstance(factor, Access) and factor.tensor == own.target:
                return not all(isinstance(sub, Index) for sub in factor.subs) or len(set(factor.subs)) < len(
                    factor.subs
                )
    return True


def _with(statement: Statement, inside: dict[str, Statement]) -> Statement:
    def visit(node: Expr) -> Expr:
        own = inside.get(node.tensor) if isinstance(node, Access) else None
        if own is None or not isinstance(node, Access):
            return node
        return renamed(apart(own.value, frozenset(statement.indices)), own.indices, node.subs)

    return replace(statement, value=map_nodes(statement.value, visit)) if inside else statement
