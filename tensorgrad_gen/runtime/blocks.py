"""An op worked block by block along one of its indices.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import call


def in_blocks(
    op: Any,
    dual: Any,
    count: int,
    cuts: tuple[int | None, ...],
    joins: tuple[int | None, ...],
    *args: Any,
) -> list[Tensor]:
    """The outputs of a Function of `count` blocks, one after another, joined or added up.

    `cuts` says along which axis each argument is cut, None: it is the same for every block; `joins`
    along which axis each output is joined, None: it is a sum over the blocks.  There are as many
    blocks of an axis that is shorter: some have no element.
    """
    blocks = [
        (arg,) * count if axis is None or arg is None else cut(arg, count, axis)
        for arg, axis in zip(args, cuts, strict=True)
    ]
    found: list[list[Tensor]] = [[] for _ in joins]
    for block in zip(*blocks, strict=True):
        for own, axis, output in zip(found, joins, call(op, dual, *block)):
            if own and axis is None:
                own[0] = own[0] + output
            else:
                own.append(output)
    return [
        own[0] if axis is None else torch.cat(own, axis)
        for own, axis in zip(found, joins, strict=True)
    ]


def cut(tensor: Tensor, count: int, axis: int) -> tuple[Tensor, ...]:
    """Blocks of a length each, or one more: views, found without a branch on how long the axis is.

    `tensor_split` has one on what remains of the division: compiled, it makes a graph for each.
    """
    length = tensor.shape[axis]
    sizes = [(k + 1) * length // count - k * length // count for k in range(count)]
    blocks: tuple[Tensor, ...] = torch.split(tensor, sizes, axis)
    return blocks
