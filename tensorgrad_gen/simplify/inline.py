"""Cotangents used once, or cheap, are put where they are used; those unused are dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache

from tensorgrad_gen.algebra import accesses, all_indices, apart, simplify, walk
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.indices import substitute
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Delta,
    Expr,
    Iverson,
    Linalg,
    Mul,
    Pow,
    Program,
    Statement,
    Sum,
    Where,
    add,
    mul,
    total,
)
from tensorgrad_gen.ir.build import ZERO
from tensorgrad_gen.simplify.trace import Trace
from tensorgrad_gen.simplify.zeros import vanishes

_BUDGET = 600  # nodes beyond which a statement stays split


def inline(
    statements: list[Statement], wanted: set[str], program: Program, trace: Trace | None = None
) -> list[Statement]:
    """Fewer statements with the same values; `wanted` are kept."""
    current = list(statements)
    position = 0
    while position < len(current):
        statement = current[position]
        later = current[position + 1 :]
        uses = sum(_count(s.value, statement.target) for s in later)
        if statement.target in wanted:
            position += 1
        elif uses == 0:
            current.pop(position)
        elif (uses == 1 or _cheap(statement.value)) and (merged := _merge(statement, later)) is not None:
            current[position:] = merged
            if trace is not None:
                trace.record("put in", current, statement.target)
        else:
            current[position + 1 :] = [_split_for_zeros(statement, s, program, trace) for s in later]
            if trace is not None:
                trace.record("vanishing", current, statement.target)
            if sum(_count(s.value, statement.target) for s in current[position + 1 :]) == uses:
                position += 1
    return current


def _count(expr: Expr, tensor: str) -> int:
    return _reads(expr)[tensor]


@lru_cache(maxsize=4096)
def _reads(expr: Expr) -> Counter[str]:
    """How often each tensor is read."""
    return Counter(access.tensor for access in accesses(expr))


def _cheap(value: Expr) -> bool:
    """At most two tensors multiplied, at labels if need be: no statement of its own is worth it."""
    tensors = [f for f in factors_of(value) if not scalar(f) and not isinstance(f, Delta)]
    plain = all(isinstance(f, Access) or (isinstance(f, Pow) and isinstance(f.base, Access)) for f in tensors)
    return plain and len(tensors) <= 2


def _masked(value: Expr) -> bool:
    """Whether a mask or a solve is in the value: put into a contraction, its scope would widen."""
    return any(isinstance(n, Iverson | Where | Linalg) for n in walk(value))


def _merge(statement: Statement, later: list[Statement]) -> list[Statement] | None:
    """The later statements with the value put in, or `None` where that may not be."""
    result = []
    for consumer in later:
        if not _count(consumer.value, statement.target):
            result.append(consumer)
            continue
        if _collects(statement.value) and _read_at_label(consumer.value, statement.target):
            return None  # added up once, then read: put in, every reader would add up for itself
        if _masked(statement.value) and _inside_sum(consumer.value, statement.target):
            return None
        value = simplify(put(consumer.value, statement))
        if total(value) > _BUDGET:
            return None
        result.append(replace(consumer, value=value))
    return result


def _collects(value: Expr) -> bool:
    """Whether a sum is in the value."""
    return any(isinstance(node, Sum) for node in walk(value))


def _read_at_label(expr: Expr, tensor: str) -> bool:
    return any(a.tensor == tensor and any(isinstance(sub, Expr) for sub in a.subs) for a in accesses(expr))


def _inside_sum(expr: Expr, tensor: str) -> bool:
    """Whether the tensor is read inside a contraction beside other factors, or inside a function."""
    return any(
        isinstance(node, Sum | Apply) and _count(node, tensor) and not isinstance(node.children[0], Access)
        for node in walk(expr)
    )


def put(expr: Expr, statement: Statement) -> Expr:
    """The expression with accesses to the statement's target replaced by its value."""
    if isinstance(expr, Access) and expr.tensor == statement.target:
        value = apart(statement.value, all_indices(expr))
        return substitute(value, dict(zip(statement.indices, expr.subs, strict=True)))
    if not expr.children or not _count(expr, statement.target):
        return expr
    return expr.rebuild(tuple(put(child, statement) for child in expr.children))


def _split_for_zeros(statement: Statement, consumer: Statement, program: Program, trace: Trace | None) -> Statement:
    """A sum over a cotangent of several terms is split where one of the terms vanishes."""
    if not _count(consumer.value, statement.target) or _masked(statement.value):
        return consumer

    def visit(expr: Expr) -> Expr:
        if isinstance(expr, Sum) and any(
            isinstance(f, Access) and f.tensor == statement.target for f in factors_of(expr.body)
        ):
            return _terms_that_stay(expr, statement, program, trace)
        if isinstance(expr, Add | Mul):
            new = tuple(visit(child) for child in expr.children)
            return expr if new == expr.children else expr.rebuild(new)
        return expr

    value = visit(consumer.value)
    return consumer if value is consumer.value else replace(consumer, value=simplify(value))


def _terms_that_stay(expr: Sum, statement: Statement, program: Program, trace: Trace | None) -> Expr:
    position = next(
        n for n, f in enumerate(factors_of(expr.body)) if isinstance(f, Access) and f.tensor == statement.target
    )
    access = factors_of(expr.body)[position]
    rest = factors_of(expr.body)[:position] + factors_of(expr.body)[position + 1 :]
    value = put(access, statement)
    kept = []
    terms = terms_of(value)
    for term in terms:
        part = simplify(Sum(expr.indices, mul(*rest, term)))
        if part is ZERO or any(isinstance(f, Sum) and vanishes(f, program, trace) for f in factors_of(part)):
            continue
        kept.append(part)
    if len(kept) == len(terms):
        return expr
    return add(*kept)
