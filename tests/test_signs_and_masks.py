"""Signs and masks that take no call: what they become, and what must stay."""

from __future__ import annotations

import pytest
import torch

from tensorgrad_gen import compile_spec, load_op


def text_of(inputs: str, equations: str) -> str:
    return f"op: it\ndoc: It.\ninputs: {{{inputs}}}\nequations: |\n  {equations}\n"


@pytest.mark.parametrize(
    ("equations", "function"),
    [
        ("y[n] = -logsigmoid(a[n] - b[n])", "softplus"),
        ("y = -one[n]*logsigmoid(3*(a[n] - b[n]))", "softplus"),
        ("y[n] = logsigmoid(a[n] - b[n])", "logsigmoid"),
        ("y[n] = -logsigmoid(a[n] + b[n])", "logsigmoid"),
    ],
)
def test_minus_the_logarithm_of_a_sigmoid_of_a_difference_is_softplus(equations: str, function: str) -> None:
    text = text_of("a: [n], b: [n]", equations)
    assert f"{function}(" in compile_spec(text)["render"]
    a, b = torch.tensor([-60.0, 0.0, 30.0]).double(), torch.zeros(3).double()
    found = load_op(text)(a, b).sum()
    sign, scale = (-1 if "= -" in equations else 1), (3 if "3*" in equations else 1)
    torch.testing.assert_close(found, sign * torch.nn.functional.logsigmoid(scale * a).sum(), rtol=1e-12, atol=0)


def test_a_user_s_mask_hides_what_is_infinite() -> None:
    """`p` is 0 where it is masked, but the tensor beside it is not read there."""
    op = load_op(text_of("p: [b], x: [b, h]", "y[b,h] = where(p[b] != 0, p[b]*x[b,h], 0)"))
    p = torch.tensor([0.0, 2.0], requires_grad=True)
    x = torch.tensor([[float("inf")], [3.0]], requires_grad=True)
    value = op(p, x)
    assert value.tolist() == [[0.0], [6.0]]
    assert torch.autograd.grad(value.sum(), p)[0].tolist() == [0.0, 3.0]


def test_a_power_has_derivative_0_where_its_exponent_is_0() -> None:
    op = load_op(text_of("x: [n], p: []", "y[n] = x[n]^p"))
    x = torch.tensor([0.0, 2.0], dtype=torch.float64, requires_grad=True)
    p = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(op(x, p).sum(), x, create_graph=True)
    assert first.tolist() == [0.0, 0.0]
    assert torch.autograd.grad(first.sum(), p)[0].isfinite()
