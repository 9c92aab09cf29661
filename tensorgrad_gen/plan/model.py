"""The planner's product: what forward, backward and the tangent program compute, step by step."""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.derive.model import Further
from tensorgrad_gen.ir import Expr, Index, Problem, Program
from tensorgrad_gen.normalise.parts import Part


@dataclass(frozen=True, slots=True)
class Step:
    """`target[indices] = value`, to be lowered to torch.

    `value` has a `Sum`, `Reduce`, `Scan` or `Linalg` at its root or nowhere; what stands inside
    is pointwise over accesses.  `needed_by` names the inputs whose gradient uses the step
    (empty: always computed).  `formula` is the right side to print, if it says more than `value`.
    """

    target: str
    indices: tuple[Index, ...]
    value: Expr
    kind: str = "real"
    needed_by: frozenset[str] = frozenset()
    formula: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """How a body is worked in blocks of rows: the tensors `cut` have `index` as their first axis.

    `inside` are the steps of a block, of which `sums` are added up over the blocks.
    """

    index: Index
    cut: frozenset[str]
    sums: frozenset[str]
    inside: frozenset[str]


@dataclass(frozen=True, slots=True)
class Block:
    """A linear program: from the cotangents (or tangents) `roots` to `results`.

    `results` pairs what is computed for (an input's name in backward, an output's or auxiliary
    output's name in a tangent block) with the tensor that holds it; a missing one is zero.
    `uses` names every saved tensor, input or output that the steps read.
    `rows`: how its steps can be worked in blocks of rows, if they can.
    """

    roots: tuple[str, ...]
    steps: tuple[Step, ...]
    results: tuple[tuple[str, str], ...]
    uses: tuple[str, ...]
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Solver:
    """How a problem is solved: a step of Newton's method, and a step of the search where that is another one."""

    problem: Problem
    newton: Plan
    search: Plan | None


@dataclass(frozen=True, slots=True)
class Plan:
    """One op, planned; or a step of a solver, which has a forward alone.

    `forward` computes every output and auxiliary output; `auxiliary` are the intermediates that
    `forward` returns beside the outputs so that they may be saved.  `saved` is what backward may
    read: inputs, outputs, auxiliaries.  `backward[0]` belongs to the op's own outputs jointly; each
    further block to one of them alone, for when another has no cotangent, or to one auxiliary output.
    In a backward block the cotangent of `y` is the tensor `grad_y`; in the tangent block the tangent
    of `x` is `tangent_x`.

    `further` are the derivatives with functions of their own: each a plan whose forward computes the blocks of
    `of`, without a Function round it, so that autograd records what it does.

    `parts` are what an op with a chunk is worked in, each planned as an op of its own (`part`).

    With `unrounded`, derivatives read outputs as they are computed: it is the public function that rounds.
    `rows`: how forward can be worked in blocks of rows, if it can.
    `valued`, of a part whose one output is a number, a sum over the blocks: that number and its gradients together.
    """

    program: Program
    forward: tuple[Step, ...]
    outputs: tuple[str, ...]
    auxiliary: tuple[str, ...]
    saved: tuple[str, ...]
    backward: tuple[Block, ...]
    tangent: Block | None
    further: tuple[Plan, ...] = ()
    of: Further | None = None
    solver: Solver | None = None
    parts: tuple[Plan, ...] = ()
    part: Part | None = None
    unrounded: bool = False
    rows: Rows | None = None
    valued: Block | None = None
