"""Labels that a spec says it ignores: what `t[b] != ignore_index` compares them with."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from tensorgrad_gen.ir import Access, Compare, Const, Expr, Param, Program
from tensorgrad_gen.verify.model import Params, Tensors

EVERY = 3  # one label of so many


def with_ignored(program: Program, tensors: Tensors, params: Params) -> Tensors | None:
    """The tensors, some of their labels made what they are compared with; None where there is nothing to change."""
    found: dict[str, int] = {}
    for statement in program.statements:
        for tensor, value in _compared(statement.value, params):
            found.setdefault(tensor, value)
    labels = {item.name for item in program.inputs if item.kind == "label"} & set(found)
    if not labels:
        return None
    return tuple(
        _marked(t, found[item.name]) if item.name in labels and t is not None else t
        for item, t in zip(program.inputs, tensors, strict=True)
    )


def _compared(expr: Expr, params: Params) -> Iterator[tuple[str, int]]:
    """Tensors that are compared with a whole number, and which."""
    if isinstance(expr, Compare) and expr.op in ("==", "!="):
        for one, two in ((expr.left, expr.right), (expr.right, expr.left)):
            if isinstance(one, Access) and isinstance(two, Param) and two.kind == "int":
                yield one.tensor, int(params[two.name])
            if isinstance(one, Access) and isinstance(two, Const) and two.value.denominator == 1:
                yield one.tensor, int(two.value)
    for child in expr.children:
        yield from _compared(child, params)


def _marked(labels: Tensor, value: int) -> Tensor:
    """Never all of them: where everything is ignored there may be no value."""
    if labels.numel() < 2:
        return labels
    flat = labels.reshape(-1).clone()
    flat[::EVERY] = value
    return flat.reshape(labels.shape)
