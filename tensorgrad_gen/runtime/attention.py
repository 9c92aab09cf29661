"""Scaled dot-product attention: PyTorch's own operator, or its composed form.

The operator where nothing records or transforms what is done, on tensors of one dtype with as many
features of keys as of values; elsewhere products and a softmax, which differentiate to any order.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import compiling, in_transform, legacy_batched
from tensorgrad_gen.runtime.fused import softmax_backward

_ATTENTION: Any = getattr(torch.nn.functional, "scaled_dot_product_attention", None)


def attention(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
    """`softmax(scale q k^T) v` along the keys; `causal`: of the keys up to the query's position."""
    if _fused(q, k, v):
        own = (_four(t) for t in (q, k, v))
        y: Tensor = _ATTENTION(*own, is_causal=causal, scale=scale)
        return y.reshape((*q.shape[:-1], v.shape[-1]))
    return _weights(q, k, scale, causal) @ v


def attention_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients by query, key and value; the operator's, which keeps no weights, is run again.

    Of a key that no query sees the gradient is 0.
    """
    if _fused(q, k, v) and not legacy_batched(grad):
        with torch.enable_grad():
            own = [_four(t.detach()).requires_grad_() for t in (q, k, v)]
            y = _ATTENTION(*own, is_causal=causal, scale=scale)
        found = torch.autograd.grad(y, own, grad.reshape(y.shape))
        by_q, by_k, by_v = (g.reshape(t.shape) for g, t in zip(found, (q, k, v), strict=True))
        return by_q, by_k, by_v
    p = _weights(q, k, scale, causal)
    logits = softmax_backward(grad @ v.mT, p, -1)
    if causal:
        logits = torch.where(_seen(logits), logits, 0)
    return (logits @ k) * scale, (logits.mT @ q) * scale, p.mT @ grad


def _fused(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the operator is there, takes these, and nothing looks on."""
    if _ATTENTION is None or torch.is_grad_enabled() or compiling() or in_transform():
        return False
    same = q.dtype == k.dtype == v.dtype and q.shape[-1] == v.shape[-1]
    plain = not any(legacy_batched(t) or t.numel() == 0 for t in (q, k, v))
    return same and plain and q.device.type in ("cpu", "cuda")


def _four(x: Tensor) -> Tensor:
    """The tensor with four axes, as the operator's kernels take it."""
    if x.dim() == 4:
        return x
    lead = x.shape[:-2]
    return x.reshape((1, math.prod(lead), *x.shape[-2:]))


def _weights(q: Tensor, k: Tensor, scale: float, causal: bool) -> Tensor:
    """The softmax of the logits along the keys."""
    logits = (q * scale) @ k.mT
    if causal:
        logits = torch.where(_seen(logits), logits, -math.inf)
    return torch.softmax(logits, -1)


def _seen(logits: Tensor) -> Tensor:
    """Whether the key stands no later than the query."""
    queries, keys = (torch.arange(n, device=logits.device) for n in logits.shape[-2:])
    return keys <= queries.unsqueeze(-1)
