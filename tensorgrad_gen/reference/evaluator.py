"""The value of an expression: one obvious rule a node.

`mask` says where a value will be read (`None`: everywhere).  Only there must labels be in range;
what a condition hides is computed with label 0 and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    IRError,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Reduce,
    Root,
    Scan,
    Special,
    Sub,
    Sum,
    Where,
)
from tensorgrad_gen.notation import print_expr
from tensorgrad_gen.reference.reductions import matrix_function, reduction, scan, total
from tensorgrad_gen.reference.roots import solution
from tensorgrad_gen.reference.values import Env, EvaluationError, Value, aligned, pointwise, scalar, spread

SPECIAL = {"pi": np.pi, "inf": np.inf, "nan": np.nan}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def evaluate_expr(expr: Expr, env: Env) -> tuple[np.ndarray[Any, Any], tuple[Index, ...]]:
    """The value as an array, and what index each of its axes is."""
    with np.errstate(all="ignore"):
        value = Evaluator(env).value(expr, None)
    return value.array, value.indices


class Evaluator:
    """Evaluates expressions in one environment; shared nodes once."""

    def __init__(self, env: Env) -> None:
        self.env = env
        # The mask is kept beside the value, so that its id stays its own.
        self.known: dict[tuple[Expr, int], tuple[Value, Value | None]] = {}

    def value(self, expr: Expr, mask: Value | None) -> Value:
        """The value where `mask` holds; anything elsewhere."""
        key = (expr, id(mask))
        if key not in self.known:
            rule = getattr(self, f"on_{type(expr).__name__.lower()}", None)
            if rule is None:
                raise IRError(f"no value for {type(expr).__name__}")
            self.known[key] = (rule(expr, mask), mask)
        return self.known[key][0]

    def on_const(self, expr: Const, mask: Value | None) -> Value:
        return scalar(float(expr.value))

    def on_special(self, expr: Special, mask: Value | None) -> Value:
        return scalar(SPECIAL[expr.name])

    def on_param(self, expr: Param, mask: Value | None) -> Value:
        return scalar(float(self.env.params[expr.name]))

    def on_extent(self, expr: Extent, mask: Value | None) -> Value:
        return scalar(float(expr.symbol if expr.symbol.isdigit() else self.env.extents[expr.symbol]))

    def on_position(self, expr: Position, mask: Value | None) -> Value:
        return Value(np.arange(self.env.extent(expr.index), dtype=np.float64), (expr.index,))

    def positions(self, sub: Sub, mask: Value | None) -> Value:
        """The positions that a subscript reads, as integers."""
        if isinstance(sub, Index):
            return Value(np.arange(self.env.extent(sub)), (sub,))
        label = self.value(sub, mask)
        return Value(np.rint(label.array).astype(np.int64), label.indices)

    def on_access(self, expr: Access, mask: Value | None) -> Value:
        tensor = self.env.tensors[expr.tensor]
        if not expr.subs:
            return Value(tensor)
        checked = [self.in_range(expr, axis, tensor.shape[axis], mask) for axis in range(tensor.ndim)]
        arrays, indices = aligned(*checked)
        if 0 in tensor.shape:  # nothing is read, or `in_range` would have said so
            return Value(np.zeros([self.env.extent(i) for i in indices], tensor.dtype), indices)
        return Value(tensor[tuple(arrays)], indices)

    def in_range(self, expr: Access, axis: int, length: int, mask: Value | None) -> Value:
        """The positions read along one axis; where masked, 0 for those outside."""
        sub = expr.subs[axis]
        positions = self.positions(sub, mask)
        inside = Value((positions.array >= 0) & (positions.array < length), positions.indices)
        read = mask or scalar(True)  # noqa: FBT003 - a number, no flag
        if np.any(pointwise(lambda ok, used: ~ok & used, inside, read).array):
            shown = sub.name if isinstance(sub, Index) else print_expr(sub)
            raise EvaluationError(f"{shown} is outside axis {axis} of {expr.tensor}, which has length {length}")
        return pointwise(lambda p, ok: np.where(ok, p, 0), positions, inside)

    def on_delta(self, expr: Delta, mask: Value | None) -> Value:
        left, right = self.positions(expr.left, mask), self.positions(expr.right, mask)
        return pointwise(lambda p, q: (p == q).astype(np.float64), left, right)

    def on_levicivita(self, expr: LeviCivita, mask: Value | None) -> Value:
        def sign(*places: Any) -> Any:
            out = np.float64(1)
            for k, place in enumerate(places):
                for earlier in places[:k]:
                    out = out * np.sign(place - earlier)
            return out

        return pointwise(sign, *(self.positions(i, mask) for i in expr.subs))

    def on_add(self, expr: Add, mask: Value | None) -> Value:
        return pointwise(lambda *terms: sum(terms, np.float64(0)), *(self.value(t, mask) for t in expr.terms))

    def on_mul(self, expr: Mul, mask: Value | None) -> Value:
        conditions = [f.condition for f in expr.factors if isinstance(f, Iverson)]
        rest = [f for f in expr.factors if not isinstance(f, Iverson)]
        if not conditions:
            return pointwise(_product, *(self.value(f, mask) for f in rest))
        holds = self.value(Logic("and", tuple(conditions)), mask)
        inside = self.both(mask, holds)
        product = pointwise(_product, *(self.value(f, inside) for f in rest)) if rest else scalar(1.0)
        return pointwise(lambda c, p: np.where(c, p, 0), holds, product)

    def on_pow(self, expr: Pow, mask: Value | None) -> Value:
        return pointwise(np.power, self.number(expr.base, mask), self.number(expr.exponent, mask))

    def on_apply(self, expr: Apply, mask: Value | None) -> Value:
        return pointwise(FUNCTIONS[expr.function].evaluate, *(self.number(a, mask) for a in expr.args))

    def number(self, expr: Expr, mask: Value | None) -> Value:
        """The value, an integer as a float: a power of an integer need not be one."""
        value = self.value(expr, mask)
        return Value(value.array.astype(np.float64), value.indices) if value.array.dtype.kind in "iub" else value

    def on_compare(self, expr: Compare, mask: Value | None) -> Value:
        return pointwise(COMPARE[expr.op], self.value(expr.left, mask), self.value(expr.right, mask))

    def on_logic(self, expr: Logic, mask: Value | None) -> Value:
        """From left to right: what the conditions so far decide is not read again."""
        if expr.op == "not":
            return pointwise(np.logical_not, self.value(expr.args[0], mask))
        so_far = self.value(expr.args[0], mask)
        for arg in expr.args[1:]:
            open_ = so_far if expr.op == "and" else pointwise(np.logical_not, so_far)
            join = np.logical_and if expr.op == "and" else np.logical_or
            so_far = pointwise(join, so_far, self.value(arg, self.both(mask, open_)))
        return so_far

    def both(self, mask: Value | None, condition: Value) -> Value:
        """Where the mask and the condition hold."""
        return condition if mask is None else pointwise(np.logical_and, mask, condition)

    def on_iverson(self, expr: Iverson, mask: Value | None) -> Value:
        return pointwise(lambda c: c.astype(np.float64), self.value(expr.condition, mask))

    def on_where(self, expr: Where, mask: Value | None) -> Value:
        holds = self.value(expr.condition, mask)
        then = self.value(expr.then, self.both(mask, holds))
        other = self.value(expr.other, self.both(mask, pointwise(np.logical_not, holds)))
        return pointwise(np.where, holds, then, other)

    def outside(self, mask: Value | None, indices: tuple[Index, ...]) -> Value | None:
        """The mask of what is read at all positions of `indices`, if it is read at any."""
        if mask is None or not set(indices) & set(mask.indices):
            return mask
        axes = tuple(mask.indices.index(i) for i in indices if i in mask.indices)
        return Value(np.any(mask.array, axis=axes), tuple(i for i in mask.indices if i not in indices))

    def on_sum(self, expr: Sum, mask: Value | None) -> Value:
        body = self.number(expr.body, self.outside(mask, expr.indices))
        return total(body, expr.indices, self.env)

    def on_reduce(self, expr: Reduce, mask: Value | None) -> Value:
        body = self.value(expr.body, self.outside(mask, expr.indices))
        return reduction(expr.kind, body, expr.indices, self.env)

    def on_scan(self, expr: Scan, mask: Value | None) -> Value:
        body = self.value(expr.body, self.outside(mask, expr.indices))
        return scan(expr.kind, body, expr.indices, self.env)

    def on_linalg(self, expr: Linalg, mask: Value | None) -> Value:
        mask = self.outside(mask, (*expr.rows, *expr.cols))
        rhs = None if expr.rhs is None else self.value(expr.rhs, mask)
        return matrix_function(expr, self.value(expr.matrix, mask), rhs, self.env)

    def on_root(self, expr: Root, mask: Value | None) -> Value:
        items = expr.problem.program.inputs
        arrays = [spread(self.value(arg, None), i.indices, self.env) for arg, i in zip(expr.args, items, strict=True)]
        tensors = dict(zip((i.name for i in items), arrays, strict=True))

        def residual(unknown: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            env = replace(self.env, tensors={**tensors, expr.problem.unknown: unknown})
            return Evaluator(env).assigned(expr.problem.residual.value, expr.problem.residual.indices)

        found = solution(expr.problem, residual, arrays[0].astype(float))
        whole = replace(self.env, tensors={**self.env.tensors, expr.problem.unknown: found})
        return Evaluator(whole).value(Access(expr.problem.unknown, expr.subs), mask)

    def assigned(self, expr: Expr, indices: tuple[Index, ...]) -> np.ndarray[Any, Any]:
        """The value as a tensor with the axes `indices`."""
        return spread(self.value(expr, None), indices, self.env)


def _product(*factors: Any) -> Any:
    out = factors[0]
    for factor in factors[1:]:
        out = out * factor
    return out
