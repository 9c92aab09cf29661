"""Tensors so small that calls are what costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.model import Goal, Row, Work, real
from benchmarks.rows.norms import EPS, composed_rms
from generated import rms_norm
from tensorgrad_gen import load_op

CELL = """\
op: tanh_cell
doc: A recurrent cell.
inputs:
  x: [b, i]
  w: [i, j]
  h: [b, k]
  u: [k, j]
  c: [j]
equations: y[b,j] = tanh(x[b,i]*w[i,j] + h[b,k]*u[k,j] + c[j])
"""


class HandRms(torch.autograd.Function):
    """RMS norm as one would write it by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        r = torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS)
        ctx.save_for_backward(x, w, r)
        return x * r * w

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, w, r = ctx.saved_tensors
        scaled = grad * w
        slope = (scaled * x).mean(-1, keepdim=True) * r**3
        return scaled * r - x * slope, (grad * x * r).sum(0)


class HandCell(torch.autograd.Function):
    """The cell as one would write it by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, h: Tensor, u: Tensor, c: Tensor) -> Tensor:
        y = torch.tanh(torch.addmm(c, x, w).addmm_(h, u))
        ctx.save_for_backward(x, w, h, u, y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, w, h, u, y = ctx.saved_tensors
        grad = grad * (1 - y * y)
        return grad @ w.mT, x.mT @ grad, grad @ u.mT, h.mT @ grad, grad.sum(0)


def rms(b: int, h: int) -> Work:
    sides = {"ours": lambda x, w: rms_norm(x, w, eps=EPS), "E": composed_rms, "H": HandRms.apply}
    return Work((real(b, h), real(h)), sides)


def cell(b: int, n: int) -> Work:
    sides = {
        "ours": load_op(CELL),
        "E": lambda x, w, h, u, c: torch.tanh(x @ w + h @ u + c),
        "H": HandCell.apply,
    }
    tensors = (real(b, n), real(n, n), real(b, n + 1), real(n + 1, n), real(n))
    return Work(tensors, sides)


GOALS = (Goal("E", 1.6), Goal("H", 1.1))
ROWS = (
    # Without JAX: the threads of its process are awake between calls, and cost those of 100 us a fifth.
    Row("rms_norm", (32, 32), rms, GOALS),
    Row("tanh_cell", (32, 32), cell, GOALS),
)
