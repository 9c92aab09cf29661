"""Solutions of equations in torch, by nothing of the compiler's: what autograd is to differentiate.

The search for that of a nonlinear equation is not differentiated; two last steps of Newton's method are, with the
slope that torch's own forward mode finds, and so have the derivatives of the solution to third order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from tensorgrad_gen.ir import Problem
from tensorgrad_gen.verify.extents import UndefinedValueError

Residual: TypeAlias = Callable[[Mapping[str, Tensor]], Tensor]
_STEPS = 100
_NEAR = 1e-13


def solution(problem: Problem, residual: Residual, given: Mapping[str, Tensor]) -> Tensor:
    """The unknown at which the residual is 0, searched for from `given[unknown]`."""
    held = {name: tensor.detach() for name, tensor in given.items()}
    y = held[problem.unknown].clone(memory_format=torch.contiguous_format)
    first = y.dim() - len(problem.declared)  # of the axes, counted from the end of those of `...`
    own = [first + problem.declared.index(index) for index in problem.cols]
    axes = [*(n for n in range(y.dim()) if n not in own), *own]
    if problem.solver == "fixed_point":
        for _ in range(20 * _STEPS):
            step = problem.sign * _back(residual({**held, problem.unknown: y}), axes)
            y = y - step
            if _small(step, y, _NEAR):
                break
    for _ in range(_STEPS):
        step = _newton(problem.unknown, residual, held, y, axes, len(own))
        y = y - step
        if _small(step, y, _NEAR):
            break
    if not _small(step, y, 1e-8):
        raise UndefinedValueError(f"no solution for {problem.unknown}")
    for _ in range(2):
        y = y - _newton(problem.unknown, residual, given, y, axes, len(own))
    return y


def _small(step: Tensor, y: Tensor, bound: float) -> bool:
    if y.dtype == torch.float32:
        bound = max(bound, torch.finfo(y.dtype).eps ** 0.75)
    return bool((step.abs() <= bound * (1 + y.abs())).all()) and bool(y.isfinite().all())


def _back(moved: Tensor, axes: list[int]) -> Tensor:
    return moved.permute([axes.index(n) for n in range(len(axes))])


def _newton(
    unknown: str, residual: Residual, tensors: Mapping[str, Tensor], y: Tensor, axes: list[int], own: int
) -> Tensor:
    """The slope's inverse times the residual, the last `own` of the `axes` being those that depend on one another."""
    ordered = y.permute(axes)
    lead, rest = ordered.shape[: ordered.dim() - own], ordered.shape[ordered.dim() - own :]
    flat = ordered.reshape((*lead, rest.numel()))

    def at(point: Tensor) -> Tensor:
        return residual({**tensors, unknown: _back(point.reshape((*lead, *rest)), axes)}).reshape(flat.shape)

    columns = []
    for direction in torch.eye(rest.numel(), dtype=flat.dtype, device=flat.device):
        columns.append(torch.func.jvp(at, (flat,), (direction.expand(flat.shape).clone(),))[1])
    slope = torch.stack(columns, -1) if columns else flat.unsqueeze(-1)
    step = torch.linalg.solve(slope, at(flat).unsqueeze(-1)).squeeze(-1) if flat.numel() else flat
    return _back(step.reshape((*lead, *rest)), axes)


def solved(matrix: Tensor, right: Tensor, height: tuple[int, ...], width: tuple[int, ...]) -> Tensor:
    """The solution of linear systems, rows of shape `height`, unknowns of shape `width`, then columns."""
    batch = matrix.dim() - 2
    lead, columns = right.shape[:batch], right.shape[batch + len(height) :]
    vector = right.expand((*lead, *height, *columns)).reshape(*lead, math.prod(height), math.prod(columns))
    both = torch.broadcast_shapes(matrix.shape[:-2], vector.shape[:-2])  # type: ignore[no-untyped-call]
    found: Tensor = torch.linalg.solve(
        matrix.expand(*both, *matrix.shape[-2:]), vector.expand(*both, *vector.shape[-2:])
    )
    return found.reshape((*found.shape[:-2], *width, *columns))
