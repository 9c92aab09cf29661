"""The surface tree of an equation: what the user wrote, with spans."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from tensorgrad_gen.errors import Span


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A bare name: order-0 tensor, param, size, `pi`, `inf`, or an index as its position."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Subscript:
    """One subscript: an expression (`Name` for a plain index), `...`, and an optional `// n`."""

    value: Tree | None  # None for `...`
    divisor: int | None
    span: Span

    @property
    def ellipsis(self) -> bool:
        return self.value is None


@dataclass(frozen=True, slots=True)
class Access:
    """`name[subs]`: a tensor, `delta[i,j]`, `one[h]`, `levi_civita[i,j,k]`."""

    name: str
    subs: tuple[Subscript, ...]
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """`name(args)`: a pointwise function, `size(h)`, `where(...)`, `pad(...)`, `det(x)`."""

    name: str
    args: tuple[Tree, ...]
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Bound:
    """`name[subs](args)`: a reduction or scan."""

    name: str
    subs: tuple[Subscript, ...]
    args: tuple[Tree, ...]
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class MatrixCall:
    """`name(args)[subs]`: a matrix function."""

    name: str
    args: tuple[Tree, ...]
    subs: tuple[Subscript, ...]
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`op` is `-`, `+` or `not`."""

    op: str
    operand: Tree
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`op` is one of `+ - * / ^ and or` (`**` is read as `^`).

    `//` occurs only in an extent, and as an argument of `pad`, `clamp`, `mod` in a subscript.
    `a + b + c` leans to the left, as deep as it is long: walk its left side in a loop.
    """

    op: str
    left: Tree
    right: Tree
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    op: str
    left: Tree
    right: Tree
    span: Span


@dataclass(frozen=True, slots=True)
class Iverson:
    """`[condition]`."""

    condition: Tree
    span: Span


@dataclass(frozen=True, slots=True)
class Paren:
    """`(expr)`: kept, because a parenthesised sum or divisor is a box (language, section 3)."""

    inner: Tree
    span: Span


Tree: TypeAlias = Number | Name | Access | Call | Bound | MatrixCall | Unary | Binary | Comparison | Iverson | Paren


@dataclass(frozen=True, slots=True)
class Equation:
    """`left = right`; `left` is an `Access` or a `Name` for a definition, any sum in `implicit`."""

    left: Tree
    right: Tree
    span: Span
