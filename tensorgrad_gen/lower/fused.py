"""Products that PyTorch has one operator for: a cotangent times the derivative of a function that it knows.

In `_runtime` the operator has the composed form beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import accesses, substitute, walk
from tensorgrad_gen.algebra.hoist import renamed, scalar
from tensorgrad_gen.algebra.known_derivatives import is_plain, known_derivative
from tensorgrad_gen.algebra.parts import factors_of, terms_of, wants_its_mask
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Delta,
    Expr,
    Index,
    Iverson,
    LeviCivita,
    Mul,
    Program,
    Statement,
    Sum,
    Where,
    add,
    const,
    mul,
    neg,
    number,
)
from tensorgrad_gen.plan.model import Step

ONE = const(1)


@dataclass(frozen=True, slots=True)
class Fused:
    """A product as a call of `_runtime`: of tensors and numbers, or along an axis, times the numbers."""

    name: str
    operands: tuple[Expr, ...]
    numbers: tuple[Expr, ...] = ()
    axis: Index | None = None
    inside: tuple[Access, Expr] | None = None  # a tensor that is computed by the call, and what it is


def fused(step: Step, steps: Iterable[Step], program: Program) -> dict[Expr, Fused]:
    """The products in a step of backward that are one call, found before it is lowered."""
    if isinstance(step.value, Sum):
        return {}
    forward = {s.target: s for s in program.statements}
    table = {other.target: other for other in steps}
    found: dict[Expr, Fused] = {}
    for term in terms_of(step.value):
        match = None if not isinstance(term, Mul) else _fused(term, table, program)
        if match is not None:
            found[term] = match
        elif isinstance(term, Mul) and (unmasked := _unmasked(term)) is not None:
            match = _softmax(unmasked, table)
            if match is not None:
                found[unmasked] = match
    for part in (step.value, *factors_of(step.value)):
        match = _log_softmax(part, table, forward)
        if match is None and isinstance(part, Add):  # `exp(y) sum_h g - g`
            opposite = _log_softmax(add(*map(neg, part.terms)), table, forward)
            match = None if opposite is None else replace(opposite, numbers=(const(-1),))
        if match is not None:
            found[part] = match
    return found


def _fused(term: Mul, table: dict[str, Step], program: Program) -> Fused | None:
    if any(isinstance(f, Delta | LeviCivita) for f in term.factors):
        return None
    masks = [f for f in term.factors if isinstance(f, Iverson)]
    if masks:
        return _threshold(term, masks)
    return (
        _softmax(term, table)
        or _piecewise(term)
        or _derivative(term, program)
        or _logistic(term, table)
        or _sigmoid(term)
    )


def _unmasked(term: Mul) -> Mul | None:
    """The product without its masks, as it is lowered under them."""
    rest = tuple(f for f in term.factors if not isinstance(f, Iverson))
    odd = any(isinstance(f, Delta | LeviCivita) for f in rest)
    return Mul(rest) if 1 < len(rest) < len(term.factors) and not odd else None


def _number(expr: Expr) -> bool:
    """Whether the expression is a Python number at run time: a function of numbers is worked out on a tensor."""
    return scalar(expr) and not any(isinstance(node, Apply) for node in walk(expr))


def _rest(term: Mul, own: Sequence[Expr]) -> Expr | None:
    """The other factors, if they are a cotangent as large as the whole."""
    rest = mul(*(f for f in term.factors if not any(f is o for o in own)))
    return rest if rest.free == term.free and accesses(rest) else None


def _derivative(term: Mul, program: Program) -> Fused | None:
    found = known_derivative(term, program)
    if found is None:
        return None
    function, place, own = found
    return Fused(f"{function}_backward", (mul(*(f for f in term.factors if not any(f is o for o in own))), place))


def _logistic(term: Mul, table: dict[str, Step]) -> Fused | None:
    """`g y sigmoid(-z)` where `y = sigmoid(z)` would be computed for nothing else."""
    for factor in term.factors:
        place = neg(factor.args[0]) if isinstance(factor, Apply) and factor.function == "sigmoid" else factor
        if place is factor or not is_plain(place) or place.free != term.free:
            continue
        for value in (f for f in term.factors if isinstance(f, Access) and is_plain(f) and f.tensor in table):
            step, rest = table[value.tensor], _rest(term, [factor, value])
            here = dict(zip(step.indices, (s for s in value.subs if isinstance(s, Index)), strict=True))
            meaning = substitute(step.value, here)
            readers = sum(a.tensor == value.tensor for other in table.values() for a in accesses(other.value))
            if rest is not None and readers == 1 and meaning is Apply("sigmoid", (place,)):
                return Fused("sigmoid_backward", (rest, place), inside=(value, meaning))
    return None


def _sigmoid(term: Mul) -> Fused | None:
    """`g sigmoid(beta z)`: backward of softplus."""
    for factor in term.factors:
        if isinstance(factor, Apply) and factor.function == "sigmoid":
            inner = factors_of(factor.args[0])
            places = [f for f in inner if not _number(f)]
            rest = _rest(term, [factor])
            if rest is not None and len(places) == 1 and is_plain(places[0]) and places[0].free == term.free:
                return Fused("softplus_backward", (rest, places[0]), (mul(*(f for f in inner if _number(f))),))
    return None


def _piecewise(term: Mul) -> Fused | None:
    """`g` where `z > 0`, `g slope` or `g alpha exp(z)` elsewhere."""
    for factor in term.factors:
        if not isinstance(factor, Where) or factor.then is not ONE or not isinstance(factor.condition, Compare):
            continue
        place, rest = factor.condition.left, _rest(term, [factor])
        if factor.condition.op != ">" or number(factor.condition.right) != 0 or rest is None or not is_plain(place):
            continue
        if _number(factor.other):
            return Fused("leaky_relu_backward", (rest, place), (factor.other,))
        scale = [f for f in factors_of(factor.other) if _number(f)]
        if [f for f in factors_of(factor.other) if not _number(f)] == [Apply("exp", (place,))]:
            return Fused("elu_backward", (rest, place), (mul(*scale),))
    return None


def _threshold(term: Mul, masks: Sequence[Expr]) -> Fused | None:
    """`g [z > 0]`"""
    condition = masks[0].children[0]
    rest = _rest(term, masks)
    if len(masks) > 1 or rest is None or not isinstance(condition, Compare) or condition.op != ">":
        return None
    if wants_its_mask(rest):
        return None  # where the mask hides it a label may be wrong, a function singular: it is not read there
    if number(condition.right) != 0 or not is_plain(condition.left) or condition.left.free != term.free:
        return None
    return Fused("relu_backward", (rest, condition.left))


def _softmax(term: Mul, table: dict[str, Step]) -> Fused | None:
    """`y (g - sum_h g y)`"""
    for factor in term.factors:
        if not isinstance(factor, Add) or len(factor.terms) != 2:  # the cotangent, and what it sums to
            continue
        for cotangent, other in (factor.terms, factor.terms[::-1]):
            for value in (f for f in term.factors if is_plain(f)):
                found = _summed(neg(other), cotangent, value, table)
                if found is not None and cotangent.free == value.free == term.free:
                    numbers = [f for f in term.factors if f is not factor and f is not value]
                    if all(map(_number, numbers)):
                        return Fused("softmax_backward", (cotangent, value), tuple(numbers), *found)
    return None


def _log_softmax(whole: Expr, table: dict[str, Step], forward: dict[str, Statement]) -> Fused | None:
    """`g - exp(y) sum_h g`; forward may have named the exponential."""
    if not isinstance(whole, Add) or len(whole.terms) != 2:
        return None
    for cotangent, other in (whole.terms, whole.terms[::-1]):
        factors = factors_of(neg(other))
        sums = [f for f in factors if isinstance(f, Access) and f.free < whole.free]
        meant = [_meaning(f, forward) for f in factors if f not in sums]
        powers = [f.args[0] for f in meant if isinstance(f, Apply) and f.function == "exp" and is_plain(f.args[0])]
        if len(factors) == 2 and len(powers) == len(sums) == 1 and cotangent.free == powers[0].free == whole.free:
            found = _summed(sums[0], cotangent, ONE, table)
            if found is not None:
                return Fused("log_softmax_backward", (cotangent, powers[0]), (), *found)
    return None


def _meaning(expr: Expr, forward: dict[str, Statement]) -> Expr:
    """What a tensor of forward that is read holds."""
    own = forward.get(expr.tensor) if isinstance(expr, Access) and is_plain(expr) else None
    return expr if own is None or not isinstance(expr, Access) else renamed(own.value, own.indices, expr.subs)


def _summed(
    expr: Expr, cotangent: Expr, value: Expr, table: dict[str, Step]
) -> tuple[Index, tuple[Access, Expr]] | None:
    """The index `h`, if the expression is a tensor that holds the sum over it of the product of these two; that sum."""
    step = table.get(expr.tensor) if isinstance(expr, Access) and is_plain(expr) else None
    if step is None or not isinstance(step.value, Sum) or len(step.value.indices) != 1:
        return None
    assert isinstance(expr, Access)
    here = dict(zip(step.indices, (s for s in expr.subs if isinstance(s, Index)), strict=True))
    missing = cotangent.free - expr.free
    if len(missing) != 1 or any(axis.extent == "..." for axis in missing):  # an operator has one axis
        return None
    (axis,) = missing
    body = substitute(step.value.body, here | {step.value.indices[0]: axis})
    if Counter(factors_of(body)) != Counter(factors_of(mul(cotangent, value))):
        return None
    return axis, (expr, substitute(step.value, here))
