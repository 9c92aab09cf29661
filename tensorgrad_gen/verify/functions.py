"""Pointwise functions of the language in plain torch, with their kinks and poles.

Written from the language, not from the compiler's table: an error there must not hide here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as nnf

Pointwise = Callable[..., Tensor]


def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    # Not `torch.logaddexp`: its second derivative is NaN where one of the two is -inf.
    top, bottom = torch.where(a >= b, a, b), torch.where(a >= b, b, a)
    return torch.where(torch.isinf(top), top, top + torch.log1p(torch.exp(bottom - top)))


def _softplus(z: Tensor, beta: Tensor) -> Tensor:
    return _logaddexp(beta * z, torch.zeros_like(z)) / beta


def _logsigmoid(z: Tensor) -> Tensor:
    return -_logaddexp(-z, torch.zeros_like(z))


def _elu(z: Tensor, alpha: Tensor) -> Tensor:
    low = torch.where(z > 0, torch.zeros_like(z), z)
    return torch.where(z > 0, z, alpha * torch.expm1(low))


def _gelu_tanh(z: Tensor) -> Tensor:
    return 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)))


def _scale_gradient(z: Tensor, scale: Tensor) -> Tensor:
    return _surrogate(z, z, scale)


def _surrogate(value: Tensor, z: Tensor, scale: Tensor | float = 1) -> Tensor:
    change = torch.where(torch.isfinite(z), z - z.detach(), torch.zeros_like(z))
    return value.detach() + scale * change


def _clip_gradient(z: Tensor, low: Tensor, high: Tensor) -> Tensor:
    out = z.clone()
    if out.requires_grad:
        out.register_hook(lambda g: torch.minimum(torch.maximum(g, low), high))  # type: ignore[no-untyped-call]
    return out


def _mod(z: Tensor, m: Tensor) -> Tensor:
    return z - m * torch.floor(z / m).detach()


FUNCTIONS: dict[str, Pointwise] = {
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "abs": torch.abs,
    "sign": torch.sign,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "erfinv": torch.erfinv,
    "lgamma": torch.lgamma,
    "digamma": torch.digamma,
    "sigmoid": torch.sigmoid,
    "logsigmoid": _logsigmoid,
    "relu": nnf.relu,
    "silu": lambda z: z * torch.sigmoid(z),
    "gelu": lambda z: 0.5 * z * (1 + torch.erf(z / math.sqrt(2))),
    "gelu_tanh": _gelu_tanh,
    "mish": lambda z: z * torch.tanh(_logaddexp(z, torch.zeros_like(z))),
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "softplus": _softplus,
    "leaky_relu": lambda z, slope: torch.where(z > 0, z, slope * z),
    "elu": _elu,
    "max": torch.maximum,
    "min": torch.minimum,
    "pow": torch.pow,
    "atan2": torch.atan2,
    "hypot": torch.hypot,
    "logaddexp": _logaddexp,
    "xlogy": torch.xlogy,
    "clamp": lambda z, low, high: torch.clamp(z, min=low, max=high),
    "mod": _mod,
    "complex": torch.complex,
    "conj": torch.conj,
    "real": lambda z: torch.real(z) if z.is_complex() else z,
    "imag": lambda z: torch.imag(z) if z.is_complex() else torch.zeros_like(z),
    "angle": torch.angle,
    "stop_gradient": lambda z: z.detach(),
    "scale_gradient": _scale_gradient,
    "clip_gradient": _clip_gradient,
    "straight_through": _surrogate,
}

# Functions whose derivative is not that of their value: finite differences cannot check them.
SURGERY = ("stop_gradient", "scale_gradient", "clip_gradient", "straight_through")


def _to_integer(z: Tensor) -> Tensor:
    return (z - torch.round(z)).abs()


def _to_cut(z: Tensor) -> Tensor:
    """From the numbers without a continuous logarithm: 0 and the negative ones."""
    z = z if z.is_complex() else torch.complex(z, torch.zeros_like(z))
    return torch.where(z.real < 0, z.imag.abs(), z.abs())


def _to_pole_of_gamma(z: Tensor) -> Tensor:
    return torch.where(z > 0.5, z, _to_integer(z))


# How far the arguments are from a point where a derivative of the function jumps.
KINKS: dict[str, Pointwise] = {
    "relu": torch.abs,
    "abs": torch.abs,
    "sign": torch.abs,
    "leaky_relu": lambda z, _slope: z.abs(),
    "elu": lambda z, _alpha: z.abs(),
    "floor": _to_integer,
    "ceil": _to_integer,
    "round": lambda z: _to_integer(z + 0.5),
    "max": lambda a, b: (a - b).abs(),
    "min": lambda a, b: (a - b).abs(),
    "clamp": lambda z, low, high: torch.minimum((z - low).abs(), (z - high).abs()),
    "mod": lambda z, m: _to_integer(z / m) * m.abs(),
}

# Those of which the value jumps there too.
JUMPS = ("sign", "floor", "ceil", "round", "mod")

# How far they are from a point where it, or a derivative, is infinite or undefined.
POLES: dict[str, Pointwise] = {
    "log": lambda z: z,
    "log2": lambda z: z,
    "log1p": lambda z: 1 + z,
    "sqrt": lambda z: z,
    "rsqrt": lambda z: z,
    "reciprocal": torch.abs,
    "tan": lambda z: torch.cos(z).abs(),
    "asin": lambda z: 1 - z.abs(),
    "acos": lambda z: 1 - z.abs(),
    "acosh": lambda z: z - 1,
    "atanh": lambda z: 1 - z.abs(),
    "erfinv": lambda z: 1 - z.abs(),
    "lgamma": _to_pole_of_gamma,
    "digamma": _to_pole_of_gamma,
    "pow": lambda z, _exponent: z,
    "atan2": torch.hypot,
    "hypot": torch.hypot,
    "xlogy": lambda _x, y: y,
    "angle": _to_cut,
    "complex_abs": torch.abs,
    "complex_log": _to_cut,
    "complex_log1p": lambda z: _to_cut(1 + z),
    "complex_sqrt": _to_cut,
    "complex_pow": lambda z, _exponent: _to_cut(z),
    "complex_tan": lambda z: torch.cos(z).abs(),
    "complex_tanh": lambda z: torch.cosh(z).abs(),
    "complex_asin": lambda z: _to_cut(1 - z * z),
    "complex_acos": lambda z: _to_cut(1 - z * z),
    "complex_atan": lambda z: _to_cut(1 + z * z),
    "complex_asinh": lambda z: _to_cut(1 + z * z),
    "complex_acosh": lambda z: torch.minimum(_to_cut(z - 1), _to_cut(z + 1)),
    "complex_atanh": lambda z: _to_cut(1 - z * z),
}

# An argument at which the function and its derivatives are finite, for places that are not read.
SAFE_POINT = {"acosh": 2.0}
SAFE = 0.5
