"""Masked products that recur, up to a number, get a name and are computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from tensorgrad_gen.algebra import abstract_key, accesses, by_name
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import factors_of, reads_at_position, terms_of
from tensorgrad_gen.ir import Access, Expr, Index, Iverson, Mul, Statement, Sum, add, mul


def share_masked(statements: list[Statement], names: Namer) -> list[Statement]:
    """`a = [n > 0] u/n; b = -[n > 0] u/n` -> `t = [n > 0] u/n; a = t; b = -t`; a sum of them reads `t` too."""
    found = [_split(term) for s in statements for term in _products(s.value)]
    counts = Counter(abstract_key(own)[0] for _, own in (split for split in found if split is not None))
    made: dict[str, tuple[str, tuple[int, ...]]] = {}
    out: list[Statement] = []

    def read(term: Expr) -> Expr:
        split = _split(term)
        if split is None:
            return term
        numbers, own = split
        key, order = abstract_key(own)
        if counts[key] < 2:
            return term
        if key not in made:
            indices = _in_order(own)
            target = names.name(describe(mul(*(f for f in factors_of(own) if not isinstance(f, Iverson)))))
            out.append(Statement(target, indices, own))
            made[key] = target, tuple(order.index(i) for i in indices)
        target, places = made[key]
        return mul(*numbers, Access(target, tuple(order[k] for k in places)))

    for s in statements:
        value = _replaced(s.value, read)  # names what is new before
        out.append(Statement(s.target, s.indices, value, s.kind))
    return out


def _in_order(expr: Expr) -> tuple[Index, ...]:
    """The indices of the product in an order that as many of its tensors as may be have too."""
    orders = [[sub for sub in access.subs if isinstance(sub, Index)] for access in accesses(expr)]
    left, found = sorted(by_name(expr.free), key=lambda i: i.extent != "..."), []
    while left:
        behind = {later for own in orders for n, later in enumerate(own) if any(i in left for i in own[:n])}
        found.append(next((i for i in left if i not in behind), left[0]))
        left.remove(found[-1])
    return tuple(found)


def _products(expr: Expr) -> Iterator[Expr]:
    """The terms of the value; of a sum over indices, those that are summed."""
    for term in terms_of(expr):
        factors = factors_of(term)
        sums = [f for f in factors if isinstance(f, Sum)]
        if len(sums) == 1 and all(f is sums[0] or scalar(f) for f in factors):
            yield from terms_of(sums[0].body)
        else:
            yield term


def _replaced(expr: Expr, read: Callable[[Expr], Expr]) -> Expr:
    """The value with each of its products as it is read."""
    terms = []
    for term in terms_of(expr):
        factors = factors_of(term)
        sums = [f for f in factors if isinstance(f, Sum)]
        if len(sums) == 1 and all(f is sums[0] or scalar(f) for f in factors):
            body = add(*map(read, terms_of(sums[0].body)))
            terms.append(mul(*(Sum(f.indices, body) if f is sums[0] else f for f in factors)))
        else:
            terms.append(read(term))
    return add(*terms)


def _split(term: Expr) -> tuple[list[Expr], Expr] | None:
    """The numbers of a product, and the rest, if that has a mask of tensors and a factor with all axes."""
    if not isinstance(term, Mul):
        return None
    numbers = [f for f in term.factors if scalar(f)]
    rest = [f for f in term.factors if not scalar(f)]
    masks = [f for f in rest if isinstance(f, Iverson)]
    others = [f for f in rest if not isinstance(f, Iverson)]
    if not masks or not others or any(not accesses(f) or reads_at_position(f) for f in rest):
        return None
    return (numbers, mul(*rest)) if any(f.free == term.free for f in others) else None
