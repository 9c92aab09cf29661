"""Reductions, scans and determinants of the language in plain torch, along the last axis."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def gap(tensor: Tensor, largest: bool) -> Tensor:
    """How far the extreme along the last axis is from the next."""
    if tensor.shape[-1] < 2:
        return torch.full(tensor.shape[:-1], math.inf, dtype=torch.float64, device=tensor.device)
    top = torch.topk(tensor, 2, dim=-1, largest=largest).values
    gap = (top[..., 0] - top[..., 1]).abs()
    return torch.where(torch.isnan(gap), torch.full_like(gap, math.inf), gap)


def _product_along(tensor: Tensor) -> Tensor:
    # Multiplied one by one: autograd of this is exact for any number of zeros, to any order.
    out = torch.ones_like(tensor[..., 0]) if tensor.shape[-1] else tensor.new_ones(tensor.shape[:-1])
    for factor in tensor.unbind(-1):
        out = out * factor
    return out


def _cumulative_product(tensor: Tensor) -> Tensor:
    parts = [_product_along(tensor[..., : k + 1]) for k in range(tensor.shape[-1])]
    return torch.stack(parts, -1) if parts else tensor


def _norm(tensor: Tensor) -> Tensor:
    """The norm, whose derivatives at 0 are 0 to any order: PyTorch's own second one is NaN there."""
    square = (tensor * tensor).sum(-1)
    zero = square == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, square).sqrt())


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "prod": _product_along,
    "max": lambda t: t.amax(-1),
    "min": lambda t: t.amin(-1),
    "logsumexp": lambda t: torch.logsumexp(t, -1),
    "norm": _norm,
    "argmax": lambda t: t.argmax(-1),
    "argmin": lambda t: t.argmin(-1),
}

SCANS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda t: torch.softmax(t, -1),
    "log_softmax": lambda t: torch.log_softmax(t, -1),
    "cumsum": lambda t: t.cumsum(-1),
    "cumprod": _cumulative_product,
    "flip": lambda t: t.flip(-1),
    "sort": lambda t: torch.sort(t, dim=-1, stable=True).values,
    "argsort": lambda t: torch.argsort(t, dim=-1, stable=True),
}


def _matrix_sqrt(m: Tensor) -> Tensor:
    root, inverse = m, torch.eye(m.shape[-1], dtype=m.dtype, device=m.device).expand_as(m)
    for _ in range(40):  # Denman and Beavers, 1976
        root, inverse = (root + torch.linalg.inv(inverse)) / 2, (inverse + torch.linalg.inv(root)) / 2
    return root


MATRICES: dict[str, Callable[[Tensor], Tensor]] = {
    "inverse": torch.linalg.inv,
    "pinv": torch.linalg.pinv,
    "cholesky": torch.linalg.cholesky,
    "matrix_sqrt": _matrix_sqrt,
    "matrix_exp": torch.linalg.matrix_exp,
    "eigenvalues": torch.linalg.eigvalsh,
    "singular_values": torch.linalg.svdvals,
}


def _apart(values: Tensor) -> Tensor:
    """How far the nearest two of the values along the last axis are from each other."""
    if values.shape[-1] < 2:
        return torch.full(values.shape[:-1], math.inf, dtype=values.dtype, device=values.device)
    return values.diff(dim=-1).abs().amin(-1)


def _singular(matrix: Tensor) -> Tensor:
    smallest: Tensor = torch.linalg.svdvals(matrix).amin(-1)
    return smallest


# How far a matrix is from where the derivatives of its function have no value; of all others, from a singular one.
POLES: dict[str, Callable[[Tensor], Tensor] | None] = {
    "matrix_exp": None,
    "eigenvalues": lambda t: _apart(torch.linalg.eigvalsh(t)),
    "singular_values": lambda t: torch.minimum(_singular(t), _apart(torch.linalg.svdvals(t))),
}


def to_pole(kind: str, matrix: Tensor) -> Tensor | None:
    """How far from a pole the matrix is, for that function of it; None if there is none."""
    distance = POLES.get(kind, _singular)
    return None if distance is None else distance(matrix)


DETERMINANTS: dict[str, Callable[[Tensor], Tensor]] = {
    "det": torch.linalg.det,
    "logdet": torch.logdet,
    "slogdet_sign": lambda t: torch.linalg.slogdet(t).sign,
}
