"""Scaled dot-product attention as PyTorch's own operator, value and gradients, wherever a body computes it.

Law: a gradient is taken from the operator only if it equals, as a function of query, key, value, weights and cotangent,
what the operator returns.  In `_runtime` the operator has the composed form beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tensorgrad_gen.algebra import accesses, substitute
from tensorgrad_gen.ir import Access, Expr, Index, Iverson, Program, Sum, mul, sub
from tensorgrad_gen.lower.norms import Near
from tensorgrad_gen.plan.attention import Attention, attentions
from tensorgrad_gen.plan.model import Block, Step


@dataclass(frozen=True, slots=True)
class AttentionCall:
    """A tensor as what `_runtime.attention` returns, or one of three gradients: the `item` of `attention_gradients`.

    `letters` are those of the gradient for those of the operand; `needed`: of each of the three, the inputs whose
    gradients are computed from it.
    `beside` are the steps that the call does too, `told` how the code tells of them.
    """

    of: Attention
    grad: Access | None = None
    item: int | None = None
    letters: tuple[tuple[Index, Index], ...] = ()
    needed: tuple[frozenset[str], ...] = ()
    beside: tuple[Step, ...] = ()
    told: tuple[Step, ...] = ()


def attention_values(steps: Sequence[Step], kept: frozenset[str], program: Program) -> dict[str, AttentionCall]:
    """The tensors of forward that are results of attention; `kept` are those that forward returns."""
    table = {step.target: step for step in steps}
    found = {}
    for own in attentions(program, steps, kept):
        beside = tuple(table[name] for name in own.between)
        found[own.made.target] = AttentionCall(own, beside=beside, told=beside)
    return found


def attention_gradients(
    block: Block, forward: Sequence[Step], kept: frozenset[str], program: Program
) -> dict[str, AttentionCall]:
    """The tensors of backward that are gradients of attention, where nothing else there reads its weights."""
    found: dict[str, AttentionCall] = {}
    near = Near(block.steps, program)
    results = {tensor for _, tensor in block.results}
    for own in attentions(program, forward, kept):
        items = _gradients(own, block.steps, near) if own.weights.tensor in near.steps else {}
        if not items or set(own.between) & _read(block.steps, results, set(items.values())):
            continue
        grad, beside = Access(f"grad_{own.made.target}", own.made.indices), _beside(items, own, block.steps, results)
        needed = tuple(near.steps[items[n]].needed_by if n in items else frozenset() for n in range(3))
        for item, name in items.items():
            subs = (s for s in (own.query, own.key, own.value)[item].subs if isinstance(s, Index))
            letters = tuple(zip(subs, near.steps[name].indices, strict=True))
            found[name] = AttentionCall(own, grad, item, letters, needed, beside)
    return found


def _beside(items: dict[int, str], own: Attention, steps: Sequence[Step], results: set[str]) -> tuple[Step, ...]:
    """The steps between query, key, value, cotangent and the gradients that nothing else reads."""
    given = {own.query.tensor, own.key.tensor, own.value.tensor, f"grad_{own.made.target}"}
    behind = _read(steps, set(items.values()), given) - set(items.values()) - given
    others = _read(steps, results, set(items.values()))
    return tuple(step for step in steps if step.target in behind - others)


def _read(steps: Sequence[Step], wanted: set[str], given: set[str]) -> set[str]:
    """The tensors that these are computed from, and they, not looking behind those that are given."""
    found = set(wanted)
    for step in reversed(steps):
        if step.target in found - given:
            found |= {access.tensor for access in accesses(step.value)}
    return found


def _gradients(own: Attention, steps: Sequence[Step], near: Near) -> dict[int, str]:
    """The tensors that are gradients by query (0), key (1) and value (2)."""
    grad = Access(f"grad_{own.made.target}", own.made.indices)
    given = (grad.tensor, own.weights.tensor, own.query.tensor, own.key.tensor, own.value.tensor)
    found: dict[int, str] = {}
    for item, (place, meaning) in enumerate(_meanings(own, grad)):
        subs = tuple(s for s in place.subs if isinstance(s, Index))
        for step in steps:
            reached = near.reached(step.target)
            like = [i.extent for i in step.indices] == [i.extent for i in subs]
            near_enough = like and {grad.tensor, own.weights.tensor} <= reached
            if near_enough and step.target not in given and near.equal(step.target, subs, meaning, given):
                found[item] = step.target
                break
    return found


def _meanings(own: Attention, grad: Access) -> Iterator[tuple[Access, Expr]]:
    """Query, key and value, each with the gradient by it."""
    other = Index(f"{own.columns.name}_other", own.columns.extent)
    towards = Sum((own.channel,), mul(grad, own.value))
    along = Sum((other,), substitute(mul(towards, own.weights), {own.columns: other}))
    masks = () if own.condition is None else (Iverson(own.condition),)
    logits = mul(*masks, own.weights, sub(towards, along))
    yield own.query, _summed(mul(own.scale, logits, own.key), own.query)
    yield own.key, _summed(mul(own.scale, logits, own.query), own.key)
    yield own.value, _summed(mul(grad, own.weights), own.value)


def _summed(product: Expr, operand: Access) -> Expr:
    """The product summed over all that the operand has not."""
    others = sorted(product.free - operand.free, key=lambda index: (index.name, str(index.extent)))
    return Sum(tuple(others), product)
