"""Windows: positions that are sums of steps along an axis, read as views, added up.

Law: as in `ops`.  Steps, counts and starts are Python ints of any sign, 0 included; what reads
outside its axis raises, unless it is padded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import InputRow


def counted(what: str, value: int) -> int:
    """A computed extent, which may not be negative; `what` names the op and the index."""
    if value < 0:
        raise ValueError(f"{what} would have {value} places")
    return value


def as_given(
    op: str,
    table: tuple[InputRow, ...],
    given: dict[str | int, tuple[int, str]],
    *tensors: Tensor | None,
) -> None:
    """Raise for an axis that is not as long as the spec says: in `given` by symbol, and why."""
    for (name, _, letters, extents), tensor in zip(table, tensors):
        if tensor is None:
            continue
        for axis, (letter, extent) in enumerate(zip(letters, extents), tensor.dim() - len(letters)):
            if extent in given and tensor.size(axis) != given[extent][0]:
                length, why = given[extent]
                needed = why if why == str(length) else f"{why} = {length}"
                place = f"{tensor.size(axis)} in {name} (axis {axis})"
                raise ValueError(f"{op}: index {letter} is {place} but must be {needed}")


def reach(counts: Sequence[int], steps: Sequence[int], start: int) -> tuple[int, int]:
    """The first and the last position; no count is 0."""
    ends = [step * (count - 1) for count, step in zip(counts, steps)]
    return start + sum(min(end, 0) for end in ends), start + sum(max(end, 0) for end in ends)


def inside(low: int, high: int, size: int) -> None:
    """Raise for positions that are outside of their axis."""
    if low < 0 or high >= size:
        raise IndexError(f"positions {low} to {high} leave an axis of {size}")


def on_axis(position: int, size: int) -> int:
    """A position on an axis: a negative one is outside of it, not counted from its end."""
    inside(position, position, size)
    return position


def window(
    x: Tensor,
    dim: int,
    counts: Sequence[int],
    steps: Sequence[int],
    start: int = 0,
    *,
    padded: bool = False,
) -> Tensor:
    """`x` at `start + sum of step*position` along `dim`, counted from the end: a view.

    The axis becomes those of the positions, in this order.  `padded`: zero is read outside.
    """
    if 0 in counts:
        after = x.shape[x.dim() + dim + 1 :]
        return x.narrow(dim, 0, 0).reshape((*x.shape[: x.dim() + dim], *counts, *after))
    low, high = reach(counts, steps, start)
    size = x.shape[dim]
    y = x.movedim(dim, -1)
    if padded and (low < 0 or high >= size):
        left, right = max(-low, 0), max(high + 1 - size, 0)
        y = torch.nn.functional.pad(y, (left, right))
        low, high, size = low + left, high + left, size + left + right
    inside(low, high, size)
    y = y.narrow(-1, low, high + 1 - low)
    for count, step in zip(counts, steps):
        room = y.shape[-1] - abs(step) * (count - 1)
        y = y.unfold(-1, room, max(abs(step), 1))
        if step == 0:
            y = y.expand(*y.shape[:-2], count, room)
    y = _turned(y.squeeze(-1), steps)
    own = len(steps)
    return y.movedim(tuple(range(-own, 0)), tuple(range(dim + 1 - own, dim + 1)))


def _turned(x: Tensor, steps: Sequence[int]) -> Tensor:
    """The last axes of `x` reversed where their step is negative."""
    back = [k - len(steps) for k, step in enumerate(steps) if step < 0]
    return x.flip(back) if back else x


def window_sum(
    x: Tensor, size: int, steps: Sequence[int], start: int = 0, *, padded: bool = False
) -> Tensor:
    """`y[.., n]` = sum of `x` where `start + sum of step*position` is `n`: `window` transposed.

    The last axes of `x` are those of the positions.  `padded`: what falls outside is dropped.
    """
    own = len(steps)
    counts, lead = x.shape[x.dim() - own :], x.shape[: x.dim() - own]
    low, high = (0, -1) if 0 in counts else reach(counts, steps, start)
    if not padded and 0 not in counts:
        inside(low, high, size)
    if max(low, 0) > min(high, size - 1):
        return x.narrow(-1, 0, 0).sum(tuple(range(-own, 0))).unsqueeze(-1).expand(*lead, size)
    y = _turned(x, steps).unsqueeze(-1)
    for count, step in zip(reversed(counts), reversed(steps)):
        y = _overlapped(y, count, abs(step))
    if low or high != size - 1:
        y = torch.nn.functional.pad(y, (low, size - 1 - high))
    return y


def _overlapped(x: Tensor, count: int, step: int) -> Tensor:
    """`y[.., step*i + r]`, the sum of `x[.., i, r]`."""
    if step == 0:
        return x.sum(-2)
    span, lead = x.shape[-1], x.shape[:-2]
    pieces = -(-span // step)
    if span < pieces * step:
        x = torch.nn.functional.pad(x, (0, pieces * step - span))
    if pieces > 1:
        # Rows made longer by their number, then cut anew, shift each row by one more than the last.
        x = x.reshape(*lead, count, pieces, step).movedim(-2, -3)
        x = torch.nn.functional.pad(x, (0, 0, 0, pieces))
        rows, count = pieces * (count + pieces), count + pieces - 1
        x = x.reshape(*lead, rows, step).narrow(-2, 0, pieces * count)
        x = x.reshape(*lead, pieces, count, step).sum(-3)
    return x.reshape(*lead, count * step).narrow(-1, 0, count * step - pieces * step + span)


def spread(x: Tensor, dim: int, times: int) -> Tensor:
    """Each element along `dim`, counted from the end, several times in a row."""
    before, after = x.shape[: x.dim() + dim + 1], x.shape[x.dim() + dim + 1 :]
    y = x.unsqueeze(dim).expand(*before, times, *after).contiguous()
    return y.reshape(*before[:-1], before[-1] * times, *after)
