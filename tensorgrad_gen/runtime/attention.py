"""Attention by PyTorch's operators, which make no tensor of all pairs of rows and keys.

Law: each function is its composed form, which is called wherever something looks on, and for
tensors that the operators do not take.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.blocks import ordinary
from tensorgrad_gen.runtime.core import compiling, own
from tensorgrad_gen.runtime.fused import softmax_backward

_FLASH: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_FLASH_BACKWARD: Any = getattr(
    torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None
)


def attention(q: Tensor, k: Tensor, v: Tensor, *, scale: float = 1, causal: bool = False) -> Tensor:
    """The sum over `j` of `softmax_j(scale q k) v`, for `causal` over `j <= i`.

    `q[.., i, d]`, `k[.., j, d]`, `v[.., j, e]`; the axes before broadcast.
    """
    if not _plain(q, k, v):
        return _times(_weights(q * scale, k, causal), v)
    if not 0 < scale < math.inf:  # the operators scale what they have masked
        return attention(q * scale, k, v, causal=causal)
    batch = _batch(q, k, v)
    on = (_four(q, batch), _four(k, batch), _four(v, batch))
    if q.device.type == "cpu":
        y, _, lost = _flash(*on, scale, causal)
        y += lost
    else:
        y = _public(*on, scale, causal).contiguous()
    return own(y.reshape((*batch, *q.shape[-2:-1], *v.shape[-1:])))


def attention_gradients(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    needed: tuple[bool, bool, bool],
    *,
    scale: float = 1,
    causal: bool = False,
) -> tuple[Tensor | None, ...]:
    """Those needed of the gradients by `q`, `k` and `v`, computed from these alone."""
    if not (_plain(q, k, v) and _plain(grad)):
        return _composed_gradients(grad, q, k, v, needed, scale, causal)
    if not 0 < scale < math.inf:
        grad_q, *others = attention_gradients(grad, q * scale, k, v, needed, causal=causal)
        return (None if grad_q is None else grad_q * scale, *others)
    batch = _batch(q, k, v)
    on = (_four(grad, batch), _four(q, batch), _four(k, batch), _four(v, batch))
    by = _flash_gradients if q.device.type == "cpu" else _public_gradients
    return tuple(
        _summed(gradient.reshape((*batch, *tensor.shape[-2:])), tensor) if wanted else None
        for gradient, tensor, wanted in zip(by(*on, scale, causal), (q, k, v), needed)
    )


def _plain(*tensors: Tensor) -> bool:
    """Whether an operator takes the tensors, and nothing records or transforms what is done."""
    if torch.is_grad_enabled() or compiling() or not ordinary(tensors):
        return False
    first, kind = tensors[0], tensors[0].device.type
    return (
        (kind == "cuda" or (kind == "cpu" and _FLASH_BACKWARD is not None))
        and first.shape[-1] == tensors[-1].shape[-1]
        and all(t.dtype == first.dtype and t.numel() > 0 for t in tensors)
    )


def _batch(q: Tensor, k: Tensor, v: Tensor) -> torch.Size:
    """The axes before the last two, broadcast."""
    shape: torch.Size = q.shape[:-2]
    if not shape == k.shape[:-2] == v.shape[:-2]:
        broadcast: Any = torch.broadcast_shapes
        shape = broadcast(shape, k.shape[:-2], v.shape[:-2])
    return shape


def _four(tensor: Tensor, batch: torch.Size) -> Tensor:
    """With four axes; on the CPU one head: what the operator makes is contiguous then."""
    heads = 1 if tensor.device.type == "cpu" or not batch else batch[-1]
    last = tensor.shape[-2:]
    if tensor.shape[:-2] != batch:
        tensor = tensor.expand(*batch, *last)
    return tensor.reshape((batch.numel() // heads, heads, *last)).contiguous()


def _flash(
    q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The value, the logarithm of the sum of each row, and NaN for a row that has none, else 0.

    In the operator a row of which every logit is -inf or NaN has value and logarithm 0, not NaN as
    in softmax.  The first of its logits tells, which is never masked.
    """
    y, logarithm = _FLASH(q, k, v, 0.0, causal, scale=scale)
    first = q @ k[..., :1, :].mT
    return y, logarithm, torch.where(logarithm.unsqueeze(-1) == 0, first * 0, 0)


def _flash_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool
) -> tuple[Tensor, ...]:
    y, logarithm, lost = _flash(q, k, v, scale, causal)
    logarithm += lost.squeeze(-1)  # of weights that are NaN so are all gradients
    gradients: tuple[Tensor, ...] = _FLASH_BACKWARD(
        grad, q, k, v, y, logarithm, 0.0, causal, scale=scale
    )
    return gradients


def _public(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)


def _public_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool
) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        q, k, v = (tensor.detach().requires_grad_() for tensor in (q, k, v))
        y = _public(q, k, v, scale, causal)
    return torch.autograd.grad(y, (q, k, v), grad)


def _weights(q: Tensor, k: Tensor, causal: bool) -> Tensor:
    """`softmax_j(q k)`, for `causal` over `j <= i`."""
    logits = _times(q, k.mT)
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
    scale: float,
    causal: bool,
) -> tuple[Tensor | None, ...]:
    scaled = q * scale
    p = _weights(scaled, k, causal)
    grad_q: Tensor | None = None
    grad_k: Tensor | None = None
    grad_v: Tensor | None = None
    if needed[0] or needed[1]:
        grad_s = softmax_backward(_times(grad, v.mT), p, -1)
        if causal:
            grad_s = torch.where(_lower(p), grad_s, 0)
        grad_q = _summed(_times(grad_s, k), q) * scale if needed[0] else None
        grad_k = _over_rows(grad_s, scaled, k) if needed[1] else None
    if needed[2]:
        grad_v = _over_rows(p, grad, v)
    return grad_q, grad_k, grad_v


def _shared(x: Tensor, other: Tensor) -> int:
    """How many axes before the rows of `x` stand for one element of the other tensor."""
    count = 0
    for axis in range(3, x.dim() + 1):
        if axis <= other.dim() and other.shape[-axis] != 1:
            break
        count += 1
    return count


def _to_rows(x: Tensor, count: int) -> Tensor:
    """The tensor with so many axes before its rows put to them."""
    rows = math.prod(x.shape[-2 - count : -1])
    return x.reshape((*x.shape[: -2 - count], rows, x.shape[-1]))


def _times(x: Tensor, other: Tensor) -> Tensor:
    """`x @ other`; axes that share a matrix of the other one are rows: it is not copied."""
    count = _shared(x, other)
    if not count:
        return x @ other
    matrices = other.reshape((*other.shape[: -2 - count], *other.shape[-2:]))
    product = _to_rows(x, count) @ matrices
    return product.reshape((*product.shape[:-2], *x.shape[-2 - count : -1], other.shape[-1]))


def _over_rows(x: Tensor, y: Tensor, tensor: Tensor) -> Tensor:
    """The sum of `x y` over the rows, and over the axes that the tensor was broadcast along."""
    count = _shared(x, tensor)
    if not count or x.shape[:-1] != y.shape[:-1]:
        return _summed(x.mT @ y, tensor)
    product = _to_rows(x, count).mT @ _to_rows(y, count)
    ones = (1,) * min(count, tensor.dim() - 2)
    return _summed(product.reshape((*product.shape[:-2], *ones, *product.shape[-2:])), tensor)


def _summed(gradient: Tensor, tensor: Tensor) -> Tensor:
    """The gradient summed over the axes that the tensor was broadcast along."""
    more = gradient.dim() - tensor.dim()
    gradient = gradient.sum(tuple(range(more))) if more else gradient
    axes = [n for n, size in enumerate(tensor.shape[:-2]) if size != gradient.shape[n]]
    return gradient.sum(axes, keepdim=True) if axes else gradient
