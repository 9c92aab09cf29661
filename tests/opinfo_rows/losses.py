"""Rows of losses.

The library's losses are means; a sum is a mean times the number of its terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import generated
from tests.opinfo_table import Row


def _reduced(mean: Tensor, reduction: str, terms: float | Tensor) -> Tensor | None:
    """The mean as PyTorch's `reduction` asks for it."""
    return {"mean": mean, "sum": mean * terms}.get(reduction)


def _two(op: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor | None]:
    """A mean over the components of two tensors."""

    def adapter(x: Tensor, y: Tensor, *, reduction: str = "mean", **options: Any) -> Tensor | None:
        return None if options else _reduced(op(x, y), reduction, x.numel())

    return adapter


def _huber(x: Tensor, y: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor | None:
    return _reduced(generated.huber(x, y, threshold=delta), reduction, x.numel())


def _smooth_l1(x: Tensor, y: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor | None:
    return _reduced(generated.huber(x, y, threshold=beta) / beta, reduction, x.numel()) if beta else None


def _kl_div(x: Tensor, t: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor | None:
    total = generated.kl_div(x.reshape(1, -1), (t.exp() if log_target else t).reshape(1, -1))
    if reduction == "batchmean":
        return total / len(x)
    return _reduced(total / x.numel(), reduction, x.numel())


def _rows(x: Tensor) -> Tensor:
    """Scores with the axis of classes last, one row a label."""
    return x.unsqueeze(0) if x.ndim == 1 else x.movedim(1, -1).flatten(0, -2)


def _nll(
    x: Tensor, t: Tensor, *, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor | None:
    if weight is not None or bool((t == ignore_index).any()):
        return None
    return _reduced(generated.nll(_rows(x), t.flatten()), reduction, t.numel())


def _plain_nll(x: Tensor, t: Tensor, *, reduction: str = "mean", **options: Any) -> Tensor:
    chosen = -_rows(x).gather(1, t.reshape(-1, 1))
    return chosen.mean() if reduction == "mean" else chosen.sum()


def _cross_entropy(
    x: Tensor, t: Tensor, *, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor | None:
    if t.is_floating_point():
        return None
    labels = t.flatten()
    mean = generated.cross_entropy(_rows(x), labels, weight, ignore_index=ignore_index)
    counted = labels[labels != ignore_index]
    return _reduced(mean, reduction, counted.numel() if weight is None else weight[counted].sum())


def _cross_entropy_dense(
    x: Tensor, t: Tensor, *, weight: Tensor | None = None, reduction: str = "mean", **options: Any
) -> Tensor | None:
    if not t.is_floating_point() or weight is not None:
        return None
    rows = _rows(x)
    return _reduced(generated.cross_entropy_dense(rows, _rows(t)), reduction, len(rows))


def _linear_cross_entropy(x: Tensor, w: Tensor, t: Tensor, *, reduction: str = "mean", **options: Any) -> Tensor | None:
    if t.is_floating_point() or w.ndim != 2 or options:
        return None
    mean = generated.linear_cross_entropy(x.reshape(-1, x.shape[-1]), w, t.reshape(-1))
    return _reduced(mean, reduction, t.numel())


def _gaussian_nll(
    x: Tensor, t: Tensor, v: Tensor, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor | None:
    if v.ndim < x.ndim or x.numel() == 0:
        return None
    x, t, v = torch.broadcast_tensors(x, t, v)
    mean = generated.gaussian_nll(x, t, v, eps=eps) + (math.log(2 * math.pi) / 2 if full else 0)
    return _reduced(mean, reduction, x.numel())


def _poisson_nll(
    x: Tensor, t: Tensor, *, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
) -> Tensor | None:
    return _reduced(generated.poisson_nll(x, t), reduction, x.numel()) if log_input and not full else None


def _hinge(a: Tensor, b: Tensor, y: Tensor, *, margin: float, reduction: str) -> Tensor | None:
    return _reduced(generated.hinge(a - b, y), reduction, a.numel()) if margin == 1 else None


def _logistic(x: Tensor, y: Tensor, *, reduction: str = "mean") -> Tensor | None:
    total = generated.logistic_nll(y.reshape(-1), x.reshape(-1, 1), x.new_ones(1))
    return _reduced(total / x.numel(), reduction, x.numel())


def _triplet(
    a: Tensor, p: Tensor, q: Tensor, *, margin: float = 1.0, swap: bool = False, reduction: str = "mean"
) -> Tensor | None:
    return None if swap else _reduced(generated.triplet(a, p, q, margin=margin), reduction, len(a))


ROWS = (
    Row("bce", "nn.functional.binary_cross_entropy", _two(generated.bce)),
    Row("bce_with_logits", "nn.functional.binary_cross_entropy_with_logits", _two(generated.bce_with_logits)),
    Row("cross_entropy", "nn.functional.cross_entropy", _cross_entropy),
    Row("cross_entropy_dense", "nn.functional.cross_entropy", _cross_entropy_dense),
    Row("gaussian_nll", "nn.functional.gaussian_nll_loss", _gaussian_nll),
    Row("hinge", "nn.functional.margin_ranking_loss", _hinge),
    Row("huber", "nn.functional.huber_loss", _huber),
    Row("huber", "nn.functional.smooth_l1_loss", _smooth_l1),
    Row("kl_div", "nn.functional.kl_div", _kl_div),
    Row("linear_cross_entropy", "nn.functional.linear_cross_entropy", _linear_cross_entropy),
    Row("logistic_nll", "nn.functional.soft_margin_loss", _logistic),
    Row("mae", "nn.functional.l1_loss", _two(generated.mae)),
    Row("mse", "nn.functional.mse_loss", _two(generated.mse)),
    Row("nll", "nn.functional.nll_loss", _nll, plain=_plain_nll, why="grad_input must be contiguous"),
    Row("poisson_nll", "nn.functional.poisson_nll_loss", _poisson_nll),
    Row("triplet", "nn.functional.triplet_margin_loss", _triplet),
)
