"""Rows of normalisations, softmaxes, attention, embeddings and linear layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import generated
from tests.opinfo_table import Row


def _along(op: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """An op along the last axis, along axis `dim`."""

    def adapter(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
        return op(x.reshape(1)).reshape(()) if x.ndim == 0 else op(x.movedim(dim, -1)).movedim(-1, dim)

    return adapter


def _masked_softmax(x: Tensor, dim: int, *, mask: Tensor | None) -> Tensor | None:
    mask = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand(x.shape)
    if x.ndim == 0 or not bool(mask.any(dim).all()):
        return None  # PyTorch gives NaN where nothing is let through
    return generated.masked_softmax(x.movedim(dim, -1), mask.movedim(dim, -1)).movedim(-1, dim)


def _safe_softmax(x: Tensor, dim: int) -> Tensor:
    x = x.movedim(dim, -1)
    return generated.masked_softmax(x, x > -torch.inf).movedim(-1, dim)


def _logsumexp(x: Tensor, dim: Sequence[int] | int, keepdim: bool = False) -> Tensor:
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if x.ndim == 0:
        return generated.logsumexp(x.reshape(1))
    kept = [axis for axis in range(x.ndim) if axis not in {d % x.ndim for d in dims}]
    value = generated.logsumexp(x.permute(*kept, *dims).flatten(len(kept)))
    return value.reshape([size if axis in kept else 1 for axis, size in enumerate(x.shape)]) if keepdim else value


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    weight, bias = (None if t is None else t.flatten() for t in (weight, bias))
    return generated.layer_norm_affine(x.flatten(-len(shape)), weight, bias, eps=eps).reshape(x.shape)


def _layer_norm_of_rows(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor | None:
    if x.ndim != 2 or weight is None:
        return None
    return generated.layer_norm(x, weight, bias, eps=eps)


def _standardize(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor | None:
    if weight is not None or x.numel() != x.shape[-1]:
        return None
    return generated.standardize(x.flatten(), eps=eps).reshape(x.shape)


def _rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    weight = None if weight is None else weight.flatten()
    return generated.rms_norm(x.flatten(-len(shape)), weight, eps=eps).reshape(x.shape)


def _group_norm(
    x: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    channels = x.shape[1] // groups
    weight, bias = (None if t is None else t.reshape(groups, channels) for t in (weight, bias))
    places = x.shape[2:].numel()
    return generated.group_norm(x.reshape(len(x), groups, channels, places), weight, bias, eps=eps).reshape(x.shape)


def _instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    assert use_input_stats
    return generated.instance_norm(x.flatten(2), weight, bias, eps=eps).reshape(x.shape)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    if not training or x.ndim == 1:
        return None
    last = x.movedim(1, -1)
    return generated.batch_norm(last.flatten(0, -2), weight, bias, eps=eps).reshape(last.shape).movedim(-1, 1)


def _cosine_similarity(a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    a, b = torch.broadcast_tensors(a, b)
    if a.ndim == 0:
        a, b = a.reshape(1), b.reshape(1)
    return generated.cosine_similarity(a.movedim(dim, -1), b.movedim(dim, -1), eps=eps)


def _normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor | None:
    return _along(lambda y: generated.l2_normalize(y, eps=eps))(x, dim) if p == 2 else None


def _embedding(weight: Tensor, labels: Tensor, **options: Any) -> Tensor | None:
    if options:
        return None
    return generated.embedding(labels.reshape(1, -1), weight).reshape(*labels.shape, weight.shape[1])


def _embedding_bag(
    weight: Tensor, labels: Tensor, *, mode: str, per_sample_weights: Tensor | None = None, **options: Any
) -> Tensor | None:
    if mode != "sum" or labels.ndim != 2 or options:
        return None
    return generated.embedding_bag(labels, weight, per_sample_weights)


def _plain_bag(weight: Tensor, labels: Tensor, *, mode: str, per_sample_weights: Tensor | None = None) -> Tensor:
    rows = weight[labels]
    return (rows if per_sample_weights is None else rows * per_sample_weights.unsqueeze(-1)).sum(1)


def _bilinear(x: Tensor, z: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = x.shape[:-1].numel()
    y = generated.bilinear(x.reshape(rows, x.shape[-1]), w, z.reshape(rows, z.shape[-1]))
    y = y.reshape(*x.shape[:-1], len(w))
    return y if bias is None else y + bias


def _fourier(x: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor | None:
    if n not in (None, x.shape[dim]) or norm not in (None, "backward"):
        return None
    return generated.dft(x.movedim(dim, -1)).movedim(-1, dim)


def _attention(causal: bool) -> Callable[..., Tensor | None]:
    op = generated.attention if causal else generated.cross_attention

    def adapter(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool, dropout_p: float, **options: Any) -> Tensor | None:
        if is_causal != causal or dropout_p or options:
            return None
        heads = k.shape[:-2]
        q = q.expand(*heads, *q.shape[-2:])
        y = op(*(t.reshape(-1, heads[-1], *t.shape[-2:]) for t in (q, k, v)))
        return y.reshape(*heads, *y.shape[-2:])

    return adapter


def _plain_attention(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool, dropout_p: float) -> Tensor:
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if is_causal:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1) == 1, -torch.inf)
    return scores.softmax(-1) @ v


ROWS = (
    Row(
        "attention",
        "nn.functional.scaled_dot_product_attention",
        _attention(causal=True),
        plain=_plain_attention,
        why="derivative for aten::_scaled_dot_product_flash_attention_for_cpu_backward is not implemented",
    ),
    Row("batch_norm", "nn.functional.batch_norm", _batch_norm),
    Row("bilinear", "nn.functional.bilinear", _bilinear),
    Row("complex_linear", "nn.functional.linear", generated.complex_linear, dtype=torch.complex128),
    Row("cosine_similarity", "nn.functional.cosine_similarity", _cosine_similarity),
    Row("dft", "fft.fft", _fourier, dtype=torch.complex128),
    Row(
        "cross_attention",
        "nn.functional.scaled_dot_product_attention",
        _attention(causal=False),
        plain=_plain_attention,
        why="derivative for aten::_scaled_dot_product_flash_attention_for_cpu_backward is not implemented",
    ),
    Row("cumulative_sum", "cumsum", _along(generated.cumulative_sum)),
    Row("embedding", "nn.functional.embedding", _embedding),
    Row(
        "embedding_bag",
        "nn.functional.embedding_bag",
        _embedding_bag,
        plain=_plain_bag,
        why=r"derivative for .*_embedding_bag\w*_backward.* is not implemented",
    ),
    Row("group_norm", "nn.functional.group_norm", _group_norm),
    Row("instance_norm", "nn.functional.instance_norm", _instance_norm),
    Row("l2_normalize", "nn.functional.normalize", _normalize),
    Row("layer_norm", "nn.functional.layer_norm", _layer_norm_of_rows),
    Row("layer_norm_affine", "nn.functional.layer_norm", _layer_norm),
    Row("linear", "nn.functional.linear", generated.linear),
    Row("log_softmax", "log_softmax", _along(generated.log_softmax)),
    Row("logsumexp", "logsumexp", _logsumexp),
    Row("masked_softmax", "masked.softmax", _masked_softmax),
    Row("masked_softmax", "torch.ops.aten._safe_softmax.default", _safe_softmax),
    Row("rms_norm", "nn.functional.rms_norm", _rms_norm),
    Row("softmax", "softmax", _along(generated.softmax)),
    Row("softmax", "nn.functional.softmin", _along(lambda x: generated.softmax(-x))),
    Row("standardize", "nn.functional.layer_norm", _standardize),
)
