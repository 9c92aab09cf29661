"""Unknowns that nonlinear equations define: equal to searches of which autograd differentiates every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, linearize, vmap

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.reference import evaluate

Residual = Callable[..., Tensor]


def spec(inputs: str, unknown: str, equation: str, how: str, rest: str = "") -> str:
    return f"op: f\ninputs: {inputs}\nimplicit:\n  unknown: {unknown}\n  equation: {equation}\n  {how}\n{rest}"


def spd(n: int) -> Tensor:
    x = torch.randn(n, n)
    return x @ x.mT / n + torch.eye(n)


def ring(v: Tensor, u: Tensor, r: Tensor) -> Tensor:
    return v - r * (v.roll(-1) - 2 * v + v.roll(1)) + r * v**3 - u


def rows_shifted(f: Tensor, c: Tensor) -> Tensor:
    return f - 0.5 * torch.tanh(c.mean(1)) + 0.1 * torch.logsumexp(f - 0.1 * c, 1)


# Of each: the spec; the residual in torch, unknown first; where the search starts; the inputs.
CASES: dict[str, tuple[str, Residual, Callable[..., Tensor], Callable[[], tuple[Tensor, ...]]]] = {
    "pointwise": (
        spec("{e: [b], m: [b, n]}", "y[b,n]", "y[b,n] - e[b]*sin(y[b,n]) = m[b,n]", "solver: newton\n  start: m[b,n]"),
        lambda y, e, m: y - e[:, None] * y.sin() - m,
        lambda e, m: m.clone(),
        lambda: (torch.rand(3) * 0.5 + 0.1, torch.randn(3, 4)),
    ),
    "leading axes, a tolerance": (
        spec(
            "{x: [...]}",
            "w[...]",
            "w[...]*exp(w[...]) = x[...]",
            "solver: newton\n  start: log(1 + x[...])\n  tolerance: 1e-13\n  iterations: 50",
        ),
        lambda w, x: w * w.exp() - x,
        torch.log1p,
        lambda: (torch.rand(2, 3) + 0.2,),
    ),
    "order 0, a param": (
        spec("{a: [n], t: []}", "y", "y^p + y*sum[n](a[n]) = t", "solver: newton", "params: {p: 3}\n"),
        lambda y, a, t: y**3 + y * a.sum() - t,
        lambda a, t: torch.ones(()),
        lambda: (torch.rand(4) + 0.2, torch.rand(()) + 1),
    ),
    "dense, used later": (
        spec(
            "{a: [i, j], x: [i]}",
            "y[i]",
            "y[i] + y[i]^3/3 + a[i,j]*sin(y[j]) = x[i]",
            "solver: newton\n  start: 0",
        ),
        lambda y, a, x: y + y**3 / 3 + a @ y.sin() - x,
        lambda a, x: torch.zeros_like(x),
        lambda: (torch.rand(4, 4) * 0.6 - 0.3, torch.randn(4)),
    ),
    "dense and batched, a fixed point": (
        spec("{w: [h, k], x: [b, h]}", "y[b,h]", "y[b,h] = tanh(w[h,k]*y[b,k] + x[b,h])", "solver: fixed_point"),
        lambda y, w, x: y - torch.tanh(torch.einsum("hk,bk->bh", w, y) + x),
        lambda w, x: torch.zeros_like(x),
        lambda: (torch.rand(4, 4) * 0.6 - 0.3, torch.randn(2, 4)),
    ),
    "a fixed point on the right, a scan of the unknown": (
        spec(
            "{c: [i, j]}",
            "f[i]",
            "0.5*tanh(mean[j](c[i,j])) - 0.1*logsumexp[k](f[k] - 0.1*c[i,k]) = f[i]",
            "solver: fixed_point\n  iterations: 400",
            "sizes: {I: i, J: {index: j, extent: I}}\n",
        ),
        lambda f, c: f - 0.5 * torch.tanh(c.mean(1)) + 0.1 * torch.logsumexp(f - 0.1 * c, 1),
        lambda c: torch.zeros(len(c)),
        lambda: (torch.randn(4, 4),),
    ),
    "windows of the unknown": (
        spec(
            "{u: [n], r: []}",
            "v[n]",
            "v[n] - r*(v[mod(n + 1)] - 2*v[n] + v[mod(n - 1)]) + r*v[n]^3 = u[n]",
            "free: [n]\n  solver: newton\n  start: u[n]",
        ),
        ring,
        lambda u, r: u.clone(),
        lambda: (torch.randn(5), torch.tensor(0.3)),
    ),
    "a softmax of the unknown": (
        spec("{x: [b, k]}", "y[b,k]", "y[b,k] = x[b,k] - softmax[k](y[b,k])", "solver: newton\n  free: [b, k]"),
        lambda y, x: y - x + torch.softmax(y, -1),
        torch.ones_like,
        lambda: (torch.randn(2, 3),),
    ),
    "the root of a matrix, by Newton's method": (
        spec(
            "{x: [i, j]}",
            "y[i,k]",
            "y[i,k]*y[k,j] = x[i,j]",
            "solver: newton\n  start: delta[i,k]\n  iterations: 60",
        ),
        lambda y, x: y @ y - x,
        lambda x: torch.eye(len(x)),
        lambda: (spd(3),),
    ),
    "the root of a matrix, by name": (
        spec("{x: [i, j]}", "y[i,k]", "x[i,j] = y[i,k]*y[k,j]", "solver: matrix_sqrt"),
        lambda y, x: y @ y - x,
        lambda x: torch.eye(len(x)),
        lambda: (spd(3),),
    ),
}


@cache
def built(name: str) -> Any:
    return load_op(CASES[name][0])


def search(residual: Residual, start: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """Newton's method on all components together, every step of it differentiable."""
    y = start.to(torch.float64)
    for _ in range(40):
        slope = jacrev(residual)(y, *inputs).reshape(y.numel(), y.numel())
        y = y - torch.linalg.solve(slope, residual(y, *inputs).reshape(-1)).reshape(y.shape)
    return y


def inputs_of(name: str) -> tuple[Tensor, ...]:
    torch.manual_seed(7)
    return tuple(t.to(torch.float64) for t in CASES[name][3]())


def plain(name: str) -> Callable[..., Tensor]:
    _, residual, start, _ = CASES[name]
    return lambda *inputs: search(residual, start(*inputs), inputs)


@pytest.fixture(autouse=True)
def _double() -> Any:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", CASES)
def test_value_and_two_derivatives_are_those_of_the_search(name: str) -> None:
    inputs = inputs_of(name)
    torch.testing.assert_close(built(name)(*inputs), plain(name)(*inputs), rtol=1e-11, atol=1e-11)

    def loss(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *given: (
            function(*given).sin() * torch.arange(1.0, 1 + function(*given).numel()).reshape(function(*given).shape)
        ).sum()

    every = tuple(range(len(inputs)))
    ours, theirs = (jacrev(loss(f), every)(*inputs) for f in (built(name), plain(name)))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    ours, theirs = (hessian(loss(f), every)(*inputs) for f in (built(name), plain(name)))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_gradcheck_in_both_modes_and_twice(name: str) -> None:
    inputs = tuple(t.requires_grad_() for t in inputs_of(name))
    assert torch.autograd.gradcheck(built(name), inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(built(name), inputs)


@pytest.mark.parametrize("name", CASES)
def test_value_is_that_of_the_interpreter(name: str) -> None:
    program = compile_spec(CASES[name][0])["elaborate"]
    inputs = inputs_of(name)
    given = {item.name: tensor.numpy() for item, tensor in zip(program.inputs, inputs, strict=True)}
    found = evaluate(program, given)[program.outputs[0]]
    np.testing.assert_allclose(built(name)(*inputs).numpy(), found, rtol=1e-11, atol=1e-11)


def test_third_derivatives() -> None:
    e, m = inputs_of("pointwise")

    def third(f: Callable[..., Tensor]) -> Tensor:
        return jacfwd(jacrev(jacrev(lambda at: f(e, at).sum())))(m)

    torch.testing.assert_close(third(built("pointwise")), third(plain("pointwise")), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["pointwise", "dense, used later", "dense and batched, a fixed point"])
def test_batches_and_graphs(name: str) -> None:
    f, inputs = built(name), inputs_of(name)
    rows = tuple(torch.stack([t, 0.9 * t]) for t in inputs)
    torch.testing.assert_close(vmap(f)(*rows), torch.stack([f(*(r[n] for r in rows)) for n in (0, 1)]))
    for dynamic in (False, True):
        compiled = torch.compile(f, fullgraph=True, backend="aot_eager", dynamic=dynamic)
        given = tuple(t.clone().requires_grad_() for t in inputs)
        found = compiled(*given)
        torch.testing.assert_close(found, f(*inputs))
        ours = torch.autograd.grad(found.sin().sum(), given)
        torch.testing.assert_close(ours, torch.autograd.grad(f(*given).sin().sum(), given))


@pytest.mark.parametrize(
    ("name", "enough"), [("pointwise", 3), ("dense, used later", 4), ("dense and batched, a fixed point", 8)]
)
def test_linearisations_and_graphs_of_transforms(name: str, enough: int) -> None:
    """Both have every step that the search may take: few, of inputs for which few are enough."""
    f = load_op(f"{CASES[name][0].rstrip()}\n  iterations: {enough}\n")
    inputs = tuple(0.1 * t for t in inputs_of(name))
    directions = tuple(torch.randn_like(t) for t in inputs)
    value, change = linearize(f, *inputs)
    torch.testing.assert_close((value, change(*directions)), jvp(f, inputs, directions))
    plain_loss = grad(lambda *given: f(*given).sin().sum())
    loss = torch.compile(plain_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(loss(*inputs), plain_loss(*inputs))


def test_no_solution_is_an_error() -> None:
    f = load_op(spec("{x: [n]}", "y[n]", "y[n]^2 = x[n]", "free: [n]\n  solver: newton\n  iterations: 20"))
    torch.testing.assert_close(f(torch.tensor([4.0, 9.0])), torch.tensor([2.0, 3.0]))
    words = "f: y: no solution found in 20 steps"
    with pytest.raises(RuntimeError, match=words):
        f(torch.tensor([4.0, -1.0]))
    with pytest.raises(RuntimeError, match=words):
        vmap(f)(torch.tensor([[4.0, 1.0], [4.0, -1.0]]))
    with pytest.raises(RuntimeError, match=words):
        torch.compile(f, fullgraph=True, backend="aot_eager")(torch.tensor([4.0, -1.0]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_less_precise_numbers_search_no_longer_than_they_can(dtype: torch.dtype) -> None:
    inputs = inputs_of("dense, used later")
    rounded = tuple(t.to(dtype) for t in inputs)
    found = built("dense, used later")(*rounded)
    exact = built("dense, used later")(*(t.to(torch.float64) for t in rounded))
    assert found.dtype == dtype
    torch.testing.assert_close(found.to(torch.float64), exact, rtol=4 * torch.finfo(dtype).eps, atol=1e-6)


def test_the_search_is_in_the_file_as_a_function_of_its_own() -> None:
    source = compile_spec(CASES["dense and batched, a fixed point"][0]).source
    assert "def _newton_step(y: Tensor, w: Tensor, x: Tensor) -> Tensor:" in source
    assert "def _fixed_point_step(y: Tensor, w: Tensor, x: Tensor) -> Tensor:" in source
    assert "".join(source.split()).count("_runtime.root(_fixed_point_step,_newton_step") == 1
