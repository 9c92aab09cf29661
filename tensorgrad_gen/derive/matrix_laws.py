"""The laws of matrix functions: each gives the change of its value by the change of the matrix, in index notation."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tensorgrad_gen.algebra import substitute
from tensorgrad_gen.derive.differential import Differential, law
from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.ir import (
    Apply,
    Delta,
    Expr,
    Index,
    Linalg,
    Position,
    Sub,
    Sum,
    add,
    const,
    inverse,
    mul,
    neg,
    power,
    sub,
)
from tensorgrad_gen.ir.build import ONE, ZERO


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
    swap: dict[Index, Sub] = {e.rows[0]: row, e.cols[0]: col}
    rhs = None if e.rhs is None else substitute(e.rhs, swap)
    return Linalg(kind or e.kind, substitute(e.matrix, swap), (row,), (col,), rhs)


def _side(one: Index, two: Index) -> Expr:
    """1 where the first position is beyond the second, 0 where they are the same, -1 before it."""
    return Apply("sign", (sub(Position(one), Position(two)),))


def _pseudoinverse(d: Differential, e: Linalg) -> Expr:
    """dP = -P dM P + P P^H dM^H (1 - M P) + (1 - P M) dM^H P^H P, where the rank stays"""
    own = d(e.matrix)
    # Of a complex matrix the conjugate is an argument of its own: dM and dM^H are not one linear function of dM.
    conjugated = own if e.rhs is None else d(e.rhs)
    if own is ZERO and conjugated is ZERO:
        return ZERO
    change = add(own, conjugated)
    (k,), (i,) = e.cols, e.rows
    _, (a,), (c,) = _swapped(d, e, change)
    swap: dict[Index, Sub] = {i: a, k: c}
    moved, mirrored = substitute(own, swap), substitute(conjugated, swap)
    names = d.fresh((a, c), add(e, moved, mirrored, *_as_exprs((a, c))))
    r, q = (index for index in (names[a], names[c]) if isinstance(index, Index))
    inside = mul(_like(e, a, k), moved, _like(e, i, c))
    left = sub(Delta(a, i), Sum((q,), mul(substitute(e.matrix, {i: a, k: q}), _like(e, i, q))))
    right = sub(Delta(k, c), Sum((r,), mul(_like(e, r, k), substitute(e.matrix, {i: r, k: c}))))
    below = Sum((r,), mul(_like(e, r, k), d.conj(_like(e, r, c))))
    above = Sum((q,), mul(d.conj(_like(e, a, q)), _like(e, i, q)))
    return Sum((a, c), add(neg(inside), mul(below, mirrored, left), mul(right, mirrored, above)))


def _cholesky(d: Differential, e: Linalg) -> Expr:
    """dL = L phi(L^-1 dM L^-H): phi takes the part below the diagonal, and half of that"""
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
    return Sum((m, a, b), mul(part, _like(e, i, m), left, moved, d.conj(right)))


def _matrix_root(d: Differential, e: Linalg) -> Expr:
    """S dS + dS S = dM: one linear system for all entries of dS"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    (i,), (j,) = e.rows, e.cols
    moved, (r,), (c,) = _swapped(d, e, change)
    system = add(mul(_like(e, r, i), Delta(j, c)), mul(Delta(r, i), _like(e, j, c)))
    return Linalg("solve", system, (r, c), (i, j), moved)


def _eigenvalues(d: Differential, e: Linalg) -> Expr:
    """d lambda[n] = conj(v[i,n]) dM[i,j] v[j,n]"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    moved, (a,), (b,) = _swapped(d, e, change)
    first, second = (_like(e, index, e.cols[0], "eigenvectors") for index in (a, b))
    return Sum((a, b), mul(d.conj(first), moved, second))


def _eigenvectors(d: Differential, e: Linalg) -> Expr:
    """dv[i,n] = v[i,m] (conj(v[a,m]) dM[a,b] v[b,n]) / (lambda[n] - lambda[m]) over m other than n"""
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
    return Sum((m, a, b), mul(gaps, _like(e, i, m), d.conj(_like(e, a, m)), moved, _like(e, b, n)))


def _exponential(d: Differential, e: Linalg) -> Expr:
    """d exp(M) = L(M, dM), the upper right block of exp([[M, dM], [0, M]])"""
    change = d(e.matrix)
    return ZERO if change is ZERO else Linalg("exp_change", e.matrix, e.rows, e.cols, change)


def _exponential_change(d: Differential, e: Linalg) -> Expr:
    """dL(M, E) = the upper right block of L([[M, E], [0, M]], [[dM, dE], [0, dM]])"""
    assert e.rhs is not None
    matrix, right = d(e.matrix), d(e.rhs)
    if matrix is ZERO:
        return ZERO if right is ZERO else Linalg("exp_change", e.matrix, e.rows, e.cols, right)
    names = d.fresh((Index("s", 2), Index("t", 2)), add(e, matrix, right))
    s, t = (index for index in names.values() if isinstance(index, Index))
    # 1 in the upper right block, 0 in the others: a factor like any other.
    corner = mul(Position(t), sub(ONE, Position(s)))

    def blocks(diagonal: Expr, above: Expr) -> Expr:
        return add(mul(Delta(s, t), diagonal), mul(corner, above))

    whole = Linalg("exp_change", blocks(e.matrix, e.rhs), (s, *e.rows), (t, *e.cols), blocks(matrix, right))
    return Sum((s, t), mul(corner, whole))


def _vector(e: Linalg, kind: str, at: Index, number: Index) -> Linalg:
    """A component of a singular vector of the same matrix."""
    kept = e.rows[0] if kind == "left_vectors" else e.cols[0]
    matrix = substitute(e.matrix, {kept: at})
    rows, cols = ((at,), e.cols) if kind == "left_vectors" else (e.rows, (at,))
    return Linalg(kind, matrix, rows, cols, Position(number))


def _singular_values(d: Differential, e: Linalg) -> Expr:
    """d sigma[n] = conj(u[i,n]) dM[i,j] v[j,n]"""
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    moved, (a,), (b,) = _swapped(d, e, change)
    (n,) = e.number
    return Sum((a, b), mul(d.conj(_vector(e, "left_vectors", a, n)), moved, _vector(e, "right_vectors", b, n)))


def _singular_vectors(d: Differential, e: Linalg) -> Expr:
    """du[i,n] = u[i,m] (s[n] p[m,n] + s[m] p[n,m])/(s[n]^2 - s[m]^2) + (dM[i,j] - u[i,m] u[a,m] dM[a,j]) v[j,n]/s[n]

    over m other than n, with p[m,n] = u[i,m] dM[i,j] v[j,n]; of the right vectors the same with dM transposed.
    """
    if d.conj(e) is not e:
        raise NotBuiltError("the symbolic derivative of complex singular vectors")
    change = d(e.matrix)
    if change is ZERO:
        return ZERO
    moved, (a,), (b,) = _swapped(d, e, change)
    other = "right_vectors" if e.kind == "left_vectors" else "left_vectors"
    (i,), near, far = (e.rows, a, b) if e.kind == "left_vectors" else (e.cols, b, a)
    (n,) = e.number
    (m,) = (x for x in d.fresh((n,), add(e, moved, *_as_exprs((a, b)))).values() if isinstance(x, Index))
    s_n, s_m = (Linalg("singular_values", e.matrix, e.rows, e.cols, Position(x)) for x in (n, m))
    apart = power(_side(m, n), 2)
    gap = mul(apart, inverse(add(power(s_n, 2), neg(power(s_m, 2)), ONE, neg(apart))))
    straight = mul(s_n, _vector(e, e.kind, near, m), _vector(e, other, far, n))
    crossed = mul(s_m, _vector(e, e.kind, near, n), _vector(e, other, far, m))
    turned = Sum((m, a, b), mul(gap, _vector(e, e.kind, i, m), moved, add(straight, crossed)))
    inside = Sum((m,), mul(_vector(e, e.kind, i, m), _vector(e, e.kind, near, m)))
    beyond = mul(sub(Delta(i, near), inside), moved, _vector(e, other, far, n), inverse(s_n))
    return add(turned, Sum((a, b), beyond))


def _as_exprs(indices: tuple[Index, ...]) -> tuple[Expr, ...]:
    return tuple(Position(i) for i in indices)


LINALG_LAWS: dict[str, Callable[[Differential, Linalg], Expr]] = {
    "inverse": _inverse,
    "det": _determinant,
    "logdet": _log_determinant,
    "solve": _solve,
    "pinv": _pseudoinverse,
    "cholesky": _cholesky,
    "matrix_sqrt": _matrix_root,
    "matrix_exp": _exponential,
    "exp_change": _exponential_change,
    "singular_values": _singular_values,
    "left_vectors": _singular_vectors,
    "right_vectors": _singular_vectors,
    "eigenvalues": _eigenvalues,
    "eigenvectors": _eigenvectors,
}
