"""What `torch.compile` makes of a call: one node of Dynamo's graph, and few guards."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from torch.testing import assert_close

OPS = {
    "nn.rms_norm": ((3, 4), (4,)),
    "losses.mse": ((3, 4), (3, 4)),
    "linalg.solve": ((2, 3, 3), (2, 3, 4)),
}


@pytest.mark.parametrize("name", OPS)
def test_an_op_is_one_node_of_a_graph(name: str) -> None:
    """Dynamo traces and guards nothing inside it."""
    op = getattr(import_module(f"generated.{name}"), name.partition(".")[2])
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    made = torch.Generator().manual_seed(0)
    args = [torch.randn(shape, generator=made, requires_grad=True) for shape in OPS[name]]
    found, want = torch.compile(op, backend=backend)(*args), op(*args)
    assert_close(found, want)
    assert_close(torch.autograd.grad(found.sum(), args), torch.autograd.grad(want.sum(), args))
    [graph] = graphs
    called = [node.target.__name__ for node in graph.graph.nodes if node.op.startswith("call")]
    assert [word for word in called if word != "getitem"] == ["in_graph"]


# What a call is guarded by beside its arguments and PyTorch's modes; in the second, what brings an output to its dtype.
GUARDS = {"G['_node']", "G['_runtime']", "G['_runtime'].in_graph", "G['_runtime'].compiling"}
ROUNDING = {"G['_runtime'].promote", "G['_runtime'].cast"}


@pytest.mark.parametrize("name", OPS)
def test_a_compiled_op_is_guarded_by_few_names(name: str) -> None:
    """Each call looks them all up."""
    op = getattr(import_module(f"generated.{name}"), name.partition(".")[2])
    found: list[str] = []

    def noted(guards: Any) -> list[bool]:
        found.extend(entry.name for entry in guards if entry.name.startswith("G["))
        return [True] * len(guards)

    torch._dynamo.reset()
    made = torch.Generator().manual_seed(0)
    args = [torch.randn(shape, generator=made, requires_grad=True) for shape in OPS[name]]
    torch.compile(op, backend="eager", options={"guard_filter_fn": noted})(*args)
    assert len(found) == len(set(found))
    assert set(found) - ROUNDING == GUARDS
