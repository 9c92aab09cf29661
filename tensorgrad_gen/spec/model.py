"""`OpSpec`: a spec file as data, every value with its place.  Nothing here knows the equations' grammar."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.errors import Span


@dataclass(frozen=True, slots=True)
class Located:
    """Text from the spec with its place."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Fragment:
    """Text to be parsed as an expression or equations.

    `places[k]` is the (line, column), 1-based, of character `k` in the spec file;
    it has one entry more than `text`, for the end.
    """

    text: str
    places: tuple[tuple[int, int], ...]

    def span(self, start: int, end: int) -> Span:
        """The span of `text[start:end]`."""
        line, column = self.places[start]
        if end > start:
            last_line, last_column = self.places[end - 1]
            return Span(line, column, last_line, last_column + 1)
        return Span(line, column, line, column + 1)


@dataclass(frozen=True, slots=True)
class InputSpec:
    name: Located
    indices: tuple[Located, ...]  # `...` may be the first
    kind: str = "real"  # real | complex | bool | label
    doc: str = ""
    grad: bool = True
    default: int | None = None
    domain: str | tuple[Fraction, Fraction] = "real"
    labels: Located | None = None
    structure: str = "general"
    upper: tuple[Located, ...] | None = None


@dataclass(frozen=True, slots=True)
class ParamSpec:
    name: Located
    default: Fraction | None  # None: required
    kind: str = "real"  # real | int


@dataclass(frozen=True, slots=True)
class ConstantSpec:
    """`shape` and row-major `values`; a plain number has shape ()."""

    name: Located
    shape: tuple[int, ...]
    values: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True)
class SizeSpec:
    """`name` is a name for the extent of `index`; `extent` (parsed later) gives it."""

    name: Located
    index: Located
    extent: Fragment | None = None


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """`name(arguments): body`."""

    name: Located
    arguments: tuple[Located, ...]
    body: Fragment


@dataclass(frozen=True, slots=True)
class ImplicitSpec:
    unknown: Fragment
    equation: Fragment
    free: tuple[Located, ...] | None
    solver: Located | None
    start: Fragment | None
    tolerance: Fraction | None
    iterations: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class OpSpec:
    path: str  # as the user gave it, for messages
    text: str  # the whole file
    name: Located
    doc: str
    inputs: tuple[InputSpec, ...]
    params: tuple[ParamSpec, ...]
    constants: tuple[ConstantSpec, ...]
    sizes: tuple[SizeSpec, ...]
    functions: tuple[FunctionSpec, ...]
    equations: tuple[Fragment, ...]  # one fragment an equation, comments and line ends removed from it
    implicit: ImplicitSpec | None
    outputs: tuple[Located, ...] | None
    derivatives: tuple[Located, ...]
    differentiable: str
    save: str
    chunk: tuple[Located, int] | None
    hints: tuple[tuple[Located, int], ...]
    target: str
