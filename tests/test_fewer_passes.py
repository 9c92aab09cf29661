"""What is computed once, in one pass, or not at all; and that it is still the derivative where that is delicate."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from tensorgrad_gen.api import compile_spec, load_module

HEAD = "op: test_op\ndoc: It.\n"


@cache
def source_of(equations: str, inputs: str, more: str = "") -> str:
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    last = equations.rsplit(";", 1)[-1].strip().split("=")[0].split("[")[0].strip()
    text = f"{HEAD}inputs: {{{inputs}}}\n{more}equations: |\n{lines}\noutputs: [{last}]\n"
    return compile_spec(text, standalone=True).source


def flat(source: str) -> str:
    """The code of forward and backward on one line, without comments and docstring."""
    code = source[source.index("\ndef _backward_" if "\ndef _backward_" in source else "class _TestOp") :]
    code = code[: code.index("class _TestOpDual")]
    return " ".join(line.strip() for line in code.splitlines() if not line.strip().startswith("#"))


def op(equations: str, inputs: str, more: str = "") -> Callable[..., Any]:
    function: Callable[..., Any] = load_module("fewer", source_of(equations, inputs, more)).test_op
    return function


def leaf(*numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)


RELU = ("y[n,o] = relu(sum[i](x[n,i]*w[o,i]) + b[o])", "x: [n, i], w: [o, i], b: [o]")
DISTANCE = ("r[i,j] = norm[d](x[i,d] - z[j,d])", "x: [i, d], z: [j, d]")
MAE = ("l = mean[i](abs(x[i] - y[i]))", "x: [i], y: [i]")
CROSS = ("y[n,i] = levi_civita[i,j,k]*a[n,j]*b[n,k]", "a: [n, j], b: [n, k]")

SQUARES = ("l = sum[i,j,d](g[i,j]*(x[i,d] - z[j,d])^2)", "g: [i, j], x: [i, d], z: [j, d]")
EXPECTATION = (
    "e[n] = real(conj(psi[n,i])*h[i,j]*psi[n,j])",
    "psi: {indices: [n, i], kind: complex}, h: {indices: [i, j], kind: complex}",
)

# A spec -> what its code has, what it has not.
SAID = {
    "a bias is added to before a function": (RELU, "_relu_backward(grad_y, y)", "sum_x_w + b >"),
    "the derivative of gelu is one call": (
        ("y[n,o] = gelu(sum[i](x[n,i]*w[o,i]) + b[o])", "x: [n, i], w: [o, i], b: [o]"),
        "_gelu_backward(grad_y, pre_y)",
        "torch.erfc(pre_y / -math.sqrt(2))\n            + ",
    ),
    "a root's derivative is by the root": (("y[i] = sqrt(x[i])", "x: [i]"), "torch.div(0.5 * grad_y, y,", "rsqrt"),
    "a number scales once": (MAE, "grad_y = -grad_l_sign_x_y", "/ -I"),
    "no difference for a comparison": (
        ("l = sum[i](relu(1 - x[i]*z[i]))", "x: [i], z: [i]"),
        "x * z < 1",
        "> 0",
    ),
    "a choice between numbers": (
        ("y[i] = max(x[i], z[i])", "x: [i], z: [i]"),
        "torch.where(x == z, grad_y.new_full((), 0.5), 1)",
        "0.5 * (",
    ),
    "the other sign of log_softmax's backward": (
        ("p[n,v] = log_softmax[v](x[n,v]); l = -sum[n,v](q[n,v]*p[n,v])", "x: [n, v], q: [n, v]"),
        "_log_softmax_backward(q, p, -1)",
        "torch.exp(",
    ),
    "a masked product that two gradients have": (DISTANCE, ".sum(-2)", "z.mT"),
    "a norm needs no mask of full size": (
        ("y[n] = norm[i](x[n,i])", "x: [n, i]"),
        "torch.threshold(y.unsqueeze(-1), 0, math.inf)",
        "mask",
    ),
    "a magnitude's square has no mask": (
        ("l = sum[i](abs(z[i])^2)", "z: {indices: [i], kind: complex}"),
        "z * (2 * grad_l)",
        "!= 0",
    ),
    "a vector along the first axis": (
        ("y[j,k] = u[i]*a[i,j,k]", "u: [i], a: [i, j, k]"),
        "_matmul(u, a, 0, 1)",
        ".sum(0)",
    ),
    "a cross product": (CROSS, "torch.linalg.cross(a, b)", "y = _merge_last"),
    "a number on a diagonal": (
        ("y[i,j] = a[i,j] + s*delta[i,j]", "a: [i, j], s: []"),
        "torch.diag_embed(s.expand(I))",
        "torch.arange",
    ),
    "a spread axis is copied once": (
        ("y[c,i] = x[c,i//2]", "x: [c, n]"),
        "_spread(x, -1, 2)",
        ".narrow(",
    ),
    "a reciprocal is one call": (("y[i] = 1/x[i]", "x: [i]"), "torch.reciprocal(x)", "1 / x"),
    "a sum of outer products": (
        ("y = b[i]*x[k,i]*x[k,j]*c[j]", "b: [i], x: [k, i], c: [i]"),
        "torch.addcmul(b * grad_y_sum_x_c, c, grad_y_sum_b_x, out=out_grad_x)",
        "b * grad_y ",
    ),
    "a difference is made once": (SQUARES, "x_z.transpose(-3, -2)", "x.mT - z"),
    "the real part of a product by a conjugate": (
        EXPECTATION,
        "torch.view_as_real(psi.resolve_conj()) * torch.view_as_real(sum_h_psi.resolve_conj()) ).sum((-2, -1))",
        ".real",
    ),
    "terms under one mask": (
        ("l = sum[i](x[i]*log(x[i]/z[i]) + z[i]*x[i])", "x: [i], z: [i]"),
        "torch.where(mask, torch.log(torch.where(mask, quotient, 1)) + 1, 0) + z",
        "mask.to(",
    ),
    "a power masked by its exponent": (
        ("y[i] = x[i]^p", "x: [i], p: []"),
        "torch.pow(x, torch.where(mask, p - 1, 0))",
        "torch.where(mask, x, 1)",
    ),
    "conjugates that meet": (EXPECTATION, "add_products(sum_h_psi, (psi, h.conj())) * grad_e", ".conj()).conj()"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_the_code_says(name: str) -> None:
    given, there, gone = SAID[name]
    code = flat(source_of(*given))
    assert there in code
    assert gone not in code


SIZES = [
    ("y[i] = hypot(a[i], b[i])", "a: [i], b: [i]"),
    ("y[n] = norm[i](a[n,i])", "a: [n, i]"),
    ("y[i] = abs(a[i])", "a: {indices: [i], kind: complex}"),
]


@pytest.mark.parametrize("given", SIZES)
def test_a_size_divides_rightly_beside_0_and_at_it(given: tuple[str, str]) -> None:
    function, count = op(*given), given[1].count(":") - given[1].count("kind") - given[1].count("indices") or 1
    shape = (2, 3) if "norm" in given[0] else (3,)
    dtype = torch.complex128 if "complex" in given[1] else torch.float64
    tensors = [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(count)]
    assert gradcheck(function, tensors, check_batched_grad=True, check_forward_ad=True)
    assert gradgradcheck(function, tensors, check_batched_grad=True)
    zeros = [torch.zeros(shape, dtype=dtype, requires_grad=True) for _ in range(count)]
    first = torch.autograd.grad(function(*zeros).sum(), zeros, create_graph=True)
    second = torch.autograd.grad(sum(g.real.sum() for g in first), zeros, allow_unused=True)
    assert all(g is None or not g.abs().any() for g in (*first, *second))
    missing = [torch.full(shape, math.nan, dtype=dtype, requires_grad=True) for _ in range(count)]
    assert all(g.isnan().all() for g in torch.autograd.grad(function(*missing).sum(), missing))


def test_a_power_at_an_exponent_of_0_has_finite_derivatives() -> None:
    function = op("y[i] = x[i]^p", "x: [i], p: []")
    x, p = leaf(0.0, 2.0), torch.zeros((), dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(function(x, p).sum(), (x, p), create_graph=True)
    assert first[0].tolist() == [0, 0]
    assert all(g.isfinite().all() for g in torch.autograd.grad(first[0].sum(), (x, p)))
    assert gradgradcheck(function, (leaf(1.5, 2.0), p.detach().add(1.5).requires_grad_()), check_batched_grad=True)


def test_the_real_part_of_a_product_by_a_conjugate_takes_tensors_that_are_conjugated() -> None:
    function = op(*EXPECTATION)
    psi, h = (torch.randn(shape, dtype=torch.complex128, requires_grad=True) for shape in ((4, 3), (3, 3)))
    want = torch.einsum("ni,ij,nj->n", psi, h.conj(), psi.conj()).real
    torch.testing.assert_close(function(psi.conj(), h.conj()), want)
    assert gradcheck(lambda a, b: function(a.conj(), b), (psi, h), check_batched_grad=True, check_forward_ad=True)


def test_a_product_that_spreads_is_added_as_it_is_made() -> None:
    given = ("y[i,j] = c[i,j] - 2*a[i]*b[j]", "c: [i, j], a: [i], b: [j]")
    assert "torch.addcmul(c, 2 * a.unsqueeze(-1), b, value=-1, out=out_y)" in source_of(*given)
    assert gradcheck(op(*given), (random(2, 3), random(2), random(3)), check_batched_grad=True, check_forward_ad=True)
    # Complex and real numbers are not of one type; and a sum of what spreads nowhere is as it was.
    assert "addcmul" not in source_of(
        "y[i,j] = c[i,j] - a[i]*b[j]", "c: {indices: [i, j], kind: complex}, a: [i], b: [j]"
    )
    assert "addcmul" not in source_of("y[i,j] = c[i,j] - a[i,j]*b[j]", "c: [i, j], a: [i, j], b: [j]")


def test_the_exponential_of_an_imaginary_number_is_polar() -> None:
    given = ("y[i] = exp(complex(0, i/3))*z[i]", "z: {indices: [i], kind: complex}")
    assert "torch.polar(" in source_of(*given)
    z = torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128, requires_grad=True)
    turns = torch.exp(1j * torch.arange(2, dtype=torch.float64) / 3)
    torch.testing.assert_close(op(*given)(z), turns * z)
    assert gradcheck(op(*given), z, check_batched_grad=True, check_forward_ad=True)
    assert "torch.polar(" not in source_of("y[i] = exp(complex(i, i))*z[i]", "z: {indices: [i], kind: complex}")


WINDOWS = (
    "y[i] = max[k](x[stride*i + k])",
    "x: [n]",
    "params: {stride: {default: 1, kind: int}}\nsizes: {K: {index: k, extent: 3}}\n",
)


def test_ties_are_found_once_and_divide_at_the_size_of_the_maximum() -> None:
    code = flat(source_of(*WINDOWS))
    assert code.count("_window(x") == 2  # the value, and where it is
    assert "holds.sum(-1, dtype=grad_y.dtype)" in code
    assert "grad_y.unsqueeze(-1) / torch.clamp(sum_iverson.unsqueeze(-1), min=1)" in code
    function = op(*WINDOWS)
    assert gradcheck(function, leaf(1.0, 4.0, 2.0, 3.0, 0.5), check_batched_grad=True, check_forward_ad=True)
    x = leaf(1.0, 2.0, 2.0, math.nan, 0.0, 0.0, 1.0)
    (gradient,) = torch.autograd.grad(function(x, stride=2).sum(), x)  # windows at 0, 2, 4
    assert gradient.tolist() == [0, 0.5, 0.5, 0, 0, 0, 1]


def test_what_is_counted_is_counted_where_no_input_is_a_number() -> None:
    x = torch.tensor([True, True, False, True])
    assert op("y = sum[n]([x[n]])", "x: {indices: [n], kind: bool}")(x) == 3
    given = "y = sum[n]([b[t[n]]])", "t: {indices: [n], kind: label, labels: v}, b: {indices: [v], kind: bool}"
    assert op(*given)(torch.tensor([0, 2, 1, 1]), torch.tensor([True, True, False])) == 3


@pytest.mark.parametrize("mask", ["[j <= i]*", ""])
def test_a_difference_is_not_made_where_a_mask_hides_it(mask: str) -> None:
    given = (f"l = sum[i,j,d]({mask}g[i,j]*(x[i,d] - z[j,d])^2)", "g: [i, j], x: [i, d], z: [j, d]")
    assert (" x_z = " in source_of(*given)) is not bool(mask)
    assert gradgradcheck(op(*given), (random(2, 2), random(2, 3), random(2, 3) + 1))


def test_nothing_is_saved_beside_the_value_of_relu() -> None:
    assert "Saved for backward: x, w, y (inputs and outputs, at no cost)." in source_of(*RELU)


@pytest.mark.parametrize("name", SAID)
def test_value_and_derivatives(name: str) -> None:
    """Against finite differences, at random points."""
    given, _, _ = SAID[name]
    spec = compile_spec(source_spec(*given))["elaborate"]
    tensors = []
    for n, item in enumerate(spec.inputs):
        shape = [3 if i.name in ("i", "j", "k", "n", "v") else 2 for i in item.indices]
        kind = torch.complex128 if item.kind == "complex" else torch.float64
        generator = torch.Generator().manual_seed(n)
        tensor = torch.rand(shape, dtype=kind, generator=generator) + 0.3 + 0.17 * n
        tensors.append(tensor.requires_grad_())
    function = op(*given)
    assert gradcheck(function, tensors, rtol=1e-6, atol=1e-7, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(function, tensors, rtol=1e-6, atol=1e-7)


def source_spec(equations: str, inputs: str, more: str = "") -> str:
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    return f"{HEAD}inputs: {{{inputs}}}\n{more}equations: |\n{lines}\n"


@pytest.mark.parametrize("order", ["i,j,k", "j,k,i", "k,i,j", "j,i,k", "i,k,j", "k,j,i"])
def test_the_sign_of_a_cross_product(order: str) -> None:
    a, b = random(4, 3), random(4, 3) * 2 + 1
    function = op(f"y[n,i] = levi_civita[{order}]*a[n,j]*b[n,k]", "a: [n, j], b: [n, k]")
    even = order in ("i,j,k", "j,k,i", "k,i,j")
    torch.testing.assert_close(function(a, b), torch.linalg.cross(a, b) * (1 if even else -1))


def test_what_spreads_beside_a_permutation_symbol_is_no_cross_product() -> None:
    given = ("y[n,i] = levi_civita[i,j,k]*a[n,j]*b[k]", "a: [n, j], b: [k]")
    assert "linalg.cross" not in source_of(*given)
    assert gradcheck(op(*given), (random(2, 3), random(3)))


def test_where_two_points_are_one_all_derivatives_of_their_distance_are_0() -> None:
    x, z = leaf([1.0, 2.0], [0.0, 0.0]), leaf([1.0, 2.0], [3.0, 4.0])
    r = op(*DISTANCE)(x, z)
    (other,) = torch.autograd.grad(r[1, 1], x, retain_graph=True)
    torch.testing.assert_close(other, torch.tensor([[0, 0], [-0.6, -0.8]], dtype=torch.float64))
    (gradient,) = torch.autograd.grad(r[0, 0], x, create_graph=True)
    assert gradient.tolist() == [[0, 0], [0, 0]]
    (second,) = torch.autograd.grad(gradient.sum(), x)
    assert second.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_a_length_keeps_its_range(size: float) -> None:
    a, b = (torch.tensor([n * size], requires_grad=True) for n in (3.0, 4.0))
    y = op("y[i] = sqrt(a[i]^2 + b[i]^2)", "a: [i], b: [i]")(a, b)
    first, second = torch.autograd.grad(y.sum(), (a, b))
    torch.testing.assert_close(torch.cat((first, second)), torch.tensor([0.6, 0.8]))


def test_an_angle_at_the_origin_has_derivative_0() -> None:
    a, b = leaf(0.0, 1.0), leaf(0.0, 2.0)
    y = op("y[i] = atan2(a[i], b[i])", "a: [i], b: [i]")(a, b)
    first, second = torch.autograd.grad(y.sum(), (a, b), create_graph=True)
    torch.testing.assert_close(torch.stack((first, second)), torch.tensor([[0, 0.4], [0, -0.2]], dtype=torch.float64))
    assert torch.autograd.grad(first.sum(), a)[0][0] == 0


def test_where_relu_is_0_an_infinite_cotangent_is_not_read() -> None:
    x = leaf(-1.0, 2.0)
    y = op("y[i] = relu(x[i])^2", "x: [i]")(x)
    y.backward(torch.tensor([math.inf, 1.0], dtype=torch.float64))
    assert x.grad is not None
    assert x.grad.tolist() == [0, 4]


def test_what_a_users_mask_hides_is_not_read() -> None:
    """`[p != 0] w p/m`, whatever `w` is where `p` is 0."""
    p, w, m = leaf(0.0, 2.0), leaf(math.inf, 3.0), leaf(0.0, 4.0)
    y = op("y[i] = where(p[i] != 0, w[i]*p[i]/m[i], 0)", "p: [i], w: [i], m: [i]")(p, w, m)
    assert y.tolist() == [0, 1.5]
    gradients = torch.autograd.grad(y.sum(), (p, w, m))
    assert [g[0].item() for g in gradients] == [0, 0, 0]


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan, 1.0])
def test_a_comparison_without_the_difference_is_the_same(x: float) -> None:
    a, b = leaf(x, 1e-320, 5e-324), leaf(x, 0.0, 1e-323)
    y = op("y[i] = where(a[i] - b[i] > 0, a[i], b[i])", "a: [i], b: [i]")(a, b)
    torch.testing.assert_close(y, torch.where(a - b > 0, a, b), rtol=0, atol=0, equal_nan=True)


def test_a_tensor_that_is_squared_is_not_scaled() -> None:
    given = ("t[i] = exp(x[i]); y[i] = 3*t[i]*t[i] - 3*t[i]; l = sum[i](y[i]*y[i])", "x: [i]")
    assert gradcheck(op(*given), leaf(0.3, -0.4))
    assert gradgradcheck(op(*given), leaf(0.3, -0.4))
