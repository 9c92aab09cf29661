"""The torch IR: calls as structure, printed as Python at the end.

Nothing below this module knows the algebra; nothing above it knows torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Var:
    """A local variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function of the module: no variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Lit:
    """A Python literal, printed by `repr`: int, float, bool, str, None, or a tuple of them."""

    value: object


@dataclass(frozen=True, slots=True)
class Call:
    """`function(args, **kwargs)`, `function` a dotted name of the allow-list (`torch.where`)."""

    function: str
    args: tuple[TExpr, ...] = ()
    kwargs: tuple[tuple[str, TExpr], ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """`receiver.name(args, **kwargs)`."""

    receiver: TExpr
    name: str
    args: tuple[TExpr, ...] = ()
    kwargs: tuple[tuple[str, TExpr], ...] = ()


@dataclass(frozen=True, slots=True)
class Attr:
    """`receiver.name`."""

    receiver: TExpr
    name: str


@dataclass(frozen=True, slots=True)
class Infix:
    """`left op right`, `op` one of Python's arithmetic, comparison or `& |` operators."""

    op: str
    left: TExpr
    right: TExpr


@dataclass(frozen=True, slots=True)
class Prefix:
    """`op operand`: `-` or `~`."""

    op: str
    operand: TExpr


@dataclass(frozen=True, slots=True)
class Tup:
    """A tuple display."""

    items: tuple[TExpr, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """Whether the gradient of one of these inputs is needed."""

    inputs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Item:
    """`receiver[key]`."""

    receiver: TExpr
    key: TExpr


TExpr: TypeAlias = Var | Function | Lit | Call | Method | Attr | Infix | Prefix | Tup | Item | Need


@dataclass(frozen=True, slots=True)
class TorchStatement:
    """`target = call`, under the comment `formula` (empty: none); `needed_by` as in `plan.model.Step`."""

    target: str
    call: TExpr
    formula: str = ""
    needed_by: frozenset[str] = frozenset()
