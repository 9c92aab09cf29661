"""Rows of convolutions, pooling and upsampling.

Padding is put round the input, a dilated kernel is written with its zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

import generated
from tests.opinfo_table import Row

Number = int | Sequence[int]


def _both(value: Number, axes: int) -> tuple[int, ...]:
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    return values * axes if len(values) < axes else values


def _padded(x: Tensor, padding: str | Number, kernel: Sequence[int], dilation: Sequence[int]) -> Tensor:
    """The input with the zeros that a convolution of it reads outside."""
    axes = len(kernel)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        sides = [(t // 2, t - t // 2) for t in total]
    else:
        sides = [(p, p) for p in _both(0 if isinstance(padding, str) else padding, axes)]
    return F.pad(x, [side for pair in reversed(sides) for side in pair])


def _with_zeros(w: Tensor, dilation: int) -> Tensor:
    """A kernel of one axis as the longer one that it is when dilated."""
    return torch.stack([w] + [torch.zeros_like(w)] * (dilation - 1), -1).flatten(-2)[
        ..., : (w.shape[-1] - 1) * dilation + 1
    ]


def _conv1d(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Number = 1,
    padding: str | Number = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> Tensor | None:
    if groups != 1:
        return None
    [stride], dilation = _both(stride, 1), _both(dilation, 1)
    batch = _padded(x if x.ndim == 3 else x.unsqueeze(0), padding, w.shape[2:], dilation)
    y = generated.conv1d(batch, _with_zeros(w, dilation[0]), bias, stride=stride)
    return y if x.ndim == 3 else y.squeeze(0)


def _conv2d(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Number = 1,
    padding: str | Number = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> Tensor | None:
    stride, dilation = _both(stride, 2), _both(dilation, 2)
    if len(set(stride)) > 1 or len(set(dilation)) > 1:
        return None
    batch = _padded(x if x.ndim == 4 else x.unsqueeze(0), padding, w.shape[2:], dilation)
    grouped = batch.reshape(len(batch), groups, -1, *batch.shape[2:])
    kernels = w.reshape(groups, -1, *w.shape[1:])
    y = generated.conv2d(grouped, kernels, stride=stride[0], dilation=dilation[0]).flatten(1, 2)
    y = y if bias is None else y + bias.reshape(-1, 1, 1)
    return y if x.ndim == 4 else y.squeeze(0)


def _depthwise_conv(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    stride: Number = 1,
    padding: str | Number = 0,
    dilation: Number = 1,
    groups: int = 1,
) -> Tensor | None:
    [dilation] = _both(dilation, 1)
    if padding != "same" or groups != len(w) or w.shape[1] != 1:
        return None
    kernel = _with_zeros(w.squeeze(1), dilation)
    batch = x if x.ndim == 3 else x.unsqueeze(0)
    y = generated.depthwise_conv(batch, kernel, left=(kernel.shape[-1] - 1) // 2)
    y = y if bias is None else y + bias.unsqueeze(-1)
    return y if x.ndim == 3 else y.squeeze(0)


def _avg_pool(
    x: Tensor,
    kernel: Number,
    stride: Number | None = None,
    padding: Number = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor | None:
    if ceil_mode or not count_include_pad or not x.numel():
        return None
    [width], [step], [pad] = _both(kernel, 1), _both(kernel if stride is None else stride, 1), _both(padding, 1)
    return generated.avg_pool(F.pad(x, (pad, pad)), kernel=width, stride=step)


def _max_pool(
    x: Tensor,
    kernel_size: int,
    stride: int | None,
    padding: Number,
    dilation: Number,
    ceil_mode: bool,
    return_indices: bool,
) -> Tensor | None:
    [pad], [spread] = _both(padding, 1), _both(dilation, 1)
    if ceil_mode or return_indices or spread != 1:
        return None
    batch = F.pad(x if x.ndim == 3 else x.unsqueeze(0), (pad, pad), value=-torch.inf)
    y = generated.max_pool(batch, kernel=kernel_size, stride=kernel_size if stride is None else stride)
    return y if x.ndim == 3 else y.squeeze(0)


def _upsample(x: Tensor, repeats: int | Tensor, dim: int | None = None, **options: int) -> Tensor | None:
    if not isinstance(repeats, int) or dim is not None:
        return None
    assert repeats == 2
    return generated.upsample(x.reshape(1, 1, -1)).flatten()


ROWS = (
    Row("avg_pool", "nn.functional.avg_pool1d", _avg_pool),
    Row("conv1d", "nn.functional.conv1d", _conv1d),
    Row("conv2d", "nn.functional.conv2d", _conv2d),
    Row("depthwise_conv", "nn.functional.conv1d", _depthwise_conv),
    Row("max_pool", "nn.functional.max_pool1d", _max_pool),
    Row("upsample", "repeat_interleave", _upsample),
)
