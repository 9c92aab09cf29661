"""Matrix functions as generated: equal to PyTorch's to the third order, under every transform, of any shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import hessian, jacfwd, jacrev, vmap

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.runtime import matrices

SPEC = "op: f\ninputs: {{x: {axes}}}\nequations: |\n  {equation}\n"
Function = Callable[[Tensor], Tensor]


def _root(m: Tensor) -> Tensor:
    """By Denman and Beavers' iteration, whose derivatives PyTorch has to any order."""
    root, inverse = m, torch.eye(m.shape[0], dtype=m.dtype)
    for _ in range(20):
        root, inverse = (root + torch.linalg.inv(inverse)) / 2, (inverse + torch.linalg.inv(root)) / 2
    return root


# Of each: the axes of x, the equation, PyTorch's own, the shapes to try.
CASES: dict[str, tuple[str, str, Function, tuple[tuple[int, ...], ...]]] = {
    "matrix_exp": ("[..., i, i]", "y[...,i,j] = matrix_exp(x)[...,i,j]", torch.linalg.matrix_exp, ((3, 3), (2, 2, 2))),
    "matrix_exp of a transpose, by rows": (
        "[i, j]",
        "t[i,j] = x[j,i]\n  y[i] = one[j]*matrix_exp(t)[i,j]",
        lambda x: torch.linalg.matrix_exp(x.mT).sum(-1),
        ((3, 3),),
    ),
    "root of a positive matrix": (
        "[i, j]",
        "m[i,k] = x[i,j]*x[k,j] + delta[i,k]\n  y[i,k] = matrix_sqrt(m)[i,k]",
        lambda x: _root(x @ x.mT + torch.eye(x.shape[0], dtype=x.dtype)),
        ((3, 3), (2, 3)),
    ),
    "svdvals": (
        "[..., i, j]",
        "y[...,n] = svdvals(x)[...,n]",
        torch.linalg.svdvals,
        ((3, 3), (4, 2), (2, 4), (3, 1), (2, 3, 2)),
    ),
    "largest singular value": (
        "[i, j]",
        "y = svdvals(x)[0]",
        lambda x: torch.linalg.matrix_norm(x, 2),
        ((3, 4), (4, 2)),
    ),
    "sum of singular values": (
        "[i, j]",
        "y = one[n]*svdvals(x)[n]",
        lambda x: torch.linalg.matrix_norm(x, "nuc"),
        ((3, 4),),
    ),
    "complex svdvals": (
        "[r, c, p]",
        "z[r,c] = complex(x[r,c,0], x[r,c,1])\n  y[n] = svdvals(z)[n]",
        lambda x: torch.linalg.svdvals(torch.view_as_complex(x)),
        ((3, 2, 2), (2, 3, 2), (2, 2, 2)),
    ),
    "product over leading axes": (
        "[..., h]",
        "y[h] = prod[...](x[...,h])",
        lambda x: x.flatten(0, -2).prod(0),
        ((4, 2),),
    ),
    "product of all": ("[..., h]", "y = prod[...,h](x[...,h])", torch.prod, ((3, 2), (4,), (2, 2, 2))),
    "product along one axis": ("[..., h]", "y[...] = prod[h](x[...,h])", lambda x: x.prod(-1), ((2, 4),)),
}
ORDERS: dict[str, Callable[[Any], Any]] = {
    "jacrev": jacrev,
    "jacfwd": jacfwd,
    "hessian": hessian,
    "jacrev of jacrev": lambda f: jacrev(jacrev(f)),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f)),
    "third order": lambda f: jacrev(jacfwd(jacrev(f))),
}


def jacfwd_thrice(f: Any) -> Any:
    return jacfwd(jacfwd(jacfwd(f)))


SAMPLES = [(name, shape) for name, case in CASES.items() for shape in case[3]]


@cache
def built(name: str) -> Function:
    axes, equation, _, _ = CASES[name]
    op: Function = load_op(SPEC.format(axes=axes, equation=equation))
    return op


def sample(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "shape"), SAMPLES)
def test_derivatives_of_any_order_are_those_of_pytorch(name: str, shape: tuple[int, ...], order: str) -> None:
    op, plain = built(name), CASES[name][2]
    # PyTorch's own cannot be differentiated twice in reverse under `vmap`: in forward mode, then, which is the same.
    oracle = {"jacrev of jacrev": hessian}.get(order, ORDERS[order]) if "complex" in name else ORDERS[order]
    oracle = jacfwd_thrice if "complex" in name and order == "third order" else oracle
    # Curved, so that the cotangent has derivatives too.
    got = ORDERS[order](lambda x: torch.sin(op(x)).sum())(sample(shape))
    want = oracle(lambda x: torch.sin(plain(x)).sum())(sample(shape))
    torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_vmap_of_a_hessian_is_that_of_each(name: str) -> None:
    op = built(name)
    many = torch.stack([sample(CASES[name][3][0]), 2 * sample(CASES[name][3][0]) + 1])
    second = hessian(lambda x: torch.sin(op(x)).sum())
    torch.testing.assert_close(vmap(second)(many), torch.stack([second(x) for x in many]))


@pytest.mark.parametrize("name", CASES)
def test_batched_gradients_and_finite_differences_agree(name: str) -> None:
    x = sample(CASES[name][3][0]).requires_grad_()
    options = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(built(name), (x,), **options)
    assert torch.autograd.gradgradcheck(built(name), (x,), check_batched_grad=True)


@pytest.mark.parametrize("zeros", [(0,), (1, 3), (0, 1, 2, 3)])
def test_a_product_with_zeros_has_exact_derivatives(zeros: tuple[int, ...]) -> None:
    x = sample((4,)).index_fill(0, torch.tensor(zeros), 0.0)

    def plain(x: Tensor) -> Tensor:
        return x[0] * x[1] * x[2] * x[3]

    for order in ORDERS.values():
        got = order(built("product of all"))(x)
        torch.testing.assert_close(got, order(plain)(x), rtol=0, atol=1e-15)


def test_zero_and_equal_singular_values_have_first_derivatives() -> None:
    # The change of a sum of all is the polar factor wherever no value is 0; the largest of several equal has one too.
    x = torch.eye(3, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(built("sum of singular values")(x), x)
    torch.testing.assert_close(gradient, torch.eye(3, dtype=torch.float64))
    flat = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(built("svdvals")(flat).sum(), flat)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 2, 2), (2, 0, 3)])
def test_matrices_without_rows_have_no_singular_values(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    y = built("svdvals")(x)
    assert y.shape == torch.linalg.svdvals(x).shape
    assert torch.autograd.grad(y.sum(), x)[0].shape == shape


def test_backward_decomposes_a_matrix_once() -> None:
    axes, equation, _, _ = CASES["svdvals"]
    source = compile_spec(SPEC.format(axes=axes, equation=equation)).source
    assert source.split("def backward")[1].split("class ")[0].count("_runtime.singular_vectors(") == 1
    assert source.split("def jvp")[1].split("# Of each")[0].count("torch.linalg.svd(") == 1


def test_the_smaller_extent_can_be_named() -> None:
    sizes = 'sizes: {I: i, J: j, N: {index: n, extent: "min(I, J)"}}'
    op = load_op(f"op: f\ninputs: {{x: [i, j]}}\n{sizes}\nequations: |\n  y[n] = svdvals(x)[n]/N\n")
    for shape in ((4, 2), (2, 3)):
        torch.testing.assert_close(op(sample(shape)), torch.linalg.svdvals(sample(shape)) / min(shape))


def test_what_is_differentiable_once_is_right_twice_all_the_same() -> None:
    op = load_op("op: f\ninputs: {x: [h]}\ndifferentiable: once\nequations: |\n  y = (one[h]*exp(x[h]))^2\n")
    x = sample((3,))
    torch.testing.assert_close(hessian(op)(x), hessian(lambda x: x.exp().sum() ** 2)(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_an_equation_of_roots_is_solved_without_its_system(dtype: torch.dtype, spread: float) -> None:
    generator = torch.Generator().manual_seed(0)

    def right_of_zero(n: int) -> Tensor:
        vectors = torch.randn(n, n, generator=generator, dtype=dtype) + 2 * torch.eye(n, dtype=dtype)
        values = torch.logspace(0, math.log10(spread), n, dtype=torch.float64).to(dtype)
        return vectors @ torch.diag(values) @ torch.linalg.inv(vectors)

    a, b = right_of_zero(4), right_of_zero(3)
    x = torch.randn(2, 4, 3, generator=generator, dtype=dtype)
    got = matrices.sylvester(a, b, a @ x + x @ b)
    torch.testing.assert_close(got, x, rtol=1e-8, atol=1e-9)


def test_the_derivative_of_a_root_takes_no_system_of_all_its_entries() -> None:
    backward = compile_spec(SPEC.format(axes="[i, i]", equation="y[i,j] = matrix_sqrt(x)[i,j]")).source
    assert "_runtime.sylvester(y.mT, y.mT, grad_y)" in backward
    assert "diag_embed" not in backward
