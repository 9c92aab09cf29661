"""What has no Jacobian, Hessian or Hessian-vector product yet."""

from __future__ import annotations

from tensorgrad_gen.algebra.indices import walk
from tensorgrad_gen.errors import Report
from tensorgrad_gen.ir import Apply, Expr, Program, complex_of
from tensorgrad_gen.spec.model import OpSpec

_FURTHER = ("jacobian", "hessian", "hvp")
_INSTEAD = {
    "jacobian": "leave it out, and take `torch.func.jacrev` of the op",
    "hessian": "leave it out, and take `torch.func.hessian` of the op",
    "hvp": "leave it out, and take `torch.func.jvp` of `torch.func.grad` of the op",
}


def check(program: Program, spec: OpSpec, report: Report) -> None:
    """Refuse those of complex numbers, and second derivatives through a clip.

    A complex number has no one derivative by another that both torch.func and calculus would give.  A clip changes
    cotangents and lets tangents pass, so that a Hessian depends on how it is computed.
    """
    wanted = [item for item in spec.derivatives if item.text in _FURTHER]
    complex_ = bool(wanted) and bool(complex_of(program))
    clips = bool(wanted) and any(_clips(node) for s in program.statements for node in walk(s.value))
    for item in wanted:
        if complex_:
            message = f"`{item.text}` of complex numbers is not built yet"
        elif clips and item.text != "jacobian":
            message = f"`{item.text}` through `clip_gradient` is not built yet: it is not linear in the cotangent"
        else:
            continue
        report.error("E901", message, item.span, _INSTEAD[item.text])


def _clips(node: Expr) -> bool:
    return isinstance(node, Apply) and node.function == "clip_gradient"
