"""Backward operators of PyTorch: found by what a product is, equal to their composed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.runtime import fused
from tests.elaborating import spec

# What a spec says -> the helper that its backward calls.
SPELLINGS = {
    "silu(x[i])": "silu_backward",
    "x[i]*sigmoid(x[i])": "silu_backward",
    "x[i]/(1 + exp(-x[i]))": "silu_backward",
    "gelu(x[i])": "gelu_backward",
    "x[i]/2*(1 + erf(x[i]/sqrt(2)))": "gelu_backward",
    "gelu_tanh(x[i])": "gelu_tanh_backward",
    "mish(x[i])": "mish_backward",
    "x[i]*tanh(log(1 + exp(x[i])))": "mish_backward",
    "tanh(x[i])": "tanh_backward",
    "sigmoid(x[i])": "sigmoid_backward",
    "1/(1 + exp(-x[i]))": "sigmoid_backward",
    "1 - 2/(exp(2*x[i]) + 1)": "tanh_backward",
    "softplus(x[i])": "softplus_backward",
    "log(1 + exp(x[i]))": "softplus_backward",
    "logsigmoid(x[i])": "softplus_backward",
    "relu(x[i])": "relu_backward",
    "leaky_relu(x[i], 0.2)": "leaky_relu_backward",
    "elu(x[i], 0.7)": "elu_backward",
    "softmax[i](x[i])": "softmax_backward",
    "exp(x[i])/sum[j](exp(x[j]))": "softmax_backward",
    "log_softmax[i](x[i])": "log_softmax_backward",
}


def source_of(equation: str) -> str:
    return compile_spec(spec(f"y[i] = {equation}", {"x": "[i]"}), standalone=True).source


@pytest.mark.parametrize("equation", SPELLINGS)
def test_a_product_is_found_in_any_spelling(equation: str) -> None:
    assert f"_{SPELLINGS[equation]}(grad_y, " in source_of(equation).replace("\n", "").replace("            ", "")


@pytest.mark.parametrize(
    "equation", ["x[i]*sigmoid(2*x[i])", "x[i]^2*sigmoid(x[i])", "x[i]*erf(x[i])", "x[i]*tanh(x[i])"]
)
def test_what_is_nearly_one_of_them_is_none(equation: str) -> None:
    source = source_of(equation)
    assert not any(f"_{name}(" in source for name in ("silu_backward", "gelu_backward", "mish_backward"))


@pytest.mark.parametrize("equation", SPELLINGS)
def test_value_first_and_second_derivatives(equation: str) -> None:
    module = load_module("f", compile_spec(spec(f"y[i] = {equation}", {"x": "[i]"}), standalone=True).source)
    x = torch.tensor([-3.1, -0.4, 0.3, 2.7], dtype=torch.float64, requires_grad=True)
    assert gradcheck(module.test_op, x, rtol=1e-6, atol=1e-8, check_batched_grad=True, check_forward_ad=True)
    assert gradgradcheck(module.test_op, x, rtol=1e-6, atol=1e-8, check_batched_grad=True)


POINTWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gelu": fused.gelu_backward,
    "gelu_tanh": fused.gelu_tanh_backward,
    "silu": fused.silu_backward,
    "mish": fused.mish_backward,
    "tanh": fused.tanh_backward,
    "sigmoid": fused.sigmoid_backward,
    "softplus": lambda g, z: fused.softplus_backward(g, z, 1.5),
    "elu": lambda g, z: fused.elu_backward(g, z, 0.7),
    "leaky_relu": lambda g, z: fused.leaky_relu_backward(g, z, 0.2),
    "relu": fused.relu_backward,
    "softmax": lambda g, z: fused.softmax_backward(g, torch.softmax(z, -1), -1),
    "log_softmax": lambda g, z: fused.log_softmax_backward(g, torch.log_softmax(z, -2), -2),
}


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_the_operator_is_the_composed_form(name: str, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    g, z = torch.randn(6, 5, dtype=torch.float64), scale * torch.randn(6, 5, dtype=torch.float64)
    with torch.no_grad():
        fast = POINTWISE[name](g, z)
        monkeypatch.setattr(fused, "unwatched", lambda *_: False)
        slow = POINTWISE[name](g, z)
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)


def test_a_pytorch_without_an_operator_takes_the_composed_form() -> None:
    g, z = torch.randn(3), torch.randn(3)
    assert fused._operator("no such operator") is None
    with torch.no_grad():
        assert not fused.unwatched(None, g, z)
        assert fused.unwatched(torch.ops.aten.gelu_backward, g, z)
        assert not fused.unwatched(torch.ops.aten.gelu_backward, g[:1], z)
        assert not fused.unwatched(torch.ops.aten.gelu_backward, g.double(), z)
    assert not fused.unwatched(torch.ops.aten.gelu_backward, g, z)


def test_far_out_nothing_overflows() -> None:
    z = torch.tensor([-1e4, -200.0, -88.0, 0.0, 88.0, 200.0, 1e4])
    for name, call in POINTWISE.items():
        for enabled in (False, True):
            with torch.set_grad_enabled(enabled):
                found = call(torch.ones_like(z), z) if "softmax" not in name else call(torch.ones(7, 1), z[:, None])
            assert bool(torch.isfinite(found).all()), (name, enabled)
    assert math.isclose(float(fused.gelu_tanh_backward(torch.ones(1), torch.zeros(1))), 0.5)


def test_the_sum_of_one_factor_is_no_sum_of_products() -> None:
    """`y (y - sum y)` is not `y (y - sum y y)`: each factor counts as often as it stands there."""
    from tensorgrad_gen.ir import Access, Index, Sum, add, mul, neg
    from tensorgrad_gen.lower.fused import fused as found
    from tensorgrad_gen.pipeline import run
    from tensorgrad_gen.plan.model import Step

    program = run(spec("y[i] = softmax[i](x[i])", {"x": "[i]"}), "test_op.yaml", until="elaborate")["elaborate"]
    i, j = Index("i", "i"), Index("j", "i")
    y, total = Access("y", (i,)), Access("s", ())
    whole = Step("z", (i,), mul(y, add(y, neg(total))))
    once, twice = (Step("s", (), Sum((j,), body)) for body in (Access("y", (j,)), mul(*2 * [Access("y", (j,))])))
    assert not found(whole, (once, whole), program)
    assert [call.name for call in found(whole, (twice, whole), program).values()] == ["softmax_backward"]


def test_a_softmax_behind_a_mask_is_the_operator_under_the_mask() -> None:
    text = spec("p[i] = softmax[i](where(m[i], x[i], -inf))\ny[i] = p[i]*w[i]", {"x": "[i]", "w": "[i]"})
    text = text.replace("  w: [i]", "  w: [i]\n  m: {indices: [i], kind: bool}")
    module = load_module("f", compile_spec(text, standalone=True).source)
    assert "torch.where(m, _softmax_backward(" in compile_spec(text, standalone=True).source
    x, w = (torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    mask = torch.tensor([True, False, True, True])
    assert gradcheck(module.test_op, (x, w, mask), check_batched_grad=True)
    assert gradgradcheck(module.test_op, (x, w, mask))


def test_the_smaller_operand_is_scaled_where_hints_say_so() -> None:
    equations = "y[i,j] = x[i,d]*w[j,d]/7"
    inputs = {"x": "[i, d]", "w": "[j, d]"}
    assert "(x / 7) @ w.mT" in compile_spec(spec(equations, inputs, "hints: {i: 512, j: 512}\n")).source
    assert "(x @ w.mT) / 7" in compile_spec(spec(equations, inputs)).source
