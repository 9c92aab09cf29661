"""PyTorch's own sample inputs of an op, put to the generated op: rows, samples, and ways to lay a tensor out.

A row names an op of the library, the entry of PyTorch's `op_db` that is the same function, and an adapter:
a function with the signature of PyTorch's op that calls ours, and returns `None` for a sample that asks for
what the op does not have.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

PER_SHAPES = 2  # of the samples whose tensors have the same shapes, the first that are covered
PER_ROW = 8


@dataclass(frozen=True)
class Row:
    """An op of the library and the same op in PyTorch; `plain` where PyTorch refuses a derivative, and `why`."""

    op: str
    opinfo: str
    ours: Callable[..., Tensor | None]
    variant: str = ""
    plain: Callable[..., Tensor] | None = None
    why: str = ""
    dtype: torch.dtype = torch.float64
    batched: int = 0  # the last axes, which an expanded sample leaves alone: a matrix of equal rows is singular

    @property
    def title(self) -> str:
        return "-".join(filter(None, (self.op, self.opinfo.removeprefix("nn.functional."), self.variant)))


@dataclass(frozen=True)
class Call:
    """Arguments of PyTorch's op: tensors stand in them at any depth of lists, tuples and dicts."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def map(self, change: Callable[[Tensor], Tensor]) -> Call:
        args, kwargs = _map((self.args, self.kwargs), change)
        return Call(args, kwargs)

    def tensors(self) -> list[Tensor]:
        found: list[Tensor] = []
        self.map(lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
        return found


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in {list, tuple}:
        return type(value)(_map(item, change) for item in value)
    if isinstance(value, dict):
        return {key: _map(item, change) for key, item in value.items()}
    return value


@cache
def opinfos() -> dict[tuple[str, str], Any]:
    """PyTorch's entries by name and variant; importing them takes seconds, so only a test that runs does."""
    import expecttest  # noqa: F401 - PyTorch's import needs it, and takes seconds to find out

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db

    return {(entry.name, entry.variant_test_name): entry for entry in op_db}


def theirs(row: Row) -> Callable[..., Tensor]:
    """PyTorch's op."""
    return opinfos()[row.opinfo, row.variant].op  # type: ignore[no-any-return]


@cache
def samples(row: Row) -> tuple[Call, ...]:
    """PyTorch's samples that the op covers, at most `PER_SHAPES` of the same shapes and `PER_ROW` in all."""
    torch.manual_seed(0)
    seen: Counter[tuple[torch.Size, ...]] = Counter()
    kept: list[Call] = []
    for sample in opinfos()[row.opinfo, row.variant].sample_inputs("cpu", row.dtype, requires_grad=True):
        call = Call((sample.input, *sample.args), dict(sample.kwargs))
        shapes = tuple(tensor.shape for tensor in call.tensors())
        if seen[shapes] < PER_SHAPES and row.ours(*call.args, **call.kwargs) is not None:
            seen[shapes] += 1
            kept.append(call)
        if len(kept) == PER_ROW:
            break
    return tuple(kept)


def _as_is(tensor: Tensor, batched: int) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


def _transposed(tensor: Tensor, batched: int) -> Tensor:
    """The same values, laid out with the axes in reverse order."""
    axes = tuple(reversed(range(tensor.ndim)))
    return tensor.permute(axes).contiguous().permute(axes)


def _sliced(tensor: Tensor, batched: int) -> Tensor:
    """The same values, every second place of a larger tensor."""
    every_second = (slice(None, None, 2),) * tensor.ndim
    larger = tensor.new_empty([2 * size for size in tensor.shape])
    larger[every_second] = tensor
    return larger[every_second]


def _expanded(tensor: Tensor, batched: int) -> Tensor:
    """The first slice of the first axis, repeated with a stride of 0."""
    if tensor.ndim <= batched or tensor.shape[0] < 2:
        return tensor.clone(memory_format=torch.contiguous_format)
    return tensor[:1].expand(tensor.shape)


LAYOUTS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "as it is": _as_is,
    "transposed": _transposed,
    "sliced": _sliced,
    "expanded": _expanded,
}


def cases(row: Row) -> Iterator[tuple[str, Call]]:
    """Every kept sample in every layout that changes a tensor of it, its tensors being leaves."""
    for number, call in enumerate(samples(row)):
        usual = [tensor.contiguous().stride() for tensor in call.tensors()]
        for layout, change in LAYOUTS.items():

            def leaf(tensor: Tensor, change: Callable[[Tensor, int], Tensor] = change) -> Tensor:
                # What has no gradient is left alone: labels, weights, statistics that PyTorch updates in place.
                return change(tensor.detach(), row.batched).requires_grad_() if tensor.requires_grad else tensor

            laid_out = call.map(leaf)
            if layout == "as it is" or [tensor.stride() for tensor in laid_out.tensors()] != usual:
                yield f"sample {number}, {layout}", laid_out
