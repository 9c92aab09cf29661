"""Matrix products with an operand in common are one, of the sum of the others: `x a + x b -> x (a + b)`."""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.algebra import substitute
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Access, Add, Expr, Index, Mul, Sum, add, mul
from tensorgrad_gen.plan.sizes import Regime


@dataclass(frozen=True, slots=True)
class _Product:
    """`sum_indices common other`, the numbers of the term in `other`."""

    indices: tuple[Index, ...]
    common: Access
    other: Expr

    @property
    def value(self) -> Expr:
        return Sum(self.indices, mul(self.common, self.other))


def share_operands(expr: Expr, regime: Regime) -> Expr:
    """The expression with `sum_j x[n,j] a[i,j] + sum_j x[n,j] a[j,i]` as `sum_j x[n,j] (a[i,j] + a[j,i])`.

    Where what is added is no larger than the result: one contraction and a smaller sum instead of two and a larger.
    """
    if not isinstance(expr, Add):
        return expr
    terms: list[Expr | _Product] = []
    for term in expr.terms:
        merged = False
        for place, earlier in enumerate(terms):
            found = _merged(earlier, term, regime)
            if found is not None and not merged:
                terms[place], merged = found, True
        if not merged:
            terms.append(term)
    return add(*(t.value if isinstance(t, _Product) else t for t in terms))


def _merged(one: Expr | _Product, term: Expr, regime: Regime) -> _Product | None:
    """Both terms as one product, if they have an operand in common and what is added is small enough."""
    for mine in [one] if isinstance(one, _Product) else _readings(one):
        for other in _readings(term):
            names = _names(other, mine)
            if names is None:
                continue
            added = substitute(other.other, names)
            if added.free == mine.other.free and regime.elements(added.free) <= regime.elements(mine.value.free):
                return _Product(mine.indices, mine.common, add(mine.other, added))
    return None


def _readings(term: Expr) -> list[_Product]:
    """A contraction of two tensors, times numbers, with either of them as the common one."""
    sums = [f for f in factors_of(term) if isinstance(f, Sum)]
    numbers = [f for f in factors_of(term) if not isinstance(f, Sum)]
    if len(sums) != 1 or not all(map(scalar, numbers)) or not isinstance(sums[0].body, Mul):
        return []
    operands = [f for f in sums[0].body.factors if isinstance(f, Access)]
    plain = all(isinstance(sub, Index) for f in operands for sub in f.subs)
    if len(operands) != 2 or len(sums[0].body.factors) != 2 or not plain:
        return []
    pairs = (operands, operands[::-1])
    return [_Product(sums[0].indices, common, mul(*numbers, other)) for common, other in pairs]


def _names(one: _Product, other: _Product) -> dict[Index, Index] | None:
    """What the summed indices of the one are called in the other, so that they read the same; None if they do not."""
    if one.common.tensor != other.common.tensor or len(one.indices) != len(other.indices):
        return None
    names: dict[Index, Index] = {}
    for mine, theirs in zip(one.common.subs, other.common.subs, strict=True):
        assert isinstance(mine, Index)
        assert isinstance(theirs, Index)
        summed = mine in one.indices
        if summed != (theirs in other.indices) or (not summed and mine is not theirs):
            return None
        if names.setdefault(mine, theirs) is not theirs:
            return None
    complete = names.keys() >= set(one.indices) and len(set(names.values())) == len(names)
    return {k: v for k, v in names.items() if k in one.indices} if complete else None
