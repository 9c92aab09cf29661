"""The formula as straight calls of PyTorch, without the interpreter that makes them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from tensorgrad_gen.bench.counters import Call

_aten: Any = torch.ops.aten


def straight(call: Call, tensors: Sequence[Tensor | None]) -> Call:
    """What is called for tensors of these shapes, in order, differentiable as before.

    What depends on values (a search for a solution) cannot be written so, and stays as it is.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = make_fx(call, pre_dispatch=True)(*tensors)
    except Exception:  # noqa: BLE001  whatever cannot be traced is measured as it is
        return call
    _without_idle_views(module)
    return module


def _without_idle_views(module: fx.GraphModule) -> None:
    """`permute`, `expand` and `to` that leave all as it is are dropped, and what nobody reads."""
    graph = module.graph
    for node in list(graph.nodes):
        if _idle(node):
            node.replace_all_uses_with(node.args[0])
    for node in reversed(list(graph.nodes)):
        if node.op not in ("placeholder", "output") and not node.users:
            graph.erase_node(node)
    module.recompile()


def _idle(node: fx.Node) -> bool:
    if node.target in (_aten.to.dtype, _aten.to.dtype_layout, _aten.expand.default):
        before, after = (n.meta.get("val") for n in (node.args[0], node))  # type: ignore[union-attr]
        return before is not None and after is not None and _alike(before, after)
    if node.target is _aten.permute.default:
        axes: Any = node.args[1]
        return list(axes) == list(range(len(axes)))
    return False


def _alike(before: Tensor, after: Tensor) -> bool:
    return before.shape == after.shape and before.dtype == after.dtype and before.device == after.device
