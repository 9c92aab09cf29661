"""References of `specs/nn`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def rms_norm(x: Tensor, w: Tensor | None = None, *, eps: float = 1e-6) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], w, eps)


def layer_norm_affine(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, *, eps: float = 1e-5
) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


def batch_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    # Written out: PyTorch refuses a batch of one, for which the formula gives beta.
    centred = x - x.mean(0)
    y = centred / (x.var(0, correction=0) + eps).sqrt()
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


def group_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    scale = None if gamma is None else gamma.flatten()
    shift = None if beta is None else beta.flatten()
    return torch.group_norm(x.flatten(1, 2), x.shape[1], scale, shift, eps).reshape(x.shape)


def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    # A group norm of one channel a group: `F.instance_norm` refuses a single place.
    return torch.group_norm(x, x.shape[1], gamma, beta, eps)


def l2_normalize(x: Tensor, *, eps: float = 1e-12) -> Tensor:
    return F.normalize(x, dim=-1, eps=eps)


def cosine_similarity(a: Tensor, b: Tensor, *, eps: float = 1e-8) -> Tensor:
    return F.cosine_similarity(a, b, dim=-1, eps=eps)


def softmax(x: Tensor, *, temperature: float = 1.0) -> Tensor:
    return F.softmax(x / temperature, dim=-1)


def log_softmax(x: Tensor, *, temperature: float = 1.0) -> Tensor:
    return F.log_softmax(x / temperature, dim=-1)


def logsumexp(x: Tensor) -> Tensor:
    return torch.logsumexp(x, dim=-1)


def masked_softmax(x: Tensor, mask: Tensor) -> Tensor:
    some = mask.any(-1, keepdim=True)
    logits = x.masked_fill(~mask & some, -torch.inf)
    return F.softmax(logits, dim=-1) * some


def entropy(x: Tensor) -> Tensor:
    return torch.special.entr(F.softmax(x, dim=-1)).sum(-1)


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    return F.linear(x, w, b)


def linear_relu(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    return F.relu(F.linear(x, w, b))


def swiglu(a: Tensor, b: Tensor) -> Tensor:
    return F.silu(a) * b


def geglu(a: Tensor, b: Tensor) -> Tensor:
    return F.gelu(a) * b


def mlp(x: Tensor, w1: Tensor, w2: Tensor, b1: Tensor | None = None, b2: Tensor | None = None) -> Tensor:
    return F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def cross_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def attention_grouped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    y = F.scaled_dot_product_attention(q.flatten(1, 2), k, v, is_causal=True, enable_gqa=True)
    return y.reshape(*q.shape[:-1], v.shape[-1])


def rope(x: Tensor, *, base: float = 10000.0) -> Tensor:
    steps, pairs = x.shape[1], x.shape[2]
    rates = base ** (-torch.arange(pairs, dtype=x.dtype) / pairs)
    angles = torch.arange(steps, dtype=x.dtype)[:, None] * rates
    turned = torch.view_as_complex(x.contiguous()) * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned)


def embedding(t: Tensor, w: Tensor) -> Tensor:
    return F.embedding(t, w)


def embedding_bag(t: Tensor, w: Tensor, p: Tensor | None = None) -> Tensor:
    # `F.embedding_bag` has no second derivative; the sum over the bag is the same.
    rows = F.embedding(t, w)
    return rows.sum(1) if p is None else (rows * p[:, :, None]).sum(1)


def lstm_cell(x: Tensor, h: Tensor, c: Tensor, *weights: Tensor | None) -> tuple[Tensor, Tensor]:
    w, u, b = torch.cat(_dense(weights[:4])), torch.cat(_dense(weights[4:8])), _biases(weights[8:], c, 4)
    gates = F.linear(x, w) + F.linear(h, u) + b
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def gru_cell(x: Tensor, h: Tensor, *weights: Tensor | None) -> Tensor:
    w, u = torch.cat(_dense(weights[:3])), torch.cat(_dense(weights[3:6]))
    br, bz, bn, cn = _biases(weights[6:], h, 4).chunk(4)
    zero = torch.zeros_like(cn)
    return torch.gru_cell(x, h, w, u, torch.cat([br, bz, bn]), torch.cat([zero, zero, cn]))


def _dense(weights: tuple[Tensor | None, ...]) -> list[Tensor]:
    return [weight for weight in weights if weight is not None]


def _biases(biases: tuple[Tensor | None, ...], like: Tensor, count: int) -> Tensor:
    padded = (*biases, *[None] * (count - len(biases)))
    return torch.cat([like.new_zeros(like.shape[-1]) if bias is None else bias for bias in padded])


def lora(x: Tensor, w: Tensor, a: Tensor, b: Tensor, *, scale: float = 1.0) -> Tensor:
    return x @ (w + scale * (a @ b))


def mixture_gate(x: Tensor, w: Tensor, f: Tensor) -> Tensor:
    return (F.softmax(F.linear(x, w), dim=-1)[:, :, None] * f).sum(1)


def cumulative_sum(x: Tensor) -> Tensor:
    return torch.cumsum(x, dim=-1)


def causal_linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    fq, fk = F.elu(q) + 1, F.elu(k) + 1
    scores = torch.tril(fq @ fk.mT)
    return scores @ v / scores.sum(-1, keepdim=True)
