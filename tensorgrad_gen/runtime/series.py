"""Functions that PyTorch has not, or not accurate: near 0 by their series, far from it finite.

Law: as in `ops`.  Where nothing looks on, fewer passes are taken, some of them in place; there are
as many terms as the dtype has digits for.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import recording


def polynomial(z: Tensor, coefficients: Sequence[float]) -> Tensor:
    """`c[0] + c[1] z + c[2] z^2 + ..`, by Horner's rule; there are two coefficients at least."""
    *rest, last, first = coefficients
    value = z * first + last
    if recording(z):
        for coefficient in reversed(rest):
            value = value * z + coefficient
        return value
    # One pass a term.  On other devices numbers are made there: none is copied to it.
    if z.device.type == "cpu":
        numbers = torch.tensor(rest, dtype=z.dtype).unbind()
    else:
        numbers = tuple(z.new_full((), coefficient) for coefficient in rest)
    for number in reversed(numbers):
        torch.addcmul(number, value, z, out=value)
    return value


def few(z: Tensor) -> bool:
    """Whether the dtype has no more digits than single precision."""
    return z.dtype not in (torch.float64, torch.complex128)


def log_cosh(z: Tensor) -> Tensor:
    """`log(cosh(z))`, accurate near 0 and finite far from it."""
    if not (recording(z) or z.is_complex()):
        # `log(cosh(c))` of the part `c` up to 1, `|z| - c` and `log((1 + e^-2|z|)/(1 + e^-2c))`
        # of the rest, which are 0 up to 1, so that no place is masked.
        size = z.abs()
        close = size.clamp(max=1)
        rest, slope = size - close, torch.tanh(close)
        value = torch.add(rest, torch.log1p(slope.square_().neg_()), alpha=-0.5)
        there, here = torch.exp(size.mul_(-2)), torch.exp(close.mul_(-2))
        return value.add_(torch.log1p(there.sub_(here).div_(here.add_(1))))
    near = z.abs() < 1
    small = torch.tanh(torch.where(near, z, 0))
    far = torch.where(near, 1, z).abs()
    return torch.where(
        near,
        -0.5 * torch.log1p(-small * small),
        far + torch.log1p(torch.exp(-2 * far)) - math.log(2.0),
    )


def sech(z: Tensor) -> Tensor:
    """`1/cosh(z)`, which does not overflow."""
    return torch.exp(-log_cosh(z))


def sech_squared(z: Tensor) -> Tensor:
    """`1 - tanh(z)^2`, accurate where `tanh` rounds to 1.

    `4 s(2 z) s(-2 z)`, `s` the sigmoid, has derivatives everywhere; of `cosh` they overflow.
    """
    if not (recording(z) or z.is_complex()):
        return torch.cosh(z) ** -2
    double = 2 * z
    return torch.sigmoid(double) * torch.sigmoid(-double) * 4


def log1mexp(z: Tensor) -> Tensor:
    """`log(1 - exp(z))` of a negative number (Maechler, Computing log(1 - exp(-|a|)), 2012)."""
    near = z > -math.log(2.0)
    close, far = torch.where(near, z, -1), torch.where(near, -1, z)
    return torch.where(near, torch.log(-torch.expm1(close)), torch.log1p(-torch.exp(far)))


def exp_tail(z: Tensor) -> Tensor:
    """`exp(z) - 1 - z`, accurate near 0.

    With `z = c + d`, `c` the part up to a half: `(exp(c) - 1 - c) + exp(c) (exp(d) - 1) - d`, whose
    first term is a series and whose others are 0 near 0, so that no place is masked.
    """
    if z.is_complex():
        near = z.abs() < 2
        small, far = torch.where(near, z, 0), torch.where(near, 0, z)
        return torch.where(near, small * small * exprel(2, small), torch.expm1(far) - far)
    c = z.clamp(-0.5, 0.5)
    d = z - c
    series = polynomial(c, [1 / math.factorial(k) for k in range(2, 10 if few(z) else 17)])
    return torch.addcmul(c * c * series, torch.exp(c), torch.expm1(d)) - d


def spherical_bessel(n: int, z: Tensor) -> Tensor:
    """Spherical Bessel function of order `n` (0: `sin(z)/z`): by series near 0, else upwards."""
    if not n and not recording(z):
        return torch.where(z == 0, 1, torch.sin(z) / z)
    near = z.abs() < n + 1.5
    small = torch.where(near, z, 0)
    first, coefficients = 1.0, [1.0]
    for k in range(1, n + 1):
        first /= 2 * k + 1
    for k in range(1, (8 if few(z) else 14) + n):
        coefficients.append(coefficients[-1] / (k * (2 * n + 2 * k + 1)))
    series = polynomial(small * small * -0.5, coefficients) * first
    for _ in range(n):
        series = series * small
    far = torch.where(near, n + 2.0, z)
    below, here = torch.cos(far) / far, torch.sin(far) / far
    for k in range(n):
        below, here = here, (2 * k + 1) / far * here - below
    return torch.where(near, series, here)


def exp_moment(n: int, z: Tensor) -> Tensor:
    """The integral of `s^n exp(s z)` over `s` in [0, 1] (0: `(exp(z) - 1)/z`); near 0 by series."""
    near = z.abs() < 1.0 + 0.5 * n
    small, far = torch.where(near, z, 0), torch.where(near, 2.0 + n, z)
    terms = range((14 if few(z) else 22) + n)
    series = polynomial(small, [1 / (math.factorial(k) * (n + 1 + k)) for k in terms])
    # Far from 0 upwards; where the value grows, that of it times `exp(-z)`, so that none overflows.
    below = -torch.expm1(-far.abs()) / far.abs()
    top = torch.where(far > 0, 1, torch.exp(-far.abs()))
    for k in range(1, n + 1):
        below = (top - k * below) / far
    return torch.where(near, series, below * torch.exp(far.clamp(min=0)))


def exprel(n: int, z: Tensor) -> Tensor:
    """The series of exp from `z^n` on, divided by `z^n` (1: `(exp(z) - 1)/z`); near 0 by series."""
    near = z.abs() < 1.0 + 0.5 * n
    small = torch.where(near, z, 0)
    terms = range((14 if few(z) else 22) + n)
    series = polynomial(small, [1 / math.factorial(n + k) for k in terms])
    far = torch.where(near, 2.0 + n, z)
    value = torch.expm1(far) / far if n else torch.exp(far)
    for k in range(1, n):
        value = (value - 1 / math.factorial(k)) / far
    return torch.where(near, series, value)
