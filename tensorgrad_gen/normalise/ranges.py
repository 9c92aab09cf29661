"""What values an expression can take: intervals, from the domains of inputs, the params and the functions.

An interval holds every value, and may hold more; with all inputs pinned to numbers, an interval of
one number is the value itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from fractions import Fraction

from tensorgrad_gen.algebra.hoist import conjuncts
from tensorgrad_gen.functions.values import INF, VALUES, WHOLE, Interval
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Input,
    Iverson,
    LeviCivita,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Program,
    Reduce,
    Scan,
    Special,
    Sum,
    Where,
)

MOST_STEPS = 50_000  # beyond which nothing more is found out
_UNIT = (0.0, 1.0)
_DOMAINS: dict[str, Interval] = {"positive": (0, INF), "unit": _UNIT, "simplex": _UNIT}
_REVERSED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_SPECIAL: dict[str, Interval] = {"pi": (math.pi, math.pi), "inf": (INF, INF), "nan": WHOLE}


def of_input(item: Input) -> Interval:
    """All values that its domain has."""
    if item.kind != "real":
        return {"bool": _UNIT, "label": (0.0, INF)}.get(item.kind, WHOLE)
    if isinstance(item.domain, tuple):
        return as_float(item.domain[0]), as_float(item.domain[1])
    return _DOMAINS.get(item.domain, WHOLE)


def as_float(value: Fraction) -> float:
    """The nearest float; of what is too large an infinity."""
    try:
        return float(value)
    except OverflowError:
        return INF if value > 0 else -INF


class Ranges:
    """What the expressions of a program can be where inputs are `pinned` to numbers and conditions hold."""

    def __init__(self, program: Program, pinned: Mapping[str, float]) -> None:
        self.tensors = {item.name: of_input(item) for item in program.inputs}
        self.tensors |= {name: (value, value) for name, value in pinned.items()}
        for constant in program.constants:
            values = [as_float(v) for v in constant.values]
            self.tensors[constant.name] = (min(values, default=0.0), max(values, default=0.0))
        self.params = {p.name: p.default for p in program.params}
        self.values = {s.target: s.value for s in program.statements}
        self.known: dict[Expr, Interval] = {}
        self.narrowed: dict[Expr, Interval] = {}
        self.real = {item.name for item in program.inputs if item.kind == "real"}
        self.open = {item.name for item in program.inputs if item.kind == "real" and isinstance(item.domain, str)}
        self.steps = [0]
        self.root = self  # without any condition: those where a tensor is read are about other indices

    def given(self, *conditions: Expr) -> Ranges:
        """The ranges where the conditions hold."""
        inner = copy(self)
        inner.known, inner.narrowed = {}, dict(self.narrowed)
        for condition in (part for c in conditions for part in conjuncts(c)):
            negated = isinstance(condition, Logic) and condition.op == "not"
            compared = condition.children[0] if negated else condition
            if isinstance(compared, Compare):
                op = _NEGATED[compared.op] if negated else compared.op
                inner.narrowed[compared.left] = _cut(self.of(compared.left), op, self.of(compared.right))
                inner.narrowed[compared.right] = _cut(self.of(compared.right), _REVERSED[op], self.of(compared.left))
        return inner

    def of(self, expr: Expr) -> Interval:
        """An interval that holds every value of the expression."""
        if expr in self.narrowed:
            return self.narrowed[expr]
        found = self.known.get(expr)
        if found is None:
            self.steps[0] += 1
            rule = _RULES.get(type(expr))
            found = WHOLE if rule is None or self.steps[0] > MOST_STEPS else rule(self, expr)
            found = WHOLE if math.isnan(found[0]) or math.isnan(found[1]) else found
            self.known[expr] = found
        return found

    def holds(self, condition: Expr) -> bool | None:
        """Whether a condition holds; None where it may or may not."""
        if isinstance(condition, Compare):
            return _compared(self.of(condition.left), condition.op, self.of(condition.right))
        if isinstance(condition, Logic):
            parts = [self.holds(arg) for arg in condition.args]
            if condition.op == "not":
                return None if parts[0] is None else not parts[0]
            decisive = condition.op == "or"
            return decisive if decisive in parts else None if None in parts else not decisive
        return None


def _cut(value: Interval, op: str, other: Interval) -> Interval:
    """The part of an interval that compares so with something in another."""
    low, high = value
    if op in (">", ">=", "=="):
        low = max(low, other[0])
    if op in ("<", "<=", "=="):
        high = min(high, other[1])
    return (low, high) if low <= high else value


def _compared(left: Interval, op: str, right: Interval) -> bool | None:
    if op in ("<", "<="):
        return _compared(right, _REVERSED[op], left)
    if op == "!=":
        same = _compared(left, "==", right)
        return None if same is None else not same
    if op == "==":
        apart = left[0] > right[1] or left[1] < right[0]
        return False if apart else True if left == right and left[0] == left[1] else None
    if op == ">":
        return True if left[0] > right[1] else False if left[1] <= right[0] else None
    return True if left[0] >= right[1] else False if left[1] < right[0] else None


def _times(left: Interval, right: Interval) -> Interval:
    """The product; 0 times infinity is 0, since the infinite end is a bound and no value."""
    ends = [0.0 if 0 in (a, b) else a * b for a in left for b in right]
    return min(ends), max(ends)


def _union(left: Interval, right: Interval) -> Interval:
    return min(left[0], right[0]), max(left[1], right[1])


def power(base: Interval, exponent: float) -> Interval:
    """`base^exponent`, of bases below 0 only where the exponent is whole."""
    low, high = base
    if exponent < 0:
        if low < 0 < high:
            return (0.0, INF) if exponent % 2 == 0 else WHOLE
        positive = power(base, -exponent)
        below = high <= 0 and exponent % 2 == 1
        return (_over(positive[1], below), _over(positive[0], below))
    if exponent % 1:
        low, high = max(low, 0.0), max(high, 0.0)
    elif exponent % 2 == 0:
        low, high = (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
    return _raised(low, exponent), _raised(high, exponent)


def _over(value: float, below: bool) -> float:
    if value == 0:
        return -INF if below else INF
    return 1 / value


def _raised(value: float, exponent: float) -> float:
    try:
        return float(value**exponent)
    except OverflowError:
        return INF if value > 0 or exponent % 2 == 0 else -INF


# One rule a node.


def _access(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Access)
    value = r.values.get(e.tensor)
    return r.tensors.get(e.tensor, WHOLE) if value is None else r.root.of(value)


def _param(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Param)
    default = r.params.get(e.name)
    return WHOLE if default is None else (as_float(default), as_float(default))


def _const(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Const)
    return as_float(e.value), as_float(e.value)


def _add(r: Ranges, e: Expr) -> Interval:
    parts = [r.of(term) for term in e.children]
    return sum(low for low, _ in parts), sum(high for _, high in parts)


def _mul(r: Ranges, e: Expr) -> Interval:
    conditions = [f.condition for f in e.children if isinstance(f, Iverson)]
    answers = [r.holds(c) for c in conditions]
    if False in answers:
        return 0.0, 0.0
    inner = r.given(*conditions) if conditions else r
    product: Interval = (1.0, 1.0)
    for factor in e.children:
        if not isinstance(factor, Iverson):
            product = _times(product, inner.of(factor))
    return _union(product, (0.0, 0.0)) if None in answers else product


def _pow(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Pow)
    base, (low, high) = r.of(e.base), r.of(e.exponent)
    if low == high and math.isfinite(low):
        return power(base, low)
    return (0.0, INF) if base[0] >= 0 else WHOLE


def _apply(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Apply)
    args = tuple(r.of(arg) for arg in e.args)
    if e.function == "abs":
        sizes = [abs(end) for end in args[0]]
        return 0.0 if args[0][0] < 0 < args[0][1] else min(sizes), max(sizes)
    values = VALUES.get(e.function)
    return WHOLE if values is None else values.of(args)


def _sum(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Sum)
    extents = [index.extent for index in e.indices]
    count = math.prod(n for n in extents if isinstance(n, int))
    return _times(r.of(e.body), (count, count if all(isinstance(n, int) for n in extents) else INF))


def _reduce(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Reduce)
    if e.kind in ("any", "all"):
        return _UNIT
    low, high = body = r.of(e.body)
    if e.kind in ("max", "min"):
        return body
    if e.kind == "norm":
        return (0.0, 0.0) if body == (0.0, 0.0) else (0.0, INF)
    if e.kind == "prod":
        return body if body in ((0.0, 0.0), (1.0, 1.0)) else _UNIT if low >= 0 and high <= 1 else _above(low)
    return (low, INF) if e.kind == "logsumexp" else (0.0, INF)


def _above(low: float) -> Interval:
    return (0.0, INF) if low >= 0 else WHOLE


def _scan(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Scan)
    return {"softmax": _UNIT, "log_softmax": (-INF, 0.0), "argsort": (0.0, INF)}.get(e.kind, WHOLE)


def _where(r: Ranges, e: Expr) -> Interval:
    assert isinstance(e, Where)
    answer, opposite = r.holds(e.condition), Logic("not", (e.condition,))
    if answer is not None:
        return r.of(e.then if answer else e.other)
    return _union(r.given(e.condition).of(e.then), r.given(opposite).of(e.other))


def _iverson(r: Ranges, e: Expr) -> Interval:
    answer = r.holds(e.children[0])
    return _UNIT if answer is None else (float(answer), float(answer))


_RULES: dict[type, Callable[[Ranges, Expr], Interval]] = {
    Access: _access,
    Const: _const,
    Param: _param,
    Special: lambda r, e: _SPECIAL[e.name] if isinstance(e, Special) else WHOLE,
    Extent: lambda r, e: (1.0, INF),
    Position: lambda r, e: (0.0, INF),
    Delta: lambda r, e: _UNIT,
    LeviCivita: lambda r, e: (-1.0, 1.0),
    Add: _add,
    Mul: _mul,
    Pow: _pow,
    Apply: _apply,
    Sum: _sum,
    Reduce: _reduce,
    Scan: _scan,
    Where: _where,
    Iverson: _iverson,
}
