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


def _size(z: Tensor) -> Tensor:
    """The absolute value, with slope 1 at 0: of even functions autograd then has one side's derivatives there."""
    return torch.where(z >= 0, z, -z)


def _chosen(small: Tensor, z: Tensor, near: Pointwise, far: Pointwise, inside: float, outside: float) -> Tensor:
    """`near` where `small` holds, `far` elsewhere; neither is asked where it has no value."""
    return torch.where(
        small,
        near(torch.where(small, z, torch.full_like(z, inside))),
        far(torch.where(small, torch.full_like(z, outside), z)),
    )


def _expm1(z: Tensor) -> Tensor:
    # autograd of `torch.expm1` adds 1 to the value, which loses the derivative where that is -1.
    return torch.expm1(z) if z.is_complex() else _chosen(z > -1, z, torch.expm1, lambda w: torch.exp(w) - 1, 0.0, -2.0)


def _sigmoid(z: Tensor) -> Tensor:
    # autograd of `torch.sigmoid` is `y (1 - y)`, which is 0 where y rounds to 1.
    small = torch.exp(-_size(z))
    return torch.where(z >= 0, 1 / (1 + small), small / (1 + small))


def _tanh(z: Tensor) -> Tensor:
    # autograd of `torch.tanh` is `1 - y^2`, which is 0 where y rounds to 1.
    if z.is_complex():
        return torch.tanh(z)
    size = _size(z)
    value = -_expm1(-2 * size) / (1 + torch.exp(-2 * size))
    return torch.where(z >= 0, value, -value)


def _log_cosh(z: Tensor) -> Tensor:
    """`cosh(z) = 1 + 2 sinh(z/2)^2` near 0, `e^|z| (1 + e^-2|z|)/2` elsewhere."""

    def far(w: Tensor) -> Tensor:
        return _size(w) + torch.log1p(torch.exp(-2 * _size(w))) - math.log(2)

    return _chosen(z.abs() < 1, z, lambda w: torch.log1p(2 * torch.sinh(w / 2) ** 2), far, 0.0, 2.0)


def _log1mexp(z: Tensor) -> Tensor:
    """`log(1 - e^z)` of a negative number (Maechler, 2012)."""
    near = z > -math.log(2)
    return _chosen(near, z, lambda w: torch.log(-torch.expm1(w)), lambda w: torch.log1p(-torch.exp(w)), -0.5, -1.0)


# B_2k/(2k): digamma(z) is log(z) - 1/(2z) less the sum of these over z^2k, as exact as it gets at 10.
BERNOULLI = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


def _digamma(z: Tensor) -> Tensor:
    """Of positive numbers by way of `digamma(z + 10)`: the second derivative of torch's has nine digits."""

    def positive(w: Tensor) -> Tensor:
        large = w + 10
        tail = _series(1 / large**2, [0.0, *BERNOULLI])
        return torch.log(large) - 1 / (2 * large) - tail - sum(1 / (w + k) for k in range(10))

    return _chosen(z > 0, z, positive, torch.digamma, 1.0, -0.5)


def _polygamma(n: Tensor, z: Tensor) -> Tensor:
    """Of positive numbers `(-1)^(n+1) n! zeta(n + 1, z)`."""
    order = _order(n)

    def positive(w: Tensor) -> Tensor:
        zeta: Tensor = torch.special.zeta(float(order + 1), w)
        return zeta * float((-1) ** (order + 1) * math.factorial(order))

    return _chosen(z > 0, z, positive, lambda w: torch.polygamma(order, w), 1.0, -0.5)


def _series(z: Tensor, coefficients: list[float]) -> Tensor:
    """`sum_k c_k z^k`, from the highest power down."""
    out = torch.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        out = out * z + coefficient
    return out


TERMS = 60  # of series, for arguments up to 5


def _order(n: Tensor) -> int:
    return int(n.reshape(-1)[0])


def _exprel(n: Tensor, z: Tensor) -> Tensor:
    """`sum_k z^k/(k + n)!`; far from 0 each order from the one below: `f_n = (f_(n-1) - 1/(n-1)!)/z`."""
    order = _order(n)

    def far(w: Tensor) -> Tensor:
        out = torch.exp(w)
        for k in range(order):
            out = (out - 1 / math.factorial(k)) / w
        return out

    terms = [1 / math.factorial(k + order) for k in range(TERMS)]
    return _chosen(z.abs() < 4, z, lambda w: _series(w, terms), far, 0.0, 5.0)


def _exp_moment(n: Tensor, z: Tensor) -> Tensor:
    """The integral of `s^n e^(s z)`, `sum_k z^k/(k! (k + n + 1))`; far from 0 by parts: `M_n = (e^z - n M_(n-1))/z`."""
    order = _order(n)

    def far(w: Tensor) -> Tensor:
        out = (torch.exp(w) - 1) / w
        for k in range(1, order + 1):
            out = (torch.exp(w) - k * out) / w
        return out

    terms = [1 / (math.factorial(k) * (k + order + 1)) for k in range(TERMS)]
    return _chosen(z.abs() < 4, z, lambda w: _series(w, terms), far, 0.0, 5.0)


def _exp_tail(z: Tensor) -> Tensor:
    return _chosen(z.abs() < 4, z, lambda w: w * w * _exprel(w.new_tensor(2.0), w), lambda w: _expm1(w) - w, 0.0, 5.0)


def _spherical_bessel(n: Tensor, z: Tensor) -> Tensor:
    """`z^n sum_k (-z^2/2)^k/(k! (2 n + 2 k + 1)!!)`; far from 0 by `j_(n+1) = (2 n + 1)/z j_n - j_(n-1)`."""
    order = _order(n)

    def far(w: Tensor) -> Tensor:
        below, out = torch.cos(w) / w, torch.sin(w) / w
        for k in range(order):
            below, out = out, (2 * k + 1) / w * out - below
        return out

    terms = [1 / (math.factorial(k) * math.prod(range(1, 2 * (order + k) + 2, 2))) for k in range(TERMS)]
    return _chosen(z.abs() < 5, z, lambda w: w**order * _series(-w * w / 2, terms), far, 0.0, 6.0)


def _softplus(z: Tensor, beta: Tensor) -> Tensor:
    return _logaddexp(beta * z, torch.zeros_like(z)) / beta


def _logsigmoid(z: Tensor) -> Tensor:
    return -_logaddexp(-z, torch.zeros_like(z))


def _elu(z: Tensor, alpha: Tensor) -> Tensor:
    low = torch.where(z > 0, torch.zeros_like(z), z)
    return torch.where(z > 0, z, alpha * _expm1(low))


def _gelu_tanh(z: Tensor) -> Tensor:
    # (1 + tanh(u))/2 is the sigmoid of 2 u, with digits of its own where tanh is -1.
    return z * _sigmoid(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z))


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
    "expm1": _expm1,
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
    "tanh": _tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "erfinv": torch.erfinv,
    "lgamma": torch.lgamma,
    "digamma": _digamma,
    "sigmoid": _sigmoid,
    "logsigmoid": _logsigmoid,
    "relu": nnf.relu,
    "silu": lambda z: z * _sigmoid(z),
    "gelu": lambda z: 0.5 * z * torch.erfc(-z / math.sqrt(2)),
    "gelu_tanh": _gelu_tanh,
    "mish": lambda z: z * _tanh(_logaddexp(z, torch.zeros_like(z))),
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
    # What stable forms are made of.
    "polygamma": _polygamma,
    "log_cosh": _log_cosh,
    "log1mexp": _log1mexp,
    "sech": lambda z: torch.exp(-_log_cosh(z)),
    "sech_squared": lambda z: torch.exp(-2 * _log_cosh(z)),
    "exp_tail": _exp_tail,
    "exprel": _exprel,
    "exp_moment": _exp_moment,
    "spherical_bessel": _spherical_bessel,
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
