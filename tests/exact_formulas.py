"""Ops of the library written by hand in plain PyTorch, as exact as the op where autograd of its formula is not.

What such an op costs is compared with these: each is the shortest and cheapest of its kind that we know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as nnf

Formula = Callable[..., "Tensor | tuple[Tensor, ...]"]


def sigmoid(x: Tensor) -> Tensor:
    """By its logarithm: the derivative is not `s (1 - s)`, which is 0 in the tail."""
    return nnf.logsigmoid(x).exp()


def tanh(x: Tensor) -> Tensor:
    """In the tail `2 sigmoid(2 x) - 1`, whose derivative is not `1 - y^2`."""
    return torch.where(x.abs() < 1, torch.tanh(x), 2 * sigmoid(2 * x) - 1)


def log_cosh(x: Tensor) -> Tensor:
    """`log(1 + 2 sinh(x/2)^2)` near 0, `|x| + log(1 + exp(-2 |x|)) - log 2` elsewhere."""
    size = x.abs()
    near = size < 1
    small = torch.where(near, x, 0)
    return torch.where(near, torch.log1p(2 * torch.sinh(small / 2) ** 2), size + nnf.softplus(-2 * size) - math.log(2))


def log_cosh_loss(x: Tensor, y: Tensor) -> Tensor:
    return log_cosh(x - y).mean()


def horner(z: Tensor, coefficients: Sequence[float]) -> Tensor:
    """The polynomial with these coefficients, the lowest first."""
    *rest, value = (torch.as_tensor(c, dtype=z.dtype) for c in coefficients)
    for c in reversed(rest):
        value = value * z + c
    return value


def sinc(x: Tensor) -> Tensor:
    """`sin(t)/t`, near 0 by its series: the derivative `(t cos(t) - sin(t))/t^2` cancels there."""
    t = math.pi * x
    near = t.abs() < 1
    small = torch.where(near, t, 0)
    far = torch.where(near, 1, t)
    series = horner(small * small, [(-1) ** k / math.factorial(2 * k + 1) for k in range(7)])
    return torch.where(near, series, torch.sin(far) / far)


def vae_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """`exp(v) - 1 - v` near 0 by its series: it is `v^2/2` there, and its derivative is `v`."""
    near = logvar.abs() < 1
    small = torch.where(near, logvar, 0)
    series = small * small * horner(small, [1 / math.factorial(k) for k in range(2, 13)])
    k = mu * mu + torch.where(near, series, torch.exp(logvar) - logvar - 1)
    return k.sum() / (2 * len(mu))


def hypot_op(a: Tensor, b: Tensor) -> Tensor:
    """Of `hypot(0, 0)` the derivative is 0, where PyTorch divides 0 by 0."""
    some = (a != 0) | (b != 0)
    return torch.where(some, torch.hypot(torch.where(some, a, 1), b), 0)


def times_log(p: Tensor, z: Tensor, some: Tensor) -> Tensor:
    """`p log(z)`, 0 where there is no `p`."""
    return torch.where(some, p * torch.log(torch.where(some, z, 1)), 0)


def xlogx(x: Tensor) -> Tensor:
    return times_log(x, x, x != 0)


def jsd(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    one, other = p != 0, q != 0
    of_p = torch.where(one, p / torch.where(one, m, 1), 1)
    of_q = torch.where(other, q / torch.where(other, m, 1), 1)
    return (times_log(p, of_p, one) + times_log(q, of_q, other)).sum() / (2 * len(p))


def reciprocal(x: Tensor) -> Tensor:
    """A quotient: its derivative divides twice, and takes no square."""
    return torch.ones((), dtype=x.dtype) / x


def lstm_cell(x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
    w, u, b = weights[:4], weights[4:8], weights[8:]
    gi, gf, gg, go = (x @ w[k].mT + h @ u[k].mT + b[k] for k in range(4))
    cn = sigmoid(gf) * c + sigmoid(gi) * tanh(gg)
    return sigmoid(go) * tanh(cn), cn


@dataclass(frozen=True, slots=True)
class Exact:
    """An op written exactly, and what its inputs are where autograd of its formula is inexact.

    `at` are the numbers that inputs are filled with, one for each, or one for all; `cotangent` what comes from above.
    """

    formula: Formula
    at: tuple[float, ...]
    cotangent: float = 1.0

    def filled(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        numbers = self.at if len(self.at) > 1 else self.at * len(tensors)
        return [torch.full_like(t, n) for t, n in zip(tensors, numbers, strict=True)]


EXACT = {
    # In the tails the derivative is an exponential, which `1 - s` and `1 - y^2` round to 0.
    "sigmoid": Exact(sigmoid, (20.0,)),
    "tanh_op": Exact(tanh, (20.0,)),
    "lstm_cell": Exact(lstm_cell, (0.01,) * 11 + (12.0,) * 4),
    # Near 0 what is left of 1 is a square.
    "log_cosh": Exact(log_cosh, (1e-4,)),
    "log_cosh_loss": Exact(log_cosh_loss, (2e-4, 1e-4)),
    "sinc": Exact(sinc, (1e-4,)),
    "vae_kl": Exact(vae_kl, (1e-4,)),
    # At 0 autograd divides 0 by 0, or takes 0 times infinity.
    "hypot_op": Exact(hypot_op, (0.0,)),
    "xlogx": Exact(xlogx, (0.0,)),
    "jsd": Exact(jsd, (0.0, 0.5)),
    # The square of 2e19 is beyond single precision, where -2e19/2e19/2e19 is not.
    "reciprocal": Exact(reciprocal, (2e19,), cotangent=2e19),
}
