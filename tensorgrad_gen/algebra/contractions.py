"""The rule table's rows for sums over indices: ones counted, deltas contracted, contractions flat.

A sum is split over its terms only where a delta needs it, and what stands under a mask keeps its mask.
"""

from __future__ import annotations

from tensorgrad_gen.algebra.indices import all_indices, rename_bound, substitute
from tensorgrad_gen.algebra.parts import factors_of, has_delta, masked, wants_its_mask
from tensorgrad_gen.algebra.rewrite import rule
from tensorgrad_gen.ir import (
    Access,
    Add,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    IRError,
    Linalg,
    Mul,
    Param,
    Pow,
    Sub,
    Sum,
    add,
    const,
    mul,
    sub_free,
)
from tensorgrad_gen.ir.build import ZERO


@rule(Sum, "sum of zero", "sum_i 0 -> 0")
def _sum_zero(expr: Sum) -> Expr | None:
    return ZERO if expr.body is ZERO else None


@rule(Sum, "one sum", "sum_i sum_j a -> sum_{i,j} a")
def _merge_sums(expr: Sum) -> Expr | None:
    inner = expr.body
    if not isinstance(inner, Sum):
        return None
    clash = [i for i in inner.indices if i in expr.indices]
    if clash:
        inner = rename_bound(inner, {i.name for i in all_indices(expr)}, clash)
        assert isinstance(inner, Sum)
    return Sum(expr.indices + inner.indices, inner.body)


@rule(Sum, "one-tensor contracted", "one[n] one[n] -> size(n): an index that nothing has counts its extent")
def _absent(expr: Sum) -> Expr | None:
    absent = [i for i in expr.indices if i not in expr.body.free]
    if not absent:
        return None
    present = tuple(i for i in expr.indices if i in expr.body.free)
    counts = [const(i.extent) if isinstance(i.extent, int) else Extent(i.extent) for i in absent]
    return mul(*counts, Sum(present, expr.body) if present else expr.body)


@rule(Sum, "delta contracted", "sum_j delta[i,j] f[j] -> f[i]")
def _contract_delta(expr: Sum) -> Expr | None:
    factors = factors_of(expr.body)
    for position, delta in enumerate(factors):
        if not isinstance(delta, Delta):
            continue
        for old, new in ((delta.left, delta.right), (delta.right, delta.left)):
            if isinstance(old, Index) and old in expr.indices and old not in sub_free(new):
                rest = mul(*factors[:position], *factors[position + 1 :])
                try:
                    body = substitute(rest, {old: new})
                except IRError:
                    continue
                left = tuple(i for i in expr.indices if i is not old)
                return Sum(left, body) if left else body
    return None


@rule(Sum, "sum over deltas term by term", "sum_i (delta a + b) -> sum_i delta a + sum_i b")
def _sum_of_deltas(expr: Sum) -> Expr | None:
    body = expr.body
    if not isinstance(body, Add) or not any(has_delta(t) for t in body.terms):
        return None
    deltas = [t for t in body.terms if has_delta(t)]
    others = [t for t in body.terms if not has_delta(t)]
    parts = [*deltas, add(*others)] if others else deltas
    return add(*(Sum(expr.indices, part) for part in parts))


def _scalar(expr: Expr) -> bool:
    """Finite whatever the tensors hold: a number, a parameter, an extent, or a power of one; a delta of indices."""
    if isinstance(expr, Delta):
        return isinstance(expr.left, Index) and isinstance(expr.right, Index)
    if isinstance(expr, Pow):
        return _scalar(expr.base) and _scalar(expr.exponent)
    return isinstance(expr, Const | Param | Extent)


@rule(Sum, "constant factor out of a sum", "sum_i a b[i] -> a sum_i b[i]; sum_i [c] a b[i] -> [c] a sum_i b[i]")
def _pull_out(expr: Sum) -> Expr | None:
    if not isinstance(expr.body, Mul):
        return None
    bound = frozenset(expr.indices)
    # Under a mask a tensor is not read everywhere, so it may not be moved out of the masked product,
    # unless the whole mask goes before it; where it keeps a position inside an axis, or a logarithm finite, it stays.
    factors = expr.body.factors
    within = factors if any(map(wants_its_mask, factors)) else tuple(f for f in factors if f.free & bound)
    under_mask = masked(within)
    out = [f for f in expr.body.factors if not (f.free & bound) and (not under_mask or _scalar(f))]
    if not out:
        return None
    inside = [f for f in expr.body.factors if f not in out]
    return mul(*out, Sum(expr.indices, mul(*inside)))


@rule(Sum, "flatten a contraction", "sum_i a[i] (sum_j b[i,j]) -> sum_{i,j} a[i] b[i,j]")
def _flatten_sum(expr: Sum) -> Expr | None:
    factors = factors_of(expr.body)
    if len(factors) < 2:
        return None
    for position, factor in enumerate(factors):
        if not isinstance(factor, Sum):
            continue
        if (masked(factors) or masked(factors_of(factor.body))) and not _adds_up(factor):
            continue  # a mask keeps its scope
        rest = mul(*factors[:position], *factors[position + 1 :])
        used = all_indices(rest) | frozenset(expr.indices)
        clash = [i for i in factor.indices if i in used]
        if clash:
            names = {i.name for i in used | all_indices(factor)}
            factor = rename_bound(factor, names, clash)
            assert isinstance(factor, Sum)
        return Sum(expr.indices + factor.indices, mul(rest, factor.body))
    return None


@rule(
    Sum,
    "sums at positions term by term",
    "sum_i g[i] (sum_k delta[i+k,n] a[k] + b[i,n]) -> sum_{i,k} g[i] delta[i+k,n] a[k] + sum_i g[i] b[i,n]",
)
def _sum_of_windows(expr: Sum) -> Expr | None:
    factors = factors_of(expr.body)
    for position, factor in enumerate(factors):
        terms = factor.terms if isinstance(factor, Add) else ()
        if any(isinstance(f, Sum) and _adds_up(f) for term in terms for f in factors_of(term)):
            rest = factors[:position] + factors[position + 1 :]
            return add(*(Sum(expr.indices, mul(*rest, term)) for term in terms))
    return None


def _adds_up(expr: Sum) -> bool:
    """Whether the sum adds up at labels or computed positions: alone, it would be a matrix of zeros and few numbers."""
    sides = [side for f in factors_of(expr.body) if isinstance(f, Delta) for side in (f.left, f.right)]
    return any(isinstance(side, Expr) and side.free & set(expr.indices) for side in sides)


@rule(Sum, "independent sums", "sum_{i,j} a[i] b[j] -> (sum_i a[i]) (sum_j b[j])")
def _independent(expr: Sum) -> Expr | None:
    if not isinstance(expr.body, Mul) or len(expr.indices) < 2 or masked(expr.body.factors):
        return None
    bound = frozenset(expr.indices)
    groups: list[tuple[frozenset[Index], list[Expr]]] = []
    for factor in expr.body.factors:
        mine = factor.free & bound
        members = [factor]
        apart = []
        for indices, others in groups:
            if indices & mine:
                mine, members = indices | mine, others + members
            else:
                apart.append((indices, others))
        groups = [*apart, (mine, members)]
    if len(groups) < 2:
        return None
    return mul(*(Sum(tuple(i for i in expr.indices if i in mine), mul(*members)) for mine, members in groups))


@rule(
    Sum,
    "transposed solve",
    "sum_k g[k] solve(M[i,k], r[i])[k] -> sum_i solve(M^T, g)[i] r[i]",
)
def _transposed_solve(expr: Sum) -> Expr | None:
    factors = factors_of(expr.body)
    for position, factor in enumerate(factors):
        if not (isinstance(factor, Linalg) and factor.kind == "solve" and factor.rhs is not None):
            continue
        if not frozenset(factor.cols) <= frozenset(expr.indices):
            continue
        right = factor.rhs
        rest = factors[:position] + factors[position + 1 :]
        batch = factor.matrix.free - frozenset(factor.rows + factor.cols)
        cols = frozenset(factor.cols)
        inside = [f for f in rest if f.free & (cols | batch)]
        # Where it lets a delta contract, or where what is solved for is then a tensor that others solve for too.
        plain = len(inside) == 1 and isinstance(inside[0], Access) and not (isinstance(right, Access) or right is ZERO)
        if not plain and not (isinstance(right, Mul | Add | Delta | Sum) and _mentions_delta(right)):
            continue
        outside = [f for f in rest if f not in inside]
        factor = _rows_apart(factor, rest, expr.indices)
        assert factor.rhs is not None
        transposed = Linalg("solve", factor.matrix, factor.cols, factor.rows, mul(*inside))
        left = tuple(i for i in expr.indices if i not in cols)
        return Sum(left + factor.rows, mul(*outside, transposed, factor.rhs))
    return None


@rule(
    Sum,
    "transposed change of an exponential",
    "sum_ij g[i,j] L(M, r)[i,j] -> sum_ij L(M^T, g)[i,j] r[i,j]",
)
def _transposed_change(expr: Sum) -> Expr | None:
    factors = factors_of(expr.body)
    for position, factor in enumerate(factors):
        if not (isinstance(factor, Linalg) and factor.kind == "exp_change" and factor.rhs is not None):
            continue
        own = frozenset(factor.rows + factor.cols)
        if not own <= frozenset(expr.indices) or not _mentions_delta(factor.rhs):
            continue  # only where it lets a delta contract
        rest = factors[:position] + factors[position + 1 :]
        linked = own | factor.matrix.free
        inside = [f for f in rest if f.free & linked]
        outside = [f for f in rest if f not in inside]
        swap: dict[Index, Sub] = {**dict(zip(factor.rows, factor.cols)), **dict(zip(factor.cols, factor.rows))}
        matrix = substitute(factor.matrix, swap)
        transposed = Linalg("exp_change", matrix, factor.rows, factor.cols, mul(*inside))
        return Sum(expr.indices, mul(*outside, transposed, factor.rhs))
    return None


def _rows_apart(factor: Linalg, rest: tuple[Expr, ...], outer: tuple[Index, ...]) -> Linalg:
    used = frozenset(outer).union(*(all_indices(f) for f in rest))
    clash = [i for i in factor.rows if i in used]
    if not clash:
        return factor
    names = {i.name for i in used | all_indices(factor)}
    renamed = rename_bound(factor, names, clash)
    assert isinstance(renamed, Linalg)
    return renamed


def _mentions_delta(expr: Expr) -> bool:
    """Whether a delta stands where products, sums and contractions alone lead to."""
    if isinstance(expr, Delta):
        return True
    if isinstance(expr, Add | Mul | Sum):
        return any(_mentions_delta(child) for child in expr.children)
    return False


@rule(Sum, "sum of a delta inside a solve", "solve is linear: solve(M, 0) -> 0")
def _solve_zero(expr: Sum) -> Expr | None:
    factors = factors_of(expr.body)
    if any(isinstance(f, Linalg) and f.rhs is ZERO for f in factors):
        return ZERO
    return None
