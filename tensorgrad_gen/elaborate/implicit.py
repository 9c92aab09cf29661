"""An unknown that an equation defines: a linear one becomes a linear system (language, section 7)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from tensorgrad_gen.algebra.indices import all_indices, apart, fresh, substitute
from tensorgrad_gen.ir import (
    Access,
    Add,
    Delta,
    Expr,
    Index,
    Iverson,
    Linalg,
    Logic,
    Mul,
    Statement,
    Sub,
    Sum,
    Where,
    add,
    const,
    div,
    mul,
    neg,
)

ZERO = const(0)


class Balanced(Protocol):
    """As many indices of equations as of unknowns."""

    @property
    def rows(self) -> tuple[Index, ...]: ...
    @property
    def cols(self) -> tuple[Index, ...]: ...


class NonlinearError(Exception):
    """The equation is not linear in its unknown."""


class UnbalancedError(Exception):
    """There are not as many equations as unknown components: what is left on either side."""

    def __init__(self, rows: tuple[Index, ...], cols: tuple[Index, ...]) -> None:
        self.rows = rows
        self.cols = cols
        super().__init__(f"{rows} and {cols}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A term of the derivative of the residual: a sum of a product of factors and deltas."""

    bound: tuple[Index, ...]
    factors: tuple[Expr, ...]
    deltas: tuple[tuple[Sub, Index], ...]

    def substitute(self, mapping: dict[Index, Sub]) -> Piece:
        """The piece with indices renamed."""
        return Piece(
            tuple(i for i in self.bound if i not in mapping),
            tuple(substitute(f, mapping) for f in self.factors),
            tuple((mapping.get(s, s) if isinstance(s, Index) else substitute(s, mapping), p) for s, p in self.deltas),
        )

    @property
    def expr(self) -> Expr:
        """The piece as an expression."""
        body = mul(*self.factors, *(Delta(s, p) for s, p in self.deltas))
        return Sum(self.bound, body) if self.bound else body


@dataclass(frozen=True, slots=True)
class System:
    """`sum over cols of matrix[rows; cols] * unknown[cols] = rhs[rows]`.

    `axes` are the indices of the unknown: of `cols`, or of the equation (a batch, or a column
    of the right side).
    """

    matrix: Expr
    rows: tuple[Index, ...]
    cols: tuple[Index, ...]
    rhs: Expr
    axes: tuple[Index, ...]


def system(residual: Expr, free: tuple[Index, ...], unknown: str, declared: tuple[Index, ...]) -> System:
    """The linear system that `residual[free] = 0` is; `declared` are the unknown's indices."""
    residual = apart(residual, frozenset((*free, *declared)))
    used = {i.name for i in (*all_indices(residual), *free, *declared)}
    unknowns = []
    for index in declared:
        new = fresh(index, used)
        used.add(new.name)
        unknowns.append(new)
    pieces = [_contracted(piece) for piece in _pieces(residual, unknown, tuple(unknowns))]
    axes: list[Index] = list(unknowns)
    for n, p in enumerate(unknowns):
        f = _common(pieces, p, free, axes)
        if f is not None:
            axes[n] = f
            pieces = [_identified(piece, p, f) for piece in pieces]
    rows = tuple(i for i in free if i not in axes)
    cols = tuple(p for p in unknowns if p in axes)
    matrix = add(*(piece.expr for piece in pieces))
    if len(rows) != len(cols) or any(i not in matrix.free for i in (*rows, *cols)):
        raise UnbalancedError(rows, cols)
    return System(matrix, rows, cols, neg(at_zero(residual, unknown)), tuple(axes))


def paired(found: Balanced) -> list[tuple[Index, Index]]:
    """Rows and columns whose extents must agree: those of one extent first, then the others in order."""
    rows, cols = list(found.rows), list(found.cols)
    for row in found.rows:
        same = next((col for col in cols if col.extent == row.extent), None)
        if same is not None:
            rows.remove(row)
            cols.remove(same)
    return list(zip(rows, cols))


def statement(found: System, unknown: str, declared: tuple[Index, ...]) -> Statement:
    """The unknown as the solution of its system, its indices named as declared."""
    used = {i.name for part in (found.matrix, found.rhs) for i in all_indices(part)} | {i.name for i in declared}
    mapping: dict[Index, Sub] = dict(zip(found.axes, declared))
    rows = []
    for row in found.rows:
        new = fresh(row, used) if row.name in {i.name for i in declared} else row
        used.add(new.name)
        rows.append(new)
        mapping[row] = new
    cols = tuple(index for index, axis in zip(declared, found.axes) if axis in found.cols)
    solved = replace(
        found,
        matrix=substitute(found.matrix, mapping),
        rhs=substitute(found.rhs, mapping),
        rows=tuple(rows),
        cols=cols,
        axes=declared,
    )
    return Statement(unknown, declared, _value(solved))


def _value(found: System) -> Expr:
    if not found.rows:
        return div(found.rhs, found.matrix)
    if found.rhs is ZERO:
        return ZERO
    columns = _identity(found)
    if columns is not None:
        matrix = substitute(found.matrix, dict(zip(found.rows, columns)))
        return Linalg("inverse", matrix, columns, found.cols, None)
    return Linalg("solve", found.matrix, found.rows, found.cols, found.rhs)


def _identity(found: System) -> tuple[Index, ...] | None:
    """The columns of the right side, one a row, if it is the identity between rows and columns."""
    factors = found.rhs.factors if isinstance(found.rhs, Mul) else (found.rhs,)
    partner: dict[Index, Index] = {}
    for factor in factors:
        if not isinstance(factor, Delta):
            return None
        row, column = factor.left, factor.right
        if row not in found.rows:
            row, column = column, row
        if row not in found.rows or not isinstance(row, Index) or not isinstance(column, Index) or row in partner:
            return None
        partner[row] = column
    columns = tuple(partner[row] for row in found.rows if row in partner)
    outside = [i for i in columns if i in found.axes and i not in found.cols and i not in found.matrix.free]
    if len(factors) != len(found.rows) or len(set(outside)) != len(found.rows):
        return None
    return columns


def _has(expr: Expr, unknown: str) -> bool:
    if isinstance(expr, Access) and expr.tensor == unknown:
        return True
    return any(_has(child, unknown) for child in expr.children)


def _pieces(expr: Expr, unknown: str, unknowns: tuple[Index, ...]) -> list[Piece]:
    """The derivative of an expression that is linear in the unknown, as terms."""
    if not _has(expr, unknown):
        return []
    if isinstance(expr, Access) and expr.tensor == unknown:
        return [Piece((), (), tuple(zip(expr.subs, unknowns)))]
    if isinstance(expr, Add):
        return [piece for term in expr.terms for piece in _pieces(term, unknown, unknowns)]
    if isinstance(expr, Sum):
        found = _pieces(expr.body, unknown, unknowns)
        return [replace(piece, bound=expr.indices + piece.bound) for piece in found]
    if isinstance(expr, Mul):
        having = [n for n, factor in enumerate(expr.factors) if _has(factor, unknown)]
        if len(having) == 1:
            others = expr.factors[: having[0]] + expr.factors[having[0] + 1 :]
            found = _pieces(expr.factors[having[0]], unknown, unknowns)
            return [replace(piece, factors=others + piece.factors) for piece in found]
    if isinstance(expr, Where) and not _has(expr.condition, unknown):
        holds, fails = Iverson(expr.condition), Iverson(Logic("not", (expr.condition,)))
        then = _pieces(expr.then, unknown, unknowns)
        other = _pieces(expr.other, unknown, unknowns)
        return [replace(p, factors=(holds, *p.factors)) for p in then] + [
            replace(p, factors=(fails, *p.factors)) for p in other
        ]
    raise NonlinearError


def _contracted(piece: Piece) -> Piece:
    """The piece with every delta of a bound index contracted."""
    for sub, p in piece.deltas:
        if isinstance(sub, Index) and sub in piece.bound:
            rest = replace(piece, deltas=tuple(d for d in piece.deltas if d != (sub, p)))
            return _contracted(rest.substitute({sub: p}))
    return piece


def _common(pieces: list[Piece], p: Index, free: tuple[Index, ...], axes: list[Index]) -> Index | None:
    """The free index that every piece's deltas identify with `p`."""
    for f in free:
        if f not in axes and all((f, p) in piece.deltas for piece in pieces):
            return f
    return None


def _identified(piece: Piece, p: Index, f: Index) -> Piece:
    """The piece without the delta between `f` and `p`, and `f` for `p`."""
    rest = replace(piece, deltas=tuple(d for d in piece.deltas if d != (f, p)))
    return rest.substitute({p: f})


def at_zero(expr: Expr, unknown: str) -> Expr:
    """The expression where the unknown is zero."""
    if not _has(expr, unknown):
        return expr
    if isinstance(expr, Access):
        return ZERO
    children = tuple(at_zero(child, unknown) for child in expr.children)
    if isinstance(expr, Add):
        return add(*children)
    if isinstance(expr, Mul):
        return mul(*children)
    if isinstance(expr, Sum) and children[0] is ZERO:
        return ZERO
    return expr.rebuild(children)
