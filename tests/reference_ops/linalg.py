"""References of `specs/linalg`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def quadratic_form(a: Tensor, x: Tensor) -> Tensor:
    return x @ a @ x


def symmetric_quadratic(a: Tensor, x: Tensor) -> Tensor:
    return x @ ((a + a.T) / 2) @ x


def trace_ax(a: Tensor, x: Tensor) -> Tensor:
    return torch.trace(a @ x)


def trace_axb(a: Tensor, x: Tensor, b: Tensor) -> Tensor:
    return torch.trace(a @ x @ b)


def trace_xta(x: Tensor, a: Tensor) -> Tensor:
    return torch.trace(x.T @ a)


def trace_x2(x: Tensor) -> Tensor:
    return torch.trace(x @ x)


def trace_x2b(x: Tensor, b: Tensor) -> Tensor:
    return torch.trace(x @ x @ b)


def trace_xtbxc(x: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.trace(x.T @ b @ x @ c)


def trace_axbxtc(a: Tensor, x: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.trace(a @ x @ b @ x.T @ c)


def trace_x3(x: Tensor) -> Tensor:
    return torch.trace(torch.linalg.matrix_power(x, 3))


def bilinear_form(a: Tensor, x: Tensor, b: Tensor) -> Tensor:
    return a @ x @ b


def gram_form(b: Tensor, x: Tensor, c: Tensor) -> Tensor:
    return torch.dot(x @ b, x @ c)


def affine_residual(a: Tensor, x: Tensor, b: Tensor) -> Tensor:
    return (a @ x - b).square().sum()


def frobenius(x: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(x)


def least_squares_matrix(a: Tensor, x: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return (a @ x @ b + c).square().sum()


def solve(a: Tensor, c: Tensor) -> Tensor:
    return torch.linalg.solve(a, c)


def ridge(x: Tensor, y: Tensor, alpha: Tensor) -> Tensor:
    return torch.linalg.solve(x.T @ x + alpha * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)


def det(x: Tensor) -> Tensor:
    return torch.linalg.det(x)


def logdet(x: Tensor) -> Tensor:
    return torch.logdet(x)


def matrix_sqrt(x: Tensor) -> Tensor:
    # By eigenvalues of the symmetric part and a step of Newton's, whose derivative is that of the root of all of x.
    values, vectors = torch.linalg.eigh(((x + x.mT) / 2).detach())
    root = (vectors * values.sqrt()[..., None, :]) @ vectors.mT
    size = x.shape[-1]
    one = torch.eye(size, dtype=x.dtype)
    system = torch.einsum("bij,kl->bikjl", root, one) + torch.einsum("ij,bkl->bikjl", one, root)
    residual = (x - root @ root).flatten(1)
    return root + torch.linalg.solve(system.reshape(-1, size**2, size**2), residual).unflatten(1, (size, size))


def cholesky(x: Tensor) -> Tensor:
    return torch.linalg.cholesky(x)


def eigvalsh(x: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(x)


def pinv(x: Tensor) -> Tensor:
    return torch.linalg.pinv(x)


def von_neumann_entropy(x: Tensor) -> Tensor:
    p = torch.linalg.eigvalsh(x) / x.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    return torch.special.entr(p).sum(-1)


def logdet_gram(x: Tensor) -> Tensor:
    return 2 * torch.linalg.svdvals(x).log().sum()


def trace_inverse(a: Tensor, x: Tensor, b: Tensor) -> Tensor:
    return torch.trace(a @ torch.linalg.solve(x, b))


def inverse_quadratic(a: Tensor, x: Tensor, b: Tensor) -> Tensor:
    return a @ torch.linalg.solve(x, b)


def sylvester(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    rows, cols = c.shape
    left = torch.kron(a, torch.eye(cols, dtype=a.dtype)) + torch.kron(torch.eye(rows, dtype=a.dtype), b.T.contiguous())
    return torch.linalg.solve(left, c.flatten()).reshape(rows, cols)


def mahalanobis(x: Tensor, m: Tensor, s: Tensor) -> Tensor:
    # Through the inverse, so that the gradient by s is that of a general matrix, not of a symmetric one.
    z = x - m
    return (z * (z @ torch.linalg.inv(s).T)).sum(-1).sqrt()


def logistic_nll(y: Tensor, x: Tensor, w: Tensor) -> Tensor:
    return -F.logsigmoid(y * (x @ w)).sum()


def poisson_regression(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return F.poisson_nll_loss(x @ w, y, reduction="sum")


def gaussian_process_nll(x: Tensor, y: Tensor, scale: Tensor, width: Tensor, noise: Tensor) -> Tensor:
    squared = (x[:, None] - x[None]).square().sum(-1)
    kernel = scale * torch.exp(-squared / (2 * width**2)) + noise * torch.eye(len(y), dtype=y.dtype)
    return -torch.distributions.MultivariateNormal(torch.zeros_like(y), kernel).log_prob(y)


def a_sin_axb(a: Tensor, m: Tensor, x: Tensor, n: Tensor, b: Tensor) -> Tensor:
    return a @ torch.sin(m @ x @ n) @ b


def matrix_factorization(t: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return F.mse_loss(u @ v.T, t, reduction="sum")


def weighted_matrix_factorization(w: Tensor, t: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return (w * (t - u @ v.T).square()).sum()


def matrix_exp(x: Tensor) -> Tensor:
    return torch.linalg.matrix_exp(x)


def svdvals(x: Tensor) -> Tensor:
    return torch.linalg.svdvals(x)


def nuclear_norm(x: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(x, "nuc")


def spectral_norm(w: Tensor) -> Tensor:
    return w / torch.linalg.matrix_norm(w, 2)


def linear_ode(a: Tensor, x: Tensor, t: Tensor) -> Tensor:
    return torch.einsum("bij,bj->bi", torch.linalg.matrix_exp(t[:, None, None] * a), x)
