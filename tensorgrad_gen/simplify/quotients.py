"""Quotients that have a name: `u[i,d]/n[i]` is `a[i,d]` where a statement says `a[i,d] = u[i,d]/n[i]`.

The derivative of a normalisation is then `(g - a sum_d g a)/n`, whose terms cancel as exactly as those of `a` itself,
and not `g/n - u (sum_d g u)/n^3`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from tensorgrad_gen.algebra import abstract_key, accesses, walk
from tensorgrad_gen.algebra import simplify as normal
from tensorgrad_gen.algebra.hoist import heavy, scalar
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, split_power
from tensorgrad_gen.ir import (
    Access,
    Add,
    Delta,
    Expr,
    Index,
    Iverson,
    LeviCivita,
    Mul,
    Program,
    Statement,
    Sum,
    const,
    mul,
    power,
)

_APART = (Delta, Iverson, LeviCivita)


class _Power(NamedTuple):
    """A factor: the abstract key of its base, the indices in the order of that, and its exponent."""

    name: str
    order: tuple[Index, ...]
    exponent: Fraction


class _Quotient(NamedTuple):
    """`target[indices] = coefficient * powers`, of these tensors."""

    target: str
    indices: tuple[Index, ...]
    coefficient: Fraction
    powers: tuple[_Power, ...]
    tensors: frozenset[str]


def quotients(statements: Iterable[Statement], program: Program) -> list[Statement]:
    """The statements with quotients read that are outputs, or are computed for a derivative anyway."""
    statements = list(statements)
    reads = [_tensors(s.value) for s in statements]
    there = _computed(frozenset().union(*reads), program.statements, program.outputs) | set(program.outputs)
    table = [quotient for quotient in _quotients(program.statements) if quotient.target in there]
    found = []
    for s, own in zip(statements, reads, strict=True):
        near = [quotient for quotient in table if quotient.tensors <= own]
        found.append(replace(s, value=normal(_read(s.value, near))) if near else s)
    return found


def _tensors(expr: Expr) -> frozenset[str]:
    return frozenset(access.tensor for access in accesses(expr))


def _computed(tensors: Iterable[str], statements: Sequence[Statement], kept: Collection[str] = ()) -> set[str]:
    """The tensors, and what those that are pointwise and not `kept` are computed from."""
    found = set(tensors)
    for s in reversed(statements):
        if s.target in found and s.target not in kept and not any(heavy(node) for node in walk(s.value)):
            found |= _tensors(s.value)
    return found


@lru_cache(maxsize=64)
def _quotients(statements: tuple[Statement, ...]) -> tuple[_Quotient, ...]:
    """The statements that are quotients, where a divisor is no function of what it divides at the same place.

    Of `x/(1 + x)`, the derivative is better off as `1/(1 + x)^2` than as `(1 - y)/(1 + x)`.
    """
    found = []
    for s in statements:
        coefficient, rest = split_coefficient(s.value)
        factors = [f for f in factors_of(rest) if not scalar(f)]
        above = [f for f in factors if split_power(f)[1] > 0]
        below = [f for f in factors if split_power(f)[1] < 0]
        # Made of vectors, it would be larger than what it is read for.
        whole = any(f.free == frozenset(s.indices) for f in factors)
        plain = s.kind == "real" and not any(heavy(n) or isinstance(n, _APART) for n in walk(s.value))
        if above and below and whole and plain and not _common(above, below, statements):
            powers = tuple(map(_power, factors_of(rest)))
            found.append(_Quotient(s.target, s.indices, coefficient, powers, _tensors(rest)))
    return tuple(found)


def _common(above: Iterable[Expr], below: Iterable[Expr], statements: Sequence[Statement]) -> set[str]:
    """The tensors that both are computed from, pointwise."""
    first, second = (frozenset().union(*map(_tensors, part)) for part in (above, below))
    return _computed(first, statements) & _computed(second, statements)


def _power(factor: Expr) -> _Power:
    base, exponent = split_power(factor)
    return _Power(*abstract_key(base), exponent)


def _read(expr: Expr, table: Sequence[_Quotient]) -> Expr:
    """The expression with the quotients of each of its products read."""
    if isinstance(expr, Add):
        return expr.rebuild(tuple(_read(term, table) for term in expr.terms))
    return mul(*_product(factors_of(expr), (), table)[0]) if isinstance(expr, Mul | Sum) else expr


def _product(
    factors: Sequence[Expr], around: Sequence[Expr], table: Sequence[_Quotient]
) -> tuple[list[Expr], list[Expr]]:
    """The factors, and those in front of the sum that they stand in, each with what is left of it."""
    own, outer = [_read(f, table) if isinstance(f, Add) else f for f in factors], list(around)
    for place, factor in enumerate(own):
        if isinstance(factor, Sum):
            every = [*own, *outer]
            seen = [k for k, f in enumerate(every) if k != place and not f.free & frozenset(factor.indices)]
            inside, left = _product(factors_of(factor.body), [every[k] for k in seen], table)
            for k, rest in zip(seen, left, strict=True):
                every[k] = rest
            every[place] = Sum(factor.indices, mul(*inside))
            own, outer = every[: len(own)], every[len(own) :]
    for quotient in table:
        while (found := _found(quotient, own, outer)) is not None:
            own, outer = found
    return own, outer


def _found(quotient: _Quotient, own: list[Expr], outer: list[Expr]) -> tuple[list[Expr], list[Expr]] | None:
    """The factors with the quotient read once: its numerators are among the own ones, its divisors may be in front."""
    every = [*own, *outer]
    powers = [_power(f) if not isinstance(f, _APART) else None for f in every]
    taken = _assigned(quotient.powers, powers, len(own), {})
    if taken is None:
        return None
    places, at = taken
    for place, part in zip(places, quotient.powers, strict=True):
        base, exponent = split_power(every[place])
        every[place] = power(base, exponent - part.exponent)
    value = Access(quotient.target, tuple(at[i] for i in quotient.indices))
    return [*every[: len(own)], const(1 / quotient.coefficient), value], every[len(own) :]


def _assigned(
    wanted: Sequence[_Power], given: Sequence[_Power | None], own: int, at: dict[Index, Index]
) -> tuple[list[int], dict[Index, Index]] | None:
    """Where each power is found with at least its exponent, one after the other, and what its indices are there."""
    if not wanted:
        return [], at
    first = wanted[0]
    for place, power_ in enumerate(given):
        if power_ is None or power_.name != first.name or (first.exponent > 0 and place >= own):
            continue
        names = dict(zip(first.order, power_.order, strict=True))
        has = power_.exponent >= first.exponent > 0 or power_.exponent <= first.exponent < 0
        if has and all(at.get(i, j) == j for i, j in names.items()):
            rest = _assigned(wanted[1:], given, own, at | names)
            if rest is not None:
                return [place, *rest[0]], rest[1]
    return None
