"""Nodes that bind indices: sums, reductions, scans, matrix functions."""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.ir.base import Expr, Index, IRError, set_free
from tensorgrad_gen.ir.nodes import Position

# Reductions bind their indices; `sum` and `mean` are not here because they are `Sum`.
REDUCTIONS = ("prod", "max", "min", "logsumexp", "norm", "any", "all", "argmax", "argmin")
# Scans protect their index inside and leave it in their value.
SCANS = ("softmax", "log_softmax", "cumsum", "cumprod", "flip", "sort", "argsort", "prod_others")


def _check_bound(indices: tuple[Index, ...], body: Expr, what: str) -> None:
    if not indices:
        raise IRError(f"{what} binds no index")
    if len(set(indices)) != len(indices):
        raise IRError(f"{what} binds an index twice: {indices}")


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Sum(Expr):
    """Sum of `body` over `indices`; an index that `body` lacks multiplies by its extent."""

    indices: tuple[Index, ...]
    body: Expr

    def __post_init__(self) -> None:
        _check_bound(self.indices, self.body, "Sum")
        set_free(self, self.body.free - frozenset(self.indices))

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Sum(self.indices, *children)

    @property
    def bound(self) -> tuple[Index, ...]:
        return self.indices


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Reduce(Expr):
    """A reduction other than a sum; binds `indices`.  `norm` is the 2-norm.

    `argmax` and `argmin` bind one index and have an integer value (a label).
    """

    kind: str
    indices: tuple[Index, ...]
    body: Expr

    def __post_init__(self) -> None:
        if self.kind not in REDUCTIONS:
            raise IRError(f"no reduction {self.kind!r}")
        _check_bound(self.indices, self.body, self.kind)
        set_free(self, self.body.free - frozenset(self.indices))

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Reduce(self.kind, self.indices, *children)

    @property
    def bound(self) -> tuple[Index, ...]:
        return self.indices


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Scan(Expr):
    """A reduction that leaves its indices in its value: `softmax[i](z)` has index `i` free.

    `prod_others`, which derivatives have, is the product over all places but one, which the indices name.
    """

    kind: str
    indices: tuple[Index, ...]
    body: Expr

    def __post_init__(self) -> None:
        if self.kind not in SCANS:
            raise IRError(f"no scan {self.kind!r}")
        _check_bound(self.indices, self.body, self.kind)
        set_free(self, self.body.free | frozenset(self.indices))

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Scan(self.kind, self.indices, *children)


# Of each matrix function: which axes of the matrix are axes of its value, in order.
VALUE_AXES: dict[str, tuple[str, ...]] = {
    "inverse": ("cols", "rows"),
    "pinv": ("cols", "rows"),
    "cholesky": ("rows", "cols"),
    "matrix_sqrt": ("rows", "cols"),
    "matrix_exp": ("rows", "cols"),
    "exp_change": ("rows", "cols"),
    "singular_values": ("number",),
    "left_vectors": ("rows", "number"),
    "right_vectors": ("cols", "number"),
    "eigenvectors": ("rows", "cols"),
    "eigenvalues": ("cols",),
    "solve": ("cols",),
    "det": (),
    "logdet": (),
    "slogdet_sign": (),
}
# Matrix functions with a second argument; of singular values it is the position of the index that counts them.
OF_SINGULAR = ("singular_values", "left_vectors", "right_vectors")
OF_TWO = ("solve", "exp_change", *OF_SINGULAR)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Linalg(Expr):
    """A matrix function; stands only at the root of a statement once planned.

    `matrix` has `rows` and `cols` among its free indices; all others are batch.
    - `inverse`: M^-1, first axis `cols`, second `rows`; both stay free.
    - `solve`: sum over `rows` of M^-1[cols, rows] * rhs[rows]; `cols` stay free, `rows` are bound.
      `rhs` may have free indices of its own (columns).
    - `pinv`: the same for the pseudoinverse of a matrix of any shape; of a complex one `rhs` is its conjugate.
    - `cholesky`: L with L L^T = M, `rows` and `cols`; both stay free.
    - `matrix_sqrt`: the principal S with S S = M, `rows` and `cols`; both stay free.
    - `matrix_exp`: the sum of M^n/n!, `rows` and `cols`; both stay free.
    - `exp_change`: the change of `matrix_exp` at M by the change `rhs` of M, linear in it; `rows` and `cols` stay free.
    - `eigenvalues`, ascending, of a symmetric M: `cols` stays free, for the number of one; `rows` are bound.
    - `eigenvectors`, of length one, in columns: `rows` and `cols`; both stay free.
    - `singular_values`, descending: `rhs` is the position of their index, `rows` and `cols` are bound.
    - `left_vectors`, `right_vectors`, of length one: `rows` or `cols` stays free beside that index.
    - `det`, `logdet`, `slogdet_sign`: both bound.
    Rows and columns are tuples (several indices act as one flattened axis); their total
    extents agree, but those of a matrix of any shape.  `rhs` is `None` but as said.
    """

    kind: str
    matrix: Expr
    rows: tuple[Index, ...]
    cols: tuple[Index, ...]
    rhs: Expr | None

    def __post_init__(self) -> None:
        if self.kind not in VALUE_AXES:
            raise IRError(f"no matrix function {self.kind!r}")
        if (self.rhs is not None) != (self.kind in OF_TWO) and self.kind != "pinv":
            raise IRError(f"{self.kind} with rhs {self.rhs}")
        free = self.matrix.free if self.rhs is None else self.matrix.free | self.rhs.free
        set_free(self, (free | frozenset(self.axes)) - frozenset(self.bound))

    @property
    def number(self) -> tuple[Index, ...]:
        """The index that counts singular values."""
        return (self.rhs.index,) if self.kind in OF_SINGULAR and isinstance(self.rhs, Position) else ()

    @property
    def axes(self) -> tuple[Index, ...]:
        """The axes of the value that come from the matrix, in order."""
        return tuple(index for name in VALUE_AXES[self.kind] for index in getattr(self, name))

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.matrix,) if self.rhs is None else (self.matrix, self.rhs)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        rhs = children[1] if len(children) > 1 else None
        return Linalg(self.kind, children[0], self.rows, self.cols, rhs)

    @property
    def bound(self) -> tuple[Index, ...]:
        kept = VALUE_AXES[self.kind]
        return (() if "rows" in kept else self.rows) + (() if "cols" in kept else self.cols)
