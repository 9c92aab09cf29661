"""The laws of differentiation, one a node; those of matrix functions are in `matrix_laws`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tensorgrad_gen.algebra import substitute
from tensorgrad_gen.derive.differential import Differential, law
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    Add,
    Apply,
    Compare,
    Expr,
    Index,
    Iverson,
    Logic,
    Mul,
    Position,
    Pow,
    Reduce,
    Scan,
    Sum,
    Where,
    add,
    inverse,
    mul,
    neg,
    number,
    power,
    sub,
)
from tensorgrad_gen.ir.build import ONE, ZERO


@law(Add, "sum rule")
def _add(d: Differential, e: Expr) -> Expr:
    """d(a + b) = da + db"""
    return add(*(d(t) for t in e.children))


@law(Mul, "product rule")
def _mul(d: Differential, e: Expr) -> Expr:
    """d(a b) = da b + a db; a condition among the factors masks each term"""
    factors = e.children
    terms = []
    for position, factor in enumerate(factors):
        change = d(factor)
        if change is not ZERO:
            terms.append(mul(*factors[:position], change, *factors[position + 1 :]))
    return add(*terms)


@law(Pow, "power rule")
def _pow(d: Differential, e: Expr) -> Expr:
    """d(a^n) = n a^(n-1) da; d(a^b) = b a^(b-1) da + [a != 0] a^b log(a) db"""
    assert isinstance(e, Pow)
    terms = []
    change = d(e.base)
    if change is not ZERO:
        exponent = number(e.exponent)
        lower = power(e.base, sub(e.exponent, ONE))
        # a^0 is constant, also at a = 0 where 0 * a^-1 would not be a number
        guard = ONE if exponent is not None else Iverson(Compare("!=", e.exponent, ZERO))
        terms.append(mul(guard, e.exponent, lower, change))
    change = d(e.exponent)
    if change is not ZERO:
        terms.append(mul(Iverson(Compare("!=", e.base, ZERO)), e, Apply("log", (e.base,)), change))
    return add(*terms)


@law(Apply, "chain rule")
def _apply(d: Differential, e: Expr) -> Expr:
    """d f(a, b) = f_a(a, b) da + f_b(a, b) db"""
    assert isinstance(e, Apply)
    changes = [d(a) for a in e.args]
    if all(c is ZERO for c in changes):
        return ZERO
    if e.function in COMPLEX_LAWS:
        return COMPLEX_LAWS[e.function](d, e, changes)
    partials = FUNCTIONS[e.function].partials(e.args)
    return add(*(mul(p, c) for p, c in zip(partials, changes, strict=True) if p is not None and c is not ZERO))


def _real_linear(d: Differential, e: Apply, changes: list[Expr]) -> Expr:
    """d f(a) = f(da): conj, real, imag and complex are linear over the real numbers."""
    return Apply(e.function, tuple(changes))


def _magnitude(d: Differential, e: Apply, changes: list[Expr]) -> Expr:
    """d|a| = Re(conj(a) da)/|a|, 0 at 0"""
    change = Apply("real", (mul(Apply("conj", e.args), *changes),))
    return mul(Iverson(Compare("!=", e, ZERO)), inverse(e), change)


def _angle(d: Differential, e: Apply, changes: list[Expr]) -> Expr:
    """d angle(a) = Im(da/a), 0 at 0"""
    return mul(Iverson(Compare("!=", e.args[0], ZERO)), Apply("imag", (mul(inverse(e.args[0]), *changes),)))


# Functions of complex numbers without a complex derivative.
COMPLEX_LAWS: dict[str, Callable[[Differential, Apply, list[Expr]], Expr]] = {
    **dict.fromkeys(("conj", "real", "imag", "complex"), _real_linear),
    "complex_abs": _magnitude,
    "angle": _angle,
}


@law(Where, "derivative of a choice")
def _where(d: Differential, e: Expr) -> Expr:
    """d where(c, a, b) = [c] da + [not c] db"""
    assert isinstance(e, Where)
    then, other = d(e.then), d(e.other)
    return add(
        ZERO if then is ZERO else mul(Iverson(e.condition), then),
        ZERO if other is ZERO else mul(Iverson(Logic("not", (e.condition,))), other),
    )


@law(Sum, "sum rule")
def _sum(d: Differential, e: Expr) -> Expr:
    """d(sum_i a) = sum_i da"""
    assert isinstance(e, Sum)
    change = d(e.body)
    return ZERO if change is ZERO else Sum(e.indices, change)


@law(Reduce, "derivative of a reduction")
def _reduce(d: Differential, e: Expr) -> Expr:
    """The row of the reduction in `REDUCTION_LAWS`, summed over the bound indices."""
    assert isinstance(e, Reduce)
    row = REDUCTION_LAWS.get(e.kind)
    change = d(e.body)
    if row is None or change is ZERO:
        return ZERO
    return Sum(e.indices, mul(row(d, e), change))


def _logsumexp(d: Differential, e: Reduce) -> Expr:
    """d logsumexp(a) = sum softmax(a) da: unlike `exp(a - logsumexp(a))` it is accurate where `a` is large"""
    return Scan("softmax", e.indices, e.body)


def _extremum(d: Differential, e: Reduce) -> Expr:
    """d max(a) = sum [a == max(a)]/max(ties, 1) da: split evenly among ties, of which a NaN has none"""
    value = d.copy(e, e)
    ties = Sum(e.indices, Iverson(Compare("==", e.body, value)))
    return mul(Iverson(Compare("==", e.body, value)), inverse(Apply("max", (d.copy(ties, e), ONE))))


def _norm(d: Differential, e: Reduce) -> Expr:
    """d norm(a) = sum a/norm(a) da, 0 where the norm is 0"""
    value = d.copy(e, e)
    return mul(Iverson(Compare("!=", value, ZERO)), e.body, inverse(value))


def _prod(d: Differential, e: Reduce) -> Expr:
    """d prod_j a[j] = sum_i (prod of a[j] over j other than i) da[i]: no division by a factor, exact at zeros"""
    return Scan("prod_others", e.indices, e.body)


REDUCTION_LAWS: dict[str, Callable[[Differential, Reduce], Expr]] = {
    "logsumexp": _logsumexp,
    "max": _extremum,
    "min": _extremum,
    "norm": _norm,
    "prod": _prod,
}


@law(Scan, "derivative of a scan")
def _scan(d: Differential, e: Expr) -> Expr:
    """softmax: s (da - sum s da); log_softmax: da - sum exp(log_softmax) da; prod_others: by `_others`"""
    assert isinstance(e, Scan)
    change = d(e.body)
    if change is ZERO:
        return ZERO
    if e.kind == "prod_others":
        return _others(d, e, change)
    value: Expr = e if e.kind == "softmax" else Apply("exp", (e,))
    renaming = d.fresh(e.indices, add(e, change))
    others = tuple(i for i in renaming.values() if isinstance(i, Index))
    mean = Sum(others, substitute(mul(value, change), renaming))
    difference = add(change, neg(mean))
    if e.kind == "softmax":
        return mul(value, difference)
    if e.kind == "log_softmax":
        return difference
    raise NotImplementedError(e.kind)


def _others(d: Differential, e: Scan, change: Expr) -> Expr:
    """d prod_{j other than i} a[j] = sum_k [k != i] (prod of a[j] over j other than i and k) da[k]"""
    places = d.fresh(e.indices, add(e, change))
    here = [i for i in places.values() if isinstance(i, Index)]
    moved = d.fresh(e.indices, add(e, change, *(Position(i) for i in here)))
    there = [i for i in moved.values() if isinstance(i, Index)]

    def same(first: Iterable[Index], second: Iterable[Index]) -> Expr:
        pairs = [Compare("==", Position(a), Position(b)) for a, b in zip(first, second, strict=True)]
        return pairs[0] if len(pairs) == 1 else Logic("and", tuple(pairs))

    rest = Where(same(there, e.indices), ONE, substitute(e.body, moved))
    own = Logic("not", (same(here, e.indices),))
    others = Reduce("prod", tuple(there), Where(same(there, here), ONE, rest))
    return Sum(tuple(here), mul(Iverson(own), others, substitute(change, places)))
