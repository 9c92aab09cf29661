"""References of `specs/complex`."""

from __future__ import annotations

import torch
from torch import Tensor


def dft(x: Tensor) -> Tensor:
    return torch.fft.fft(x)


def power_spectrum(x: Tensor) -> Tensor:
    return torch.fft.fft(x).abs().square() / x.shape[-1]


def complex_linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    return torch.nn.functional.linear(x, w, b)


def mod_relu(z: Tensor, b: Tensor) -> Tensor:
    return torch.relu(z.abs() + b) * torch.sgn(z)


def expectation(psi: Tensor, h: Tensor) -> Tensor:
    return torch.einsum("bi,ij,bj->b", psi.conj(), h, psi).real


def complex_mse(z: Tensor, t: Tensor) -> Tensor:
    return torch.view_as_real(z - t).square().sum(-1).mean()
