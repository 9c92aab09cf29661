"""Programs: inputs, parameters, sizes and statements, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tensorgrad_gen.ir.base import Expr, Index


@dataclass(frozen=True, slots=True)
class Size:
    """Integer arithmetic on extents: `op` is one of `int size param + - * // ceil min`.

    `int`: args = (value,); `size`: (extent symbol,); `param`: (name,); the rest: two `Size`s
    (`-` may have one).  `ceil` is `ceil(a/b)`.
    """

    op: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor the caller passes, in call order."""

    name: str
    indices: tuple[Index, ...]
    kind: str = "real"  # real | complex | bool | label
    doc: str = ""
    grad: bool = True  # false for bool and label
    default: int | None = None  # 0 or 1: may be omitted, acts as that constant
    domain: str | tuple[Fraction, Fraction] = "real"
    labels: str | int | None = None  # extent symbol that a label's values stay below
    structure: str = "general"
    upper: tuple[str, ...] | None = None
    called: str = ""  # by the caller, where the name differs
    made: bool = False  # by the op itself, of positions: a label that is never outside, whatever a condition hides

    @property
    def keyword(self) -> str:
        """The name by which the caller may pass it."""
        return self.called or self.name


@dataclass(frozen=True, slots=True)
class Parameter:
    """A scalar keyword argument; `default` None means required."""

    name: str
    default: Fraction | None
    kind: str  # real | int


@dataclass(frozen=True, slots=True)
class Constant:
    """A small fixed tensor; `values` in row-major order."""

    name: str
    indices: tuple[Index, ...]
    values: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """`target[indices] = value`: free indices of the value are among `indices`.

    `kind` is `real`, `bool` or `label`.
    """

    target: str
    indices: tuple[Index, ...]
    value: Expr
    kind: str = "real"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a name stands for: its indices (as declared) and its kind."""

    name: str
    indices: tuple[Index, ...]
    kind: str
    role: str  # input | constant | defined


@dataclass(frozen=True, slots=True)
class Chunk:
    """The op is worked in `count` blocks along `index`, one after another.

    `lean`: nothing but inputs is kept, not even the gradients of a number.
    """

    index: Index
    count: int
    lean: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """An op as mathematics: statements in order, each defining one tensor.

    `axes` tells where an extent symbol is read at run time: every (input, axis) that has it,
    axis counted from the end (-1 is last), because `...` may stand before it.
    `size_defs` gives extents that no input has; where a symbol is in both, the axes are checked
    against it.  An axis that must be as long as an integer says (it meets a constant's axis, or
    `levi_civita`) has that integer in its `Index`, and its symbol in `axes` and in `size_defs`,
    as `Size("int", (3,))`.  `size_names` maps the user's own size names
    to extent symbols, for documents and names in generated code.
    """

    name: str
    doc: str
    inputs: tuple[Input, ...]
    params: tuple[Parameter, ...]
    constants: tuple[Constant, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[str, ...]
    axes: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    size_defs: tuple[tuple[str, Size], ...] = ()
    size_names: tuple[tuple[str, str], ...] = ()
    derivatives: tuple[str, ...] = ("vjp", "jvp")
    differentiable: str = "any"
    save: str = "auto"
    hints: tuple[tuple[str, int], ...] = ()
    target: str = "function"
    chunk: Chunk | None = None
    tensors: dict[str, TensorInfo] = field(init=False, compare=False, repr=False, hash=False)

    def __post_init__(self) -> None:
        table: dict[str, TensorInfo] = {}
        for item in self.inputs:
            table[item.name] = TensorInfo(item.name, item.indices, item.kind, "input")
        for constant in self.constants:
            table[constant.name] = TensorInfo(constant.name, constant.indices, "real", "constant")
        for statement in self.statements:
            table[statement.target] = TensorInfo(statement.target, statement.indices, statement.kind, "defined")
        object.__setattr__(self, "tensors", table)

    def statement(self, name: str) -> Statement:
        """The statement that defines a tensor."""
        return next(s for s in self.statements if s.target == name)
