"""Convolutions and pools of the library beside PyTorch's own: ratio of median times, forward and backward together.

    python benchmarks/windows.py [rounds]

Both run in turn in one process; below 1, ours is faster.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as f

from generated import avg_pool, conv1d, conv2d, depthwise_conv, max_pool, upsample

Run = Callable[..., Tensor]
Row = tuple[str, Run, Run, tuple[tuple[int, ...], ...]]


def image(x: Tensor, w: Tensor) -> Tensor:
    """`conv2d` of the library has an axis of groups."""
    return conv2d(x.unsqueeze(1), w.unsqueeze(0)).squeeze(1)


ROWS: tuple[Row, ...] = (
    ("conv1d", conv1d, f.conv1d, ((8, 32, 512), (64, 32, 5))),
    ("conv1d, small", conv1d, f.conv1d, ((2, 4, 32), (4, 4, 3))),
    (
        "conv1d, stride 2",
        lambda x, w: conv1d(x, w, stride=2),
        lambda x, w: f.conv1d(x, w, stride=2),
        ((8, 32, 512), (64, 32, 5)),
    ),
    ("conv2d", image, f.conv2d, ((4, 16, 32, 32), (32, 16, 3, 3))),
    (
        "depthwise_conv",
        depthwise_conv,
        lambda x, w: f.conv1d(x, w[:, None], padding=1, groups=x.shape[1]),
        ((8, 32, 512), (32, 3)),
    ),
    ("avg_pool", avg_pool, lambda x: f.avg_pool1d(x, 2), ((8, 32, 512),)),
    ("max_pool", max_pool, lambda x: f.max_pool1d(x, 2), ((8, 32, 512),)),
    ("upsample", upsample, lambda x: f.interpolate(x, scale_factor=2), ((8, 32, 512),)),
)


def seconds(run: Run, tensors: list[Tensor]) -> float:
    """The time of the value and its gradients."""
    start = time.perf_counter()
    torch.autograd.grad(run(*tensors).sum(), tensors)
    return time.perf_counter() - start


def main(rounds: int = 20) -> None:
    """Print a line an op."""
    for name, ours, theirs, shapes in ROWS:
        tensors = [torch.randn(shape, requires_grad=True) for shape in shapes]
        times = [(seconds(ours, tensors), seconds(theirs, tensors)) for _ in range(rounds + 3)][3:]
        mine, other = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:18} {mine * 1e3:8.3f} ms {other * 1e3:8.3f} ms  {mine / other:6.2f}  {shapes}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
