"""Quotients that have a name: `u[i,d]/n[i]` is `a[i,d]` where a statement says `a[i,d] = u[i,d]/n[i]`.

The derivative of a normalisation is then `(g - a sum_d g a)/n`, whose terms cancel as exactly as those of `a` itself,
and not `g/n - u (sum_d g u)/n^3`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """`target[indices] = coefficient * powers`."""

    target: str
    indices: tuple[Index, ...]
    coefficient: Fraction
    powers: tuple[_Power, ...]


def quotients(statements: Iterable[Statement], program: Program) -> list[Statement]:
    """The statements with quotients read that are outputs, or are computed for a derivative anyway."""
    statements = list(statements)
    there = _there(statements, program)
    table = [q for q in map(_quotient, program.statements) if q is not None and q.target in there]
    if not table:
        return statements
    return [replace(s, value=normal(_read(s.value, table))) for s in statements]


def _there(statements: Sequence[Statement], program: Program) -> set[str]:
    """Outputs, what the statements read, and what that is computed from again."""
    found = {access.tensor for s in statements for access in accesses(s.value)}
    for s in reversed(program.statements):
        if s.target in found and s.target not in program.outputs and not any(heavy(node) for node in walk(s.value)):
            found |= {access.tensor for access in accesses(s.value)}
    return found | set(program.outputs)


@lru_cache(maxsize=4096)
def _quotient(statement: Statement) -> _Quotient | None:
    """The statement as a product of powers with a divisor, one of them as large as the product."""
    coefficient, rest = split_coefficient(statement.value)
    factors = factors_of(rest)
    if statement.kind != "real" or coefficient == 0 or any(heavy(node) for node in walk(rest)):
        return None
    if any(isinstance(f, _APART) for f in factors) or not any(f.free == frozenset(statement.indices) for f in factors):
        return None
    signs = {split_power(f)[1] > 0 for f in factors if not scalar(f)}
    if signs != {True, False}:
        return None
    return _Quotient(statement.target, statement.indices, coefficient, tuple(map(_power, factors)))


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
