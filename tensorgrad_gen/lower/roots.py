"""What solves a nonlinear equation: a call of the solver with functions that make a step."""

from __future__ import annotations

from tensorgrad_gen.ir import Expr, Index, IRError, Root
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.torch_ir import Call, Function, Lit, TExpr, Tup, Var
from tensorgrad_gen.lower.values import Val, align

# The functions that a module has beside its op where it solves an equation.
NEWTON = "_newton_step"
SEARCH = "_fixed_point_step"


def lower_root(b: Builder, node: Root, order: Layout) -> Val:
    """The solution, its axes as declared; all tensors that a step reads are given to it."""
    problem = node.problem
    own = tuple(sub for sub in node.subs if isinstance(sub, Index))
    if len(own) < len(node.subs):
        raise IRError("a solution read at a label")
    first, *others = (
        _whole(b, arg, item.indices, item.kind) for item, arg in zip(problem.program.inputs, node.args, strict=True)
    )
    params = tuple(Var(local_name(param.name)) for param in problem.program.params)
    step = Function(NEWTON if problem.solver == "newton" else SEARCH)
    what = f"{b.program.name}: {problem.unknown}"
    numbers = (Lit(float(problem.tolerance)), Lit(problem.iterations), Lit(what))
    call = Call("_runtime.root", (step, Function(NEWTON), first, Tup((*others, *params)), *numbers))
    return align(Val(call, own), order)


def _whole(b: Builder, arg: Expr, indices: tuple[Index, ...], kind: str) -> TExpr:
    """The argument in full size, as declared."""
    lower = {"bool": b.condition, "label": b.integer}.get(kind, b.lower)
    val = b.tensor(lower(arg, indices))
    val = align(b.real(val) if kind in ("real", "complex") else val, indices)
    return b.solid(val, indices).expr
