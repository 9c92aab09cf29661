"""Pointwise code: sums, products, powers, functions, conditions, and what is read only where a condition holds."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.hidden_zeros import masked_divisors, zero_outside
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, split_power
from tensorgrad_gen.ir import (
    Add,
    Apply,
    Const,
    Delta,
    Expr,
    Extent,
    Iverson,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Special,
    Where,
    add,
    mul,
)
from tensorgrad_gen.ir import number as constant
from tensorgrad_gen.lower.arith import ONE, over, pointwise, product, times, total
from tensorgrad_gen.lower.builder import Builder, Rule, is_integer, rational
from tensorgrad_gen.lower.counts import count_above_zero
from tensorgrad_gen.lower.masks import on_small_factors, size_or, under_one_mask
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.torch_functions import SAFE_AT_TWO, SINGULAR, SINGULAR_AT_ONE, SPELLINGS
from tensorgrad_gen.lower.torch_ir import Call, Infix, Lit, Method, TExpr, Var
from tensorgrad_gen.lower.values import LoweringError, Val, align, named
from tensorgrad_gen.lower.windows import unpadded

HALF = Fraction(1, 2)


def _lower_const(b: Builder, node: Const, order: Layout) -> Val:
    return Val(rational(node.value), kind="number")


def _lower_special(b: Builder, node: Special, order: Layout) -> Val:
    if node.name == "pi":
        return Val(Var("math.pi"), kind="number")
    return Val(Lit(math.inf if node.name == "inf" else math.nan), kind="number")


def _lower_param(b: Builder, node: Param, order: Layout) -> Val:
    b.reads.add(node.name)
    return Val(Var(local_name(node.name)), kind="number")


def _lower_extent(b: Builder, node: Extent, order: Layout) -> Val:
    return Val(b.extent(node.symbol), kind="number")


def position(b: Builder, node: Position, order: Layout, real: bool) -> Val:
    """`0, 1, 2, ...` along the index, as integers or in the compute dtype."""
    key = ("position", node.index, real)
    found = b.recall(key)
    if found is None:
        dtype = (("dtype", b.like_attr("dtype")),) if real else ()
        expr = Call("torch.arange", (b.size(node.index),), (*dtype, ("device", b.like_attr("device"))))
        hint = f"real_{node.index.name}" if real else f"at_{node.index.name}"
        found = b.temp(hint, Val(expr, (node.index,), "real" if real else "label"))
        b.remember(key, found)
    return align(found, order)


def _lower_position(b: Builder, node: Position, order: Layout) -> Val:
    return position(b, node, order, real=True)


def _lower_add(b: Builder, node: Add, order: Layout) -> Val:
    from tensorgrad_gen.lower.deltas import add_diagonals, add_scattered, scattered

    found = add_diagonals(b, node, order) if b.bare else None
    if found is not None:
        return found
    chosen = [term for term in node.terms if scattered(term)]
    if len(chosen) == 1 and len(node.terms) > 1:
        others = tuple(term for term in node.terms if term is not chosen[0])
        return add_scattered(b, chosen[0], others, order)
    if (choice := _choice(node)) is not None:
        return _lower_where(b, choice, order)
    if (common := under_one_mask(node)) is not node:
        return b.lower(common, order)
    return total(b, [b.lower(term, order) for term in node.terms])


def _choice(node: Add) -> Where | None:
    """`1 - 1/2 [c]` as 1/2 where `c` holds, else 1: one pass, where the sum takes three."""
    chosen = [term for term in node.terms if any(isinstance(f, Iverson) for f in factors_of(term))]
    numbers = [term for term in node.terms if scalar(term)]
    if len(node.terms) != len(chosen) + len(numbers) or len(chosen) != 1:
        return None
    conditions = [f.condition for f in factors_of(chosen[0]) if isinstance(f, Iverson)]
    scale = [f for f in factors_of(chosen[0]) if not isinstance(f, Iverson)]
    if len(conditions) != 1 or not accesses(conditions[0]) or not all(map(scalar, scale)):
        return None
    return Where(conditions[0], add(*numbers, mul(*scale)), add(*numbers))


def _lower_mul(b: Builder, node: Mul, order: Layout) -> Val:
    from tensorgrad_gen.lower.deltas import lower_delta_product, scattered

    if scattered(node):
        return lower_delta_product(b, node.factors, order)
    padded, factors = unpadded(b, node.factors)
    with b.padding(padded):
        return _product(b, factors, order)


def _product(b: Builder, factors: tuple[Expr, ...], order: Layout) -> Val:
    from tensorgrad_gen.lower.contract import scaled_contraction
    from tensorgrad_gen.lower.deltas import lower_delta_product

    conditions = tuple(f.condition for f in factors if isinstance(f, Iverson))
    rest = tuple(f for f in factors if not isinstance(f, Iverson))
    if conditions:
        return masked(b, conditions, rest, order)
    if any(isinstance(f, Delta) for f in rest):
        return lower_delta_product(b, rest, order)
    if (found := scaled_contraction(b, rest, order)) is not None:
        return found
    above, below = collect(b, rest, order)
    return product(b, above, below)


def collect(b: Builder, factors: tuple[Expr, ...], order: Layout) -> tuple[list[Val], list[Val]]:
    """The factors' values, and those that divide."""
    above: list[Val] = []
    below: list[Val] = []
    for factor in factors:
        exponent = constant(factor.exponent) if isinstance(factor, Pow) else None
        if isinstance(factor, Pow) and exponent is not None and exponent < 0:
            single = b.lower(factor.base, order) if exponent in (-2, -3) and not b.guards else None
            if single is not None and named(single.expr) and single.kind != "number":
                below += [single] * -int(exponent)  # divided by twice: the square may be beyond the dtype
                continue
            val, divides = _reciprocal_power(b, factor.base, -exponent, order)
            (below if divides else above).append(val)
        else:
            above.append(b.lower(factor, order))
    return above, below


def masked(b: Builder, conditions: tuple[Expr, ...], rest: tuple[Expr, ...], order: Layout) -> Val:
    """The product where the conditions hold, 0 elsewhere; nothing singular is computed where they do not."""
    found = _vanishing(b, conditions, rest) or on_small_factors(b, conditions, rest)
    if found is not None:
        return b.lower(found, order)
    outer = b.guards
    with b.guarded(*conditions):
        inner = b.lower(rest[0] if len(rest) == 1 else Mul(rest), order) if rest else ONE
    mask = b.made_mask(conditions, order, outer) or b.conjunction(conditions, order, outer)
    if inner.kind == "number":
        return times(inner, b.real(mask))
    mask = b.tensor(mask)
    inner = b.real(inner)
    return pointwise(Call("torch.where", (mask.expr, inner.expr, Lit(0))), mask, inner, kind="real")


def _vanishing(b: Builder, conditions: tuple[Expr, ...], rest: tuple[Expr, ...]) -> Expr | None:
    """The product without its conditions, if beside its divisors it has what is 0 where each of them is false."""
    above = [base for base, exponent in map(split_power, rest) if exponent > 0]
    if not all(any(zero_outside(base, c, b.program) for base in above) for c in conditions):
        return None
    factors = masked_divisors(rest, conditions)
    return None if factors is None else mul(*factors)


def safe(b: Builder, val: Val, order: Layout, point: int = 1) -> Val:
    """The argument of a singular function: `point` where it is not read."""
    if val.kind == "number":
        return val
    mask = b.guard(order)
    if mask is None:
        return val
    return pointwise(Call("torch.where", (mask.expr, val.expr, Lit(point))), mask, val, kind="real")


def _reciprocal_power(b: Builder, base: Expr, exponent: Fraction, order: Layout) -> tuple[Val, bool]:
    """`1 / base^exponent` as a divisor, or as a factor if torch has one (then False)."""
    val = count_above_zero(b, base, order) or safe(b, b.lower(base, order), order)
    if exponent == HALF and val.kind != "number":
        return val.over(Call("torch.rsqrt", (val.expr,))), False
    return _power(b, base, val, exponent), True


def _power(b: Builder, base: Expr, val: Val, exponent: Fraction) -> Val:
    """A positive rational power."""
    if exponent == 1:
        return val
    if val.kind == "number":
        if exponent.denominator == 1:
            return Val(Infix("**", val.expr, Lit(int(exponent))), kind="number")
        if exponent == HALF and _not_negative(base):
            return Val(Call("math.sqrt", (val.expr,)), kind="number")
        return Val(Call("_runtime.power", (val.expr, rational(exponent))), kind="number")
    val = b.real(val)
    if exponent == HALF:
        return val.over(Call("torch.sqrt", (val.expr,)))
    if exponent == 2:
        return SPELLINGS["square"](b, (val,))
    return val.over(Call("torch.pow", (val.expr, rational(exponent))))


def _not_negative(expr: Expr) -> bool:
    """Whether a number is surely 0 or more."""
    if isinstance(expr, Const):
        return expr.value >= 0
    if isinstance(expr, Mul):
        return all(_not_negative(factor) for factor in expr.factors)
    return isinstance(expr, Extent) or (isinstance(expr, Special) and expr.name == "pi")


def _lower_pow(b: Builder, node: Pow, order: Layout) -> Val:
    exponent = constant(node.exponent)
    if exponent is None:
        base, power = b.lower(node.base, order), b.lower(node.exponent, order)
        smaller = power.kind != "number" and node.exponent.free < node.base.free
        if smaller and all(g.free <= node.exponent.free for g in b.guards):
            power = safe(b, power, order, 0)  # `x^0` is 1, as `1^p` is
        else:
            base = safe(b, base, order)
        if base.kind == "number" and power.kind == "number":
            return Val(Call("_runtime.power", (base.expr, power.expr)), kind="number")
        return SPELLINGS["pow"](b, (base, power))
    if exponent < 0:
        val, divides = _reciprocal_power(b, node.base, -exponent, order)
        return over(ONE, val) if divides else val
    base = b.lower(node.base, order)
    return _power(b, node.base, base if exponent.denominator == 1 else safe(b, base, order), exponent)


def _lower_apply(b: Builder, node: Apply, order: Layout) -> Val:
    spell = SPELLINGS.get(node.function)
    if spell is None:
        raise LoweringError(f"torch has no spelling for {node.function}")
    if node.function in _IN_MATH and _constant(node):
        (arg,) = node.args
        return Val(Call(f"math.{node.function}", (b.lower(arg, order).expr,)), kind="number")
    args = [b.lower(arg, order) for arg in node.args]
    for table, point in ((SINGULAR, 1), (SINGULAR_AT_ONE, 0), (SAFE_AT_TWO, 2)):
        for place in table.get(node.function, ()):
            args[place] = safe(b, args[place], order, point)
    return spell(b, tuple(args))


_IN_MATH = {"exp": math.exp, "log": math.log, "sin": math.sin, "cos": math.cos, "tanh": math.tanh, "sqrt": math.sqrt}


def _constant(node: Apply) -> bool:
    """Whether the value of the function, known while building, is an ordinary number."""
    try:
        _IN_MATH[node.function](_value(node.args[0]))
    except (ArithmeticError, ValueError, LoweringError):
        return False
    return True


def _value(expr: Expr) -> float:
    """The value of an expression without sizes, params and tensors."""
    if isinstance(expr, Const):
        return float(expr.value)
    if isinstance(expr, Special) and expr.name == "pi":
        return math.pi
    if isinstance(expr, Mul):
        return math.prod(_value(factor) for factor in expr.factors)
    if isinstance(expr, Add):
        return math.fsum(_value(term) for term in expr.terms)
    if isinstance(expr, Apply) and expr.function in _IN_MATH:
        return _IN_MATH[expr.function](_value(expr.args[0]))
    raise LoweringError("not a constant")


def _lower_iverson(b: Builder, node: Iverson, order: Layout) -> Val:
    return b.real(b.condition(node.condition, order))


def _lower_where(b: Builder, node: Where, order: Layout) -> Val:
    return where(b, node, order, "real")


def where(b: Builder, node: Where, order: Layout, kind: str) -> Val:
    """A choice between two values, conditions or labels; of each only what is chosen is read."""
    if kind == "real" and (found := size_or(b, node, order)) is not None:
        return found
    lower = {"real": b.lower, "bool": b.condition, "label": b.integer}[kind]
    outer = b.guards
    opposite = negated(node.condition)
    with b.guarded(node.condition):
        then = lower(node.then, order)
    with b.guarded(opposite):
        other = b.lowest() if kind == "real" and node in b.finite else lower(node.other, order)
    mask = b.made_mask((node.condition,), order, outer)
    mask = mask or b.tensor(b.conjunction((node.condition,), order, outer))
    if then.scalar and other.scalar:
        then = b.tensor(then)
    return pointwise(Call("torch.where", (mask.expr, then.expr, other.expr)), mask, then, other, kind=kind)


def negated(condition: Expr) -> Expr:
    """The opposite condition."""
    if isinstance(condition, Logic) and condition.op == "not":
        return condition.args[0]
    return Logic("not", (condition,))


# Integers.


def _integer_const(b: Builder, node: Const, order: Layout) -> Val:
    return Val(Lit(int(node.value)), kind="number")


def _integer_position(b: Builder, node: Position, order: Layout) -> Val:
    return position(b, node, order, real=False)


def _integer_where(b: Builder, node: Where, order: Layout) -> Val:
    return where(b, node, order, "label")


def _integer_add(b: Builder, node: Add, order: Layout) -> Val:
    return _integers("+", [b.integer(term, order) for term in node.terms])


def _integer_mul(b: Builder, node: Mul, order: Layout) -> Val:
    return _integers("*", [b.integer(factor, order) for factor in node.factors])


def _integer_apply(b: Builder, node: Apply, order: Layout) -> Val:
    """`mod` and `clamp` of integers; `floor` and the like of a quotient, `min`, `max`, by way of the compute dtype."""
    if is_integer(node, b.labels):
        args = tuple(b.integer(arg, order) for arg in node.args)
        if not args[0].scalar and all(arg.scalar for arg in args[1:]):
            return replace(SPELLINGS[node.function](b, args), kind="label")
    val = b.tensor(_lower_apply(b, node, order))
    return val.over(Method(val.expr, "long"), kind="label")


def _integers(op: str, parts: list[Val]) -> Val:
    whole = parts[0]
    for part in parts[1:]:
        kind = "number" if whole.scalar and part.scalar else "label"
        taken = _without_minus(part.expr) if op == "+" else None
        expr = Infix(op, whole.expr, part.expr) if taken is None else Infix("-", whole.expr, taken)
        whole = pointwise(expr, whole, part, kind=kind)
    return whole


def _without_minus(expr: TExpr) -> TExpr | None:
    """`n` of `-n`, None of what has no minus."""
    match expr:
        case Lit(int(value)) if value < 0:
            return Lit(-value)
        case Infix("*", Lit(-1), other):
            return other
    return None


REAL: dict[type, Rule] = {
    Const: _lower_const,
    Special: _lower_special,
    Param: _lower_param,
    Extent: _lower_extent,
    Position: _lower_position,
    Add: _lower_add,
    Mul: _lower_mul,
    Pow: _lower_pow,
    Apply: _lower_apply,
    Iverson: _lower_iverson,
    Where: _lower_where,
}
LABEL: dict[type, Rule] = {
    Const: _integer_const,
    Param: _lower_param,
    Extent: _lower_extent,
    Position: _integer_position,
    Add: _integer_add,
    Mul: _integer_mul,
    Apply: _integer_apply,
    Where: _integer_where,
}
