"""Ops that an equation defines: searches written out, of which autograd differentiates every step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def _newton(residual: Callable[[Tensor], Tensor], start: Tensor, steps: int = 25) -> Tensor:
    """Each component has an equation of its own."""
    y = start
    for _ in range(steps):
        value, slope = torch.func.jvp(residual, (y,), (torch.ones_like(y),))
        y = y - value / slope
    return y


def kepler(e: Tensor, m: Tensor) -> Tensor:
    return _newton(lambda y: y - e[:, None] * torch.sin(y) - m, m.clone())


def lambert_w(x: Tensor) -> Tensor:
    return _newton(lambda w: w * torch.exp(w) - x, torch.log1p(x))


def deep_equilibrium(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    z = torch.zeros_like(x)
    for _ in range(200):
        z = torch.tanh(torch.nn.functional.linear(z, w, bias) + x)
    return z


def implicit_euler(u: Tensor, d: Tensor, r: Tensor) -> Tensor:
    def residual(v: Tensor) -> Tensor:
        return v - u - d * (v.roll(-1) - 2 * v + v.roll(1)) + r * v**3

    v = u
    for _ in range(25):
        v = v - torch.linalg.solve(torch.func.jacrev(residual)(v), residual(v))
    return v


def soft_top_k(s: Tensor, *, fraction: float = 0.25, temperature: float = 1.0) -> Tensor:
    def residual(m: Tensor) -> Tensor:
        return torch.sigmoid((s - m[:, None]) / temperature).mean(-1) - fraction

    return torch.sigmoid((s - _newton(residual, s.mean(-1))[:, None]) / temperature)


def cholesky_factor(a: Tensor) -> Tensor:
    return torch.linalg.cholesky((a + a.mT) / 2)
