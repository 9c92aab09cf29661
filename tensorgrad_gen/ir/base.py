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
from typing import Any, ClassVar, TypeAlias
from weakref import WeakValueDictionary

from tensorgrad_gen.ir.budget import spend


class IRError(Exception):
    """A node that cannot exist: an internal fault, never a user's mistake."""


class _Interned(type):
    """Metaclass that returns the one node for given parts."""

    _table: ClassVar[WeakValueDictionary[tuple[Any, ...], Any]] = WeakValueDictionary()

    def __call__(cls, *parts: Any) -> Any:
        steps = 1
        for part in parts:
            if type(part) is tuple:
                steps += len(part)
        spend(steps)
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


def set_free(node: Expr, free: frozenset[Index]) -> None:
    """Enter the free indices of a node that is being built."""
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


Sub: TypeAlias = "Index | Expr"


def sub_free(sub: Sub) -> frozenset[Index]:
    """Free indices of a subscript: itself, or those of a label."""
    return frozenset((sub,)) if isinstance(sub, Index) else sub.free
