"""Layer normalisation by PyTorch's operator: found in any spelling, and only where it is one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.runtime import fused
from tests.elaborating import spec

MEAN = "m[b] = 1/H*one[h]*x[b,h]\n"
FULL = {"x": "[b, h]", "w": "[h]", "c": "[h]"}
SIZES = "sizes: {H: h}\nparams: {eps: {default: 1.0e-5, kind: real}}\n"
# Equations, inputs.
SPELLINGS = {
    "by the spread": (
        MEAN + "d[b,h] = x[b,h] - m[b]\ns[b] = sqrt(1/H*one[h]*d[b,h]^2 + eps)\ny[b,h] = d[b,h]/s[b]*w[h] + c[h]",
        FULL,
    ),
    "by its inverse": (
        MEAN + "v[b] = mean[h]((x[b,h] - m[b])^2)\nr[b] = rsqrt(v[b] + eps)\ny[b,h] = w[h]*r[b]*(x[b,h] - m[b]) + c[h]",
        FULL,
    ),
    "in one more name": (
        MEAN + "v[b] = mean[h]((x[b,h] - m[b])^2)\ns[b] = sqrt(eps + v[b])\nn[b,h] = (x[b,h] - m[b])/s[b]\n"
        "y[b,h] = c[h] + w[h]*n[b,h]",
        FULL,
    ),
    "no bias": (
        MEAN + "s[b] = sqrt(mean[h]((x[b,h] - m[b])^2) + eps)\ny[b,h] = (x[b,h] - m[b])*w[h]/s[b]",
        {"x": "[b, h]", "w": "[h]"},
    ),
    "neither": (
        MEAN + "s[b] = sqrt(mean[h]((x[b,h] - m[b])^2) + eps)\ny[b,h] = (x[b,h] - m[b])/s[b]",
        {"x": "[b, h]"},
    ),
}
OTHERS = {
    "eps outside": MEAN + "s[b] = sqrt(mean[h]((x[b,h] - m[b])^2)) + eps\ny[b,h] = (x[b,h] - m[b])/s[b]",
    "no mean taken off": MEAN + "s[b] = sqrt(mean[h](x[b,h]^2) + eps)\ny[b,h] = (x[b,h] - m[b])/s[b]",
    "twice as much": MEAN + "s[b] = sqrt(2*mean[h]((x[b,h] - m[b])^2) + eps)\ny[b,h] = (x[b,h] - m[b])/s[b]",
    "not divided": MEAN + "s[b] = sqrt(mean[h]((x[b,h] - m[b])^2) + eps)\ny[b,h] = (x[b,h] - m[b])*s[b]",
}


def text(equations: str, inputs: dict[str, str]) -> str:
    return spec(equations, inputs, SIZES)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_normalisation_is_found_in_any_spelling(name: str) -> None:
    assert "_layer_norm(x, " in compile_spec(text(*SPELLINGS[name]), standalone=True).source


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_nearly_one_is_none(name: str) -> None:
    assert "_layer_norm(x, " not in compile_spec(text(OTHERS[name], {"x": "[b, h]"}), standalone=True).source


@pytest.mark.parametrize("name", SPELLINGS)
def test_value_and_derivatives(name: str) -> None:
    equations, inputs = SPELLINGS[name]
    module = load_module("n", compile_spec(text(equations, inputs), standalone=True).source)
    torch.manual_seed(0)
    shapes = {"x": (3, 4), "w": (4,), "c": (4,)}
    tensors = [torch.randn(shapes[k], dtype=torch.float64, requires_grad=True) for k in inputs]
    named: dict[str, Tensor] = dict(zip(inputs, tensors, strict=True))
    want = torch.nn.functional.layer_norm(named["x"], (4,), named.get("w"), named.get("c"))
    torch.testing.assert_close(module.test_op(*tensors), want, rtol=1e-12, atol=1e-12)
    grads = torch.autograd.grad((want * torch.arange(12.0).reshape(3, 4)).sum(), tensors)
    ours = torch.autograd.grad((module.test_op(*tensors) * torch.arange(12.0).reshape(3, 4)).sum(), tensors)
    torch.testing.assert_close(ours, grads, rtol=1e-10, atol=1e-10)
    assert gradcheck(module.test_op, tensors, rtol=1e-6, atol=1e-8, check_batched_grad=True, check_forward_ad=True)
    assert gradgradcheck(module.test_op, tensors, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_operator_is_the_composed_form(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, g = torch.randn(2, 3, 5, dtype=torch.float64), torch.randn(2, 3, 5, dtype=torch.float64)
    w = torch.randn(5, dtype=torch.float64) if weighted else None

    def all_of() -> list[Tensor]:
        y, m, s = fused.layer_norm(x, w, None, 1e-5)
        return [y, m, s, fused.layer_norm_backward(g, x, m, 1 / s, w), fused.layer_norm_weight_backward(g, x, m, 1 / s)]

    with torch.no_grad():
        fast = all_of()
        monkeypatch.setattr(fused, "unwatched", lambda *_: False)
        torch.testing.assert_close(fast, all_of(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (2, 1)])
def test_empty_and_single(shape: tuple[int, int]) -> None:
    module = load_module("n", compile_spec(text(*SPELLINGS["by the spread"]), standalone=True).source)
    x, w, c = (torch.ones(s, requires_grad=True) for s in (shape, shape[1:], shape[1:]))
    y = module.test_op(x, w, c)
    grads = torch.autograd.grad(y.sum(), (x, w, c))
    assert [tuple(t.shape) for t in (y, *grads)] == [shape, shape, shape[1:], shape[1:]]


def test_gradients_that_are_wanted_together_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_module("n", compile_spec(text(*SPELLINGS["by the spread"]), standalone=True).source)
    operator, masks = fused._LAYER_NORM_BACKWARD, list[list[bool]]()
    monkeypatch.setattr(
        module, "_LAYER_NORM_BACKWARD", lambda *args: (masks.append(list(args[-1])), operator(*args))[1]
    )
    x, w, c = torch.randn(5, 4), torch.randn(4), torch.randn(4)
    for wanted in ((0, 1, 2), (0, 1), (2,), (0,)):
        given = [t.clone().requires_grad_(k in wanted) for k, t in enumerate((x, w, c))]
        module.test_op(*given).square().sum().backward()
        want = [t.clone().requires_grad_(k in wanted) for k, t in enumerate((x, w, c))]
        torch.nn.functional.layer_norm(want[0], (4,), want[1], want[2]).square().sum().backward()
        for ours, theirs in zip(given, want, strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
    assert masks == [[True, True, True], [True, True, False], [False, False, True], [True, False, False]]


def test_a_tensor_that_has_left_its_transform_is_an_input_like_any_other() -> None:
    module = load_module("n", compile_spec(text(*SPELLINGS["neither"]), standalone=True).source)
    left: list[Tensor] = []
    x = torch.randn(3, 4)
    torch.func.grad(lambda t: (left.append(t), t.sum())[1])(x)
    assert torch._C._functorch.unwrap_if_dead(left[0]) is not left[0]
    torch.testing.assert_close(module.test_op(left[0]), module.test_op(x))
