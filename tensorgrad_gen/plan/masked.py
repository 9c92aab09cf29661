"""Masked products that recur, up to a number, get a name and are computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

from tensorgrad_gen.algebra import abstract_key, accesses, by_name
from tensorgrad_gen.algebra.hidden_zeros import is_compared, masked_divisors
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import factors_of, reads_at_position, split_power, terms_of
from tensorgrad_gen.ir import Access, Expr, Index, Iverson, Mul, Program, Statement, Sum, add, mul

Split: TypeAlias = Callable[[Expr], "tuple[list[Expr], Expr] | None"]  # what stays in a product, and what may be shared


def share_masked(statements: list[Statement], names: Namer, program: Program) -> list[Statement]:
    """`a = [n > 0] u/n; b = -[n > 0] u/n` -> `t = [n > 0] u/n; a = t; b = -t`; a sum of them reads `t` too.

    Then what is left but for factors that are compared with 0: `[a != 0 or b != 0] g a/r` and `.. g b/r` are `t a` and
    `t b` with `t = g/where(a != 0 or b != 0, r, inf)`.  Not a factor beside its size: `a/hypot(a, b)` is never above 1.
    """
    return _shared(_shared(statements, names, _whole), names, lambda term: _inside(term, program))


def _shared(statements: list[Statement], names: Namer, split_: Split) -> list[Statement]:
    """The statements with what recurs of the products, as they are split, named."""
    found = [split_(term) for s in statements for term in _products(s.value)]
    counts = Counter(abstract_key(own)[0] for _, own in (split for split in found if split is not None))
    made: dict[str, tuple[str, tuple[int, ...]]] = {}
    out: list[Statement] = []

    def read(term: Expr) -> Expr:
        split = split_(term)
        if split is None:
            return term
        others, own = split
        key, order = abstract_key(own)
        if counts[key] < 2:
            return term
        if key not in made:
            indices = in_order(own)
            target = names.name(_described(own, names))
            out.append(Statement(target, indices, own))
            made[key] = target, tuple(order.index(i) for i in indices)
        target, places = made[key]
        return mul(*others, Access(target, tuple(order[k] for k in places)))

    for s in statements:
        value = _replaced(s.value, read)  # names what is new before
        out.append(Statement(s.target, s.indices, value, s.kind))
    return out


def in_order(expr: Expr) -> tuple[Index, ...]:
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


def _whole(term: Expr) -> tuple[list[Expr], Expr] | None:
    """The numbers of a masked product, and the rest, if that has a factor with all axes."""
    if not _masked(term):
        return None
    rest = [f for f in factors_of(term) if not scalar(f)]
    return ([f for f in factors_of(term) if scalar(f)], mul(*rest)) if _has_all_axes(rest, term) else None


def _inside(term: Expr, program: Program) -> tuple[list[Expr], Expr] | None:
    """What is 0 outside of the masks, and numbers; and the rest, with infinity for its divisors there."""
    if not _masked(term):
        return None
    conditions = [f.condition for f in factors_of(term) if isinstance(f, Iverson)]
    rest = [f for f in factors_of(term) if not isinstance(f, Iverson)]
    zeros = {c: [f for f in rest if is_compared(f, c)] for c in conditions}
    before = [f for f in rest if scalar(f) or any(f in found for found in zeros.values())]
    inner = [f for f in rest if f not in before]
    # What a user's mask hides is not read: it may be infinite.
    read = {a.tensor for f in inner for a in accesses(f) if split_power(f)[1] > 0} & set(program.tensors)
    safe = all(zeros.values()) and _has_all_axes(inner, term) and not read
    divided = masked_divisors(inner, conditions) if safe else None
    return None if divided is None else (before, mul(*divided))


def _masked(term: Expr) -> bool:
    """Whether the product is masked, by tensors, and nothing in it is read at a label."""
    masks = [f for f in factors_of(term) if isinstance(f, Iverson)]
    plain = all(not reads_at_position(f) and (bool(accesses(f)) or scalar(f)) for f in factors_of(term))
    return isinstance(term, Mul) and bool(masks) and plain


def _has_all_axes(factors: list[Expr], term: Expr) -> bool:
    return any(f.free == term.free for f in factors if not isinstance(f, Iverson))


def _described(product: Expr, names: Namer) -> str:
    """A name that is not that of a cotangent."""
    name = describe(mul(*(f for f in factors_of(product) if not isinstance(f, Iverson))))
    return f"masked_{name}" if name in names.taken | names.reserved else name
