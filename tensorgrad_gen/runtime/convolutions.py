"""Contractions over windows of a tensor: PyTorch's convolution, its two transposes.

Law: as in `windows`.  What PyTorch's convolution does not take (extents and steps of 0, complex
numbers, more than three windows) goes by views and a contraction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorgrad_gen.runtime.ops import einsum
from tensorgrad_gen.runtime.windows import inside, reach, window, window_sum

Ints = Sequence[int]


class _Axes:
    """How windows along some axes are those of a convolution: steps and dilations made positive.

    `pads` are what the convolution adds on both sides, `ends` what is added before it where the
    two sides differ (negative: cropped); `turned` and `mirrored` are the axes, counted from the
    end, whose positions and whose kernel run backward.
    """

    def __init__(
        self, sizes: Ints, counts: Ints, taps: Ints, steps: Ints, dilations: Ints, starts: Ints
    ) -> None:
        axes = range(len(sizes))
        self.sizes, self.counts, self.taps = sizes, counts, taps
        self.given = list(zip(steps, dilations, starts or [0] * len(sizes)))
        self.steps, self.dilations = [abs(n) for n in steps], [abs(n) for n in dilations]
        self.turned = [k - len(sizes) for k in axes if steps[k] < 0]
        self.mirrored = [k - len(sizes) for k in axes if dilations[k] < 0]
        self.pads: list[int] = []
        self.ends: list[tuple[int, int]] = []

    def positions(self, k: int) -> tuple[int, int]:
        """The first and the last position along an axis."""
        return reach((self.counts[k], self.taps[k]), self.given[k][:2], self.given[k][2])

    def check(self) -> None:
        """Raise where a window leaves its axis."""
        for k, size in enumerate(self.sizes):
            if self.counts[k] and self.taps[k]:
                inside(*self.positions(k), size)

    def fit(self, *numbers: Tensor) -> bool:
        """Whether this is a convolution of PyTorch's, `pads` and `ends` found."""
        extents = (*self.sizes, *self.counts, *self.taps, *self.steps, *self.dilations)
        if 0 in extents or len(self.sizes) > 3:
            return False
        if any(t.is_complex() or 0 in t.shape for t in numbers):
            return False
        for k, size in enumerate(self.sizes):
            low, high = self.positions(k)
            even = low <= 0 and self.length(k, size - 2 * low) == self.counts[k]
            self.pads.append(-low if even else 0)
            self.ends.append((0, 0) if even else (-low, high + 1 - size))
        return all(min(ends) > -size for ends, size in zip(self.ends, self.sizes))

    def length(self, k: int, size: int) -> int:
        """How many windows an axis of that size has."""
        return (size - self.dilations[k] * (self.taps[k] - 1) - 1) // self.steps[k] + 1

    def rest(self, k: int) -> int:
        """How many places of an axis no window reaches."""
        size = self.sizes[k] + sum(self.ends[k]) + 2 * self.pads[k]
        span = self.dilations[k] * (self.taps[k] - 1) + 1
        return size - self.steps[k] * (self.counts[k] - 1) - span

    def padded(self, x: Tensor, sign: int = 1) -> Tensor:
        """`x` with its ends added; taken off for the sign -1."""
        if not any(map(any, self.ends)):
            return x
        return torch.nn.functional.pad(x, [sign * n for ends in reversed(self.ends) for n in ends])

    def windows(self, x: Tensor) -> Tensor:
        """`x` with two axes, of positions and of the kernel, in place of each of the last."""
        for k, (step, dilation, start) in enumerate(self.given):
            places = self.counts[k], self.taps[k]
            x = window(x, k - len(self.sizes), places, (step, dilation), start, padded=True)
        return x

    def letters(self) -> tuple[str, str, str]:
        """Names of the axes of positions, of the kernel, of both in turn."""
        near, far = "ijklmn"[: len(self.sizes)], "IJKLMN"[: len(self.sizes)]
        return near, far, "".join(i + k for i, k in zip(near, far))


def _flipped(x: Tensor, dims: list[int]) -> Tensor:
    return x.flip(dims) if dims else x


def _sizes(x: Tensor, *counts: int) -> list[torch.Size]:
    """The shape of so many axes, of so many after them, ..., and of the rest."""
    parts, first = [], 0
    for count in counts:
        parts.append(x.shape[first : first + count])
        first += count
    return [*parts, x.shape[first:]]


def conv(
    x: Tensor,
    w: Tensor,
    counts: Ints,
    steps: Ints,
    dilations: Ints,
    starts: Ints = (),
    *,
    padded: bool = False,
    groups: int = 0,
    channels: int = 1,
) -> Tensor:
    """`y[b,g,o,i..] = sum over c, k.. of x[b,g,c,start + step*i + dilation*k..] * w[g,o,c,k..]`.

    For each letter but those of the windows there may be several axes, or none: `groups` and
    `channels` tell how many there are for g and c.  `counts` are the extents of i.
    """
    many, own = len(counts), groups + channels
    batch, group, channel, sizes = _sizes(x, x.dim() - own - many, groups, channels)
    _, out, _, taps = _sizes(w, groups, w.dim() - own - many, channels)
    axes = _Axes(sizes, counts, taps, steps, dilations, starts)
    if not padded:
        axes.check()
    b, g, o, c = batch.numel(), group.numel(), out.numel(), channel.numel()
    if axes.fit(x, w):
        image = axes.padded(x.reshape(b, g * c, *sizes))
        kernel = _flipped(w.reshape(g * o, c, *taps), axes.mirrored)
        form = axes.steps, axes.pads, axes.dilations, False, [0] * many, g
        y = _flipped(torch.convolution(image, kernel, None, *form), axes.turned)
    else:
        near, far, both = axes.letters()
        view = axes.windows(x.reshape(b, g, c, *sizes))
        y = einsum(f"bgc{both},goc{far}->bgo{near}", view, w.reshape(g, o, c, *taps))
    return y.reshape(*batch, *group, *out, *counts)


def conv_input(
    y: Tensor,
    w: Tensor,
    sizes: Ints,
    steps: Ints,
    dilations: Ints,
    starts: Ints = (),
    *,
    padded: bool = False,
    groups: int = 0,
    channels: int = 1,
) -> Tensor:
    """`x[b,g,c,n..]`, the sum of `y[b,g,o,i..] * w[g,o,c,k..]` where the window of i, k is n.

    `conv` transposed in x; `sizes` are the extents of n.
    """
    many = len(sizes)
    outs = w.dim() - groups - channels - many
    batch, group, out, counts = _sizes(y, y.dim() - groups - outs - many, groups, outs)
    _, _, channel, taps = _sizes(w, groups, outs, channels)
    axes = _Axes(sizes, counts, taps, steps, dilations, starts)
    if not padded:
        axes.check()
    b, g, o, c = batch.numel(), group.numel(), out.numel(), channel.numel()
    if axes.fit(y, w):
        image = _flipped(y.reshape(b, g * o, *counts), axes.turned)
        kernel = _flipped(w.reshape(g * o, c, *taps), axes.mirrored)
        rest = [axes.rest(k) for k in range(many)]
        form = axes.steps, axes.pads, axes.dilations, True, rest, g
        x = axes.padded(torch.convolution(image, kernel, None, *form), -1)
    else:
        near, far, both = axes.letters()
        formula = f"bgo{near},goc{far}->bgc{both}"
        x = einsum(formula, y.reshape(b, g, o, *counts), w.reshape(g, o, c, *taps))
        for size, (step, dilation, start) in reversed(list(zip(sizes, axes.given))):
            x = window_sum(x, size, (step, dilation), start, padded=True).movedim(-1, 3)
    return x.reshape(*batch, *group, *channel, *sizes)


def conv_weight(
    x: Tensor,
    y: Tensor,
    taps: Ints,
    steps: Ints,
    dilations: Ints,
    starts: Ints = (),
    *,
    padded: bool = False,
    groups: int = 0,
    channels: int = 1,
) -> Tensor:
    """`w[g,o,c,k..] = sum over b, i.. of x[b,g,c,start + step*i + dilation*k..] * y[b,g,o,i..]`.

    `conv` transposed in w; `taps` are the extents of k.
    """
    many = len(taps)
    batches = x.dim() - groups - channels - many
    batch, group, channel, sizes = _sizes(x, batches, groups, channels)
    _, _, out, counts = _sizes(y, batches, groups, y.dim() - batches - groups - many)
    axes = _Axes(sizes, counts, taps, steps, dilations, starts)
    if not padded:
        axes.check()
    b, g, o, c = batch.numel(), group.numel(), out.numel(), channel.numel()
    if axes.fit(x, y):
        image = axes.padded(x.reshape(b, g * c, *sizes))
        grad = _flipped(y.reshape(b, g * o, *counts), axes.turned)
        shape = y.new_zeros(()).expand(g * o, c, *taps)
        form = axes.steps, axes.pads, axes.dilations, False, [0] * many, g
        transposed = torch.ops.aten.convolution_backward
        w = transposed(grad, image, shape, None, *form, [False, True, False])[1]
        w = _flipped(w, axes.mirrored)
    else:
        near, far, both = axes.letters()
        view = axes.windows(x.reshape(b, g, c, *sizes))
        w = einsum(f"bgc{both},bgo{near}->goc{far}", view, y.reshape(b, g, o, *counts))
    return w.reshape(*group, *out, *channel, *taps)
