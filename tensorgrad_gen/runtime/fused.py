"""Operators of PyTorch that do in one pass what a formula takes several for.

Law: each is its composed form, which is called wherever something looks on: some of PyTorch's
backward operators have wrong second derivatives (pytorch#198017), and not every transform knows
them.  A PyTorch without the operator takes the composed form too.  `out` is where an operator may
put its result, which it returns then; the composed form has no use for it.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import recording
from tensorgrad_gen.runtime.ops import sum_lead
from tensorgrad_gen.runtime.series import sech_squared


def _operator(name: str) -> Any:
    """The operator, None where this PyTorch has none of that name."""
    return getattr(torch.ops.aten, name, None)


_GELU = _operator("gelu_backward")
_SILU = _operator("silu_backward")
_MISH = _operator("mish_backward")
_SOFTPLUS = _operator("softplus_backward")
_ELU = _operator("elu_backward")
_LEAKY_RELU = _operator("leaky_relu_backward")
_THRESHOLD = _operator("threshold_backward")
_SOFTMAX = _operator("_softmax_backward_data")
_LAYER_NORM = _operator("native_layer_norm")
_LAYER_NORM_BACKWARD = _operator("native_layer_norm_backward")
_LOG_SOFTMAX = _operator("_log_softmax_backward_data")


def unwatched(operator: Any, grad: Tensor, z: Tensor) -> bool:
    """Whether there is the operator, and nothing records or transforms what is done with these."""
    if operator is None or recording(grad, z):
        return False
    return grad.shape == z.shape and grad.dtype == z.dtype


def gelu_backward(grad: Tensor, z: Tensor, out: Tensor | None = None) -> Tensor:
    """`grad (Phi(z) + z phi(z))`, `Phi` the normal distribution function, `phi` its density."""
    if unwatched(_GELU, grad, z):
        result: Tensor
        result = _GELU(grad, z) if out is None else _GELU.grad_input(grad, z, grad_input=out)
        return result
    density = torch.exp(z * z * -0.5) / math.sqrt(2 * math.pi)
    return grad * (torch.erfc(z * -math.sqrt(0.5)) * 0.5 + z * density)


def gelu_tanh_backward(grad: Tensor, z: Tensor) -> Tensor:
    """`grad (s(2 u) + z/2 sech(u)^2 u')` with `u = sqrt(2/pi) (z + 0.044715 z^3)`."""
    if unwatched(_GELU, grad, z):
        result: Tensor = _GELU(grad, z, approximate="tanh")
        return result
    scale = math.sqrt(2 / math.pi)
    u = z * (z * z * (0.044715 * scale) + scale)
    bell = sech_squared(u)
    flat = bell == 0  # there u' may overflow
    slope = torch.where(flat, 0, z) ** 2 * (3 * 0.044715 * scale) + scale
    return grad * (torch.sigmoid(2 * u) + torch.where(flat, 0, z * bell * slope * 0.5))


def silu_backward(grad: Tensor, z: Tensor, out: Tensor | None = None) -> Tensor:
    """`grad s (1 + z (1 - s))` with `s` the sigmoid of `z`."""
    if unwatched(_SILU, grad, z):
        result: Tensor
        result = _SILU(grad, z) if out is None else _SILU.grad_input(grad, z, grad_input=out)
        return result
    return grad * torch.sigmoid(z) * (z * torch.sigmoid(-z) + 1)


def mish_backward(grad: Tensor, z: Tensor) -> Tensor:
    """`grad (tanh(u) + z sech(u)^2 s)` with `u = softplus(z)`, `s` the sigmoid of `z`."""
    if unwatched(_MISH, grad, z):
        result: Tensor = _MISH(grad, z)
        return result
    u = torch.nn.functional.softplus(z, threshold=50.0)
    return grad * (torch.tanh(u) + z * sech_squared(u) * torch.sigmoid(z))


def softplus_backward(grad: Tensor, z: Tensor, beta: float = 1) -> Tensor:
    """`grad s`, `s` the sigmoid of `beta z`."""
    if unwatched(_SOFTPLUS, grad, z):
        result: Tensor = _SOFTPLUS(grad, z, beta, 50.0)
        return result
    return grad * torch.sigmoid(beta * z)


def sigmoid_backward(grad: Tensor, z: Tensor) -> Tensor:
    """`grad s(z) s(-z)`, `s` the sigmoid: exact in both tails, where `y (1 - y)` is 0."""
    if unwatched(_SOFTPLUS, grad, z):
        result: Tensor = _SOFTPLUS(_SOFTPLUS(grad, z, 1, 50.0), z, -1, 50.0)
        return result
    return grad * torch.sigmoid(z) * torch.sigmoid(-z)


def tanh_backward(grad: Tensor, z: Tensor) -> Tensor:
    """`grad sech(z)^2 = 4 grad s(2 z) s(-2 z)`, `s` the sigmoid: exact in both tails.

    PyTorch's own `tanh_backward` goes by `1 - y^2`, which is 0 from 9 on in float32.
    """
    if unwatched(_SOFTPLUS, grad, z):
        result: Tensor = _SOFTPLUS(_SOFTPLUS(4 * grad, z, 2, 50.0), z, -2, 50.0)
        return result
    return grad * sech_squared(z)


def elu_backward(grad: Tensor, z: Tensor, alpha: float = 1) -> Tensor:
    """`grad` where `z` is positive, `grad alpha exp(z)` elsewhere."""
    if unwatched(_ELU, grad, z):
        result: Tensor = _ELU(grad, alpha, 1, 1, is_result=False, self_or_result=z)
        return result
    low = torch.exp(torch.clamp(z, max=0)) * alpha
    return grad * torch.where(z > 0, 1, low)


def leaky_relu_backward(grad: Tensor, z: Tensor, slope: float) -> Tensor:
    """`grad` where `z` is positive, `grad slope` elsewhere."""
    if unwatched(_LEAKY_RELU, grad, z):
        result: Tensor = _LEAKY_RELU(grad, z, slope, self_is_result=False)
        return result
    return torch.where(z > 0, grad, grad * slope)


def relu_backward(grad: Tensor, z: Tensor) -> Tensor:
    """`grad` where `z` is positive, 0 elsewhere; what stands elsewhere is not read."""
    if unwatched(_THRESHOLD, grad, z):
        result: Tensor = _THRESHOLD(grad, z, 0)
        return result
    return torch.where(z > 0, grad, 0)


def softmax_backward(grad: Tensor, y: Tensor, dim: int, out: Tensor | None = None) -> Tensor:
    """`y (grad - sum of grad y)`, the sum along an axis."""
    if unwatched(_SOFTMAX, grad, y):
        result: Tensor
        if out is None:
            result = _SOFTMAX(grad, y, dim, y.dtype)
        else:
            result = _SOFTMAX.out(grad, y, dim, y.dtype, grad_input=out)
        return result
    return y * (grad - (grad * y).sum(dim, keepdim=True))


def log_softmax_backward(grad: Tensor, y: Tensor, dim: int, out: Tensor | None = None) -> Tensor:
    """`grad - exp(y) (sum of grad)`, the sum along an axis."""
    if unwatched(_LOG_SOFTMAX, grad, y):
        result: Tensor
        if out is None:
            result = _LOG_SOFTMAX(grad, y, dim, y.dtype)
        else:
            result = _LOG_SOFTMAX.out(grad, y, dim, y.dtype, out=out)
        return result
    return grad - torch.exp(y) * grad.sum(dim, keepdim=True)


def _along(x: Tensor, vector: Tensor | None) -> Tensor | None:
    """A weight or bias with an element for each of the last axis of `x`."""
    return None if vector is None else vector.expand(x.shape[-1])


def layer_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`(x - m)/s weight + bias`, `m` and `s`: mean and spread along the last axis, which they keep.

    `s` is the square root of the variance and `eps`.
    """
    if x.numel() and unwatched(_LAYER_NORM, x, x) and _LAYER_NORM_BACKWARD is not None:
        y, m, r = _LAYER_NORM(x, x.shape[-1:], _along(x, weight), _along(x, bias), eps)
        return y, m, 1 / r
    m = x.sum(-1, keepdim=True) / x.shape[-1]
    centred = x - m
    s = torch.sqrt((centred * centred).sum(-1, keepdim=True) / x.shape[-1] + eps)
    y = centred / s if weight is None else centred * weight / s
    return y if bias is None else y + bias, m, s


def layer_norm_backward(
    grad: Tensor, x: Tensor, m: Tensor, r: Tensor, weight: Tensor | None
) -> Tensor:
    """`r (a - mean(a) - n mean(a n))`, `a = grad weight`, `n = (x - m) r`, along the last axis."""
    if x.numel() and unwatched(_LAYER_NORM_BACKWARD, grad, x):
        gradients: tuple[Tensor, ...] = _LAYER_NORM_BACKWARD(
            grad, x, x.shape[-1:], m, r, _along(x, weight), None, [True, False, False]
        )
        return gradients[0]
    a = grad if weight is None else grad * weight
    n = (x - m) * r
    along = (a * n).sum(-1, keepdim=True) / x.shape[-1]
    return (a - n * along - a.sum(-1, keepdim=True) / x.shape[-1]) * r


def layer_norm_gradients(
    grad: Tensor, x: Tensor, m: Tensor, r: Tensor, weight: Tensor, needed: tuple[bool, bool, bool]
) -> tuple[Tensor | None, ...]:
    """Those needed of the gradients by what is normalised, by the weight and by the bias."""
    if x.numel() and unwatched(_LAYER_NORM_BACKWARD, grad, x):
        gradients: tuple[Tensor | None, ...] = _LAYER_NORM_BACKWARD(
            grad, x, x.shape[-1:], m, r, _along(x, weight), _along(x, weight), needed
        )
        return gradients
    return (
        layer_norm_backward(grad, x, m, r, weight) if needed[0] else None,
        layer_norm_weight_backward(grad, x, m, r) if needed[1] else None,
        sum_lead(grad) if needed[2] else None,
    )


def layer_norm_weight_backward(grad: Tensor, x: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The sum of `grad (x - m) r` over all axes but the last."""
    if x.numel() and unwatched(_LAYER_NORM_BACKWARD, grad, x):
        ones = x.new_ones(x.shape[-1:])
        gradients: tuple[Tensor, ...] = _LAYER_NORM_BACKWARD(
            grad, x, x.shape[-1:], m, r, ones, None, [False, True, False]
        )
        return gradients[1]
    return sum_lead(grad * ((x - m) * r))
