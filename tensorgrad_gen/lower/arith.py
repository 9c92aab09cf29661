"""Arithmetic on values that fit one order.  What has fewer axes is multiplied first, Python numbers once."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.ir import Index
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.torch_ir import Call, Infix, Lit, Prefix, TExpr
from tensorgrad_gen.lower.values import Val, align, merge

ADDCMUL = "torch.addcmul"
ONE = Val(Lit(1), kind="number")


def pointwise(expr: TExpr, *parts: Val, kind: str | None = None) -> Val:
    """A pointwise combination of values that fit one order."""
    layout, loose = merge(*parts)
    if kind is None:
        kind = "number" if all(part.scalar for part in parts) else "real"
    return Val(expr, layout, kind, loose)


def times(left: Val, right: Val) -> Val:
    """The product, `1` and `-1` folded."""
    for one, other in ((left, right), (right, left)):
        if one.expr == Lit(1) and one.kind == "number":
            return other
        if one.expr == Lit(-1) and one.kind == "number":
            return negative(other)
    whole = pointwise(Infix("*", left.expr, right.expr), left, right)
    spreads = len(left.indices) < len(whole.indices) > len(right.indices) and not (left.scalar or right.scalar)
    return replace(whole, spread=(left.expr, right.expr)) if spreads else whole


def negative(val: Val) -> Val:
    """Minus the value."""
    match val.expr:
        case Prefix("-", operand):
            return val.over(operand)
        case Lit(int() | float() as number):
            return val.over(Lit(-number))
        case Infix("*" | "/" as op, left, right) if isinstance(left, Lit | Prefix):
            return val.over(Infix(op, negative(Val(left)).expr, right))
    return val.over(Prefix("-", val.expr))


def in_one_pass(val: Val) -> TExpr:
    """A value of a statement, the sign of a product of two matrices taken into it."""
    match val.expr:
        case Prefix("-", Infix("@", left, right)) if len(val.layout) > 1:
            return Call("_runtime.minus_matmul", (left, right))
    return val.expr


def over(left: Val, right: Val) -> Val:
    """The quotient; between Python numbers, as tensors divide."""
    if right.expr == Lit(1):
        return left
    if left.kind == "number" and right.kind == "number":
        safe = isinstance(right.expr, Lit) and right.expr.value != 0
        expr: TExpr = Infix("/", left.expr, right.expr)
        return Val(expr if safe else Call("_runtime.ratio", (left.expr, right.expr)), kind="number")
    if left.expr == Lit(1) and right.kind == "real":  # `1 / x` is the reciprocal times 1
        return right.over(Call("torch.reciprocal", (right.expr,)))
    return pointwise(Infix("/", left.expr, right.expr), left, right)


def plus(left: Val, right: Val) -> Val:
    """The sum; a right side that has a minus in it is subtracted."""
    positive = unsigned(right.expr)
    if positive is not None:
        return pointwise(Infix("-", left.expr, positive), left, right)
    return pointwise(Infix("+", left.expr, right.expr), left, right)


def unsigned(expr: TExpr) -> TExpr | None:
    """The expression without its minus, if it or a factor of it has one."""
    match expr:
        case Prefix("-", operand):
            return operand
        case Lit(int() | float() as number):
            return Lit(-number) if number < 0 else None
        case Infix("*" | "/" as op, left, right):
            first = unsigned(left)
            if first is not None:
                return right if op == "*" and first == Lit(1) else Infix(op, first, right)
            second = unsigned(right)
            if second is not None:
                return left if second == Lit(1) else Infix(op, left, second)
    return None


def total(b: Builder, terms: list[Val]) -> Val:
    """The sum of the terms: a positive one first if there is one, Python numbers together.

    A product that spreads is added as it is made: `addcmul`, where the sum is of real tensors.
    """
    numbers = [t for t in terms if t.kind == "number"]
    tensors = [b.real(t) for t in terms if t.kind != "number"]
    numbers.sort(key=_is_negative)
    if not tensors:
        return _chain(numbers)
    if len(tensors) > 1 and not b.complex:
        tensors = _multiplied_and_added(tensors)
    lead = next((k for k, t in enumerate(tensors) if not _is_negative(t)), None)
    if lead is None and numbers:
        return _chain([_chain(numbers), *tensors])
    first = tensors.pop(lead or 0)
    return _chain([first, *tensors, *([_chain(numbers)] if numbers else [])])


def _multiplied_and_added(terms: list[Val]) -> list[Val]:
    """The terms, each product that spreads added to another one: to one that does not if there is one."""
    first = min(terms, key=lambda t: (_is_negative(t), t.spread is not None))
    spreading = [t for t in terms if t.spread is not None and t is not first]
    result = first
    for term in spreading:
        result = pointwise(_add_product(result, term), result, term)
    return [result, *(t for t in terms if t is not first and t not in spreading)]


def _add_product(left: Val, right: Val) -> Call:
    """`left + a b`, or `left - a b`, in one pass."""
    assert right.spread is not None
    match unsigned(Infix("*", *right.spread)):
        case Infix("*", a, b):
            return Call(ADDCMUL, (left.expr, a, b), (("value", Lit(-1)),))
    return Call(ADDCMUL, (left.expr, *right.spread))


def _chain(terms: list[Val]) -> Val:
    result = terms[0]
    for term in terms[1:]:
        result = plus(result, term)
    return result


def _is_negative(val: Val) -> bool:
    return unsigned(val.expr) is not None


def product(b: Builder, above: list[Val], below: list[Val]) -> Val:
    """The quotient of two products: each factor goes into the smallest that has its indices, larger by smaller ones."""
    scale_above, scale_below = _scale(
        [v for v in above if v.kind == "number"], [v for v in below if v.kind == "number"]
    )
    groups: dict[frozenset[Index], tuple[list[Val], list[Val]]] = {}
    for side, vals in enumerate((above, below)):
        for val in vals:
            if val.kind != "number":
                if isinstance(val.expr, Prefix) and val.expr.op == "-":  # a minus costs nothing on a number
                    val, scale_above = negative(val), negative(scale_above)
                groups.setdefault(frozenset(val.indices), ([], []))[side].append(b.real(val))
    if not groups:
        return over(scale_above, scale_below)
    smallest = min(groups, key=len)
    if len(groups) == 1 or not groups[smallest][0]:
        smallest = next((key for key in sorted(groups, key=len) if groups[key][0]), smallest)
    if len(groups) == 1 and not _reduced(next(iter(groups.values()))):
        scale_above, scale_below = _joined(scale_above, scale_below)
    parts: dict[frozenset[Index], tuple[Val, bool]] = {}
    for key in sorted(groups, key=lambda k: -len(k)):
        numerator, denominator = groups[key]
        top = scale_above if key == smallest else ONE
        bottom = scale_below if key == smallest else ONE
        parts[key] = _quotient(numerator, denominator, top, bottom)
    return _combine(_gathered(parts))


def _gathered(parts: dict[frozenset[Index], tuple[Val, bool]]) -> list[tuple[Val, bool]]:
    """The parts, the larger first, each factor multiplied into the smallest one that has its indices and more."""
    left = dict(parts)
    for key in sorted(parts, key=len):
        homes = [other for other in left if other > key and not left[other][1]]
        if homes and not left[key][1]:
            home = min(homes, key=len)
            left[home] = times(left[home][0], left.pop(key)[0]), False
    return list(left.values())


def _scale(above: list[Val], below: list[Val]) -> tuple[Val, Val]:
    """Python numbers above and below as one factor, or one divisor where that is all there is."""
    top, bottom = ONE, ONE
    for val in above:
        top = times(top, val)
    for val in below:
        bottom = times(bottom, val)
    match top.expr:
        case Infix("/", Lit(1), Lit() as divisor):  # 1/3 x is x / 3
            return ONE, times(Val(divisor, kind="number"), bottom)
        case Prefix("-", Infix("/", Lit(1), Lit() as divisor)):
            return Val(Lit(-1), kind="number"), times(Val(divisor, kind="number"), bottom)
    return top, bottom


def _reduced(group: tuple[list[Val], list[Val]]) -> bool:
    """Whether the factors have been summed over something, so that another operation on them costs little."""
    return all(not val.indices or None in val.layout for side in group for val in side)


def _joined(top: Val, bottom: Val) -> tuple[Val, Val]:
    """One factor for a large tensor instead of a factor and a divisor."""
    if top.expr in (Lit(1), Lit(-1)) or bottom.expr == Lit(1):
        return top, bottom
    return over(top, bottom), ONE


def _quotient(above: list[Val], below: list[Val], top: Val, bottom: Val) -> tuple[Val, bool]:
    """One factor, and whether it divides."""
    if not above and top.expr == Lit(1) and bottom.expr == Lit(1):
        divisor = below[0]
        for val in below[1:]:
            divisor = times(divisor, val)
        return divisor, True
    sign = top.expr == Lit(-1)
    vals = ([] if sign or top.expr == Lit(1) else [top]) + above
    result = vals[0] if vals else ONE
    for val in vals[1:]:
        result = times(result, val)
    if sign and bottom.expr != Lit(1):  # the sign costs nothing on a Python number
        sign, bottom = False, negative(bottom)
    for val in (*below, *([] if bottom.expr == Lit(1) else [bottom])):
        result = over(result, val)
    return (negative(result) if sign else result), False


def _combine(parts: list[tuple[Val, bool]]) -> Val:
    factors = [val for val, divides in parts if not divides]
    result = factors[0] if factors else ONE
    for factor in factors[1:]:
        result = times(result, factor)
    for val, divides in parts:
        if divides:
            result = over(result, val)
    return result


def fit(b: Builder, val: Val, order: Layout) -> Val:
    """The value aligned to the order; a Python number as it is."""
    return val if val.scalar else align(val, order)
