"""What PyTorch finds out while an op runs, said in the op's own words.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from tensorgrad_gen.runtime.calls import call
from tensorgrad_gen.runtime.core import InputRow
from tensorgrad_gen.runtime.windows import reach

_Result = TypeVar("_Result")
# A label and what its values are positions along, or an extremum and what it is taken over.
Place = tuple[str, str | int]
_EXTREMA = ("max", "min", "argmax", "argmin")


def worded(
    body: Callable[..., _Result],
    op: str,
    table: tuple[InputRow, ...],
    places: tuple[Place, ...],
    *args: Any,
    positions: Callable[..., str] | None = None,
) -> _Result:
    """What the function returns; its error about a label or an empty maximum in the op's words.

    `positions`, given the op's own arguments, says what is wrong with a position outside its axis.
    """
    if torch.compiler.is_compiling():
        return body(*args)
    try:
        return body(*args)
    except (IndexError, RuntimeError) as error:
        own = args[2:] if body is call else args  # without the Function's two classes
        words = (positions and positions(*own)) or _found_out(str(error), table, places, args)
        if not words:
            raise
        raise IndexError(f"{op}: {words}") from error


def _found_out(
    text: str, table: tuple[InputRow, ...], places: tuple[Place, ...], args: tuple[Any, ...]
) -> str | None:
    if "non-zero size" in text:
        return _over_nothing(table, places, args)
    if "out of range" in text or "out of bounds" in text:
        return _outside(table, places, args)
    return None


def beyond(
    text: str,
    letter: str,
    size: int,
    counts: Sequence[int],
    steps: Sequence[int],
    start: int = 0,
    divisor: int = 1,
) -> str:
    """What is wrong with the positions `(start + sum of step*place) // divisor` of an index."""
    low, high = reach(counts, steps, start) if 0 not in counts else (0, 0)
    low, high = low // divisor, high // divisor
    if 0 in counts or (low >= 0 and high < size):
        return ""
    span = f"position {low}" if low == high else f"positions {low} to {high}"
    return f"{text} is at {span} along index {letter}, whose extent is {size}"


def _outside(
    table: tuple[InputRow, ...], places: tuple[Place, ...], args: tuple[Any, ...]
) -> str | None:
    labels = [(name, along) for name, along in places if name not in _EXTREMA]
    if not labels:
        return None
    names = " or ".join(name for name, _ in labels)
    axes = [(name, *_shown(table, along, args)) for name, along in labels]
    which = " and ".join(f"{name} is along {axis}" for name, axis, _ in axes)
    values = "".join(_left_out(name, size, table, args) for name, _, size in axes)
    return f"a label in {names} is outside the axis that it is a position along: {which}{values}"


def _left_out(
    name: str, size: int | None, table: tuple[InputRow, ...], args: tuple[Any, ...]
) -> str:
    """The values of a label that are outside, and what a spec says to leave one out."""
    tensors = [arg for arg in args if arg is None or isinstance(arg, Tensor)]
    for (labels, _, letters, _), tensor in zip(table, tensors):
        if labels != name or tensor is None or size is None:
            continue
        try:
            outside = sorted(set(tensor[(tensor < 0) | (tensor >= size)].tolist()))
        except RuntimeError:
            return ""  # under vmap there are no numbers to look at
        if outside:
            element = f"{name}[{', '.join(letters)}]" if letters else name
            values = ", ".join(map(str, outside[:3])) + (", ..." if len(outside) > 3 else "")
            return (
                f"; {name} holds {values}: where({element} != {outside[0]}, ..., 0) leaves one out"
            )
    return ""


def _over_nothing(
    table: tuple[InputRow, ...], places: tuple[Place, ...], args: tuple[Any, ...]
) -> str | None:
    found = [(kind, *_shown(table, along, args)) for kind, along in places if kind in _EXTREMA]
    empty = [(kind, text) for kind, text, size in found if size == 0] or [
        (kind, text) for kind, text, size in found if size is None
    ]
    return " or ".join(f"{kind} over nothing: {text}" for kind, text in empty) or None


def _shown(
    table: tuple[InputRow, ...], along: str | int, args: tuple[Any, ...]
) -> tuple[str, int | None]:
    """An index with its extent, read off the first input that has it, and that extent."""
    if isinstance(along, int):
        return f"an axis of {along}", along
    tensors = [arg for arg in args if arg is None or isinstance(arg, Tensor)]
    for (name, _, letters, extents), tensor in zip(table, tensors):
        if tensor is not None and along in extents and along != "...":
            place = extents.index(along) - len(extents)
            size = int(tensor.shape[place])
            return f"index {letters[place]}, which is {size} in {name}", size
    return f"index {along}", None
