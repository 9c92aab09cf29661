"""References of `specs/tensors`."""

from __future__ import annotations

import torch
from torch import Tensor


def cp_loss(t: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    fitted = (a[:, None, None] * b[None, :, None] * c[None, None, :]).sum(-1)
    return (t - fitted).square().sum()


def tucker_loss(t: Tensor, g: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    fitted = g
    for matrix in (a, b, c):  # each contracts the first axis and appends its own: after three, the order is restored
        fitted = torch.tensordot(fitted, matrix, dims=([0], [1]))
    return (t - fitted).square().sum()


def tensor_train_layer(x: Tensor, g1: Tensor, g2: Tensor, g3: Tensor) -> Tensor:
    weight = torch.tensordot(torch.tensordot(g1, g2, dims=([2], [0])), g3, dims=([4], [0]))  # p, i, q, j, s, k
    return torch.tensordot(x, weight, dims=([1, 2, 3], [1, 3, 5]))


def khatri_rao(a: Tensor, b: Tensor) -> Tensor:
    return a[:, None, :] * b[None, :, :]


def mttkrp(x: Tensor, b: Tensor, c: Tensor) -> Tensor:
    product = (b[:, None, :] * c[None, :, :]).flatten(0, 1)
    return x.flatten(1) @ product
