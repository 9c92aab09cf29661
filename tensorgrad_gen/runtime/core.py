"""What every generated op uses beside tensors: switches, dtypes, cotangents, argument checks.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, overload

import torch
from torch import Tensor
from torch.autograd import forward_ad

_Callable = TypeVar("_Callable", bound=Callable[..., Any])
_NOTHING = contextlib.nullcontext()
# Without this switch nested forward mode through a Function is silently zero (pytorch#197867):
# where a PyTorch lacks it, ops have no forward mode at all.
_set_forward_mode: Any = getattr(forward_ad, "_set_fwd_grad_enabled", None)
_unpack_dual: Any = getattr(forward_ad, "unpack_dual", None)
_transforming: Any = getattr(torch._C, "_are_functorch_transforms_active", None)
_batched: Any = getattr(getattr(torch._C, "_functorch", None), "is_batchedtensor", None)
# Whether there is autocast on any device: one call where `is_autocast_enabled` takes three.
_autocasting: Any = getattr(torch._C, "_is_any_autocast_enabled", None)
HAS_FORWARD_MODE = _set_forward_mode is not None and _unpack_dual is not None


def traced_once(function: _Callable) -> _Callable:
    """The function, which Dynamo calls when it traces: what it returns stands in the graph.

    `torch.compiler.assume_constant_result` does the same and imports Dynamo, which takes a second.
    """
    function.__dict__["_dynamo_marked_constant"] = True
    return function


@traced_once
def compiling() -> bool:
    """Whether `torch.compile` or `torch.export` is tracing."""
    return torch.compiler.is_compiling()


def in_transform() -> bool:
    """Whether `torch.func` or forward mode is at work."""
    functorch = _transforming is not None and _transforming()
    return functorch or getattr(forward_ad, "_current_level", -1) >= 0


def legacy_batched(tensor: Tensor) -> bool:
    """Whether the engine batched the tensor, for `is_grads_batched`: not every call takes it."""
    batched: bool = torch._C._functorch.is_legacy_batchedtensor(tensor)
    return batched


def recording(*tensors: Tensor) -> bool:
    """Whether something looks on at what is computed of these: nothing is changed in place then."""
    looked_on = torch.is_grad_enabled() or torch.compiler.is_compiling() or in_transform()
    return looked_on or any(map(legacy_batched, tensors))


def no_autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """A region without autocast: a generated op does its own casting."""
    if _autocasting is not None and not _autocasting():
        return _NOTHING
    kind = device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return _NOTHING


def promote(*tensors: Tensor | None) -> torch.dtype:
    """The dtype of the result: of all the tensors together; the default where there are none."""
    dtype: torch.dtype | None = None
    for tensor in tensors:
        if tensor is not None and tensor.dtype != dtype:
            dtype = tensor.dtype if dtype is None else torch.promote_types(dtype, tensor.dtype)
    return torch.get_default_dtype() if dtype is None else dtype


_SINGLE = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.complex32: torch.complex64,
}


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The dtype to compute in: single precision for half."""
    return _SINGLE.get(dtype, dtype)


def complex_dtype(dtype: torch.dtype) -> torch.dtype:
    """That of complex numbers as precise as these; half precision has few kernels."""
    return dtype if dtype.is_complex else torch.promote_types(dtype, torch.complex64)


_REAL_DTYPES = {
    torch.complex128: torch.float64,
    torch.complex64: torch.float32,
    torch.complex32: torch.float16,
}


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """That of the real and imaginary parts of numbers."""
    return _REAL_DTYPES.get(dtype, dtype)


def dtype_of(tensor: Tensor | None) -> torch.dtype | None:
    """The tensor's dtype, if there is a tensor."""
    return None if tensor is None else tensor.dtype


@overload
def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor: ...
@overload
def cast(tensor: Tensor | None, dtype: torch.dtype | None) -> Tensor | None: ...
def cast(tensor: Tensor | None, dtype: torch.dtype | None) -> Tensor | None:
    """The tensor in the dtype, if there are both; `to` that has nothing to do costs a call."""
    if tensor is None or dtype is None:
        return None
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def as_complex(tensor: Tensor) -> Tensor:
    """The tensor as complex numbers."""
    return tensor.to(complex_dtype(tensor.dtype))


@overload
def cast_number(tensor: Tensor, dtype: torch.dtype) -> Tensor: ...
@overload
def cast_number(tensor: Tensor | None, dtype: torch.dtype | None) -> Tensor | None: ...
def cast_number(tensor: Tensor | None, dtype: torch.dtype | None) -> Tensor | None:
    """As `cast`, in an op with complex numbers: real stays real, conjugates are taken."""
    if tensor is None or dtype is None:
        return None
    if tensor.is_complex() and not dtype.is_complex:
        return tensor.real.to(dtype)
    return tensor.resolve_conj().to(dtype if tensor.is_complex() else real_dtype(dtype))


def filled(
    tensor: Tensor | None, value: int, axes: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The tensor in the dtype; where it was left out, its default, one element that broadcasts."""
    if tensor is None:
        return torch.full((1,) * axes, value, dtype=dtype, device=device)
    return cast(tensor, dtype)


def add(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    """Sum of two cotangents, where None means zero."""
    if left is None:
        return right
    return left if right is None else left + right


@overload
def constant(tensor: Tensor) -> Tensor: ...
@overload
def constant(tensor: None) -> None: ...
@overload
def constant(tensor: Tensor | None) -> Tensor | None: ...
def constant(tensor: Tensor | None) -> Tensor | None:
    """An input that nothing is differentiated by, in any mode, however often."""
    return None if tensor is None else tensor.detach()


@overload
def structured(tensor: Tensor, kind: str, *, always: bool = False) -> Tensor: ...
@overload
def structured(tensor: None, kind: str, *, always: bool = False) -> None: ...
@overload
def structured(tensor: Tensor | None, kind: str, *, always: bool = False) -> Tensor | None: ...
def structured(tensor: Tensor | None, kind: str, *, always: bool = False) -> Tensor | None:
    """A matrix of that structure, through it where this is recorded: its derivative has it too."""
    if tensor is None or not (always or torch.is_grad_enabled()):
        return tensor
    if kind == "symmetric":
        return (tensor + tensor.mT) / 2
    if kind == "diagonal":
        return tensor.diagonal(dim1=-2, dim2=-1).diag_embed()
    return tensor.tril() if kind == "lower" else tensor.triu()


def own(tensor: Tensor) -> Tensor:
    """A view of what nothing else sees, as no view: no output that is one can change in place."""
    result: Tensor = torch.ops.aten._unsafe_view.default(tensor, tensor.shape)
    return result


def cotangent(
    grad: Tensor | None, shape: torch.Size, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The cotangent in the dtype, zeros for None."""
    if grad is None:
        return torch.zeros(shape, dtype=dtype, device=device)
    return cast(grad, dtype)


def tangent(value: Tensor | None, primal: Tensor) -> Tensor:
    """The tangent in the dtype of its primal, zeros for None."""
    return torch.zeros_like(primal) if value is None else value.to(primal.dtype)


def forward_mode() -> contextlib.AbstractContextManager[Any]:
    """A region where outer forward-mode levels see what `jvp` computes."""
    region: contextlib.AbstractContextManager[Any] = _set_forward_mode(mode=True)
    return region


def save_for_forward(ctx: Any, *tensors: Tensor | None) -> None:
    """Keep the tensors for `jvp`; they begin with those that are saved for backward.

    Under `vmap` one list of batch axes serves both, so there both keep the same.
    """
    ctx.save_for_forward(*tensors)
    if _transforming is None or _transforming():
        ctx.save_for_backward(*tensors)


def primal(tensor: Tensor | None) -> Any:
    """The tensor without the tangent of the level that `jvp` serves.

    `unpack_dual` has no batching rule, so what `vmap` wraps is unpacked inside.
    """
    if tensor is None:
        return None
    if _batched is None or not _batched(tensor):
        return _unpack_dual(tensor, level=0).primal
    functorch = torch._C._functorch
    inner = primal(functorch.get_unwrapped(tensor))
    return functorch._add_batch_dim(
        inner, functorch.maybe_get_bdim(tensor), functorch.maybe_get_level(tensor)
    )


def integral(tensor: Tensor) -> bool:
    """Whether a tensor can hold labels."""
    return not (
        tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype == torch.bool
    )


def numeric(tensor: Tensor) -> bool:
    """Whether a tensor can be a complex input."""
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex


# One row an input: its name, its kind, the letters of its axes, the symbols of their extents.
InputRow = tuple[str, str, tuple[str, ...], tuple[str | int, ...]]
_KINDS: dict[str, tuple[str, Callable[[Tensor], bool]]] = {
    "real": ("is real: a floating point", lambda t: t.is_floating_point()),
    "complex": ("is complex: a complex or floating point", numeric),
    "bool": ("is a condition: a bool", lambda t: t.dtype == torch.bool),
    "label": ("holds labels: an integer", integral),
}


def missing(op: str, name: str) -> NoReturn:
    """Raise for an input that has no default and was left out."""
    raise TypeError(f"{op}: the input {name} is missing")


# What a param may be, beside what `_fits` takes at a glance: the words, the types.
_PARAMS: dict[str, tuple[str, tuple[type, ...]]] = {
    "int": ("an int", (numbers.Integral, torch.SymInt)),
    "real": ("a float or an int", (numbers.Real, torch.SymInt, torch.SymFloat)),
}


def check_params(op: str, *params: tuple[str, str, Any]) -> None:
    """Raise for a param, given as name, kind and value, that is no number of that kind."""
    for name, kind, value in params:
        words, types = _PARAMS[kind]
        if isinstance(value, bool) or not isinstance(value, types):
            given = f"{value!r:.60} ({type(value).__name__})"
            given = "a tensor, which only an input is" if isinstance(value, Tensor) else given
            raise TypeError(f"{op}: the param {name} must be {words}, not {given}")


def mismatch(op: str, table: tuple[InputRow, ...], *tensors: Tensor | None) -> None:
    """Raise what is wrong with the inputs: a kind, a number of axes, an extent."""
    known: dict[str | int, tuple[str, str, int, Any]] = {}
    for (name, kind, letters, extents), tensor in zip(table, tensors):
        if tensor is None:
            continue
        _check_kind(op, name, kind, tensor)
        _check_order(op, name, letters, tensor)
        shape = tuple(tensor.shape)
        lead = len(shape) - len(letters) + 1 if letters[:1] == ("...",) else 0
        places: list[tuple[int, Any]] = [(k, shape[k]) for k in range(lead, len(shape))]
        if lead or letters[:1] == ("...",):
            places.insert(0, (0, shape[:lead]))
        for letter, extent, (axis, size) in zip(letters, extents, places):
            _check_extent(op, known, extent, (letter, name, axis, size))


def _check_kind(op: str, name: str, kind: str, tensor: Tensor) -> None:
    words, test = _KINDS[kind]
    if not test(tensor):
        raise TypeError(
            f"{op}: {name} {words} tensor is needed, not {str(tensor.dtype).removeprefix('torch.')}"
        )


def _check_order(op: str, name: str, letters: tuple[str, ...], tensor: Tensor) -> None:
    batched = letters[:1] == ("...",)
    needed, given = len(letters) - batched, tensor.dim()
    if given < needed or (given > needed and not batched):
        axes = "1 axis" if given == 1 else f"{given} axes"
        least = "at least " if batched else ""
        raise ValueError(f"{op}: {name} has {axes}, [{','.join(letters)}] needs {least}{needed}")


def _check_extent(
    op: str,
    known: dict[str | int, tuple[str, str, int, Any]],
    extent: str | int,
    place: tuple[str, str, int, Any],
) -> None:
    letter, name, axis, size = place
    if isinstance(extent, int):
        if size != extent:
            raise ValueError(
                f"{op}: index {letter} is {size} in {name} (axis {axis}) but must be {extent}"
            )
        return
    first, first_name, first_axis, first_size = known.setdefault(extent, place)
    if size == first_size:
        return
    if letter == "...":
        raise ValueError(
            f"{op}: the leading axes are {first_size} in {first_name} but {size} in {name}"
        )
    other = "" if letter == first else f"index {letter} is "
    raise ValueError(
        f"{op}: index {first} is {first_size} in {first_name} (axis {first_axis})"
        f" but {other}{size} in {name} (axis {axis})"
    )
