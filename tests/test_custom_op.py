"""`target: custom_op`: an operator of torch.library, and the Function where no such operator goes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.testing import check_op

NORM = """\
op: opaque_norm
inputs: {x: [..., h], w: {indices: [h], default: 1}}
params: {eps: 1.0e-6}
equations: |
  r[...]   = rsqrt(mean[h](x[...,h]^2) + eps)
  y[...,h] = x[...,h]*r[...]*w[h]
outputs: [y]
target: custom_op
"""
PICK = """\
op: opaque_pick
inputs: {x: [b, v], t: {indices: [b], kind: label, labels: v}}
params: {k: {default: 2, kind: int}}
equations: |
  y[b] = x[b,t[b]]*k
  m[b] = x[b,t[b]] > 0
outputs: [y, m]
target: custom_op
"""
# The fourth asks every device for its random state; the make-believe one of other tests in the process has none.
UTILS = ("test_schema", "test_autograd_registration", "test_faketensor")
COUNT = """\
op: opaque_count
inputs: {t: {indices: [b], kind: label, labels: v}, x: {indices: [v], grad: false}}
equations: |
  y[b] = t[b]
target: custom_op
"""


def normed(x: Tensor, w: Tensor) -> Tensor:
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * w


@pytest.fixture
def op() -> Callable[..., Tensor]:
    return load_op(NORM)


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(3)
    return tuple(torch.randn(s, generator=source, dtype=torch.float64).requires_grad_() for s in ((3, 4), (4,)))


def operator_of(function: Any) -> Any:
    return sys.modules[function.__module__]._OPERATOR.operator


@pytest.mark.parametrize("omitted", [False, True])
def test_opcheck_passes(op: Any, pair: tuple[Tensor, Tensor], omitted: bool) -> None:
    x, w = pair
    torch.library.opcheck(operator_of(op), (x, None if omitted else w, 1e-6), test_utils=UTILS)


def test_opcheck_passes_with_labels_and_a_discrete_output() -> None:
    function = load_op(PICK)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(operator_of(function), (x, torch.tensor([0, 3, 1]), 2), test_utils=UTILS)
    with pytest.raises(IndexError, match="opaque_pick: a label in t"):
        function(x, torch.tensor([0, 4, 1]))


def test_an_op_without_derivatives_is_an_operator_too() -> None:
    function = load_op(COUNT)
    labels = torch.tensor([2, 0])
    x = torch.ones(3)
    assert_close(function(labels, x), labels)
    assert_close(torch.ops.tensorgrad_gen.opaque_count(labels, x), labels)


def test_derivatives_of_any_order_and_in_any_mode(op: Any, pair: tuple[Tensor, Tensor]) -> None:
    assert torch.autograd.gradcheck(op, pair, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(op, pair, check_fwd_over_rev=True)
    x, w = (t.detach() for t in pair)
    for transform in (torch.func.hessian, torch.func.jacrev, torch.func.jacfwd):
        got, want = (transform(lambda a, f=f: f(a, w).square().sum())(x) for f in (op, normed))
        assert_close(got, want)
    assert_close(torch.vmap(op, (0, None))(x, w), normed(x, w))


def test_the_operator_itself_goes_under_vmap(op: Any, pair: tuple[Tensor, Tensor]) -> None:
    x, w = (t.detach() for t in pair)
    got = torch.vmap(lambda a: torch.ops.tensorgrad_gen.opaque_norm(a, w, 1e-6)[0])(x)
    assert_close(got, normed(x, w))


def test_it_is_one_node_of_an_exported_graph(op: Any, pair: tuple[Tensor, Tensor]) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: Tensor, w: Tensor) -> Tensor:
            return op(x, w).square().sum()

    program = torch.export.export(Model(), pair)
    assert "tensorgrad_gen.opaque_norm.default" in str(program.graph)
    assert_close(program.module()(*pair), normed(*pair).square().sum())


@pytest.mark.parametrize("dynamic", [False, True])
def test_it_compiles_to_one_graph(op: Any, pair: tuple[Tensor, Tensor], dynamic: bool) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(op, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    got, want = (torch.autograd.grad(f(*pair).square().sum(), pair) for f in (compiled, normed))
    assert_close(got, want)


def test_the_docstring_states_the_limits() -> None:
    source = compile_spec(NORM).source
    assert "torch.ops.tensorgrad_gen.opaque_norm itself has no forward" in " ".join(source.split())


def test_check_op_passes(op: Any) -> None:
    samples = [(torch.randn(2, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64))]
    check_op(op, normed, samples)
