"""Tensors with named axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor and the names of its axes."""

    tensor: Tensor
    keys: tuple[str, ...]

    def align(self, keys: Sequence[str]) -> Tensor:
        """The tensor with axes in the order of `keys`, size 1 where it lacks one."""
        order = [self.keys.index(k) for k in keys if k in self.keys]
        out = self.tensor.permute(order)
        for position, key in enumerate(keys):
            if key not in self.keys:
                out = out.unsqueeze(position)
        return out


def union(values: Iterable[Value]) -> tuple[str, ...]:
    """The axes of several values, each once."""
    return tuple(dict.fromkeys(itertools.chain.from_iterable(v.keys for v in values)))


def pointwise(function: Callable[..., Tensor], *values: Value) -> Value:
    """A pointwise function of values, each broadcast over the axes it lacks."""
    keys = union(values)
    return Value(function(*(v.align(keys) for v in values)), keys)


def both(left: Value | None, right: Value) -> Value:
    """Where both conditions hold."""
    return right if left is None else pointwise(torch.logical_and, left, right)


def modulus(value: Value) -> Value:
    """The absolute value."""
    return Value(value.tensor.abs(), value.keys)
