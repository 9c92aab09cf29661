"""References of `specs/activations`."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def exp_op(x: Tensor) -> Tensor:
    return torch.exp(x)


def log_op(x: Tensor) -> Tensor:
    return torch.log(x)


def sqrt_op(x: Tensor) -> Tensor:
    return torch.sqrt(x)


def rsqrt_op(x: Tensor) -> Tensor:
    return torch.rsqrt(x)


def reciprocal(x: Tensor) -> Tensor:
    return torch.reciprocal(x)


def square_op(x: Tensor) -> Tensor:
    return torch.square(x)


def power(x: Tensor, p: Tensor) -> Tensor:
    return torch.pow(x, p)


def tanh_op(x: Tensor) -> Tensor:
    return torch.tanh(x)


def sigmoid(x: Tensor) -> Tensor:
    return torch.sigmoid(x)


def logsigmoid(x: Tensor) -> Tensor:
    return F.logsigmoid(x)


def softplus(x: Tensor, *, beta: float = 1.0) -> Tensor:
    return F.softplus(x, beta, threshold=1000)


def silu(x: Tensor) -> Tensor:
    return F.silu(x)


def mish(x: Tensor) -> Tensor:
    return F.mish(x)


def gelu(x: Tensor) -> Tensor:
    return F.gelu(x)


def gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def relu(x: Tensor) -> Tensor:
    return F.relu(x)


def relu_squared(x: Tensor) -> Tensor:
    return F.relu(x).square()


def leaky_relu(x: Tensor, *, slope: float = 0.01) -> Tensor:
    return F.leaky_relu(x, slope)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    return F.elu(x, alpha)


def clamp_op(x: Tensor, *, lo: float = -1.0, hi: float = 1.0) -> Tensor:
    return torch.clamp(x, lo, hi)


def log_cosh(x: Tensor) -> Tensor:
    return x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)


def abs_op(x: Tensor) -> Tensor:
    return torch.abs(x)


def hypot_op(a: Tensor, b: Tensor) -> Tensor:
    return torch.hypot(a, b)


def atan2_op(a: Tensor, b: Tensor) -> Tensor:
    return torch.atan2(a, b)


def xlogx(x: Tensor) -> Tensor:
    return torch.special.xlogy(x, x)


def erf_op(x: Tensor) -> Tensor:
    return torch.erf(x)


def sinc(x: Tensor) -> Tensor:
    return torch.sinc(x)


def sigmoid_from_exp(x: Tensor) -> Tensor:
    return torch.sigmoid(x)


def softplus_from_log(x: Tensor) -> Tensor:
    return F.softplus(x, threshold=1000)


def tanh_from_exp(x: Tensor) -> Tensor:
    return torch.tanh(x)


def swish_from_exp(x: Tensor) -> Tensor:
    return F.silu(x)
