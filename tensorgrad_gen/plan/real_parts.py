"""The real part of a sum of complex products, taken of each product: it has no imaginary part to be computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.ir import Access, Apply, Expr, Mul, Sum, complex_tensors, mul
from tensorgrad_gen.plan.model import Step


def real_products(steps: Sequence[Step], inputs: Collection[str], kept: Collection[str]) -> tuple[Step, ...]:
    """`c = conj(u); t = sum_i c[i] v[i]; y = real(t)` -> `y = sum_i real(conj(u[i]) v[i])`.

    `inputs` are the complex tensors that are given; `t` is what nothing else reads, nor `kept`.
    """
    reads = Counter(access.tensor for step in steps for access in accesses(step.value))
    own = {s.target: s for s in steps if reads[s.target] == 1 and s.target not in kept}
    conjugates = {s.target: s for s in steps if isinstance(s.value, Apply) and s.value.function == "conj"}
    tensors = complex_tensors(steps, inputs)
    done: list[Step] = []
    for step in steps:
        match step.value:
            case Apply("real", (Access(tensor) as read,)) if tensor in own:
                inner = _inner(renamed(own[tensor].value, own[tensor].indices, read.subs), conjugates, tensors)
                done.append(step if inner is None else replace(step, value=inner))
            case _:
                done.append(step)
    return _read(done, kept)


def _inner(value: Expr, conjugates: dict[str, Step], tensors: Collection[str]) -> Sum | None:
    """The sum of the real parts, if it is one of products of two tensors with the same axes, one of them conjugated."""
    factors = value.body.factors if isinstance(value, Sum) and isinstance(value.body, Mul) else ()
    plain = [f for f in factors if isinstance(f, Access) and frozenset(f.subs) == f.free]
    if not isinstance(value, Sum) or len(plain) != 2 or len(factors) != 2 or plain[0].free != plain[1].free:
        return None
    if not all(f.tensor in tensors for f in plain):
        return None
    for first, second in (plain, plain[::-1]):
        if first.tensor in conjugates:
            own = conjugates[first.tensor]
            return Sum(value.indices, Apply("real", (mul(renamed(own.value, own.indices, first.subs), second),)))
    return None


def _read(steps: Sequence[Step], kept: Collection[str]) -> tuple[Step, ...]:
    """The steps that something reads."""
    needed = set(kept)
    left: list[Step] = []
    for step in reversed(steps):
        if step.target in needed:
            needed |= {access.tensor for access in accesses(step.value)}
            left.append(step)
    return tuple(reversed(left))
