"""The laws of differentiation, one a node.

`d(e)` is the differential of `e`: linear in the differentials of the tensors it reads.  What
stands for the differential of a tensor is the caller's choice (`leaf`): a product of deltas for
the derivative by a tensor, `dA[s]/dA[p] = delta[s1,p1] delta[s2,p2] ...`, or a tangent.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tensorgrad_gen.algebra import all_indices, apart, fresh, substitute
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Delta,
    Expr,
    Index,
    Iverson,
    Linalg,
    Logic,
    Mul,
    Position,
    Pow,
    Reduce,
    Scan,
    Sub,
    Sum,
    Where,
    add,
    const,
    inverse,
    mul,
    neg,
    number,
    power,
    sub,
)
from tensorgrad_gen.ir.budget import spend
from tensorgrad_gen.ir.build import ONE, ZERO

Leaf = Callable[[Access], Expr]


class Differential:
    """The differential of expressions, given that of the tensors; `avoid` are index names in use outside."""

    def __init__(self, leaf: Leaf, avoid: frozenset[Index] = frozenset()) -> None:
        self.leaf = leaf
        self.avoid = avoid

    def __call__(self, expr: Expr) -> Expr:
        """The differential of the expression: 0 where it depends on no active tensor."""
        spend()
        if isinstance(expr, Access):
            return self.leaf(expr)
        law = LAWS.get(type(expr))
        return ZERO if law is None else law(self, expr)

    def copy(self, expr: Expr, of: Expr) -> Expr:
        """The expression with bound indices renamed apart from all that `of` has."""
        return apart(expr, all_indices(of) | self.avoid)

    def fresh(self, indices: tuple[Index, ...], of: Expr) -> dict[Index, Sub]:
        """New indices for old ones."""
        names = {i.name for i in all_indices(of) | self.avoid}
        renaming: dict[Index, Sub] = {}
        for index in indices:
            new = fresh(index, names)
            names.add(new.name)
            renaming[index] = new
        return renaming


Law = Callable[[Differential, "Expr"], Expr]
LAWS: dict[type[Expr], Law] = {}
LAW_NAMES: dict[type[Expr], str] = {}


def law(node: type[Expr], name: str) -> Callable[[Law], Law]:
    """Enter the law of a node under the name that `explain` prints."""

    def enter(function: Law) -> Law:
        LAWS[node] = function
        LAW_NAMES[node] = name
        return function

    return enter


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
    """d angle(a) = Im(da/a)"""
    return Apply("imag", (mul(inverse(e.args[0]), *changes),))


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
    """d logsumexp(a) = sum exp(a - logsumexp(a)) da"""
    return Apply("exp", (sub(e.body, d.copy(e, e)),))


def _extremum(d: Differential, e: Reduce) -> Expr:
    """d max(a) = sum [a == max(a)]/ties da: split evenly among ties"""
    value = d.copy(e, e)
    ties = Sum(e.indices, Iverson(Compare("==", e.body, value)))
    return mul(Iverson(Compare("==", e.body, value)), inverse(d.copy(ties, e)))


def _norm(d: Differential, e: Reduce) -> Expr:
    """d norm(a) = sum a/norm(a) da, 0 where the norm is 0"""
    value = d.copy(e, e)
    return mul(Iverson(Compare("!=", value, ZERO)), e.body, inverse(value))


def _prod(d: Differential, e: Reduce) -> Expr:
    """d prod_j a[j] = sum_i prod_j where(j == i, 1, a[j]) da[i]: no division by a factor, exact at zeros"""
    renaming = d.fresh(e.indices, e)
    body = substitute(e.body, renaming)
    same = []
    for index in e.indices:
        new = renaming[index]
        assert isinstance(new, Index)
        same.append(Compare("==", Position(new), Position(index)))
    condition: Expr = same[0] if len(same) == 1 else Logic("and", tuple(same))
    others = tuple(i for i in renaming.values() if isinstance(i, Index))
    return Reduce("prod", others, Where(condition, ONE, body))


REDUCTION_LAWS: dict[str, Callable[[Differential, Reduce], Expr]] = {
    "logsumexp": _logsumexp,
    "max": _extremum,
    "min": _extremum,
    "norm": _norm,
    "prod": _prod,
}


@law(Scan, "derivative of a scan")
def _scan(d: Differential, e: Expr) -> Expr:
    """softmax: s (da - sum s da); log_softmax: da - sum exp(log_softmax) da"""
    assert isinstance(e, Scan)
    change = d(e.body)
    if change is ZERO:
        return ZERO
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


@law(Linalg, "derivative of a matrix function")
def _linalg(d: Differential, e: Expr) -> Expr:
    """The row of the function in `LINALG_LAWS`."""
    assert isinstance(e, Linalg)
    row = LINALG_LAWS.get(e.kind)
    return ZERO if row is None else row(d, e)


def _swapped(d: Differential, e: Linalg, change: Expr) -> tuple[Expr, tuple[Index, ...], tuple[Index, ...]]:
    """The change of the matrix on new rows and columns."""
    renaming = d.fresh(e.rows + e.cols, add(e, change))
    new = [i for i in renaming.values() if isinstance(i, Index)]
    rows, cols = tuple(new[: len(e.rows)]), tuple(new[len(e.rows) :])
    return substitute(change, renaming), rows, cols


def _inverse(d: Differential, e: Linalg) -> Expr:
    """d(M^-1)[k,i] = -M^-1[k,i'] dM[i',k'] M^-1[k',i]"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    moved, rows, cols = _swapped(d, e, change)
    left = substitute(e, dict(zip(e.rows, rows, strict=True)))
    right = substitute(e, dict(zip(e.cols, cols, strict=True)))
    return neg(Sum(rows + cols, mul(left, moved, right)))


def _determinant(d: Differential, e: Linalg) -> Expr:
    """d det(M) = det(M) M^-1[k,i] dM[i,k]"""
    return mul(d.copy(e, e), _log_determinant(d, e))


def _log_determinant(d: Differential, e: Linalg) -> Expr:
    """d log det(M) = M^-1[k,i] dM[i,k]"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    moved, rows, cols = _swapped(d, e, change)
    renamed = substitute(e.matrix, {**dict(zip(e.rows, rows, strict=True)), **dict(zip(e.cols, cols, strict=True))})
    return Sum(rows + cols, mul(Linalg("inverse", renamed, rows, cols, None), moved))


def _solve(d: Differential, e: Linalg) -> Expr:
    """d solve(M, c) = solve(M, dc - dM solve(M, c))"""
    assert e.rhs is not None
    matrix, right = d(e.matrix), d(e.rhs)
    change = right
    if matrix is not ZERO:
        renaming = d.fresh(e.cols, add(e, matrix))
        cols = tuple(i for i in renaming.values() if isinstance(i, Index))
        value = d.copy(substitute(e, renaming), add(e, matrix, *(_as_exprs(cols))))
        change = add(right, neg(Sum(cols, mul(substitute(matrix, renaming), value))))
    return ZERO if change is ZERO else Linalg("solve", e.matrix, e.rows, e.cols, change)


def _like(e: Linalg, row: Index, col: Index, kind: str = "") -> Linalg:
    """The matrix function of the same matrix, or another `kind` of it, on this row and column."""
    matrix = substitute(e.matrix, {e.rows[0]: row, e.cols[0]: col})
    return Linalg(kind or e.kind, matrix, (row,), (col,), None)


def _side(one: Index, two: Index) -> Expr:
    """1 where the first position is beyond the second, 0 where they are the same, -1 before it."""
    return Apply("sign", (sub(Position(one), Position(two)),))


def _pseudoinverse(d: Differential, e: Linalg) -> Expr:
    """dP = -P dM P + P P^T dM^T (1 - M P) + (1 - P M) dM^T P^T P, where the rank stays"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    (k,), (i,) = e.cols, e.rows
    moved, (a,), (c,) = _swapped(d, e, change)
    names = d.fresh((a, c), add(e, moved, *_as_exprs((a, c))))
    r, q = (index for index in (names[a], names[c]) if isinstance(index, Index))
    inside = mul(_like(e, a, k), moved, _like(e, i, c))
    left = sub(Delta(a, i), Sum((q,), mul(substitute(e.matrix, {i: a, k: q}), _like(e, i, q))))
    right = sub(Delta(k, c), Sum((r,), mul(_like(e, r, k), substitute(e.matrix, {i: r, k: c}))))
    below = Sum((r,), mul(_like(e, r, k), _like(e, r, c)))
    above = Sum((q,), mul(_like(e, a, q), _like(e, i, q)))
    return Sum((a, c), add(neg(inside), mul(below, moved, left), mul(right, moved, above)))


def _cholesky(d: Differential, e: Linalg) -> Expr:
    """dL = L phi(L^-1 dM L^-T): phi takes the part below the diagonal, and half of that"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    (i,), (j,) = e.rows, e.cols
    moved, (a,), (b,) = _swapped(d, e, change)
    names = d.fresh((a,), add(e, moved, *_as_exprs((a, b))))
    (m,) = (index for index in names.values() if isinstance(index, Index))
    # 1 below the diagonal, 1/2 on it, 0 above: a factor like any other, where a mask would keep the sums apart.
    part = mul(const(Fraction(1, 2)), add(ONE, _side(m, j)))
    left = Linalg("inverse", _like(e, a, m), (a,), (m,), None)
    right = Linalg("inverse", _like(e, b, j), (b,), (j,), None)
    return Sum((m, a, b), mul(part, _like(e, i, m), left, moved, right))


def _eigenvalues(d: Differential, e: Linalg) -> Expr:
    """d lambda[n] = v[i,n] dM[i,j] v[j,n]"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    moved, (a,), (b,) = _swapped(d, e, change)
    first, second = (_like(e, index, e.cols[0], "eigenvectors") for index in (a, b))
    return Sum((a, b), mul(first, moved, second))


def _eigenvectors(d: Differential, e: Linalg) -> Expr:
    """dv[i,n] = v[i,m] (v[a,m] dM[a,b] v[b,n]) / (lambda[n] - lambda[m]) over m other than n"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    (i,), (n,) = e.rows, e.cols
    moved, (a,), (b,) = _swapped(d, e, change)
    names = d.fresh((a,), add(e, moved, *_as_exprs((a, b))))
    (m,) = (index for index in names.values() if isinstance(index, Index))
    values = [_like(e, a, index, "eigenvalues") for index in (n, m)]
    # 0 where m is n, and there the divisor is 1.
    other = power(_side(m, n), 2)
    gaps = mul(other, inverse(add(sub(*values), ONE, neg(other))))
    return Sum((m, a, b), mul(gaps, _like(e, i, m), _like(e, a, m), moved, _like(e, b, n)))


def _as_exprs(indices: tuple[Index, ...]) -> tuple[Expr, ...]:
    return tuple(Position(i) for i in indices)


LINALG_LAWS: dict[str, Callable[[Differential, Linalg], Expr]] = {
    "inverse": _inverse,
    "det": _determinant,
    "logdet": _log_determinant,
    "solve": _solve,
    "pinv": _pseudoinverse,
    "cholesky": _cholesky,
    "eigenvalues": _eigenvalues,
    "eigenvectors": _eigenvectors,
}
