"""Whether what `forward` returns is a tensor of its own.

Law: no output is an input, shares memory with one or with another output, or counts as a view: PyTorch
refuses to change a Function's view outputs in place.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.lower.model import Body
from tensorgrad_gen.lower.torch_ir import Attr, Call, Item, Method, TExpr, Var

_VIEWS = frozenset(
    {
        *("as_strided", "broadcast_to", "chunk", "conj", "contiguous", "detach", "diagonal", "expand", "flatten"),
        *(
            "imag",
            "mH",
            "mT",
            "movedim",
            "narrow",
            "permute",
            "real",
            "reshape",
            "select",
            "split",
            "squeeze",
            "swapaxes",
        ),
        *("t", "to", "transpose", "unbind", "unflatten", "unfold", "unsqueeze", "view", "view_as"),
    }
)
# Runtime functions that may return their first argument, or a view of it.
_PASSING = frozenset({"matrix_axes", "merge_last", "rows", "split_axis", "sum_lead", "window", "window_sum"})


# Those that return new tensors together.
_MAKING_SEVERAL = frozenset(
    {
        *("_runtime.layer_norm", "_runtime.attention_gradients", "_runtime.solve_and_factor"),
        *("_runtime.logdet_and_factor", "_runtime.lu_factor", "_runtime.eigvalsh", "_runtime.svdvals"),
    }
)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a value's memory comes from: `base` names an outside tensor or a local, None what nothing else sees."""

    base: str | None
    view: bool


_FRESH = _Origin(None, view=False)
_SEVERAL = _Origin("", view=False)  # a tuple of new tensors


def owned(body: Body) -> dict[str, str]:
    """Result -> what makes it a tensor of its own: `""` (it is one), `own` (no copy needed) or `clone`."""
    known: dict[str, _Origin] = {}
    for statement in body.statements:
        origin = _origin(statement.call, known)
        known[statement.target] = _Origin(statement.target, view=False) if origin == _FRESH else origin
    locals_ = {statement.target for statement in body.statements}
    taken: set[str] = set()
    remedies: dict[str, str] = {}
    for name, expr in body.results:
        origin = _origin(expr, known)
        shared = origin.base is not None and (origin.base not in locals_ or origin.base in taken)
        remedies[name] = "clone" if shared else "own" if origin.view else ""
        if origin.base is not None:
            taken.add(origin.base)
    return remedies


def _origin(expr: TExpr, known: dict[str, _Origin]) -> _Origin:
    match expr:
        case Var(name):
            return known.get(name, _Origin(name, view=False))
        case Method(receiver, name) | Attr(receiver, name) if name in _VIEWS:
            return _Origin(_origin(receiver, known).base, view=True)
        case Item(Var(name), _) if known.get(name) == _SEVERAL:
            return _FRESH
        case Item(receiver, _):
            return _Origin(_origin(receiver, known).base, view=True)
        case Call("_runtime.root" | "_runtime.attention" | "_runtime.add_products"):
            return _FRESH
        case Call(function) if function in _MAKING_SEVERAL:
            return _SEVERAL
        case Call(function, args) if function.startswith("_runtime."):
            passes = function.removeprefix("_runtime.") in _PASSING and args
            return _Origin(_origin(args[0], known).base if passes else None, view=True)
        case Call("torch.einsum", (_, operand)):
            return _Origin(_origin(operand, known).base, view=True)
        case Call("torch.einsum" | "torch.nn.functional.linear"):
            return _Origin(None, view=True)
        case Call(function, args) if args and function.rpartition(".")[2] in _VIEWS:
            return _Origin(_origin(args[0], known).base, view=True)
        case _:
            return _FRESH
