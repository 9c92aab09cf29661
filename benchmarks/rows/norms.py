"""Normalisations and softmax."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.model import Goal, Row, Work, real
from generated import layer_norm_affine, log_softmax, rms_norm, softmax
from tensorgrad_gen import load_op
from tensorgrad_gen.bench import Call

EPS = 1e-5
SOFTMAX = """\
op: softmax_by_definition
doc: Exponentials over their sum.
inputs: {x: [b, h]}
equations: y[b,h] = exp(x[b,h])/sum[k](exp(x[b,k]))
"""
LOG_SOFTMAX = """\
op: log_softmax_by_definition
doc: The logarithm of exponentials over their sum.
inputs: {x: [b, h]}
equations: y[b,h] = log(exp(x[b,h])/sum[k](exp(x[b,k])))
"""
TEMPERATURE = 0.5


def composed_rms(x: Tensor, w: Tensor) -> Tensor:
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + EPS) * w


def composed_layer(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + EPS) * gamma + beta


def composed_softmax(x: Tensor) -> Tensor:
    e = torch.exp(x - x.amax(-1, keepdim=True).detach())
    return e / e.sum(-1, keepdim=True)


def composed_log_softmax(x: Tensor) -> Tensor:
    shifted = x - x.amax(-1, keepdim=True).detach()
    return shifted - torch.log(torch.exp(shifted).sum(-1, keepdim=True))


def rms(b: int, h: int) -> Work:
    sides = {
        "ours": lambda x, w: rms_norm(x, w, eps=EPS),
        "E": composed_rms,
        "N": lambda x, w: F.rms_norm(x, (h,), w, EPS),
    }
    return Work((real(b, h), real(h)), sides)


def layer(b: int, h: int) -> Work:
    sides = {
        "ours": lambda x, gamma, beta: layer_norm_affine(x, gamma, beta, eps=EPS),
        "E": composed_layer,
        "N": lambda x, gamma, beta: F.layer_norm(x, (h,), gamma, beta, EPS),
    }
    return Work((real(b, h), real(h), real(h).detach().flip(0).requires_grad_()), sides)


def soft(b: int, h: int) -> Work:
    sides = {"ours": load_op(SOFTMAX), "E": composed_softmax, "N": lambda x: F.softmax(x, -1)}
    return Work((real(b, h),), sides)


def log_soft(b: int, h: int) -> Work:
    sides = {"ours": load_op(LOG_SOFTMAX), "E": composed_log_softmax, "N": lambda x: F.log_softmax(x, -1)}
    return Work((real(b, h),), sides)


def tempered(op: Call, composed: Call, own: Call) -> Callable[[int, int], Work]:
    """Rows of the op of the library, which divides by a temperature: so do the others."""

    def make(b: int, h: int) -> Work:
        sides: dict[str, Call] = {
            "ours": lambda x: op(x, temperature=TEMPERATURE),
            "E": lambda x: composed(x / TEMPERATURE),
            "N": lambda x: own(x / TEMPERATURE, -1),
        }
        return Work((real(b, h),), sides)

    return make


AS_COMPILED = Goal("C", 1.0, of="compiled")
ROWS = (
    Row("rms_norm", (4096, 2048), rms, (Goal("E", 0.65), Goal("N", 0.65), AS_COMPILED), compiled=True, jax="rms_norm"),
    Row("rms_norm", (64, 512), rms, (Goal("E", 1.3), AS_COMPILED), compiled=True, jax="rms_norm"),
    Row(
        "layer_norm",
        (4096, 1024),
        layer,
        (Goal("E", 0.3), Goal("N", 1.05), AS_COMPILED),
        compiled=True,
        jax="layer_norm",
    ),
    Row("layer_norm", (64, 256), layer, (Goal("E", 1.0), AS_COMPILED), compiled=True, jax="layer_norm"),
    Row("softmax", (2048, 4096), soft, (Goal("E", 0.35), Goal("N", 1.05)), compiled=True, jax="softmax"),
    Row("log_softmax", (2048, 4096), log_soft, (Goal("E", 0.35), Goal("N", 1.05)), compiled=True, jax="log_softmax"),
    Row("softmax, tempered", (2048, 4096), tempered(softmax, composed_softmax, F.softmax)),
    Row("log_softmax, tempered", (2048, 4096), tempered(log_softmax, composed_log_softmax, F.log_softmax)),
)
