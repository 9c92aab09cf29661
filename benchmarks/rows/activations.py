"""Pointwise functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.model import Goal, Row, Work, real
from generated import gelu, gelu_tanh, swiglu
from tensorgrad_gen import load_op


def composed_gelu(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.erf(x / math.sqrt(2)))


def composed_gelu_tanh(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def by_erf(b: int, h: int) -> Work:
    return Work((real(b, h),), {"ours": gelu, "E": composed_gelu, "N": F.gelu})


def by_tanh(b: int, h: int) -> Work:
    own = {"N": lambda x: F.gelu(x, approximate="tanh")}
    return Work((real(b, h),), {"ours": gelu_tanh, "E": composed_gelu_tanh, **own})


def gated(b: int, h: int) -> Work:
    return Work((real(b, h), real(b, h).detach().flip(0).requires_grad_()), {"ours": swiglu, "E": composed_swiglu})


def composed_swiglu(a: Tensor, b: Tensor) -> Tensor:
    return F.silu(a) * b


BY_NAME = """\
op: gelu_by_name
doc: PyTorch's own GELU.
inputs: {x: [b, h]}
equations: y[b,h] = gelu(x[b,h])
"""


def by_name(b: int, h: int) -> Work:
    return Work((real(b, h),), {"ours": load_op(BY_NAME), "E": composed_gelu, "N": F.gelu})


AS_OWN = (Goal("E", 0.5), Goal("N", 1.05))
ROWS = (
    Row("gelu", (2048, 5632), by_erf, AS_OWN, compiled=True, jax="gelu"),
    Row("gelu, by name", (2048, 5632), by_name, AS_OWN),
    Row("gelu_tanh", (2048, 5632), by_tanh, AS_OWN, compiled=True, jax="gelu_tanh"),
    Row("swiglu", (2048, 5632), gated, (Goal("E", 1.0), Goal("", 0, "saved")), compiled=True, jax="swiglu"),
)
