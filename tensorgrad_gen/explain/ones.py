"""Index notation as the language has it: repetition means a sum, one-tensors stand where nothing repeats.

A value of the IR binds every summed index.  Printed, `sum_k x[i,k] a[k,j]` is `x[i,k] a[k,j]`,
`sum_h mu[b,h]` is `one[h] mu[b,h]`, and a term that is broadcast has the one-tensor of what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorgrad_gen.algebra import all_indices, fresh
from tensorgrad_gen.algebra.indices import substitute
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Compare,
    Const,
    Delta,
    Expr,
    Index,
    IRError,
    LeviCivita,
    Logic,
    Mul,
    Pow,
    Sum,
    number,
    sub_free,
)

Names = frozenset[str]


def written_out(value: Expr, free: Sequence[Index]) -> Expr:
    """What to print for a value on the free indices `free`."""
    taken = frozenset(i.name for i in free) | frozenset(i.name for i in value.free)
    terms = [_broadcast(_implicit(term, taken), free) for term in terms_of(value)]
    return Add(tuple(terms)) if isinstance(value, Add) else terms[0]


def _broadcast(term: Expr, free: Sequence[Index]) -> Expr:
    """The term with the one-tensor of those free indices that it lacks."""
    missing = [i for i in free if i not in term.free and i.extent != "..."]
    return term if not missing or number(term) == 0 else _times_ones([_one(missing)], factors_of(term))


def _one(indices: Iterable[Index]) -> Expr:
    return Access("one", tuple(indices))


def _times_ones(ones: list[Expr], factors: tuple[Expr, ...]) -> Expr:
    numbers = tuple(f for f in factors if isinstance(f, Const) and f.value != 1)
    rest = tuple(f for f in factors if not isinstance(f, Const))
    product = (*numbers, *ones, *rest)
    return product[0] if len(product) == 1 else Mul(product)


def _implicit(expr: Expr, taken: Names) -> Expr:
    """The expression without the sums that repeated indices and one-tensors say, dummies renamed where they clash."""
    if isinstance(expr, Compare | Logic | Access | Delta) or not expr.children:
        return expr  # a condition keeps its sums
    if isinstance(expr, Sum):
        return _sum(expr, taken)
    if isinstance(expr, Mul):
        done: list[Expr] = []
        for factor in expr.factors:
            done.append(_implicit(factor, taken))
            taken |= {i.name for i in all_indices(done[-1])}
        return Mul(tuple(done))
    inner = taken | {i.name for i in expr.bound}
    return expr.rebuild(tuple(_implicit(child, inner) for child in expr.children))


def _sum(expr: Sum, taken: Names) -> Expr:
    expr = _renamed(expr, taken)
    body = _implicit(expr.body, taken | {i.name for i in expr.indices})
    factors = _flat(body)
    if any(i.extent == "..." or _ambiguous(factors, i) for i in expr.indices):
        return _term_by_term(expr, taken) or Sum(expr.indices, body)
    ones = [_one((i,)) for i in expr.indices for _ in range(_missing(factors, i))]
    return _times_ones(ones, factors)


def _term_by_term(expr: Sum, taken: Names) -> Expr | None:
    """The sum of each term by itself, if none of them needs its sum sign."""
    if not isinstance(expr.body, Add):
        return None
    terms = tuple(_sum(Sum(expr.indices, term), taken) for term in expr.body.terms)
    return None if any(isinstance(t, Sum) for t in terms) else Add(terms)


def _flat(body: Expr) -> tuple[Expr, ...]:
    return tuple(f for part in factors_of(body) for f in (_flat(part) if isinstance(part, Mul) else (part,)))


def _renamed(expr: Sum, taken: Names) -> Sum:
    """Dummies under their first letter where it is free, else under one that nothing around has."""
    used = set(taken) | {i.name for i in all_indices(expr.body) - frozenset(expr.indices)}
    new: list[Index] = []
    for index in expr.indices:
        stem = Index(index.name.rstrip("0123456789") or index.name, index.extent)
        chosen = index if index.extent == "..." else stem if stem.name not in used else fresh(stem, used)
        used.add(chosen.name)
        new.append(chosen)
    try:
        return Sum(tuple(new), substitute(expr.body, dict(zip(expr.indices, new, strict=True))))
    except IRError:
        return expr


def _missing(factors: tuple[Expr, ...], index: Index) -> int:
    """How many one-tensors make the index repeat."""
    having = [f for f in factors if index in f.free]
    twice = any(isinstance(f, Access | Delta | LeviCivita) and _occurrences(f, index) > 1 for f in having)
    return 0 if twice else max(0, 2 - len(having))


def _ambiguous(factors: tuple[Expr, ...], index: Index) -> bool:
    """Whether a box would sum the index by itself, or a label hides it."""
    for factor in factors:
        simple = factor.base if isinstance(factor, Pow) and number(factor.exponent) is not None else factor
        if isinstance(simple, Access):
            if any(not isinstance(s, Index) and index in s.free for s in simple.subs) and len(factors) == 1:
                return True
        elif not isinstance(simple, Delta | LeviCivita) and _occurrences(factor, index) > 1:
            return True
    return False


def _occurrences(expr: Expr, index: Index) -> int:
    """How often the index occurs in the additive term that has it most often."""
    if isinstance(expr, Add):
        return max(_occurrences(t, index) for t in expr.terms)
    if isinstance(expr, Access):
        return sum(index in sub_free(s) for s in expr.subs)
    if isinstance(expr, Delta):
        return sum(index in sub_free(s) for s in (expr.left, expr.right))
    if not expr.children:
        return int(index in expr.free)
    return sum(_occurrences(child, index) for child in expr.children)
