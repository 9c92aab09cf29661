"""References of `specs/kernels`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_kernel_sum(x: Tensor, z: Tensor, b: Tensor, s: Tensor) -> Tensor:
    squared = (x[:, None] - z[None]).square().sum(-1)
    return torch.exp(-squared / (2 * s**2)) @ b


def laplace_kernel_sum(x: Tensor, z: Tensor, b: Tensor, s: Tensor) -> Tensor:
    return torch.exp(-pairwise_distance(x, z) / s) @ b


def pairwise_distance(x: Tensor, z: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x[:, None] - z[None], dim=-1)


def soft_assignment(x: Tensor, z: Tensor, *, temperature: float = 1.0) -> Tensor:
    squared = (x[:, None] - z[None]).square().sum(-1)
    return F.softmax(-squared / temperature, dim=-1)


def sinkhorn_step(cost: Tensor, a: Tensor, b: Tensor, v: Tensor, *, eps: float = 1.0) -> tuple[Tensor, Tensor]:
    kernel = torch.exp(-cost / eps)
    u = a / (kernel @ v)
    return u, b / (kernel.T @ u)


def gmm_log_likelihood(x: Tensor, mu: Tensor, logvar: Tensor, logits: Tensor) -> Tensor:
    component = torch.distributions.Independent(torch.distributions.Normal(mu, torch.exp(logvar / 2)), 1)
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=logits), component)
    return mixture.log_prob(x).sum()
