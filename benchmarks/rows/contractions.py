"""Contractions, and attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.model import Goal, Row, Work, real
from generated import attention, bilinear, cp_loss, lora
from tensorgrad_gen import load_op

SCALE = 2.0
CHAIN = """\
op: chain_of_four
doc: Three matrices and a vector.
inputs:
  a: [i, j]
  b: [j, k]
  c: [k, l]
  v: [l]
equations: y[i] = a[i,j]*b[j,k]*c[k,l]*v[l]
"""


def bilinear_layer(b: int, o: int, i: int, j: int) -> Work:
    sides = {
        "ours": bilinear,
        "E": lambda x, w, z: torch.einsum("bi,oij,bj->bo", x, w, z),
        "N": lambda x, w, z: F.bilinear(x, z, w),
    }
    return Work((real(b, i), real(o, i, j), real(b, j + 1)[:, :j].detach().requires_grad_()), sides)


def chain(n: int) -> Work:
    matrices = [real(n, n, grad=False).div_(n**0.5).roll(k, 0).requires_grad_() for k in range(3)]
    sides = {
        "ours": load_op(CHAIN),
        "E": lambda a, b, c, v: torch.einsum("ij,jk,kl,l->i", a, b, c, v),  # with opt_einsum, where it is installed
        "L": lambda a, b, c, v: ((a @ b) @ c) @ v,
    }
    return Work((*matrices, real(n)), sides)


def low_rank(n: int, d: int, r: int) -> Work:
    sides = {
        "ours": lambda x, w, a, b: lora(x, w, a, b, scale=SCALE),
        "E": lambda x, w, a, b: x @ w + SCALE * ((x @ a) @ b),
    }
    return Work((real(n, d), real(d, d + 1)[:, :d].detach().requires_grad_(), real(d, r), real(r, d)), sides)


def causal(h: int, length: int, d: int) -> Work:
    q, k, v = (real(1, h, length, d, grad=False).roll(s, 2).requires_grad_() for s in range(3))
    sides = {
        "ours": attention,
        "E": composed_attention,
        "N": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    }
    return Work((q, k, v), sides)


def composed_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT / q.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    return torch.softmax(scores.masked_fill(later, -torch.inf), -1) @ v


def composed_cp(t: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (t - torch.einsum("ir,jr,kr->ijk", a, b, c)).square().sum()


class SeparateEinsums(torch.autograd.Function):
    """The gradients of the decomposition, each by an einsum of its own."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        e = t - torch.einsum("ir,jr,kr->ijk", a, b, c)
        ctx.save_for_backward(e, a, b, c)
        return e.square().sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        e, a, b, c = ctx.saved_tensors
        e = 2 * grad * e
        return (
            e,
            -torch.einsum("ijk,jr,kr->ir", e, b, c),
            -torch.einsum("ijk,ir,kr->jr", e, a, c),
            -torch.einsum("ijk,ir,jr->kr", e, a, b),
        )


def decomposition(n: int, r: int) -> Work:
    factors = [real(n, r, grad=False).roll(k, 0).requires_grad_() for k in range(3)]
    sides = {"ours": cp_loss, "E": composed_cp, "S": SeparateEinsums.apply}
    return Work((real(n, n, n), *factors), sides)


HEADS, LENGTH, WIDTH = 8, 512, 64
# No tensor of scores is saved: not more than one as large as an input.
LINEAR = 4 * HEADS * LENGTH * WIDTH
ROWS = (
    Row("bilinear", (256, 128, 128, 128), bilinear_layer, (Goal("E", 0.9), Goal("N", 0.5)), jax="bilinear"),
    Row("chain", (1024,), chain, (Goal("L", 0.02), Goal("E", 1.0)), jax="chain"),
    Row("lora", (4096, 2048, 16), low_rank, (Goal("E", 1.0), Goal("E", 1.0, "flops")), jax="lora"),
    Row("attention", (HEADS, LENGTH, WIDTH), causal, (Goal("", LINEAR, "saved"), Goal("E", 1.25)), jax="attention"),
    Row("cp_loss", (128, 32), decomposition, (Goal("S", 0.7, "gradient flops"),), jax="cp_loss"),
)
