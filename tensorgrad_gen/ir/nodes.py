"""Expression nodes of the mathematical IR.

Law: a node is a value.  Two nodes built from the same parts are the same object
(hash-consing), so equality is identity; every node checks its own indices when it is
built and carries its set of free indices.

Nodes take positional arguments only, because the table of known nodes is keyed by them.
Sets of nodes have no order: whoever iterates over one sorts it first, or the output would
depend on the hash seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
# Reductions bind their indices; `sum` and `mean` are not here because they are `Sum`.
REDUCTIONS = ("prod", "max", "min", "logsumexp", "norm", "any", "all", "argmax", "argmin")
# Scans protect their index inside and leave it in their value.
SCANS = ("softmax", "log_softmax", "cumsum", "cumprod", "flip", "sort", "argsort")


class IRError(Exception):
    """A node that cannot exist: an internal fault, never a user's mistake."""


class _Interned(type):
    """Metaclass that returns the one node for given parts."""

    _table: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()

    def __call__(cls, *parts: Any) -> Any:
        key = (cls, *parts)
        found = _Interned._table.get(key)
        if found is None:
            found = super().__call__(*parts)
            _Interned._table[key] = found
        return found


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Node(metaclass=_Interned):
    """Common base: identity equality."""

    def __reduce__(self) -> tuple[Any, ...]:
        names = [f for f in self.__dataclass_fields__ if self.__dataclass_fields__[f].init]
        return type(self), tuple(getattr(self, name) for name in names)

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: object) -> Node:
        return self


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Index(Node):
    """An index: a name, and the symbol (or integer) of its extent.

    The index of any number of leading batch axes is named `...`, with extent `...`.
    """

    name: str
    extent: str | int

    def __repr__(self) -> str:
        return self.name


def _set_free(node: Expr, free: frozenset[Index]) -> None:
    object.__setattr__(node, "free", free)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Expr(Node):
    """An expression with a value for each assignment of its free indices."""

    free: frozenset[Index] = field(init=False, repr=False)

    @property
    def children(self) -> tuple[Expr, ...]:
        """Sub-expressions, in order (subscripts that are labels included)."""
        return ()

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        """The same node over other children, in the order of `children`."""
        return self

    @property
    def bound(self) -> tuple[Index, ...]:
        """Indices that this node binds in all of its children."""
        return ()


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Const(Expr):
    """An exact rational number."""

    value: Fraction

    def __post_init__(self) -> None:
        if type(self.value) is not Fraction:
            raise IRError(f"Const takes a Fraction, not {self.value!r}")
        _set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Special(Expr):
    """`pi`, `inf` or `nan`."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in ("pi", "inf", "nan"):
            raise IRError(f"no special number {self.name!r}")
        _set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Param(Expr):
    """A scalar passed by keyword; `kind` is `real` or `int`."""

    name: str
    kind: str

    def __post_init__(self) -> None:
        _set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Extent(Expr):
    """The extent of an index as a number; `symbol` names it."""

    symbol: str

    def __post_init__(self) -> None:
        _set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Position(Expr):
    """The position of an index, counted from 0, as a number."""

    index: Index

    def __post_init__(self) -> None:
        _set_free(self, frozenset((self.index,)))


Sub: TypeAlias = "Index | Expr"


def sub_free(sub: Sub) -> frozenset[Index]:
    """Free indices of a subscript: itself, or those of a label."""
    return frozenset((sub,)) if isinstance(sub, Index) else sub.free


def _subs_free(subs: tuple[Sub, ...]) -> frozenset[Index]:
    return frozenset().union(*(sub_free(s) for s in subs))


def _labels(subs: tuple[Sub, ...]) -> tuple[Expr, ...]:
    return tuple(s for s in subs if not isinstance(s, Index))


def _relabel(subs: tuple[Sub, ...], labels: tuple[Expr, ...]) -> tuple[Sub, ...]:
    fresh = iter(labels)
    return tuple(s if isinstance(s, Index) else next(fresh) for s in subs)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Access(Expr):
    """`tensor[subs]`; a subscript is an index, or a label (an `Access` with integer values)."""

    tensor: str
    subs: tuple[Sub, ...]

    def __post_init__(self) -> None:
        _set_free(self, _subs_free(self.subs))

    @property
    def children(self) -> tuple[Expr, ...]:
        return _labels(self.subs)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Access(self.tensor, _relabel(self.subs, children))


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Delta(Expr):
    """Kronecker delta between two subscripts."""

    left: Sub
    right: Sub

    def __post_init__(self) -> None:
        if isinstance(self.left, Index) and isinstance(self.right, Index) and self.left.extent != self.right.extent:
            raise IRError(f"delta of extents {self.left.extent} and {self.right.extent}")
        _set_free(self, sub_free(self.left) | sub_free(self.right))

    @property
    def children(self) -> tuple[Expr, ...]:
        return _labels((self.left, self.right))

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Delta(*_relabel((self.left, self.right), children))


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class LeviCivita(Expr):
    """The permutation symbol; each index is as long as there are indices."""

    subs: tuple[Index, ...]

    def __post_init__(self) -> None:
        _set_free(self, frozenset(self.subs))


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Add(Expr):
    """A sum of terms; terms may lack free indices (broadcast)."""

    terms: tuple[Expr, ...]

    def __post_init__(self) -> None:
        _set_free(self, frozenset().union(*(t.free for t in self.terms)))

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.terms

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Add(children)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Mul(Expr):
    """A product.  Where a factor is `Iverson(c)`, the rest is not read where `c` is false."""

    factors: tuple[Expr, ...]

    def __post_init__(self) -> None:
        _set_free(self, frozenset().union(*(f.free for f in self.factors)))

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.factors

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Mul(children)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Pow(Expr):
    """`base ^ exponent`; division is the power -1, a square root the power 1/2."""

    base: Expr
    exponent: Expr

    def __post_init__(self) -> None:
        _set_free(self, self.base.free | self.exponent.free)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base, self.exponent)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Pow(*children)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Apply(Expr):
    """A pointwise function of the table `functions`, defaults filled in."""

    function: str
    args: tuple[Expr, ...]

    def __post_init__(self) -> None:
        _set_free(self, frozenset().union(*(a.free for a in self.args)))

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Apply(self.function, children)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Compare(Expr):
    """A condition between two numbers (values, params, sizes, positions, labels)."""

    op: str
    left: Expr
    right: Expr

    def __post_init__(self) -> None:
        if self.op not in COMPARISONS:
            raise IRError(f"no comparison {self.op!r}")
        _set_free(self, self.left.free | self.right.free)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Compare(self.op, *children)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Logic(Expr):
    """`and`, `or`, `not` over conditions (comparisons, other logic, accesses of bool tensors)."""

    op: str
    args: tuple[Expr, ...]

    def __post_init__(self) -> None:
        if self.op not in ("and", "or", "not"):
            raise IRError(f"no connective {self.op!r}")
        _set_free(self, frozenset().union(*(a.free for a in self.args)))

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Logic(self.op, children)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Iverson(Expr):
    """1 where the condition holds, 0 elsewhere."""

    condition: Expr

    def __post_init__(self) -> None:
        _set_free(self, self.condition.free)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.condition,)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Iverson(*children)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Where(Expr):
    """`then` where the condition holds, `other` elsewhere; the branch not taken is not read."""

    condition: Expr
    then: Expr
    other: Expr

    def __post_init__(self) -> None:
        _set_free(self, self.condition.free | self.then.free | self.other.free)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.condition, self.then, self.other)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Where(*children)


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
        _set_free(self, self.body.free - frozenset(self.indices))

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
        _set_free(self, self.body.free - frozenset(self.indices))

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
        _set_free(self, self.body.free | frozenset(self.indices))

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
        _set_free(self, free)

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
