"""Gradients by finite differences: independent of every law of differentiation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tensorgrad_gen.ir import Program
from tensorgrad_gen.reference.program import Array, evaluate


def richardson(f: Callable[[float], float], h: float) -> float:
    """Derivative of `f` at 0 to O(h^6): central differences at h, h/2, h/4, extrapolated."""
    first, second, third = ((f(s) - f(-s)) / (2 * s) for s in (h, h / 2, h / 4))
    coarse = second + (second - first) / 3
    fine = third + (third - second) / 3
    return fine + (fine - coarse) / 15


def numeric_gradient(
    program: Program,
    inputs: Mapping[str, Array | None],
    params: Mapping[str, float] | None,
    cotangents: Mapping[str, Any],
    step: float = 4e-3,
) -> dict[str, Array]:
    """Gradient, by each real input given, of the sum of `cotangents * outputs`.

    Gradient surgery is not seen, and a structure is not respected: each entry moves alone.
    """
    arrays = {k: None if v is None else np.array(v) for k, v in inputs.items()}

    def objective() -> float:
        outputs = evaluate(program, arrays, params)
        return float(sum(np.sum(np.asarray(g) * outputs[name]) for name, g in sorted(cotangents.items())))

    out: dict[str, Array] = {}
    for item in program.inputs:
        array = arrays.get(item.name)
        if item.kind != "real" or not item.grad or array is None:
            continue
        moved = arrays[item.name] = array.astype(np.float64)
        gradient = np.zeros(moved.shape)
        for place in np.ndindex(*moved.shape):
            base = moved[place]

            def shifted(by: float, place: tuple[int, ...] = place, base: Any = base, moved: Array = moved) -> float:
                moved[place] = base + by
                return objective()

            gradient[place] = richardson(shifted, step)
            moved[place] = base
        out[item.name] = gradient
    return out
