"""A program in numbers of 250 digits: values by its definition, gradients by central differences.

What names and indices mean is what the NumPy interpreter says; every number and function is mpmath's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mpmath import mp, mpf

from tensorgrad_gen.ir import Apply, Const, Expr, Extent, Index, Param, Pow, Program, Reduce, Scan, Special, Sum
from tensorgrad_gen.reference.evaluator import Evaluator
from tensorgrad_gen.reference.program import environment, unflattened
from tensorgrad_gen.reference.values import Env, Value, pointwise, scalar, spread
from tests.mp_functions import FUNCTIONS, REDUCTIONS, SCANS, power

DIGITS = 250
STEP = mpf(10) ** -60  # leaves 120 digits to differences, and as many to what cancels before

Array = np.ndarray[Any, Any]
SPECIAL = {"pi": mp.pi, "inf": mp.inf, "nan": mp.nan}


def exact(array: Any) -> Array:
    """The same numbers as mpmath's."""
    return np.asarray(np.frompyfunc(lambda z: z if isinstance(z, mpf) else mpf(float(z)), 1, 1)(array), dtype=object)


def each(function: Any, *values: Value) -> Value:
    """A function of mpmath at each point."""
    return pointwise(np.frompyfunc(function, len(values), 1), *(Value(exact(v.array), v.indices) for v in values))


class Exact(Evaluator):
    """The interpreter, in mpmath."""

    def on_const(self, expr: Const, mask: Value | None) -> Value:
        return scalar(exact(mpf(expr.value.numerator) / expr.value.denominator))

    def on_special(self, expr: Special, mask: Value | None) -> Value:
        return scalar(exact(+SPECIAL[expr.name]))

    def on_param(self, expr: Param, mask: Value | None) -> Value:
        return scalar(exact(self.env.params[expr.name]))

    def on_extent(self, expr: Extent, mask: Value | None) -> Value:
        return scalar(exact(super().on_extent(expr, mask).array))

    def number(self, expr: Expr, mask: Value | None) -> Value:
        value = self.value(expr, mask)
        return Value(exact(value.array), value.indices)

    def on_pow(self, expr: Pow, mask: Value | None) -> Value:
        return each(power, self.value(expr.base, mask), self.value(expr.exponent, mask))

    def on_apply(self, expr: Apply, mask: Value | None) -> Value:
        return each(FUNCTIONS[expr.function], *(self.value(a, mask) for a in expr.args))

    def along(self, value: Value, indices: tuple[Index, ...]) -> tuple[Array, tuple[Index, ...], tuple[int, ...]]:
        """The array with these indices as one last axis, the others, and all lengths."""
        kept = tuple(i for i in value.indices if i not in indices)
        array = spread(value, (*kept, *indices), self.env)
        return array.reshape(*array.shape[: len(kept)], -1), kept, array.shape

    def on_sum(self, expr: Sum, mask: Value | None) -> Value:
        rows, kept, _ = self.along(self.number(expr.body, self.outside(mask, expr.indices)), expr.indices)
        return Value(np.asarray(rows.sum(-1), dtype=object), kept)

    def on_reduce(self, expr: Reduce, mask: Value | None) -> Value:
        rows, kept, _ = self.along(self.value(expr.body, self.outside(mask, expr.indices)), expr.indices)
        found = [REDUCTIONS[expr.kind](list(row)) for row in rows.reshape(-1, rows.shape[-1])]
        kind = {"any": bool, "all": bool, "argmax": int, "argmin": int}.get(expr.kind, object)
        return Value(np.array(found, dtype=kind).reshape(rows.shape[:-1]), kept)

    def on_scan(self, expr: Scan, mask: Value | None) -> Value:
        rows, kept, shape = self.along(self.value(expr.body, self.outside(mask, expr.indices)), expr.indices)
        found = [SCANS[expr.kind](list(row)) for row in rows.reshape(-1, rows.shape[-1])]
        return Value(np.array(found, dtype=object).reshape(shape), (*kept, *expr.indices))


def evaluate(
    program: Program, inputs: Mapping[str, Any], params: Mapping[str, float], moved: tuple[str, int, Any] | None = None
) -> dict[str, Array]:
    """The outputs; `moved`: an entry of an input that is as much larger."""
    env, leading = environment(program, inputs, params)
    for item in program.inputs:
        if item.kind == "real":
            env.tensors[item.name] = exact(env.tensors[item.name])
    if moved is not None:
        name, place, step = moved
        env.tensors[name].reshape(-1)[place] += step
    evaluator = Exact(env)
    for statement in program.statements:
        value = evaluator.assigned(statement.value, statement.indices)
        env.tensors[statement.target] = np.array(value)
    info = program.tensors
    return {name: unflattened(env.tensors[name], info[name].indices, leading) for name in program.outputs}


def gradients(
    program: Program, inputs: Mapping[str, Any], params: Mapping[str, float], weights: Mapping[str, Array]
) -> dict[str, Array]:
    """Of the sum of all outputs by `weights`, by every real input that is given."""

    def total(name: str, place: int, step: Any) -> Any:
        found = evaluate(program, inputs, params, (name, place, step))
        return sum(mp.fdot(exact(found[o]).reshape(-1), exact(w).reshape(-1)) for o, w in weights.items())

    def slope(name: str, place: int) -> Any:
        return (total(name, place, STEP) - total(name, place, -STEP)) / (2 * STEP)

    out = {}
    for item in program.inputs:
        given = inputs.get(item.name)
        if item.kind == "real" and item.grad and given is not None:
            entries = [slope(item.name, k) for k in range(np.size(given))]
            out[item.name] = np.array(entries, dtype=object).reshape(np.shape(given))
    return out


__all__ = ["DIGITS", "Env", "Exact", "evaluate", "exact", "gradients"]
