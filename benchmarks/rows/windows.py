"""Convolutions and pools, beside PyTorch's own."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from benchmarks.model import Row, Work, real
from generated import avg_pool, conv1d, conv2d, depthwise_conv, max_pool, upsample


def line(b: int, c: int, n: int, o: int, k: int) -> Work:
    return Work((real(b, c, n + k), real(o, c, k)), {"ours": conv1d, "N": F.conv1d})


def strided(b: int, c: int, n: int, o: int, k: int) -> Work:
    sides = {"ours": lambda x, w: conv1d(x, w, stride=2), "N": lambda x, w: F.conv1d(x, w, stride=2)}
    return Work((real(b, c, n + k), real(o, c, k)), sides)


def image(b: int, c: int, n: int, o: int, k: int) -> Work:
    sides = {"ours": in_one_group, "N": F.conv2d}
    return Work((real(b, c, n + k, n + k), real(o, c, k, k)), sides)


def in_one_group(x: Tensor, w: Tensor) -> Tensor:
    """`conv2d` of the library has an axis of groups."""
    return conv2d(x.unsqueeze(1), w.unsqueeze(0)).squeeze(1)


def depthwise(b: int, c: int, n: int) -> Work:
    own = {"N": lambda x, w: F.conv1d(x, w[:, None], padding=1, groups=c)}
    return Work((real(b, c, n), real(c, 3)), {"ours": depthwise_conv, **own})


def mean_pool(b: int, c: int, n: int) -> Work:
    return Work((real(b, c, n),), {"ours": avg_pool, "N": lambda x: F.avg_pool1d(x, 2)})


def largest_pool(b: int, c: int, n: int) -> Work:
    return Work((real(b, c, n),), {"ours": max_pool, "N": lambda x: F.max_pool1d(x, 2)})


def repeated(b: int, c: int, n: int) -> Work:
    return Work((real(b, c, n),), {"ours": upsample, "N": lambda x: F.interpolate(x, scale_factor=2)})


SIGNAL = (8, 32, 512)
ROWS = (
    Row("conv1d", (*SIGNAL, 64, 5), line),
    Row("conv1d", (2, 4, 32, 4, 3), line),
    Row("conv1d, stride 2", (*SIGNAL, 64, 5), strided),
    Row("conv2d", (4, 16, 32, 32, 3), image),
    Row("depthwise_conv", SIGNAL, depthwise),
    Row("avg_pool", SIGNAL, mean_pool),
    Row("max_pool", SIGNAL, largest_pool),
    Row("upsample", SIGNAL, repeated),
)
