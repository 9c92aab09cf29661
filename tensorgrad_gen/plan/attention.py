"""Where a program computes scaled dot-product attention: the softmax of products of queries and keys, by values.

Law: nothing else reads the logits or the weights, and neither is returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tensorgrad_gen.algebra import accesses, apart, substitute
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Expr,
    Index,
    Mul,
    Position,
    Scan,
    Special,
    Statement,
    Sum,
    Where,
    mul,
    neg,
)
from tensorgrad_gen.plan.model import Step

Assignment = Step | Statement
INFINITE = neg(Special("inf"))
# Batch, queries, keys, features, those of values.
Axes = tuple[tuple[Index, ...], Index, Index, Index, Index]


@dataclass(frozen=True, slots=True)
class Attention:
    """`value = sum_j softmax_j(scale sum_d query key) value`, in the letters of the statement `made`.

    `logits` and `weights` are the tensors in between; the logits are let through under `condition`, that the key
    stands no later than the query, if there is one.
    """

    query: Access
    key: Access
    value: Access
    scale: Expr
    condition: Expr | None
    axes: Axes
    logits: str
    weights: Access
    made: Assignment

    @property
    def between(self) -> tuple[str, str]:
        """The tensors that no operator keeps."""
        return self.logits, self.weights.tensor


def attentions(steps: Sequence[Assignment], kept: frozenset[str]) -> Iterator[Attention]:
    """Every attention; `kept` are the tensors that are returned."""
    table = {step.target: step for step in steps}
    readers: dict[str, list[str]] = {}
    for step in steps:
        for name in {access.tensor for access in accesses(step.value)}:
            readers.setdefault(name, []).append(step.target)
    for step in steps:
        own = _attention(step, table)
        if own is None or set(own.between) & kept:
            continue
        if readers[own.logits] == [own.weights.tensor] and readers[own.weights.tensor] == [step.target]:
            yield own


def _attention(made: Assignment, table: dict[str, Assignment]) -> Attention | None:
    """The attention that a statement is the result of."""
    pair = _contraction(made.value)
    if pair is None or pair[0]:
        return None
    _, (j,), factors = pair
    for weights, v in (factors, factors[::-1]):
        step = table.get(weights.tensor)
        if step is None or not isinstance(step.value, Scan) or step.value.kind != "softmax":
            continue
        here = _letters(step, weights)
        if len(step.value.indices) == 1 and here[step.value.indices[0]] is j:
            condition, scaled = _masked(substitute(step.value.body, here))
            own = _of_logits(made, j, scaled, v, table)
            if own is not None and (condition is None or _causal(condition, own.axes[1], j)):
                return Attention(own.query, own.key, v, own.scale, condition, own.axes, own.logits, weights, made)
    return None


@dataclass(frozen=True, slots=True)
class _Logits:
    query: Access
    key: Access
    scale: Expr
    axes: Axes
    logits: str


def _of_logits(made: Assignment, j: Index, scaled: Expr, v: Access, table: dict[str, Assignment]) -> _Logits | None:
    """The logits, if they are a number times products of two tensors with the axes of query and key."""
    numbers, (logits,) = _split(scaled)
    inner = table.get(logits.tensor) if isinstance(logits, Access) and _plain(logits) else None
    if inner is None or not isinstance(logits, Access):
        return None
    own = apart(inner.value, frozenset((*made.indices, j, *inner.indices)))  # the index it sums is no other's
    product = _contraction(substitute(own, _letters(inner, logits)))
    if product is None or not all(map(_number, (*numbers, *product[0]))):
        return None
    (first, above), (second, below) = (_unscaled(operand, table) for operand in product[2])
    scale = mul(*numbers, *product[0], *above, *below)
    for q, k in ((first, second), (second, first)):
        axes = _axes(made, j, product[1], q, k, v)
        if axes is not None:
            return _Logits(q, k, scale, axes, logits.tensor)
    return None


def _unscaled(operand: Access, table: dict[str, Assignment]) -> tuple[Access, list[Expr]]:
    """What the operand is a multiple of, by numbers that are known when the op is called; or itself."""
    step = table.get(operand.tensor)
    numbers, (inner,) = _split(step.value) if step is not None else ([], [operand])
    if step is None or not numbers or not all(map(_number, numbers)) or not isinstance(inner, Access):
        return operand, []
    of = substitute(inner, _letters(step, operand))
    return (of, numbers) if isinstance(of, Access) and _plain(of) else (operand, [])


def _number(expr: Expr) -> bool:
    """Whether the expression is a Python number at run time."""
    return scalar(expr) and not isinstance(expr, Apply)


def _plain(access: Access) -> bool:
    return all(isinstance(s, Index) for s in access.subs) and len(set(access.subs)) == len(access.subs)


def _letters(step: Assignment, access: Access) -> dict[Index, Index]:
    """The letters of a step as those at which it is read."""
    return dict(zip(step.indices, (s for s in access.subs if isinstance(s, Index)), strict=True))


def _split(expr: Expr) -> tuple[list[Expr], list[Expr]]:
    """The numbers of a product, and the one other factor; no factor that fits, if there are others."""
    factors = factors_of(expr)
    rest = [f for f in factors if not scalar(f)]
    return [f for f in factors if scalar(f)], rest if len(rest) == 1 else [expr]


def _contraction(expr: Expr) -> tuple[list[Expr], tuple[Index, ...], tuple[Access, Access]] | None:
    """Numbers, the contracted index and the two tensors of a product that is summed over one."""
    numbers, (inner,) = _split(expr)
    if not isinstance(inner, Sum) or len(inner.indices) != 1:
        return None
    factors = [f for f in factors_of(inner.body) if isinstance(f, Access) and _plain(f)]
    if len(factors) != 2 or len(factors_of(inner.body)) != 2:
        return None
    return numbers, inner.indices, (factors[0], factors[1])


def _masked(body: Expr) -> tuple[Expr | None, Expr]:
    """The condition under which logits are let through, and these."""
    if isinstance(body, Where) and body.other == INFINITE:
        return body.condition, body.then
    return None, body


def _axes(made: Assignment, j: Index, inner: tuple[Index, ...], q: Access, k: Access, v: Access) -> Axes | None:
    """Batch, queries, keys, features, features of values; None where an operand has others."""
    (d,) = inner
    own = [index for index in made.indices if index in q.free and index not in k.free]
    last = [index for index in made.indices if index in v.free and index not in (*q.free, *k.free)]
    batch = tuple(index for index in made.indices if index not in (*own, *last))
    if len(own) != 1 or len(last) != 1 or any(i.extent == "..." for i in (*own, *last, j, d)):
        return None
    (i,), (e,), common = own, last, set(batch)
    expected = ({*common, i, d}, {*common, j, d}, {*common, j, e})
    fits = all(set(operand.free) == axes for operand, axes in zip((q, k, v), expected, strict=True))
    return (batch, i, j, d, e) if fits else None


def _causal(condition: Expr, i: Index, j: Index) -> bool:
    """Whether the condition is `j <= i`: asked at the first positions."""
    return all(_holds(condition, {i: a, j: b}) is (b <= a) for a in range(5) for b in range(5))


def _holds(condition: Expr, at: dict[Index, int]) -> bool | None:
    """Whether a comparison of positions holds at some; None if it is something else."""
    if not isinstance(condition, Compare):
        return None
    left, right = _at(condition.left, at), _at(condition.right, at)
    if left is None or right is None:
        return None
    return {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
        "!=": left != right,
    }[condition.op]


def _at(expr: Expr, at: dict[Index, int]) -> int | None:
    """The value of a sum of positions and numbers; None if it is something else."""
    match expr:
        case Position(index):
            return at.get(index)
        case Const(value) if value.denominator == 1:
            return int(value)
        case Add(terms) | Mul(terms):
            parts = [_at(term, at) for term in terms]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            total = known[0]
            for part in known[1:]:
                total = total + part if isinstance(expr, Add) else total * part
            return total
    return None
