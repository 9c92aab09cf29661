"""Arrays with named axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad_gen.ir import Index


class EvaluationError(Exception):
    """An input the mathematics has no value for: a label out of range, a maximum of nothing."""


@dataclass(frozen=True, slots=True)
class Value:
    """An array whose axes are `indices`, in order."""

    array: np.ndarray[Any, Any]
    indices: tuple[Index, ...] = ()


def scalar(number: Any) -> Value:
    """A number with no axes."""
    return Value(np.asarray(number))


@dataclass(frozen=True, slots=True)
class Env:
    """What names mean: tensors (axes as declared), params, and the extent of each symbol."""

    tensors: dict[str, np.ndarray[Any, Any]]
    params: Mapping[str, float]
    extents: Mapping[str, int]

    def extent(self, index: Index) -> int:
        """How long the index is."""
        return index.extent if isinstance(index.extent, int) else self.extents[index.extent]


def aligned(*values: Value) -> tuple[list[np.ndarray[Any, Any]], tuple[Index, ...]]:
    """The arrays with one axis for each index of any of them, of length 1 where they lack it."""
    indices = tuple(dict.fromkeys(i for v in values for i in v.indices))
    return [axes_in(v, indices) for v in values], indices


def axes_in(value: Value, indices: tuple[Index, ...]) -> np.ndarray[Any, Any]:
    """The array with the axes `indices`, which include its own."""
    order = [value.indices.index(i) for i in indices if i in value.indices]
    present = np.transpose(value.array, order)
    shape = iter(present.shape)
    return present.reshape([next(shape) if i in value.indices else 1 for i in indices])


def pointwise(function: Callable[..., Any], *values: Value) -> Value:
    """The function at each point of the indices of all the values."""
    arrays, indices = aligned(*values)
    return Value(np.asarray(function(*arrays)), indices)


def spread(value: Value, indices: tuple[Index, ...], env: Env) -> np.ndarray[Any, Any]:
    """The array with exactly the axes `indices`, repeated along those it lacks."""
    return np.broadcast_to(axes_in(value, indices), [env.extent(i) for i in indices])


def with_indices(value: Value, indices: tuple[Index, ...], env: Env) -> Value:
    """The value, repeated along those of `indices` that it lacks."""
    missing = tuple(i for i in indices if i not in value.indices)
    if not missing:
        return value
    all_indices = value.indices + missing
    return Value(spread(value, all_indices, env), all_indices)
