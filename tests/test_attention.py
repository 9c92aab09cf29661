"""Attention is PyTorch's own operator wherever a spec computes it, in any spelling, and only there."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tensorgrad_gen import load_op
from tensorgrad_gen.api import compile_spec

INPUTS = "op: case\ndoc: A case.\ninputs: {q: [b, i, d], k: [b, j, d], v: [b, j, e]}\nsizes: {D: d}\nequations: |\n"
FOUND = {
    "as in the paper": INPUTS
    + "  s[b,i,j] = 1/sqrt(D)*q[b,i,d]*k[b,j,d]\n  p[b,i,j] = softmax[j](s[b,i,j])\n  y[b,i,e] = p[b,i,j]*v[b,j,e]\n",
    "one equation": INPUTS + "  y[b,i,e] = sum[j](softmax[j](sum[d](q[b,i,d]*k[b,j,d])/sqrt(D))*v[b,j,e])\n",
    "causal": INPUTS
    + "  s[b,i,j] = q[b,i,d]*k[b,j,d]/sqrt(D)\n"
    + "  y[b,i,e] = sum[j](v[b,j,e]*softmax[j](where(i >= j, s[b,i,j], -inf)))\n",
    "strictly before the next": INPUTS
    + "  s[b,i,j] = q[b,i,d]*k[b,j,d]\n"
    + "  y[b,i,e] = sum[j](v[b,j,e]*softmax[j](where(j < i + 1, s[b,i,j]/2, -inf)))\n",
    "queries scaled before": INPUTS
    + "  r[b,i,d] = q[b,i,d]/sqrt(D)\n  s[b,i,j] = k[b,j,d]*r[b,i,d]\n"
    + "  p[b,i,j] = softmax[j](s[b,i,j])\n  y[b,i,e] = p[b,i,j]*v[b,j,e]\n",
    "exponentials over their sum": INPUTS
    + "  s[b,i,j] = q[b,i,d]*k[b,j,d]/sqrt(D)\n  p[b,i,j] = exp(s[b,i,j])/(one[j1]*exp(s[b,i,j1]))\n"
    + "  y[b,i,e] = p[b,i,j]*v[b,j,e]\n",
    "no batch, other order of axes": (
        "op: case\ndoc: A case.\ninputs: {q: [d, i], k: [j, d], v: [e, j]}\nparams: {c: 0.4}\nequations: |\n"
        "  a[j,i] = c*q[d,i]*k[j,d]\n  y[e,i] = v[e,j]*softmax[j](a[j,i])\n"
    ),
    "any leading axes": (
        "op: case\ndoc: A case.\ninputs: {q: [..., i, d], k: [..., j, d], v: [..., j, e]}\nequations: |\n"
        "  s[...,i,j] = q[...,i,d]*k[...,j,d]\n  y[...,i,e] = softmax[j](where(j <= i, s[...,i,j], -inf))*v[...,j,e]\n"
    ),
    "heads of projections, projected again": (
        "op: case\ndoc: A case.\ninputs: {x: [t, c], wq: [h, d, c], wk: [h, d, c], wv: [h, d, c], wo: [c, h, d]}\n"
        "sizes: {D: d}\nequations: |\n  q[h,t,d] = wq[h,d,c]*x[t,c]\n  k[h,t,d] = wk[h,d,c]*x[t,c]\n"
        "  v[h,t,d] = wv[h,d,c]*x[t,c]\n  s[h,t,u] = q[h,t,d]*k[h,u,d]/sqrt(D)\n"
        "  a[h,t,d] = softmax[u](where(u <= t, s[h,t,u], -inf))*v[h,u,d]\n  y[t,c] = wo[c,h,d]*a[h,t,d]\n"
    ),
}
OTHERS = {
    "the weights are returned": FOUND["as in the paper"] + "outputs: [y, p]\n",
    "the weights are read again": FOUND["as in the paper"].replace("\n  y[", "\n  h[b,i] = p[b,i,j]^2*one[j]\n  y[")
    + "outputs: [y, h]\n",
    "keys after the query": FOUND["causal"].replace("i >= j", "i <= j"),
    "without the query's own": FOUND["causal"].replace("i >= j", "i > j"),
    "a window": FOUND["causal"].replace("i >= j", "i >= j and j > i - 3"),
    "another number for what is masked": FOUND["causal"].replace("-inf", "-10000"),
    "a scale for each query": INPUTS.replace("v: [b, j, e]", "v: [b, j, e], c: [i]")
    + "  s[b,i,j] = c[i]*q[b,i,d]*k[b,j,d]\n  p[b,i,j] = softmax[j](s[b,i,j])\n  y[b,i,e] = p[b,i,j]*v[b,j,e]\n",
    "a bias": INPUTS.replace("v: [b, j, e]", "v: [b, j, e], c: [i, j]")
    + "  s[b,i,j] = q[b,i,d]*k[b,j,d] + c[i,j]\n  p[b,i,j] = softmax[j](s[b,i,j])\n  y[b,i,e] = p[b,i,j]*v[b,j,e]\n",
    "softmax along the queries": FOUND["as in the paper"].replace("softmax[j]", "softmax[i]"),
}


@cache
def op_of(text: str) -> Any:
    return load_op(text)


def inputs_of(name: str, dtype: torch.dtype = torch.float64, n: int = 5, m: int = 5, e: int = 4) -> list[Tensor]:
    rng = torch.Generator().manual_seed(n)

    def real(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=dtype).requires_grad_()

    if name == "no batch, other order of axes":
        return [real(4, n), real(m, 4), real(e, m)]
    if name == "heads of projections, projected again":
        return [real(n, 3), *(real(2, 4, 3) for _ in range(3)), real(3, 2, 4)]
    if name == "any leading axes":
        return [real(2, 1, 3, n, 4), real(2, 1, 3, m, 4), real(2, 1, 3, m, e)]
    return [real(3, n, 4), real(3, m, 4), real(3, m, e)]


@pytest.mark.parametrize("name", FOUND)
def test_it_is_found_in_any_spelling(name: str) -> None:
    source = compile_spec(FOUND[name]).source
    assert "_runtime.attention(" in source
    assert "_runtime.attention_gradients(" in source
    backward = source[source.index("def backward") : source.index("Dual(")]
    assert "torch.softmax" not in backward


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_exactly_it_is_composed(name: str) -> None:
    assert "_runtime.attention" not in compile_spec(OTHERS[name]).source


def watched(op: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Value, gradients and second derivatives, by the composed form: backward is recorded."""
    y = op(*inputs)
    first = torch.autograd.grad(torch.sin(y).sum(), inputs, create_graph=True)
    total = sum((g * torch.cos(g + k)).sum() for k, g in enumerate(first))
    return (*first, *torch.autograd.grad(total, inputs))


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("sizes", [(5, 5, 4), (7, 4, 4), (3, 6, 4), (4, 5, 3), (1, 1, 4), (300, 300, 4)], ids=str)
def test_value_and_derivatives(name: str, sizes: tuple[int, int, int]) -> None:
    op, inputs = op_of(FOUND[name]), inputs_of(name, torch.float64, *sizes)
    y = op(*inputs)
    fast = torch.autograd.grad(torch.sin(y).sum(), inputs)
    recorded = watched(op, inputs)
    assert_close(fast, recorded[: len(fast)], rtol=1e-9, atol=1e-9)
    if sizes[0] < 10:
        assert torch.autograd.gradcheck(op, inputs, check_batched_grad=True, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(op, inputs)


def composed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_as_exact_as_the_composed_form(dtype: torch.dtype, scale: float) -> None:
    op = op_of(FOUND["as in the paper"])
    inputs = [(t * (1 if k else scale)).detach().to(dtype) for k, t in enumerate(inputs_of("", torch.float64, 40, 50))]

    def results(f: Any, kind: torch.dtype) -> list[Tensor]:
        leaves = [t.to(kind).requires_grad_() for t in inputs]
        y = f(*leaves)
        return [y, *torch.autograd.grad(y, leaves, torch.cos(torch.arange(y.numel()).reshape(y.shape)).to(y.dtype))]

    exact = results(composed, torch.float64)
    for got, plain, want in zip(results(op, dtype), results(composed, dtype), exact, strict=True):
        assert got.dtype == dtype
        ours, theirs = (float((one.double() - want).abs().max()) for one in (got, plain))
        # Terms that cancel are as large as the inputs: the operator takes their difference by another sum.
        terms = max(float(t.abs().max()) for t in (want, *inputs))
        assert ours <= 2 * theirs + 4 * torch.finfo(dtype).eps * terms


@pytest.mark.parametrize("sizes", [(0, 5, 4), (5, 0, 4), (5, 5, 0)], ids=str)
def test_axes_of_no_element(sizes: tuple[int, int, int]) -> None:
    op, inputs = op_of(FOUND["as in the paper"]), inputs_of("", torch.float64, *sizes)
    assert_close(op(*inputs), composed(*inputs))
    found, wanted = (torch.autograd.grad(f(*inputs).sum(), inputs) for f in (op, composed))
    assert_close(found, wanted)


@pytest.mark.parametrize("needed", range(1, 8))
def test_some_gradients_alone(needed: int) -> None:
    op, inputs = op_of(FOUND["causal"]), inputs_of("", n=6, m=6)
    leaves = [t.detach().requires_grad_(bool(needed >> k & 1)) for k, t in enumerate(inputs)]
    some = torch.autograd.grad(op(*leaves).square().sum(), [t for t in leaves if t.requires_grad])
    every = torch.autograd.grad(op(*inputs).square().sum(), inputs)
    assert_close(list(some), [g for k, g in enumerate(every) if needed >> k & 1])


def test_tensors_that_do_not_lie_in_order() -> None:
    op = op_of(FOUND["as in the paper"])
    q, k, v = (t.detach() for t in inputs_of("", n=6, m=7))
    odd = [q.transpose(0, 2).contiguous().transpose(0, 2), k[:, ::2], v[:1, ::2].expand(3, -1, -1)]
    plain = [t.clone().requires_grad_() for t in odd]
    leaves = [t.requires_grad_() for t in odd]
    assert_close(op(*leaves), composed(*plain))
    assert_close(
        *(torch.autograd.grad(y.square().sum(), x) for y, x in ((op(*leaves), leaves), (composed(*plain), plain)))
    )


def test_one_tensor_as_query_key_and_value() -> None:
    op, (x, _, _) = op_of(FOUND["as in the paper"]), inputs_of("")
    for graph in (False, True):
        found, wanted = (torch.autograd.grad(f(x, x, x).square().sum(), x, create_graph=graph) for f in (op, composed))
        assert_close(found, wanted)


@pytest.mark.parametrize("name", FOUND)
def test_nothing_as_large_as_the_weights_is_kept(name: str) -> None:
    saved: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        op_of(FOUND[name])(*inputs_of(name, n=50, m=50))
    assert max(saved) < 50 * 50
