"""Expression nodes that bind nothing: numbers, accesses, special tensors, arithmetic, conditions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.ir.base import Expr, Index, IRError, Sub, set_free, sub_free
from tensorgrad_gen.ir.budget import check_bits

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Const(Expr):
    """An exact rational number."""

    value: Fraction

    def __post_init__(self) -> None:
        if type(self.value) is not Fraction:
            raise IRError(f"Const takes a Fraction, not {self.value!r}")
        check_bits(self.value)
        set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Special(Expr):
    """`pi`, `inf` or `nan`."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in ("pi", "inf", "nan"):
            raise IRError(f"no special number {self.name!r}")
        set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Param(Expr):
    """A scalar passed by keyword; `kind` is `real` or `int`."""

    name: str
    kind: str

    def __post_init__(self) -> None:
        set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Extent(Expr):
    """The extent of an index as a number; `symbol` names it."""

    symbol: str

    def __post_init__(self) -> None:
        set_free(self, frozenset())


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Position(Expr):
    """The position of an index, counted from 0, as a number."""

    index: Index

    def __post_init__(self) -> None:
        set_free(self, frozenset((self.index,)))


def _subs_free(subs: tuple[Sub, ...]) -> frozenset[Index]:
    return frozenset().union(*(sub_free(s) for s in subs))


def _labels(subs: tuple[Sub, ...]) -> tuple[Expr, ...]:
    labels = [s for s in subs if not isinstance(s, Index)]
    return tuple(labels) if labels else ()


def _relabel(subs: tuple[Sub, ...], labels: tuple[Expr, ...]) -> tuple[Sub, ...]:
    fresh = iter(labels)
    return tuple(s if isinstance(s, Index) else next(fresh) for s in subs)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Access(Expr):
    """`tensor[subs]`; a subscript is an index, or a label (an `Access` with integer values)."""

    tensor: str
    subs: tuple[Sub, ...]

    def __post_init__(self) -> None:
        set_free(self, _subs_free(self.subs))

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
        set_free(self, sub_free(self.left) | sub_free(self.right))

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
        set_free(self, frozenset(self.subs))


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Add(Expr):
    """A sum of terms; terms may lack free indices (broadcast)."""

    terms: tuple[Expr, ...]

    def __post_init__(self) -> None:
        set_free(self, frozenset().union(*(t.free for t in self.terms)))

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
        set_free(self, frozenset().union(*(f.free for f in self.factors)))

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
        set_free(self, self.base.free | self.exponent.free)

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
        set_free(self, frozenset().union(*(a.free for a in self.args)))

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
        set_free(self, self.left.free | self.right.free)

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
        set_free(self, frozenset().union(*(a.free for a in self.args)))

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
        set_free(self, self.condition.free)

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
        set_free(self, self.condition.free | self.then.free | self.other.free)

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.condition, self.then, self.other)

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        return Where(*children)
