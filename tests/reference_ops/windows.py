"""References of the ops of `specs/nn` that read windows."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def conv1d(x: Tensor, w: Tensor, bias: Tensor | None = None, *, stride: int = 1) -> Tensor:
    return F.conv1d(x, w, bias, stride)


def conv2d(x: Tensor, w: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
    groups, outputs = w.shape[:2]
    y = F.conv2d(x.flatten(1, 2), w.flatten(0, 1), stride=stride, dilation=dilation, groups=groups)
    return y.unflatten(1, (groups, outputs))


def depthwise_conv(x: Tensor, w: Tensor, *, left: int = 1) -> Tensor:
    return F.conv1d(F.pad(x, (left, w.shape[1] - 1 - left)), w.unsqueeze(1), groups=w.shape[0])


def avg_pool(x: Tensor, *, kernel: int = 2, stride: int = 2) -> Tensor:
    return F.avg_pool1d(x, kernel, stride)


def max_pool(x: Tensor, *, kernel: int = 2, stride: int = 2) -> Tensor:
    return F.max_pool1d(x, kernel, stride)


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2)
