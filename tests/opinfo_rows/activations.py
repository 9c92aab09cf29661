"""Rows of pointwise functions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import generated
from tests.opinfo_table import Row


def _pair(op: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The op of two tensors that broadcast."""
    return lambda a, b: op(*torch.broadcast_tensors(a, b))


def _hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    return generated.clamp_op(x, lo=min_val, hi=max_val)


def _softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    # Beyond the threshold PyTorch takes the asymptote for the function.
    return torch.where(x * beta > threshold, x, generated.softplus(x, beta=beta))


def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    return b + generated.softplus_from_log(a - b)


def _gelu(x: Tensor, approximate: str) -> Tensor | None:
    return generated.gelu(x) if approximate == "none" else None


def _gelu_tanh(x: Tensor, approximate: str) -> Tensor | None:
    return generated.gelu_tanh(x) if approximate == "tanh" else None


def _leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    return generated.leaky_relu(x, slope=negative_slope)


def _power(x: Tensor, p: Tensor) -> Tensor | None:
    return generated.power(x, p) if not p.ndim and bool((x > 0).all()) else None


def _entr(x: Tensor) -> Tensor:
    return -generated.xlogx(x)


ROWS = (
    Row("abs_op", "abs", generated.abs_op),
    Row("atan2_op", "atan2", _pair(generated.atan2_op)),
    Row("clamp_op", "nn.functional.hardtanh", _hardtanh),
    Row("clamp_op", "nn.functional.relu6", lambda x: _hardtanh(x, 0.0, 6.0)),
    Row("elu", "nn.functional.elu", generated.elu),
    Row("erf_op", "erf", generated.erf_op),
    Row("exp_op", "exp", generated.exp_op),
    Row("gelu", "nn.functional.gelu", _gelu),
    Row("gelu_tanh", "nn.functional.gelu", _gelu_tanh),
    Row("hypot_op", "hypot", _pair(generated.hypot_op)),
    Row("leaky_relu", "nn.functional.leaky_relu", _leaky_relu),
    Row("log_op", "log", generated.log_op),
    Row("logsigmoid", "nn.functional.logsigmoid", generated.logsigmoid),
    Row("mish", "nn.functional.mish", generated.mish),
    Row("pointwise", "sin", lambda x: generated.pointwise(x.flatten()).reshape(x.shape)),
    Row("power", "pow", _power),
    Row("power", "float_power", _power),
    Row("reciprocal", "reciprocal", generated.reciprocal),
    Row("relu", "nn.functional.relu", generated.relu),
    Row("rsqrt_op", "rsqrt", generated.rsqrt_op),
    Row("sigmoid", "sigmoid", generated.sigmoid),
    Row("sigmoid_from_exp", "sigmoid", generated.sigmoid_from_exp),
    Row("silu", "nn.functional.silu", generated.silu),
    Row("sinc", "sinc", generated.sinc),
    Row("softplus", "nn.functional.softplus", _softplus),
    Row("softplus_from_log", "logaddexp", _logaddexp),
    Row("sqrt_op", "sqrt", generated.sqrt_op),
    Row("square_op", "square", generated.square_op),
    Row("swish_from_exp", "nn.functional.silu", generated.swish_from_exp),
    Row("tanh_from_exp", "tanh", generated.tanh_from_exp),
    Row("tanh_op", "tanh", generated.tanh_op),
    Row("xlogx", "special.entr", _entr),
)
