"""Layer normalisation as PyTorch's own operators, value and gradients, wherever a body computes it.

Law: a tensor is taken from the operator only if it equals, as a function of what it reads, what the operator returns.
In `_runtime` the operator has the composed form beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.equal import UndecidedError, equal_as_functions
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Expr,
    Extent,
    Index,
    Pow,
    Program,
    Statement,
    Sub,
    Sum,
    add,
    const,
    inverse,
    mul,
    number,
    power,
    sub,
)
from tensorgrad_gen.plan.model import Block, Step

ONE, ZERO = const(1), const(0)
HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class NormCall:
    """A tensor as a result of a call of `_runtime`; of an `item` of it, where there are several.

    `weight` and `bias` are None where the formula has none; of `spread` it is the inverse that is read, if `inverted`.
    `meaning` is what it computes, if that says more than the step does.  `needed` are the inputs whose gradients are
    the items, None where an item is none.
    """

    name: str
    operands: tuple[Access, ...]
    weight: Expr | None = None
    bias: Expr | None = None
    eps: Expr | None = None
    item: int | None = None
    inverted: bool = False
    meaning: Expr | None = None
    needed: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class _Statistics:
    """`m` and `s` hold mean and spread of `x` along its last axis; `inverted`: `s` is one over the spread."""

    x: Access
    mean: Access
    spread: Access
    inverted: bool
    eps: Expr

    @property
    def axis(self) -> Index:
        (axis,) = self.x.free - self.mean.free
        return axis

    def over(self) -> Expr:
        """One over the spread."""
        return self.spread if self.inverted else inverse(self.spread)

    def normalised(self) -> Expr:
        return mul(sub(self.x, self.mean), self.over())


def value_calls(steps: Sequence[Step], program: Program) -> dict[str, NormCall]:
    """The tensors of forward that are results of `layer_norm`: mean, spread and value of each normalisation."""
    near = Near(steps, program)
    found: dict[str, NormCall] = {}
    for own in _statistics(steps, near):
        for step in steps:
            if step.target in found or not _like(step, own.x) or own.spread.tensor not in _read(step):
                continue
            match = next((pair for pair in _parameters(step, own) if _is_value(step, own, *pair, near)), None)
            if match is not None:
                call = NormCall("layer_norm", (own.x,), *match, own.eps)
                found[step.target] = replace(call, item=0)
                found[own.mean.tensor] = replace(call, item=1)
                found[own.spread.tensor] = replace(call, item=2, inverted=own.inverted)
                break
    return found


def gradient_calls(block: Block, forward: Sequence[Step], program: Program) -> dict[str, NormCall]:
    """The gradients that are results of `layer_norm_backward`, by the tensor, or of its weight; jointly, if several."""
    steps = block.steps
    near = Near(steps, program)
    made = {step.target for step in steps}
    found: dict[str, NormCall] = {}
    for own in _statistics(forward, Near(forward, program)):
        if {own.mean.tensor, own.spread.tensor} & made:
            continue
        like = {f"grad_{other.target}" for other in forward if _like(other, own.x)}
        for step in steps:
            reached = near.reached(step.target)
            if own.spread.tensor in reached:
                call = _gradient(step, own, sorted(like & reached), near)
                if call is not None:
                    found.setdefault(step.target, call)
    for call in [call for call in found.values() if call.name == "layer_norm_backward" and call.weight is not None]:
        found |= _jointly(call, found, block, near)
    return found


def _jointly(own: NormCall, found: dict[str, NormCall], block: Block, near: Near) -> dict[str, NormCall]:
    """The gradients of value, weight and bias as results of one call, where it makes more than one for the caller."""
    read = {name for step in block.steps for name in _read(step)}
    inputs = {tensor: name for name, tensor in block.results if tensor not in read}
    value = next((tensor for tensor in inputs if found.get(tensor) is own), None)
    weight = next((tensor for tensor in inputs if _is_weight(found.get(tensor), own)), None)
    made = [tensor for tensor in inputs if tensor in near.steps and tensor not in found]
    bias = next((tensor for tensor in made if _is_bias(near.steps[tensor], own, near)), None)
    items = (value, weight, bias)
    if value is None or items.count(None) > 1:
        return {}
    needed = tuple(None if tensor is None else inputs[tensor] for tensor in items)
    joint = replace(own, name="layer_norm_gradients", needed=needed)
    meanings = [found[tensor].meaning if tensor in found else None for tensor in items]
    return {
        tensor: replace(joint, item=place, meaning=meanings[place])
        for place, tensor in enumerate(items)
        if tensor is not None
    }


def _is_weight(call: NormCall | None, own: NormCall) -> bool:
    return call is not None and call.name == "layer_norm_weight_backward" and call.operands == own.operands


def _is_bias(step: Step, own: NormCall, near: Near) -> bool:
    """Whether the step is the sum of the cotangent over all axes but the last."""
    grad = own.operands[0]
    lead = tuple(s for s in grad.subs[:-1] if isinstance(s, Index))
    axis = grad.subs[-1]
    if not lead or not isinstance(axis, Index) or [i.extent for i in step.indices] != [axis.extent]:
        return False
    return near.equal(step.target, (axis,), Sum(lead, grad), (grad.tensor,))


class Near:
    """The steps of a body, of which only those a few steps away are looked through: the work grows as their number."""

    HOPS = 5

    def __init__(self, steps: Sequence[Step], program: Program) -> None:
        self.steps = {step.target: step for step in steps}
        self.bare = replace(program, statements=())
        self._reached: dict[str, frozenset[str]] = {}

    def reached(self, name: str) -> frozenset[str]:
        """What a tensor is computed from, so many steps back."""
        if name not in self._reached:
            found, last = {name}, {name}
            for _ in range(self.HOPS):
                last = {read for own in last if own in self.steps for read in _read(self.steps[own])} - found
                found |= last
            self._reached[name] = frozenset(found)
        return self._reached[name]

    def equal(self, name: str, subs: tuple[Sub, ...], value: Expr, given: Sequence[str]) -> bool:
        """Whether a tensor has this value, whatever those that are given hold."""
        local = [self.steps[n] for n in self.reached(name) if n in self.steps and n not in given]
        program = replace(self.bare, statements=tuple(map(_statement, local)))
        try:
            return equal_as_functions(Access(name, subs), value, program)
        except UndecidedError:
            return False


def _statement(step: Step) -> Statement:
    return Statement(step.target, step.indices, step.value, step.kind)


def _read(step: Step) -> set[str]:
    return {access.tensor for access in accesses(step.value)}


def _like(step: Step, x: Access) -> bool:
    """Whether the step has the axes of `x`, the normalised one last."""
    return [i.extent for i in step.indices] == [s.extent for s in x.subs if isinstance(s, Index)]


def _statistics(steps: Sequence[Step], near: Near) -> Iterator[_Statistics]:
    """Means along the last axis of a tensor, each with the square roots of variances that go with it."""
    for step in steps:
        x = _averaged(step)
        for other in steps if x is not None else ():
            root = _root(other)
            if x is None or root is None or step.target not in near.reached(other.target):
                continue
            if [i.extent for i in other.indices] != [i.extent for i in step.indices]:
                continue
            exponent, eps = root
            lead = tuple(s for s in x.subs[:-1] if isinstance(s, Index))
            own = _Statistics(x, Access(step.target, lead), Access(other.target, lead), exponent < 0, eps)
            square = power(sub(x, own.mean), 2)
            variance = mul(inverse(Extent(str(own.axis.extent))), Sum((own.axis,), square))
            value = power(add(variance, eps), const(exponent))
            if near.equal(other.target, own.spread.subs, value, (x.tensor, step.target)):
                yield own


def _averaged(step: Step) -> Access | None:
    """What the step is the mean of, along the last axis."""
    sums = [f for f in factors_of(step.value) if isinstance(f, Sum)]
    if len(sums) != 1 or len(sums[0].indices) != 1 or not isinstance(sums[0].body, Access):
        return None
    x, (axis,) = sums[0].body, sums[0].indices
    others = mul(*(f for f in factors_of(step.value) if f is not sums[0]))
    plain = all(isinstance(s, Index) for s in x.subs) and x.subs == (*step.indices, axis)
    named = isinstance(axis.extent, str) and axis.extent != "..."
    return x if plain and named and others == inverse(Extent(str(axis.extent))) else None


def _root(step: Step) -> tuple[Fraction, Expr] | None:
    """The exponent 1/2 or -1/2 of a square root, and the numbers that are added under it."""
    match step.value:
        case Pow(base, exponent) if (found := number(exponent)) in (HALF, -HALF):
            pass
        case Apply("sqrt" | "rsqrt" as name, (base,)):
            found = HALF if name == "sqrt" else -HALF
        case _:
            return None
    return found, add(*(term for term in terms_of(base) if scalar(term)))


def _parameters(step: Step, own: _Statistics) -> list[tuple[Expr | None, Expr | None]]:
    """Pairs of weight and bias that the step may have."""
    rows = [a for a in dict.fromkeys(accesses(step.value)) if a.subs == (step.indices[-1],)]
    vectors = [Access(a.tensor, (own.axis,)) for a in rows]
    pairs: list[tuple[Expr | None, Expr | None]] = [(a, b) for a in vectors for b in vectors if a is not b]
    return [*pairs, *((a, None) for a in vectors), *((None, a) for a in vectors), (None, None)]


def _is_value(step: Step, own: _Statistics, weight: Expr | None, bias: Expr | None, near: Near) -> bool:
    if {access.tensor for access in (weight, bias) if isinstance(access, Access)} != {
        a.tensor for a in accesses(step.value) if a.subs == (step.indices[-1],)
    }:
        return False
    value = add(mul(own.normalised(), weight or ONE), bias or ZERO)
    return near.equal(step.target, own.x.subs, value, (own.x.tensor, own.mean.tensor, own.spread.tensor))


def _gradient(step: Step, own: _Statistics, cotangents: list[str], near: Near) -> NormCall | None:
    """The call that gives the step, if it is a gradient by what is normalised, or by its weight."""
    for name in cotangents:
        grad = Access(name, own.x.subs)
        operands = (grad, own.x, own.mean, own.spread)
        given = [operand.tensor for operand in operands]
        if _like(step, own.x):
            for weight in (None, *_vectors(near, step, own)):
                meaning = _by_value(own, grad, weight)
                if near.equal(step.target, own.x.subs, meaning, given):
                    return NormCall("layer_norm_backward", operands, weight, inverted=own.inverted, meaning=meaning)
        elif [i.extent for i in step.indices] == [own.axis.extent]:
            lead = tuple(s for s in own.x.subs[:-1] if isinstance(s, Index))
            meaning = Sum(lead, mul(grad, own.normalised())) if lead else grad
            if lead and near.equal(step.target, (own.axis,), meaning, given):
                return NormCall("layer_norm_weight_backward", operands, inverted=own.inverted, meaning=meaning)
    return None


def _vectors(near: Near, step: Step, own: _Statistics) -> list[Access]:
    """The inputs along the normalised axis that the step is computed from."""
    inputs = [item for item in near.bare.inputs if item.name in near.reached(step.target)]
    return [Access(item.name, (own.axis,)) for item in inputs if [i.extent for i in item.indices] == [own.axis.extent]]


def _by_value(own: _Statistics, grad: Expr, weight: Expr | None) -> Expr:
    """`(a - mean(a) - n mean(a n))/s`, `a` the cotangent times the weight, `n` what is normalised."""
    a, n = mul(grad, weight or ONE), own.normalised()
    of = inverse(Extent(str(own.axis.extent)))
    mean, along = mul(of, Sum((own.axis,), a)), mul(of, n, Sum((own.axis,), mul(a, n)))
    return mul(own.over(), sub(sub(a, mean), along))
