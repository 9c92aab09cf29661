"""Attention by PyTorch's operators, which make no tensor of all pairs of rows and keys.

Law: each function is its composed form, which is called wherever something looks on, for other
sizes than the operators take, and on other devices.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import compiling, in_transform, legacy_batched, own
from tensorgrad_gen.runtime.fused import softmax_backward

_FLASH: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_FLASH_BACKWARD: Any = getattr(
    torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None
)


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
    """The sum over `j` of `softmax_j(q k) v`, for `causal` over `j <= i`.

    `q[.., i, d]`, `k[.., j, d]`, `v[.., j, e]`; the axes before broadcast.
    """
    if not _plain(q, k, v):
        return _weights(q, k, causal=causal) @ v
    batch = _batch(q, k, v)
    on = [_four(tensor, batch) for tensor in (q, k, v)]
    y = _flash(*on, causal=causal)[0] if _on_cpu(q) else _public(*on, causal=causal).contiguous()
    return own(y.reshape((*batch, *q.shape[-2:-1], *v.shape[-1:])))


def attention_gradients(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    needed: tuple[bool, bool, bool],
    *,
    causal: bool = False,
) -> tuple[Tensor | None, ...]:
    """Those needed of the gradients by `q`, `k` and `v`, computed from these alone."""
    if not (_plain(q, k, v) and _plain(grad)):
        return _composed_gradients(grad, q, k, v, needed, causal=causal)
    batch = _batch(q, k, v)
    on = [_four(tensor, batch) for tensor in (q, k, v, grad)]
    by = _flash_gradients if _on_cpu(q) else _public_gradients
    found = by(*on, causal=causal)
    return tuple(
        _summed(gradient.reshape((*batch, *tensor.shape[-2:])), tensor) if wanted else None
        for gradient, tensor, wanted in zip(found, (q, k, v), needed)
    )


def _plain(*tensors: Tensor) -> bool:
    """Whether an operator takes the tensors, and nothing records or transforms what is done."""
    if torch.is_grad_enabled() or compiling() or in_transform():
        return False
    first, last = tensors[0], tensors[-1]
    return (
        first.device.type in ("cpu", "cuda")
        and first.shape[-1] == last.shape[-1]
        and all(_ordinary(t) and t.dtype == first.dtype and t.numel() > 0 for t in tensors)
        and (_FLASH_BACKWARD is not None or first.device.type != "cpu")
    )


def _ordinary(tensor: Tensor) -> bool:
    """Whether the tensor is just that: no class of its own, no batch of the engine's."""
    return type(tensor) in (Tensor, torch.nn.Parameter) and not legacy_batched(tensor)


def _on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _batch(*tensors: Tensor) -> torch.Size:
    """The axes before the last two, broadcast."""
    broadcast: Any = torch.broadcast_shapes
    shape: torch.Size = broadcast(*(tensor.shape[:-2] for tensor in tensors))
    return shape


def _four(tensor: Tensor, batch: torch.Size) -> Tensor:
    """With four axes; on the CPU one head: what the operator makes is contiguous then."""
    heads = 1 if _on_cpu(tensor) or not batch else batch[-1]
    tensor = tensor.expand(*batch, *tensor.shape[-2:])
    return tensor.reshape(batch.numel() // heads, heads, *tensor.shape[-2:]).contiguous()


def _flash(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    """The value, and of each row the logarithm of its sum.

    A row of which every logit is -inf or NaN is 0 in the operator, and so is that logarithm: here
    both are NaN, as in softmax.  Its first logit tells it, which is never masked.
    """
    y, logarithm = _FLASH(q, k, v, 0.0, causal, scale=1.0)
    first = (q * k[..., :1, :]).sum(-1)
    lost = torch.where(logarithm == 0, first * 0, 0)
    return y + lost.unsqueeze(-1), logarithm + lost


def _flash_gradients(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, *, causal: bool
) -> tuple[Tensor, ...]:
    y, logarithm = _flash(q, k, v, causal=causal)
    found: tuple[Tensor, ...] = _FLASH_BACKWARD(grad, q, k, v, y, logarithm, 0.0, causal, scale=1.0)
    return found


def _public(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1.0)


def _public_gradients(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, *, causal: bool
) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        on = [tensor.detach().requires_grad_() for tensor in (q, k, v)]
        y = _public(*on, causal=causal)
    return torch.autograd.grad(y, on, grad)


def _weights(q: Tensor, k: Tensor, *, causal: bool) -> Tensor:
    """`softmax_j(q k)`, for `causal` over `j <= i`."""
    logits = q @ k.mT
    if causal:
        logits = torch.where(_lower(logits), logits, -math.inf)
    return torch.softmax(logits, -1)


def _lower(logits: Tensor) -> Tensor:
    """Where `j <= i`."""
    rows = torch.arange(logits.shape[-2], device=logits.device)
    return torch.arange(logits.shape[-1], device=logits.device) <= rows.unsqueeze(-1)


def _composed_gradients(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    needed: tuple[bool, bool, bool],
    *,
    causal: bool,
) -> tuple[Tensor | None, ...]:
    p = _weights(q, k, causal=causal)
    grad_q: Tensor | None = None
    grad_k: Tensor | None = None
    grad_v: Tensor | None = None
    if needed[0] or needed[1]:
        grad_s = softmax_backward(grad @ v.mT, p, -1)
        if causal:
            grad_s = torch.where(_lower(p), grad_s, 0)
        grad_q = _summed(grad_s @ k, q) if needed[0] else None
        grad_k = _summed(grad_s.mT @ q, k) if needed[1] else None
    if needed[2]:
        grad_v = _summed(p.mT @ grad, v)
    return grad_q, grad_k, grad_v


def _summed(gradient: Tensor, tensor: Tensor) -> Tensor:
    """The gradient summed over the axes that the tensor was broadcast along."""
    more = gradient.dim() - tensor.dim()
    gradient = gradient.sum(tuple(range(more))) if more else gradient
    axes = [n for n, size in enumerate(tensor.shape[:-2]) if size != gradient.shape[n]]
    return gradient.sum(axes, keepdim=True) if axes else gradient
