"""References of `specs/structure`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def matvec(a: Tensor, x: Tensor) -> Tensor:
    return torch.mv(a, x)


def batch_matmul(x: Tensor, a: Tensor) -> Tensor:
    return torch.bmm(x, a)


def bilinear(x: Tensor, w: Tensor, z: Tensor) -> Tensor:
    return F.bilinear(x, z, w)


def trilinear(a: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    return u @ ((a @ w) @ v)


def partial_trace(x: Tensor) -> Tensor:
    return 22 * x.diagonal(dim1=0, dim2=1).sum(-1)


def diagonal(a: Tensor) -> Tensor:
    return a.diagonal().clone()


def diag_embed(v: Tensor) -> Tensor:
    return torch.diag_embed(v)


def kronecker(a: Tensor, b: Tensor) -> Tensor:
    return torch.kron(a, b).reshape(a.shape[0], b.shape[0], a.shape[1], b.shape[1])


def kronecker_layer(x: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    weight = torch.kron(torch.kron(a, b), c)
    return (x.flatten(1) @ weight.T).reshape(-1, a.shape[0], b.shape[0], c.shape[0])


def six_index(a1: Tensor, b1: Tensor, c1: Tensor, alpha: Tensor) -> Tensor:
    traced = a1.diagonal(dim1=2, dim2=4).sum(-1)  # a, e, c, g
    return torch.tensordot(traced, b1, dims=([3, 1], [0, 2])).transpose(1, 2) + alpha * c1.permute(1, 2, 0)


def matrix_chain(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor, x: Tensor) -> Tensor:
    return a @ (b @ (c @ (d @ (e @ x))))


def bmm_reversed(a: Tensor, b1: Tensor) -> Tensor:
    return (a.permute(2, 0, 1) @ b1.mT).permute(1, 2, 0)


def sum_of_einsums(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return torch.linalg.multi_dot([a, b, c + d])


def levi_civita_cross(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.cross(a, b)


def batch_outer(u: Tensor, v: Tensor) -> Tensor:
    return u[:, :, None] * v[:, None, :]


def count(x: Tensor, *, length: int) -> Tensor:
    return x * length
