"""An expression in float32, node by node, each rounded once: what the best library of functions would compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tensorgrad_gen.functions import plain_name
from tensorgrad_gen.ir import Add, Apply, Expr, Pow, Reduce, Scan
from tensorgrad_gen.reference.evaluator import Evaluator
from tensorgrad_gen.reference.values import Env, Value, pointwise
from tensorgrad_gen.verify.functions import FUNCTIONS

ROUNDED = {np.dtype(np.float64): np.float32, np.dtype(np.complex128): np.complex64}


def rounded(array: Any) -> Any:
    """Numbers in single precision; labels and conditions as they are."""
    return array.astype(ROUNDED[array.dtype]) if array.dtype in ROUNDED else array


def precise(value: Value) -> Value:
    """The same numbers in double precision."""
    kind = np.complex128 if value.array.dtype.kind == "c" else np.float64
    return Value(value.array.astype(kind), value.indices)


class Single(Evaluator):
    """The interpreter in float32; `largest` is the largest number that it met."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.largest = 0.0

    def value(self, expr: Expr, mask: Value | None) -> Value:
        found = super().value(expr, mask)
        array = np.asarray(rounded(found.array))
        sizes = np.abs(array[np.isfinite(array)]) if array.dtype.kind in "fc" else np.zeros(1)
        self.largest = max(self.largest, float(sizes.max(initial=0.0)))
        return Value(array, found.indices)

    def on_add(self, expr: Add, mask: Value | None) -> Value:
        out = self.value(expr.terms[0], mask)
        for term in expr.terms[1:]:
            out = pointwise(lambda a, b: rounded(np.asarray(a + b)), out, self.value(term, mask))
        return out

    def number(self, expr: Expr, mask: Value | None) -> Value:
        return precise(self.value(expr, mask))

    def on_pow(self, expr: Pow, mask: Value | None) -> Value:
        return pointwise(np.power, self.number(expr.base, mask), self.number(expr.exponent, mask))

    def on_apply(self, expr: Apply, mask: Value | None) -> Value:
        function = FUNCTIONS[plain_name(expr.function)]
        args = [self.number(a, mask) for a in expr.args]
        return pointwise(lambda *arrays: function(*map(torch.as_tensor, arrays)).resolve_conj().numpy(), *args)

    def on_reduce(self, expr: Reduce, mask: Value | None) -> Value:
        return _Precise(self).on_reduce(expr, mask)

    def on_scan(self, expr: Scan, mask: Value | None) -> Value:
        return _Precise(self).on_scan(expr, mask)


class _Precise(Evaluator):
    """One node in double precision over arguments in single precision."""

    def __init__(self, outer: Single) -> None:
        super().__init__(outer.env)
        self.outer = outer

    def value(self, expr: Expr, mask: Value | None) -> Value:
        found = self.outer.value(expr, mask)
        return precise(found) if found.array.dtype.kind in "fc" else found
