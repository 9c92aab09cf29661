"""What a check sees, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType

from torch import Tensor

# A function of the op's tensors, in call order, that returns all its outputs.
Tensors = tuple[Tensor | None, ...]
Outputs = tuple[Tensor, ...]
Params = Mapping[str, float | int]
Function = Callable[..., "Tensor | Sequence[Tensor]"]


class FindingError(Exception):
    """The op is wrong: what a failed check says.  `worst` is the largest error, relative."""

    def __init__(self, message: str, worst: float | None = None) -> None:
        super().__init__(message)
        self.worst = worst


class SkippedError(Exception):
    """The check does not apply, and why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One set of arguments.  Derivatives of a `regular` one are smooth and finite in every argument.

    On one that is not `defined` the formula meets 0/0 or has no finite value: only shapes are compared there.
    """

    label: str
    tensors: Tensors
    params: Params
    regular: bool = True
    defined: bool = True
    cramped: bool = False  # so near to a kink or pole that finite differences say nothing


@dataclass(frozen=True, slots=True)
class Subject:
    """An op under verification, beside its plain formula.

    - `op` and `raw` (`apply` of the op's Function, which returns the auxiliary outputs too) take the structured
      part of inputs that have a structure; `bare` is the public function itself.
    - `oracle` is a second value reference; `smooth` tells whether arguments are away from kinks.
    - `single` is the plain formula in the arithmetic of float32; without it, `reference` is rounded.
    - `stable` is the plain formula with its stable forms recognised, in the arithmetic of the inputs.
    - `samples` has regular samples, the most used first; `tiny` is one with few elements, `square` one with all
      extents equal; `edges` have extents 0 and 1, `undefined` says where the formula has no value at all.
    - A `quick` run moves fewer elements by finite differences.
    """

    name: str
    op: Function
    reference: Callable[[Tensors, Params], Outputs]
    differentiable: tuple[bool, ...]
    samples: tuple[Sample, ...]
    tiny: Sample
    square: Sample
    edges: tuple[Sample, ...] = ()
    undefined: tuple[str, ...] = ()
    raw: Function | None = None
    bare: Function | None = None
    oracle: Callable[[Tensors, Params], Outputs] | None = None
    smooth: Callable[[Tensors, Params], bool] | None = None
    single: Callable[[Tensors, Params], Outputs] | None = None
    stable: Callable[[Tensors, Params], Outputs] | None = None
    orders: int = 2
    forward: bool = True
    surrogate: bool = False
    clipped: bool = False
    domains: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    module: ModuleType | None = None
    device: str = "cpu"
    seed: int = 0
    quick: bool = False

    def call(self, tensors: Sequence[Tensor | None], params: Params) -> Outputs:
        """All outputs of the public function."""
        return as_outputs(self.op(*tensors, **params))

    def call_raw(self, tensors: Sequence[Tensor | None], params: Params) -> Outputs:
        """All outputs of the Function, auxiliary ones included."""
        if self.raw is None:
            raise SkippedError("the op has no autograd Function of its own")
        return as_outputs(self.raw(*tensors, *params.values()))

    def input_name(self, position: int) -> str:
        """The name of an input, for messages."""
        return self.names[position] if self.names else f"input {position}"


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table of checks; `function` returns the worst relative error it met."""

    name: str
    section: int
    function: Callable[[Subject], float | None]
    quick: bool = True


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check said about an op; `status` is `passed`, `failed` or `skipped`."""

    op: str
    name: str
    section: int
    status: str
    message: str = ""
    worst: float | None = None
    seconds: float = field(default=0.0, compare=False)


def as_outputs(value: Tensor | Sequence[Tensor]) -> Outputs:
    """One output or several, as a tuple."""
    return (value,) if isinstance(value, Tensor) else tuple(value)
