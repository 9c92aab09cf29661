"""How a generated op is called: eagerly, inside transforms, and where `torch.compile` traces.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import (
    HAS_FORWARD_MODE,
    _transforming,
    compiling,
    in_transform,
    traced_once,
)

_FunctionClass = TypeVar("_FunctionClass", bound=type)
_METACLASS = type(torch.autograd.Function)
# A tensor that has left the transform it was made in, as the tensor inside.
_unwrapped: Any = getattr(getattr(torch._C, "_functorch", None), "unwrap_if_dead", None)
# By their names, the Functions that Dynamo has in a graph.
_OPS: dict[str, Any] = {}


def signature_cached(op: _FunctionClass) -> _FunctionClass:
    """The class, with the signature that `apply` asks for on each call kept (24 -> 16 us).

    And with a name for Dynamo, which runs `traced` when it compiles, and keeps what it returns.
    """
    function: Any = op
    function.forward.__dict__["__signature__"] = inspect.signature(function.forward)
    function.traced = staticmethod(traced_as(f"{op.__module__}.{op.__name__}", op))
    return op


def traced_as(name: str, op: Any) -> Callable[[], str]:
    """What Dynamo calls when it traces the op, to have it in its graph by the name it returns.

    Inside a functorch transform Dynamo has no such nodes, and refuses a Function: no name then.
    """

    def traced() -> str:
        if _transforming is not None and _transforming():
            return ""
        _OPS[name] = op
        allow: Any = torch.compiler.allow_in_graph
        allow(in_graph)
        return name

    return traced_once(traced)


def graph_name(op: Any) -> Callable[[], str]:
    """What Dynamo calls for the name of the op in its graph."""
    name: Callable[[], str] = op.traced
    return name


def in_graph(name: str, *args: Any) -> tuple[Tensor, ...]:
    """The outputs of the Function of this name: one node of Dynamo's graph, traced after it.

    Where Dynamo traces the Function itself, it guards every function and module read there, on
    each call: of a normalisation, 142 guards instead of 60.
    """
    outputs: tuple[Tensor, ...] = _OPS[name].apply(*args)
    return outputs


def call(op: Any, dual: Any, *args: Any) -> tuple[Tensor, ...]:
    """The outputs of the Function: with forward mode, or as `torch.compile` can trace it.

    Without a transform by the `apply` of its own base class: the other would bind the arguments,
    which fit as they are, to a signature, at half the cost of a small op.
    """
    outputs: tuple[Tensor, ...]
    if compiling():
        name = op.traced()
        outputs = in_graph(name, *args) if name else op.forward(*args)
    elif in_transform():
        outputs = (dual if HAS_FORWARD_MODE else op).apply(*args)
    elif _unwrapped is None or not isinstance(op, _METACLASS):
        outputs = op.apply(*args)
    else:
        apply: Any = super(torch.autograd.Function, op).apply
        outputs = apply(*[_unwrapped(arg) if isinstance(arg, Tensor) else arg for arg in args])
    return outputs
