"""Nodes that bind indices: sums, reductions, scans, matrix functions."""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.ir.base import Expr, Index, IRError, set_free

# Reductions bind their indices; `sum` and `mean` are not here because they are `Sum`.
REDUCTIONS = ("prod", "max", "min", "logsumexp", "norm", "any", "all", "argmax", "argmin")
# Scans protect their index inside and leave it in their value.
SCANS = ("softmax", "log_softmax", "cumsum", "cumprod", "flip", "sort", "argsort")


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
    """A reduction that leaves its indices in its value: `softmax[i](z)` has index `i` free."""

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


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Linalg(Expr):
    """A matrix function; stands only at the root of a statement once planned.

    `matrix` has `rows` and `cols` among its free indices; all others are batch.
    - `inverse`: M^-1, first axis `cols`, second `rows`; both stay free.
    - `solve`: sum over `rows` of M^-1[cols, rows] * rhs[rows]; `cols` stay free, `rows` are bound.
      `rhs` may have free indices of its own (columns).
    - `det`, `logdet`, `slogdet_sign`: both bound.
    Rows and columns are tuples (several indices act as one flattened axis); their total
    extents agree.  `rhs` is `None` but for `solve`.
    """

    kind: str
    matrix: Expr
    rows: tuple[Index, ...]
    cols: tuple[Index, ...]
    rhs: Expr | None

    def __post_init__(self) -> None:
        if self.kind not in ("inverse", "solve", "det", "logdet", "slogdet_sign"):
            raise IRError(f"no matrix function {self.kind!r}")
        if (self.rhs is not None) != (self.kind == "solve"):
            raise IRError(f"{self.kind} with rhs {self.rhs}")
        free = self.matrix.free
        if self.kind == "inverse":
            free = free | frozenset(self.rows) | frozenset(self.cols)
        elif self.rhs is not None:
            free = (free | self.rhs.free | frozenset(self.cols)) - frozenset(self.rows)
        else:
            free = free - frozenset(self.rows) - frozenset(self.cols)
        set_free(self, free)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.matrix,) if self.rhs is None else (self.matrix, self.rhs)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        rhs = children[1] if len(children) > 1 else None
        return Linalg(self.kind, children[0], self.rows, self.cols, rhs)

    @property
    def bound(self) -> tuple[Index, ...]:
        if self.kind == "inverse":
            return ()
        return self.rows if self.kind == "solve" else self.rows + self.cols
