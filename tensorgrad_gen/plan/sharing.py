"""Products of two factors that recur in several products get a name and are computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from tensorgrad_gen.algebra import abstract_key, by_name
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, Mul, Statement, Where, mul


@dataclass(slots=True)
class _Pair:
    """How often a product of two factors occurs, and where it was seen first."""

    count: int
    first: int
    example: Expr


def share_products(statements: list[Statement], names: Namer) -> list[Statement]:
    """The statements with recurring pairs of factors named, the most frequent first."""
    current = list(statements)
    while (pair := _best(current)) is not None:
        name, found = pair
        _, order = abstract_key(found.example)
        free = by_name(found.example.free)
        indices = tuple(i for i in current[found.first].indices if i in free)
        indices += tuple(i for i in free if i not in indices)
        indices = tuple(sorted(indices, key=lambda i: i.extent != "..."))
        target = names.name(describe(found.example))
        statement = Statement(target, indices, found.example)
        replaced = [_replace(s, name, target, indices, order) for s in current]
        current = [*replaced[: found.first], statement, *replaced[found.first :]]
    return current


def _candidates(product: Mul) -> list[Expr]:
    if any(isinstance(f, Iverson | Delta) for f in product.factors):
        return []  # a mask or a delta keeps its product whole
    return [f for f in product.factors if not scalar(f)]


def _masks(expr: Expr) -> bool:
    return isinstance(expr, Where) or (isinstance(expr, Mul) and any(isinstance(f, Iverson) for f in expr.factors))


def _unmasked(expr: Expr) -> Iterator[Expr]:
    """Every node outside of masks: what stands under one is read only where it holds."""
    yield expr
    if _masks(expr):
        return
    for child in expr.children:
        yield from _unmasked(child)


def _pairs(product: Mul) -> list[tuple[str, Expr]]:
    found = []
    for left, right in combinations(_candidates(product), 2):
        union = left.free | right.free
        if union in (left.free, right.free):  # never larger than its larger factor
            pair = mul(left, right)
            found.append((abstract_key(pair)[0], pair))
    return found


def _best(statements: list[Statement]) -> tuple[str, _Pair] | None:
    table: dict[str, _Pair] = {}
    for position, statement in enumerate(statements):
        for node in _unmasked(statement.value):
            if not isinstance(node, Mul):
                continue
            for name, pair in dict(_pairs(node)).items():
                entry = table.setdefault(name, _Pair(0, position, pair))
                entry.count += 1
    best = max(table.items(), key=lambda item: (item[1].count, len(item[1].example.free)), default=None)
    return best if best is not None and best[1].count > 1 else None


def _replace(
    statement: Statement, name: str, target: str, indices: tuple[Index, ...], order: tuple[Index, ...]
) -> Statement:
    def visit(node: Expr) -> Expr:
        if _masks(node):
            return node
        if node.children:
            node = node.rebuild(tuple(visit(c) for c in node.children))
        if isinstance(node, Mul):
            for left, right in combinations(_candidates(node), 2):
                found, own = abstract_key(mul(left, right))
                if found == name:
                    back = dict(zip(order, own, strict=True))
                    # One occurrence of each: a product may have the same factor twice.
                    rest = list(node.factors)
                    rest.remove(left)
                    rest.remove(right)
                    return mul(Access(target, tuple(back[i] for i in indices)), *rest)
        return node

    return Statement(statement.target, statement.indices, visit(statement.value), statement.kind)
