"""References of `specs/basics`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sum2(x1: Tensor, x2: Tensor) -> Tensor:
    return x1 + x2


def broadcast(x: Tensor, *, n: int) -> Tensor:
    return x.expand(n).clone()


def fan_out(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    u = torch.dot(a, a)
    return u + b * torch.linalg.vector_norm(a), 2 * u


def pointwise(x: Tensor) -> Tensor:
    return torch.sin(x)


def matmul(x: Tensor, a: Tensor) -> Tensor:
    return x @ a


def inverse(x: Tensor) -> Tensor:
    return torch.linalg.inv(x)


def softmax_cross_entropy(x: Tensor, t: Tensor) -> Tensor:
    return F.cross_entropy(x, t)


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


def linear_network(a: Tensor, b: Tensor, x: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(a @ (b @ x), t, reduction="sum") / 2


def relu_mlp_loss(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, t: Tensor) -> Tensor:
    hidden = torch.relu(torch.addmm(b1, x, w1))
    return F.mse_loss(torch.addmm(b2, hidden, w2), t, reduction="sum") / x.shape[0]


def norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x)


def variance(x: Tensor) -> Tensor:
    return torch.var(x, correction=0)


def standardize(x: Tensor, *, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape, eps=eps)


def outer(a: Tensor, b: Tensor) -> Tensor:
    return torch.outer(a, b)


def dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a, b)


def trace(x: Tensor) -> Tensor:
    return torch.trace(x)


def hadamard(a: Tensor, b: Tensor) -> Tensor:
    return a * b


def transpose(x: Tensor) -> Tensor:
    return x.T.clone()


def quotient(a: Tensor, b: Tensor) -> Tensor:
    return a / b
