"""Where a condition hides a whole row, a sink takes all of a mean by exponentials: to second order, transformed too."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, vmap

from tensorgrad_gen import compile_spec, load_op

SPEC = """
op: sink
inputs: {s: [m, n], v: [n, e], keep: {indices: [m, n], kind: bool}, sink: [m]}
equations: |
  a[m,n]  = [keep[m,n]]*exp(s[m,n])
  z[m]    = exp(sink[m]) + one[n]*a[m,n]
  y[m,e]  = a[m,n]*v[n,e]/z[m]
  left[m] = exp(sink[m])/z[m]
outputs: [y, left]
"""
OUTPUTS = {"both": (0, 1), "the mean": (0,), "the share of the sink": (1,)}
Scalar = Callable[[Tensor, Tensor, Tensor], Tensor]


@cache
def op() -> Callable[..., tuple[Tensor, Tensor]]:
    return load_op(SPEC)


def plain(s: Tensor, v: Tensor, keep: Tensor, sink: Tensor) -> tuple[Tensor, Tensor]:
    """One softmax over the keys that are shown and the sink, no row of which is hidden whole."""
    shares = torch.softmax(torch.cat([torch.where(keep, s, -1e30), sink[:, None]], -1), -1)
    return torch.where(keep, shares[:, :-1], 0) @ v, shares[:, -1]


def sample() -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    made = torch.Generator().manual_seed(2)
    s, v, sink = (torch.randn(shape, dtype=torch.float64, generator=made) for shape in ((4, 5), (5, 2), (4,)))
    keep = torch.rand(4, 5, generator=made) > 0.4
    keep[1] = False
    return (s, v, sink), keep


def scalar(function: Callable[..., tuple[Tensor, Tensor]], which: tuple[int, ...], keep: Tensor) -> Scalar:
    return lambda s, v, sink: sum((function(s, v, keep, sink)[k].sin().sum() for k in which), torch.zeros(()))


@pytest.mark.parametrize("which", OUTPUTS)
def test_derivatives_of_a_row_that_is_hidden_whole(which: str) -> None:
    tensors, keep = sample()
    found = []
    for function in (op(), plain):
        leaves = [t.clone().requires_grad_() for t in tensors]
        value = scalar(function, OUTPUTS[which], keep)(*leaves)
        first = torch.autograd.grad(value, leaves, create_graph=True, materialize_grads=True)
        second = torch.autograd.grad(sum(g.cos().sum() for g in first), leaves, materialize_grads=True)
        found.append((first, second))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("which", OUTPUTS)
def test_under_transforms(which: str) -> None:
    tensors, keep = sample()
    ours, theirs = (scalar(function, OUTPUTS[which], keep) for function in (op(), plain))
    torch.testing.assert_close(hessian(ours, (0, 1, 2))(*tensors), hessian(theirs, (0, 1, 2))(*tensors))
    stacked = [torch.stack((t, t + 1)) for t in tensors]
    torch.testing.assert_close(
        vmap(grad(ours, (0, 1, 2)))(*stacked), vmap(grad(theirs, (0, 1, 2)))(*stacked), equal_nan=False
    )


def test_what_is_hidden_is_minus_infinity_where_it_may_be_read() -> None:
    """In backward the softmax is read under its mask; in forward it is the output, NaN where nothing is shown."""
    source = compile_spec(
        "op: f\ninputs: {x: [m, n], keep: {indices: [m, n], kind: bool}}\n"
        "equations: |\n  y[m,n] = softmax[n](where(keep[m,n], x[m,n], -inf))\n"
    ).source
    assert "torch.finfo" not in source
    assert "torch.finfo(grad_y.dtype).min" in compile_spec(SPEC).source
