"""The lowered op: what render prints.

Contract with render:

- A body reads these names from outside (`Body.reads`): inputs and saved tensors, cotangents
  `grad_<output>`, tangents `tangent_<input>`, params.  Constant tensors are made inside.  All real tensors
  are in the op's compute dtype; cotangents and tangents are tensors (render puts zeros for `None`).
- `Body.sizes` are Python ints, defined in terms of the op's inputs (`H = x.shape[-1]`).  `forward` prints
  them first; a backward or tangent body, which may lack the inputs, gets them from `ctx` (computed by
  the same statements in `setup_context`) or prints them when it has the inputs they read.
- `Body.statements` come after, in order; one whose `needed_by` is not empty may stand under the test
  that one of these gradients is needed.
- `Body.results` are expressions of exactly the declared axes, in full size, never an input or a view of one.
  An auxiliary output is the exception: it has the layout `LoweredOp.layouts` says, the same in every body,
  and its cotangent and tangent have that layout too.
- Functions called `_runtime.name` are those of `tensorgrad_gen.runtime`; `Body.helpers` lists them.
  `Body.imports` lists the modules beside torch that the body uses (`math`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tensorgrad_gen.ir import Index
from tensorgrad_gen.lower.torch_ir import TExpr, TorchStatement
from tensorgrad_gen.plan.model import Plan

# The axes of a tensor in a body: an index, or None for an axis kept with size 1.
# `...` is always first and stands for any number of axes, so axes are counted from the end.
Layout: TypeAlias = tuple["Index | None", ...]


@dataclass(frozen=True, slots=True)
class Body:
    """One straight-line torch program."""

    sizes: tuple[TorchStatement, ...]
    statements: tuple[TorchStatement, ...]
    results: tuple[tuple[str, TExpr], ...]
    reads: tuple[str, ...]
    helpers: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Factor:
    """A tensor of a factorisation that `forward` returns for backward, if `flag` is set; always where that is empty."""

    name: str
    flag: str


@dataclass(frozen=True, slots=True)
class LoweredOp:
    """A plan as torch: one body for forward, one for each backward block, one for the tangent program.

    `layouts` gives the axes of every auxiliary output.
    `like` names, for each body in the order forward, backward..., tangent, the tensor that gives new tensors
    their dtype and device.
    """

    plan: Plan
    forward: Body
    backward: tuple[Body, ...]
    tangent: Body | None
    layouts: tuple[tuple[str, Layout], ...]
    like: tuple[str, ...]
    complex: frozenset[str] = frozenset()  # forward tensors with complex values
    further: tuple[LoweredOp, ...] = ()  # of each further derivative of the plan
    steps: tuple[tuple[str, LoweredOp], ...] = ()  # functions that a solver calls, by name
    parts: tuple[LoweredOp, ...] = ()  # of each part of the plan
    factors: tuple[Factor, ...] = ()  # what forward returns last, of factorisations: no tensors of the plan
    valued: Body | None = None  # of a number and its gradients together, where the plan has that
