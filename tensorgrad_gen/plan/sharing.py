"""Products of two factors that recur in several products get a name and are computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

from tensorgrad_gen.algebra import abstract_key, accesses, by_name, map_nodes
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.indices import substitute
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, Mul, Statement, Sum, Where, mul


@dataclass(slots=True)
class _Pair:
    """How often a product of two factors occurs, and where it was seen first."""

    count: int
    first: int
    example: Expr


def share_products(
    statements: list[Statement], names: Namer, results: frozenset[str], scales: bool = False
) -> list[Statement]:
    """The statements with recurring pairs of factors named, the most frequent first.

    With `scales`, what a tensor without indices scales in one product is so scaled in contractions, too.
    A pair that is all there is of a statement has its name, unless that is one of the results.
    """
    current = list(statements)
    made: set[str] = set()
    while (pair := _best(current, scales)) is not None:
        name, found = pair
        _, order = abstract_key(found.example)
        free = by_name(found.example.free)
        indices = tuple(i for i in current[found.first].indices if i in free)
        indices += tuple(i for i in free if i not in indices)
        indices = tuple(sorted(indices, key=lambda i: i.extent != "..."))
        target = names.name(describe(found.example))
        made.add(target)
        statement = Statement(target, indices, found.example)
        replaced = [
            _replace(s, name, target, indices, order, scales)
            if any(n == name for n, _ in _tally(s.value, scales))
            else s
            for s in current
        ]
        current = _without_copies([*replaced[: found.first], statement, *replaced[found.first :]], statement, results)
    return _back_where_read_once(current, made)


def _back_where_read_once(statements: list[Statement], made: set[str]) -> list[Statement]:
    """A product that further sharing has left one reader goes back there."""
    reads = Counter(access.tensor for s in statements for access in accesses(s.value))
    once = {s.target: s for s in statements if s.target in made and reads[s.target] == 1}

    def visit(node: Expr) -> Expr:
        if isinstance(node, Mul):
            return mul(*node.factors)
        if not isinstance(node, Access) or node.tensor not in once:
            return node
        own = once[node.tensor]
        return map_nodes(substitute(own.value, dict(zip(own.indices, node.subs, strict=True))), visit)

    return [replace(s, value=map_nodes(s.value, visit)) for s in statements if s.target not in once]


def _without_copies(statements: list[Statement], shared: Statement, results: frozenset[str]) -> list[Statement]:
    """`s = a b; t = s` -> `t = a b`, and `t` for every other copy of `s`."""
    copies = [s for s in statements if s.target not in results and _copies(s, shared)]
    if not copies:
        return statements
    first = copies[0]
    places = {s.target: s for s in copies} | {shared.target: shared}

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Access) or node.tensor not in places or node.tensor == first.target:
            return node
        own = places[node.tensor]
        if own is not shared:  # the subscripts as the shared product has them
            at = dict(zip(own.indices, node.subs, strict=True))
            assert isinstance(own.value, Access)
            node = Access(shared.target, tuple(at[i] for i in own.value.subs if isinstance(i, Index)))
        assert isinstance(first.value, Access)
        position = {sub: node.subs[k] for k, sub in enumerate(first.value.subs)}
        return Access(first.target, tuple(position[i] for i in first.indices))

    made = Statement(first.target, first.indices, _under(shared, first))
    return [made if s is shared else replace(s, value=map_nodes(s.value, visit)) for s in statements if s not in copies]


def _copies(statement: Statement, shared: Statement) -> bool:
    """Whether the statement is the shared product and nothing else, its axes in any order."""
    value = statement.value
    return (
        isinstance(value, Access)
        and value.tensor == shared.target
        and set(value.subs) == set(statement.indices)
        and len(set(value.subs)) == len(shared.indices)
    )


def _under(shared: Statement, copy: Statement) -> Expr:
    """The shared product on the indices of its copy."""
    assert isinstance(copy.value, Access)
    return substitute(shared.value, dict(zip(shared.indices, copy.value.subs, strict=True)))


def _candidates(product: Mul, bound: frozenset[Index], scales: bool = False) -> list[tuple[Expr, Expr]]:
    """Pairs of factors that may be multiplied alone.

    Not a matrix and a vector over whose index the product is summed, if nothing else has it: that is contracted; nor,
    under a sum, a tensor without indices, unless it `scales` the other elsewhere: the order of contraction says what
    it scales.
    """
    if any(isinstance(f, Iverson | Delta) for f in product.factors):
        return []  # a mask or a delta keeps its product whole
    pairs = list(combinations([f for f in product.factors if not scalar(f)], 2))
    counts = Counter(index for factor in product.factors for index in factor.free & bound)
    return [
        (left, right)
        for left, right in pairs
        if (scales or not (bound and len(left.free) * len(right.free) == 0))
        and (left.free == right.free or not any(counts[index] == 2 for index in left.free & right.free & bound))
    ]


def _masks(expr: Expr) -> bool:
    return isinstance(expr, Where) or (isinstance(expr, Mul) and any(isinstance(f, Iverson) for f in expr.factors))


def _unmasked(expr: Expr, bound: frozenset[Index] = frozenset()) -> Iterator[tuple[Expr, frozenset[Index]]]:
    """Every node outside of masks, and what is summed right over it: what a mask holds is read only where it says."""
    stack = [(expr, bound)]
    while stack:
        node, around = stack.pop()
        yield node, around
        if node.children and not _masks(node):
            own = _bound(node)
            stack += [(child, own) for child in reversed(node.children)]


def _bound(expr: Expr) -> frozenset[Index]:
    return frozenset(expr.indices) if isinstance(expr, Sum) else frozenset()


def _pairs(product: Mul, bound: frozenset[Index], scales: bool = False) -> list[tuple[str, Expr]]:
    found = []
    for left, right in _candidates(product, bound, scales):
        union = left.free | right.free
        if union in (left.free, right.free):  # never larger than its larger factor
            pair = mul(left, right)
            found.append((abstract_key(pair)[0], pair))
    return found


@lru_cache(maxsize=4096)
def _tally(value: Expr, scales: bool = False) -> tuple[tuple[str, Expr], ...]:
    """The pairs of every product in the value; of equal ones in a product the last."""
    products = ((node, bound) for node, bound in _unmasked(value) if isinstance(node, Mul))
    return tuple(item for product, bound in products for item in dict(_pairs(product, bound, scales)).items())


def _best(statements: list[Statement], scales: bool) -> tuple[str, _Pair] | None:
    table: dict[str, _Pair] = {}
    for position, statement in enumerate(statements):
        for name, pair in _tally(statement.value):
            entry = table.setdefault(name, _Pair(0, position, pair))
            entry.count += 1
    # What is smaller than the product that it stands in is made before the rest of that.
    small = {n for n, pair in table.items() if pair.example.free < set(statements[pair.first].indices)}
    for position, statement in enumerate(statements if scales else ()):
        for name, _ in set(_tally(statement.value, scales)) - set(_tally(statement.value)):
            if name in small:
                table[name].count += 1
                table[name].first = min(table[name].first, position)
    best = max(table.items(), key=lambda item: (item[1].count, len(item[1].example.free)), default=None)
    return best if best is not None and best[1].count > 1 else None


def _replace(
    statement: Statement, name: str, target: str, indices: tuple[Index, ...], order: tuple[Index, ...], scales: bool
) -> Statement:
    def visit(node: Expr, bound: frozenset[Index] = frozenset()) -> Expr:
        if _masks(node):
            return node
        if node.children:
            node = node.rebuild(tuple(visit(c, _bound(node)) for c in node.children))
        if isinstance(node, Mul):
            for left, right in _candidates(node, bound, scales):
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
