"""Rows measured in torch: the formula as written, torch's own op, and the op that is built of the spec."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.numerics.conventions import Case
from benchmarks.numerics.formulas import COTANGENT, Numbers, Row, along, formula
from tensorgrad_gen import load_op

NAMES: dict[str, Any] = {
    **{
        name: getattr(torch, name)
        for name in ("exp", "log", "sqrt", "sin", "cos", "cosh", "erf", "tanh", "abs", "relu")
    },
    **{name: getattr(torch, name) for name in ("where", "sum", "mean", "sigmoid", "expm1")},
    "torch": torch,
    "F": F,
    "pi": math.pi,
    "inf": math.inf,
    "sqrt2": math.sqrt(2),
}


def plain(row: Row, dtype: torch.dtype) -> list[Numbers]:
    """The formula as written."""
    return measured(row, formula(row.plain, NAMES), dtype)


def own(row: Row, dtype: torch.dtype) -> list[Numbers] | None:
    """The op that torch has for it."""
    return measured(row, formula(row.torch, NAMES), dtype) if row.torch else None


def generated(row: Row, dtype: torch.dtype) -> list[Numbers]:
    """The op that is built of the spec."""
    op = _op(row.spec)
    boolean = "kind: bool" in row.inputs
    return measured(
        row,
        lambda **given: op(*(v.bool() if boolean and name == "t" else v for name, v in given.items())),
        dtype,
    )


@cache
def _op(spec: str) -> Callable[..., Tensor]:
    return load_op(spec)


def measured(row: Row, function: Callable[..., Tensor], dtype: torch.dtype) -> list[Numbers]:
    """Value, gradient and derivative of the gradient at every point."""
    if not row.pointwise:
        return [_numbers(*derivatives(function, row, [*point], dtype)) for point in row.at]
    columns = [[point[k] for point in row.at] for k in range(len(row.names))]
    value, first, second = derivatives(function, row, columns, dtype)
    parts = [[value], first, second]
    return [[[[float(tensor.detach()[place])] for tensor in part] for part in parts] for place in range(len(row.at))]


def derivatives(
    function: Callable[..., Tensor], row: Row, point: Sequence[Any], dtype: torch.dtype
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The value, its gradient by the inputs, and the derivative of that along the direction."""
    given = [torch.tensor(x, dtype=dtype, requires_grad=True) for x in point]
    fixed = {name: torch.tensor(v, dtype=None if isinstance(v, int) else dtype) for name, v in row.fixed.items()}
    if row.pointwise:
        fixed = {name: v.expand_as(given[0]) for name, v in fixed.items()}
    value = function(**dict(zip(row.names, given, strict=True)), **fixed)
    weights = torch.tensor(COTANGENT[: value.numel()] if value.dim() and not row.pointwise else 1.0, dtype=value.dtype)
    first = _gradients((value * weights).sum(), given)
    ways = [
        torch.tensor([along(n, 0 if row.pointwise else k) for k in range(len(x))], dtype=x.dtype)
        for n, x in enumerate(first)
    ]
    second = _gradients(sum((g * d).sum() for g, d in zip(first, ways, strict=True)), given)
    return value, first, second


def _gradients(total: Any, given: list[Tensor]) -> list[Tensor]:
    if not isinstance(total, Tensor) or not total.requires_grad:
        return [torch.zeros_like(x) for x in given]
    found = torch.autograd.grad(total, given, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, given, strict=True)]


def _numbers(value: Tensor, first: list[Tensor], second: list[Tensor]) -> Numbers:
    parts = [[value], first, second]
    return [[tensor.detach().double().reshape(-1).tolist() for tensor in part] for part in parts]


def shown(case: Case, generated: bool = False) -> Any:
    """What a case gives: a list of numbers, a dtype, or the name of an error."""
    kinds = {"t": "int64", "m": "bool"}
    given = {
        n: torch.tensor(v, dtype=getattr(torch, case.dtypes.get(n, kinds.get(n, "float32"))))
        for n, v in case.at.items()
    }
    op = load_op(case.spec) if generated else None
    function = (lambda **tensors: op(*tensors.values())) if op else formula(case.torch, NAMES)
    try:
        return _looked_at(case, function, given)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        return type(error).__name__


def _looked_at(case: Case, function: Callable[..., Tensor], given: dict[str, Tensor]) -> Any:
    if case.shows == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            return str(function(**given).dtype).removeprefix("torch.")
    if case.shows == "dtype":
        return str(function(**given).dtype).removeprefix("torch.")
    if case.shows == "value":
        return _flat(function(**given))
    x = given[case.by]
    if not x.is_floating_point() and not x.is_complex():
        y = function(**{n: t.requires_grad_() if t.is_floating_point() else t for n, t in given.items()})
        y.sum().backward()
        return str(x.grad)
    x.requires_grad_()
    (found,) = _gradients(function(**given).sum(), [x])
    return _flat(found if case.shows == "gradient" else _gradients(found.sum(), [x])[0])


def _flat(tensor: Tensor) -> list[Any]:
    flat = tensor.detach().reshape(-1)
    return [[z.real, z.imag] for z in flat.tolist()] if flat.is_complex() else flat.double().tolist()
