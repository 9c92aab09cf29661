"""Scaled dot-product attention as PyTorch's own operator, value and gradients, wherever a body computes it.

Law: a gradient is taken from the operator only if it equals, as a function of query, key, value, weights and cotangent,
what the operator returns.  In `_runtime` the operator has the composed form beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorgrad_gen.algebra import accesses, substitute
from tensorgrad_gen.ir import Access, Expr, Index, Iverson, Program, Sum, mul, sub
from tensorgrad_gen.lower.norms import Near
from tensorgrad_gen.plan.attention import Attention, attentions
from tensorgrad_gen.plan.model import Block, Step


@dataclass(frozen=True, slots=True)
class AttentionCall:
    """A tensor as what `_runtime.attention` returns, or one of three gradients: the `item` of `attention_gradients`.

    `beside` are the steps that the call does too, told of where the first of its tensors is made; `letters` those of
    the tensor, where it has others than what it is the gradient by has in `of`.
    """

    of: Attention
    grad: Access | None = None
    item: int | None = None
    beside: tuple[Step, ...] = ()
    letters: tuple[tuple[Index, Index], ...] = ()


def attention_values(steps: Sequence[Step], kept: frozenset[str]) -> dict[str, AttentionCall]:
    """The tensors of forward that are results of attention; `kept` are those that forward returns."""
    table = {step.target: step for step in steps}
    return {
        own.made.target: AttentionCall(own, beside=(table[own.logits], table[own.weights.tensor]))
        for own in attentions(steps, kept)
    }


def attention_gradients(
    block: Block, forward: Sequence[Step], kept: frozenset[str], program: Program
) -> dict[str, AttentionCall]:
    """The tensors of backward that are gradients of attention, where nothing else there reads its weights."""
    found: dict[str, AttentionCall] = {}
    made, table = {step.target for step in block.steps}, {step.target: step for step in block.steps}
    near = Near(block.steps, program)
    for own in attentions(forward, kept):
        items = _gradients(own, block.steps, near) if own.weights.tensor in made else {}
        results = {tensor for _, tensor in block.results}
        if items and not _reads(own.weights.tensor, block.steps, results, set(items)):
            grad, beside = Access(f"grad_{own.made.target}", own.made.indices), _beside(items, own, block.steps)
            operands = (own.query, own.key, own.value)
            for name, item in items.items():
                subs = (sub for sub in operands[item].subs if isinstance(sub, Index))
                letters = tuple(zip(subs, table[name].indices, strict=True))
                found[name] = AttentionCall(own, grad, item, beside, letters)
    return found


def _beside(items: dict[str, int], own: Attention, steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps between query, key, value, cotangent and the gradients."""
    given = {own.query.tensor, own.key.tensor, own.value.tensor, f"grad_{own.made.target}"}
    behind: set[str] = set()  # what the gradients are computed from
    for step in reversed(steps):
        if step.target in items or step.target in behind:
            behind |= {access.tensor for access in accesses(step.value)} - given
    return tuple(step for step in steps if step.target in behind and step.target not in items)


def _reads(name: str, steps: Sequence[Step], results: set[str], without: set[str]) -> bool:
    """Whether results are computed from a tensor, but for those that come from elsewhere."""
    needed = results - without
    for step in reversed(steps):
        if step.target in needed:
            needed |= {access.tensor for access in accesses(step.value)} - without
    return name in needed


def _gradients(own: Attention, steps: Sequence[Step], near: Near) -> dict[str, int]:
    """The tensors that are gradients by query, key and value: which."""
    grad = Access(f"grad_{own.made.target}", own.made.indices)
    given = (grad.tensor, own.weights.tensor, own.query.tensor, own.key.tensor, own.value.tensor)
    found: dict[str, int] = {}
    for item, (place, meaning) in enumerate(_meanings(own, grad)):
        for step in steps:
            like = [i.extent for i in step.indices] == [s.extent for s in place.subs if isinstance(s, Index)]
            own_reads = like and {grad.tensor, own.weights.tensor} <= near.reached(step.target)
            if (
                own_reads
                and step.target not in (*given, *found)
                and near.equal(step.target, place.subs, meaning, given)
            ):
                found[step.target] = item
                break
    return found


def _meanings(own: Attention, grad: Access) -> list[tuple[Access, Expr]]:
    """Query, key and value, each with the gradient by it."""
    _, i, j, _, e = own.axes
    other = Index(f"{j.name}_other", j.extent)
    towards = Sum((e,), mul(grad, own.value))
    along = Sum((other,), substitute(mul(towards, own.weights), {j: other}))
    logits = mul(own.weights, sub(towards, along))
    if own.condition is not None:
        logits = mul(Iverson(own.condition), logits)
    return [
        (own.query, mul(own.scale, Sum((j,), mul(logits, own.key)))),
        (own.key, mul(own.scale, Sum((i,), mul(logits, own.query)))),
        (own.value, Sum((i,), mul(grad, own.weights))),
    ]
