"""A number added up over blocks comes with its gradients: they are those of the op without blocks, to any order."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from test_chunk import CHUNK, LINEAR_CROSS_ENTROPY, inputs_of, moved
from torch import Tensor
from torch.autograd.graph import save_on_cpu
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from tensorgrad_gen import load_op
from tensorgrad_gen.api import compile_spec

CONTRASTIVE = """op: case
doc: InfoNCE with queries in blocks, keys that are all read.
inputs: {x: [n, d], k: [m, d], t: {indices: [n], kind: label, labels: m}}
params: {tau: 0.5}
equations: |
  s[n,m] = 1/tau*x[n,d]*k[m,d]
  l      = mean[n](logsumexp[m](s[n,m]) - s[n,t[n]])
"""
BIASES = """op: case
doc: A loss of a layer with normalisation, a bias that may be left out and a weight of each row.
inputs: {x: [n, d], w: [d, h], b: {indices: [h], default: 0}, g: [h], s: {indices: [n], default: 1}}
params: {eps: 0.1}
equations: |
  u[n,h] = tanh(x[n,d]*w[d,h] + b[h])
  v[n,h] = (u[n,h] - mean[h](u[n,h]))/sqrt(mean[h]((u[n,h] - mean[h](u[n,h]))^2) + eps)
  l      = sum[n](s[n]*g[h]*v[n,h]^3)
"""
LINEAR = """op: case
doc: Gradients that are one another, an input, or the same in each row.
inputs: {x: [n], y: [n], c: [k], z: [n]}
equations: |
  l = one[n]*(x[n] + y[n] + one[k]*c[k]*z[n])
"""
ROUNDS = """op: case
doc: A sum over the blocks of which something whole is made.
inputs: {x: [n, d], w: [d]}
equations: |
  a = sum[n](sin(x[n,d]*w[d]))
  l = a^3 + one[d]*w[d]*a
"""
SPECS = {
    "linear_cross_entropy": LINEAR_CROSS_ENTROPY,
    "contrastive": CONTRASTIVE,
    "biases": BIASES,
    "linear": LINEAR,
    "rounds": ROUNDS,
}


def given(name: str, n: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
    """Inputs with n rows, that require gradients."""
    rng = torch.Generator().manual_seed(n)

    def real(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=dtype).requires_grad_()

    labels = torch.randint(4, (n,), generator=rng)
    return {
        "linear_cross_entropy": lambda: inputs_of("linear_cross_entropy", n, dtype),
        "contrastive": lambda: (real(n, 3), real(4, 3), labels),
        "biases": lambda: (real(n, 3), real(3, 2), None, real(2), real(n)),
        "linear": lambda: (real(n), real(n), real(2), real(n)),
        "rounds": lambda: (real(n, 3), real(3)),
    }[name]()


@cache
def both(name: str) -> tuple[Any, Any]:
    return load_op(SPECS[name] + CHUNK), load_op(SPECS[name])


def computed_together(op: Any, args: tuple[Any, ...]) -> bool:
    """Whether what the op returns was computed with its gradients."""
    nodes, seen = [op(*args).grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [following for following, _ in node.next_functions]
    return any(type(node).__name__ == "_NumberInBlocksBackward" for node in seen)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("n", [1, 3, 8, 21])
def test_gradients_are_those_of_the_op_without_blocks(name: str, n: int) -> None:
    chunked, plain = both(name)
    args = given(name, n)
    assert computed_together(chunked, args)
    leaves = moved(args)
    cotangent = torch.tensor(-1.7, dtype=torch.float64)
    value, found = chunked(*args), plain(*args)
    assert_close(value, found)
    first = torch.autograd.grad(value, leaves, cotangent)
    assert_close(first, torch.autograd.grad(found, leaves, cotangent))
    assert len({gradient.data_ptr() for gradient in first}) == len(first)


@pytest.mark.parametrize("name", SPECS)
def test_derivatives_of_any_order(name: str) -> None:
    chunked, plain = both(name)
    args = given(name, 5)
    leaves = moved(args)
    sides = []
    for op in (chunked, plain):
        one = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
        first = torch.autograd.grad(op(*args), leaves, one, create_graph=True)
        total = sum((g * torch.sin(g + k)).sum() for k, g in enumerate(first))
        second = torch.autograd.grad(total, [*leaves, one], create_graph=True, materialize_grads=True)
        square = sum((s * s).sum() for s in second)
        sides.append((*first, *second, *torch.autograd.grad(square, [*leaves, one], materialize_grads=True)))
    assert_close(*sides)


@pytest.mark.parametrize("name", ["linear_cross_entropy", "biases"])
def test_gradcheck(name: str) -> None:
    chunked, _ = both(name)
    args = given(name, 3)
    leaves = moved(args)

    def run(*own: Tensor) -> Tensor:
        left = iter(own)
        return chunked(*(next(left) if isinstance(a, Tensor) and a.requires_grad else a for a in args))

    assert torch.autograd.gradcheck(run, leaves, check_batched_grad=True, check_undefined_grad=True)
    assert torch.autograd.gradgradcheck(run, leaves, check_batched_grad=True)


def test_backward_may_be_called_again() -> None:
    chunked, plain = both("contrastive")
    args = given("contrastive", 9)
    leaves = moved(args)
    value = chunked(*args)
    wanted = torch.autograd.grad(plain(*args), leaves)
    for scale in (1.0, -3.0, 2.0):
        cotangent = torch.tensor(scale, dtype=torch.float64)
        found = torch.autograd.grad(value, leaves, cotangent, retain_graph=True)
        assert_close(found, tuple(scale * gradient for gradient in wanted))
    assert_close(torch.autograd.grad(value, leaves), wanted)
    with pytest.raises(RuntimeError, match="a second time"):
        torch.autograd.grad(value, leaves)


@pytest.mark.parametrize("needed", range(1, 4))
def test_only_what_is_needed_is_computed(needed: int) -> None:
    chunked, plain = both("contrastive")
    x, k, t = given("contrastive", 9)
    x, k = x.detach().requires_grad_(bool(needed & 1)), k.detach().requires_grad_(bool(needed & 2))
    leaves = moved((x, k))
    assert_close(torch.autograd.grad(chunked(x, k, t), leaves), torch.autograd.grad(plain(x, k, t), leaves))


def test_one_tensor_may_be_both_inputs() -> None:
    chunked, plain = both("contrastive")
    x, _, _ = given("contrastive", 4)
    t = torch.tensor([3, 1, 0, 2])
    for graph in (False, True):
        found, wanted = (torch.autograd.grad(op(x, x, t), x, create_graph=graph)[0] for op in (chunked, plain))
        assert_close(found, wanted)
    firsts = [torch.autograd.grad(op(x, x, t), x, create_graph=True)[0] for op in (chunked, plain)]
    assert_close(*(torch.autograd.grad((first * first).sum(), x) for first in firsts))


def test_what_is_made_of_leaves_is_differentiated_through() -> None:
    chunked, plain = both("contrastive")
    x, k, t = given("contrastive", 6)
    sides = []
    for op in (chunked, plain):
        (first,) = torch.autograd.grad(op(torch.sin(x), k * k, t), k, create_graph=True)
        sides.append((first, *torch.autograd.grad((first * first).sum(), (x, k))))
    assert_close(*sides)


def test_checkpoints_and_hooks_see_the_same_gradients() -> None:
    chunked, plain = both("linear_cross_entropy")
    args = given("linear_cross_entropy", 9)
    leaves = moved(args)
    wanted = torch.autograd.grad(plain(*args), leaves)
    assert_close(torch.autograd.grad(checkpoint(chunked, *args, use_reentrant=False), leaves), wanted)
    with save_on_cpu():
        value = chunked(*args)
    assert_close(torch.autograd.grad(value, leaves), wanted)


def test_an_input_that_changes_in_place_is_noticed() -> None:
    chunked, _ = both("contrastive")
    x, k, t = given("contrastive", 9)
    value = chunked(x, k, t)
    with torch.no_grad():
        k.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_gradients_have_the_dtype_of_their_input(dtype: torch.dtype) -> None:
    chunked, plain = both("contrastive")
    args = given("contrastive", 40, dtype)
    leaves = moved(args)
    found, wanted = (torch.autograd.grad(op(*args), leaves) for op in (chunked, plain))
    assert [gradient.dtype for gradient in found] == [dtype] * 2
    assert_close(found, wanted)


REFUSED = {
    "no gradient is wanted beside the inputs": LINEAR_CROSS_ENTROPY + "save: inputs\n",
    "the output has an axis": "op: case\ndoc: A case.\ninputs: {x: [n, d], w: [d]}\nequations: y[n] = x[n,d]*w[d]^2\n",
    "there are two outputs": (
        "op: case\ndoc: A case.\ninputs: {x: [n, d], w: [d]}\nequations: |\n  a = one[n]*x[n,d]*w[d]^2\n"
        "  b = one[n]*sin(x[n,d])*w[d]\noutputs: [a, b]\n"
    ),
    "the cotangent is clipped": (
        "op: case\ndoc: A case.\ninputs: {x: [n, d], w: [d]}\nequations: |\n"
        "  u[n] = clip_gradient(x[n,d]*w[d], -1, 1)\n  l = one[n]*u[n]^2\n"
    ),
    "numbers are complex": (
        "op: case\ndoc: A case.\ninputs: {x: {indices: [n], kind: complex}}\n"
        "equations: l = one[n]*real(x[n]*conj(x[n]))\n"
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_others_compute_their_gradients_in_backward(why: str) -> None:
    assert "value_and_gradients" not in compile_spec(REFUSED[why] + CHUNK).source


def test_without_gradients_none_are_computed() -> None:
    chunked, plain = both("contrastive")
    args = given("contrastive", 9)
    with torch.no_grad():
        assert_close(chunked(*args), plain(*args))
    frozen = tuple(a.detach() for a in args)
    assert chunked(*frozen).grad_fn is None
