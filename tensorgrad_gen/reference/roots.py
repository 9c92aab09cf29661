"""The solution of a nonlinear equation: Newton's method with a slope from central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tensorgrad_gen.ir import Problem
from tensorgrad_gen.reference.values import EvaluationError

Array: TypeAlias = "np.ndarray[Any, Any]"
_STEPS = 400
_WIDTH = 1e-6
_NEAR = 1e-13


def solution(problem: Problem, residual: Callable[[Array], Array], start: Array) -> Array:
    """The unknown at which the residual is 0, by the problem's own iteration and then by Newton's."""
    batch = [n for n, index in enumerate(problem.declared) if index not in problem.cols]
    own = [problem.declared.index(index) for index in problem.cols]
    y = start
    if problem.solver == "fixed_point":
        back = np.argsort([*batch, *own])
        for _ in range(_STEPS * 5):
            step = problem.sign * np.transpose(residual(y), back)
            y = y - step
            if _small(step, y, _NEAR):
                break
    for _ in range(_STEPS):
        step = _step(residual, y, [*batch, *own], len(batch))
        y = y - step
        if _small(step, y, _NEAR):
            return np.asarray(y)
    if _small(step, y, 1e-9):
        return y  # as near as differences come
    raise EvaluationError(f"no solution for {problem.unknown} was found")


def _small(step: Array, y: Array, bound: float) -> bool:
    return bool(np.all(np.abs(step) <= bound * (1 + np.abs(y))) and np.all(np.isfinite(y)))


def _step(residual: Callable[[Array], Array], y: Array, axes: list[int], batch: int) -> Array:
    """What Newton's method takes off: one column of the slope for each component that is no batch."""
    moved = np.transpose(y, axes)
    lead, rest = moved.shape[:batch], moved.shape[batch:]
    flat = moved.reshape(int(np.prod(lead, dtype=int)), int(np.prod(rest, dtype=int)))
    back = np.argsort(axes)

    def at(point: Array) -> Array:
        whole = np.transpose(point.reshape((*lead, *rest)), back)
        found: Array = residual(whole).reshape(flat.shape)
        return found

    columns = []
    for n in range(flat.shape[1]):
        width = np.zeros_like(flat)
        width[:, n] = _WIDTH * (1 + np.abs(flat[:, n]))
        columns.append((at(flat + width) - at(flat - width)) / (2 * width[:, n : n + 1]))
    slope = np.stack(columns, -1) if columns else np.zeros((*flat.shape, 0))
    step = np.linalg.solve(slope, at(flat)[..., None])[..., 0] if flat.size else flat
    taken: Array = np.transpose(step.reshape((*lead, *rest)), back)
    return taken
