"""What is identically zero: sums that vanish through the definitions of what they read.

`sum_h mu[b,h]` with `mu[b,h] = x[b,h] - m[b]` and `m[b] = 1/H sum_h x[b,h]` expands to
`sum_h x[b,h] - H/H sum_h x[b,h]`, which collects to nothing.
"""

from __future__ import annotations

from tensorgrad_gen.algebra import accesses, all_indices, apart, simplify
from tensorgrad_gen.algebra.indices import substitute
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    Mul,
    Param,
    Pow,
    Program,
    Sum,
    add,
    mul,
    total,
)
from tensorgrad_gen.ir.build import ZERO
from tensorgrad_gen.simplify.trace import Trace

_DEPTH = 4  # how many definitions deep a sum is expanded
_BUDGET = 400  # nodes beyond which an expansion is given up


def drop_vanishing(expr: Expr, program: Program, trace: Trace | None = None) -> Expr:
    """The expression without the sums that are identically zero."""
    if isinstance(expr, Sum):
        return _drop_from_sum(expr, program, trace)
    if isinstance(expr, Add | Mul):
        new = tuple(drop_vanishing(child, program, trace) for child in expr.children)
        return simplify(expr.rebuild(new)) if new != expr.children else expr
    return expr


def _drop_from_sum(expr: Sum, program: Program, trace: Trace | None) -> Expr:
    if vanishes(expr, program, trace):
        return ZERO
    body, kept, changed = expr.body, [], False
    for position, factor in enumerate(factors_of(body)):
        if not isinstance(factor, Add):
            continue
        rest = factors_of(body)[:position] + factors_of(body)[position + 1 :]
        for term in factor.terms:
            part = simplify(Sum(expr.indices, mul(*rest, term)))
            if any(isinstance(f, Sum) and vanishes(f, program, trace) for f in factors_of(part)) or part is ZERO:
                changed = True
            else:
                kept.append(term)
        if changed:
            return drop_vanishing(simplify(Sum(expr.indices, mul(*rest, add(*kept)))), program, trace)
        kept = []
    return expr


def vanishes(expr: Sum, program: Program, trace: Trace | None = None) -> bool:
    """Whether the sum is zero by the definitions of the tensors it reads."""
    zero = bool(expansion(expr, program))
    if zero and trace is not None:
        trace.zeros.append(expr)
    return zero


def expansion(expr: Expr, program: Program) -> tuple[Expr, ...]:
    """The sum with definitions put in and collected, in turn, down to 0; nothing if it does not vanish."""
    if any(a.tensor not in program.tensors for a in accesses(expr)):
        return ()  # a cotangent is arbitrary
    chain: list[Expr] = []
    current = expr
    for _ in range(_DEPTH):
        opened = _open(current, program)
        collected = simplify(_expand(opened))
        if collected is current or total(collected) > _BUDGET:
            return ()
        chain += [opened, collected]
        if collected is ZERO:
            return tuple(chain)
        current = collected
    return ()


def _linear(value: Expr) -> bool:
    """Built of products, sums and contractions of accesses and powers of accesses."""
    if isinstance(value, Access | Const | Extent | Param | Delta):
        return True
    if isinstance(value, Pow):
        return _linear(value.base) and isinstance(value.base, Access | Extent | Param) and _linear(value.exponent)
    return isinstance(value, Add | Mul | Sum) and all(_linear(c) for c in value.children)


def _open(expr: Expr, program: Program) -> Expr:
    """Accesses outside powers, replaced by the linear definitions of their tensors, once."""
    if isinstance(expr, Access):
        info = program.tensors.get(expr.tensor)
        if info is None or info.role != "defined" or any(not isinstance(s, Index) for s in expr.subs):
            return expr
        statement = program.statement(expr.tensor)
        if not _linear(statement.value):
            return expr
        value = apart(statement.value, all_indices(expr))
        return substitute(value, dict(zip(statement.indices, expr.subs, strict=True)))
    if isinstance(expr, Add | Mul | Sum):
        return expr.rebuild(tuple(_open(child, program) for child in expr.children))
    return expr


def _expand(expr: Expr) -> Expr:
    """Products over sums and contractions over sums, term by term."""
    if isinstance(expr, Add):
        return add(*(_expand(t) for t in expr.terms))
    if isinstance(expr, Sum):
        return add(*(Sum(expr.indices, t) for t in terms_of(_expand(expr.body))))
    if isinstance(expr, Mul):
        products: list[tuple[Expr, ...]] = [()]
        for factor in expr.factors:
            choices = terms_of(_expand(factor))
            if len(products) * len(choices) > 64:
                return expr
            products = [(*p, c) for p in products for c in choices]
        return add(*(mul(*p) for p in products))
    return expr
