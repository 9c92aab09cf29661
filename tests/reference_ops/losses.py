"""References of `specs/losses`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def mse(x: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(x, y)


def mae(x: Tensor, y: Tensor) -> Tensor:
    return F.l1_loss(x, y)


def huber(x: Tensor, y: Tensor, *, threshold: float = 1.0) -> Tensor:
    return F.huber_loss(x, y, delta=threshold)


def log_cosh_loss(x: Tensor, y: Tensor) -> Tensor:
    return torch.cosh(x - y).log().mean()


def hinge(x: Tensor, y: Tensor) -> Tensor:
    return torch.clamp_min(1 - x * y, 0).mean()


def bce(p: Tensor, t: Tensor) -> Tensor:
    return F.binary_cross_entropy(p, t)


def bce_with_logits(x: Tensor, t: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(x, t)


def focal(x: Tensor, t: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    p = torch.sigmoid(x)
    missed = 1 - (p * t + (1 - p) * (1 - t))
    weight = torch.lerp(torch.full_like(t, 1 - alpha), torch.full_like(t, alpha), t)
    return (weight * missed**gamma * F.binary_cross_entropy_with_logits(x, t, reduction="none")).mean()


def nll(x: Tensor, t: Tensor) -> Tensor:
    return F.nll_loss(x, t)


def cross_entropy(
    x: Tensor, t: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100, smoothing: float = 0.0
) -> Tensor:
    return F.cross_entropy(x, t, weight, ignore_index=ignore_index, label_smoothing=smoothing)


def cross_entropy_dense(x: Tensor, q: Tensor) -> Tensor:
    return F.cross_entropy(x, q)


def linear_cross_entropy(x: Tensor, w: Tensor, t: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(x, w), t)


def kl_div(x: Tensor, t: Tensor) -> Tensor:
    return F.kl_div(x, t, reduction="batchmean")


def jsd(p: Tensor, q: Tensor) -> Tensor:
    middle = ((p + q) / 2).log()
    return (F.kl_div(middle, p, reduction="batchmean") + F.kl_div(middle, q, reduction="batchmean")) / 2


def poisson_nll(x: Tensor, t: Tensor) -> Tensor:
    return F.poisson_nll_loss(x, t)


def gaussian_nll(x: Tensor, t: Tensor, v: Tensor, *, eps: float = 1e-6) -> Tensor:
    return F.gaussian_nll_loss(x, t, v, eps=eps)


def info_nce(a: Tensor, b: Tensor, *, temperature: float = 1.0) -> Tensor:
    return F.cross_entropy(a @ b.T / temperature, torch.arange(a.shape[0]))


def triplet(a: Tensor, p: Tensor, q: Tensor, *, margin: float = 1.0, eps: float = 1e-6) -> Tensor:
    return F.triplet_margin_loss(a, p, q, margin=margin, eps=eps)


def dpo(
    chosen: Tensor, rejected: Tensor, chosen_reference: Tensor, rejected_reference: Tensor, *, beta: float = 0.1
) -> Tensor:
    reward = beta * (chosen - chosen_reference - rejected + rejected_reference)
    return F.softplus(-reward).mean()


def center_loss(x: Tensor, c: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(x, F.embedding(t, c), reduction="sum") / (2 * x.shape[0])


def vae_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    posterior = torch.distributions.Normal(mu, torch.exp(logvar / 2))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(posterior, prior).sum() / mu.shape[0]


def quantile_loss(x: Tensor, t: Tensor, *, tau: float = 0.5) -> Tensor:
    z = t - x
    return torch.where(z > 0, tau * z, (tau - 1) * z).mean()
