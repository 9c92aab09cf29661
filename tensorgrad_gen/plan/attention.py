"""Where a program computes scaled dot-product attention: the softmax of products of queries and keys, by values.

Law: nothing else reads the logits or the weights, and neither is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from operator import eq, ge, gt, le, lt, ne

from tensorgrad_gen.algebra import accesses, apart, substitute, walk
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
    Logic,
    Mul,
    Position,
    Program,
    Scan,
    Special,
    Statement,
    Sum,
    Where,
    mul,
    neg,
    sub,
)
from tensorgrad_gen.plan.model import Step

Assignment = Step | Statement
INFINITE = neg(Special("inf"))
_HOLDS: dict[str, Callable[[Fraction, int], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}


@dataclass(frozen=True, slots=True)
class Attention:
    """`made = sum_j softmax_j(scale sum_d query key) value`, in the letters of that statement.

    `rows` and `columns` are the indices of queries and keys, `inner` is `d`, `channel` that of values alone; an
    operand may lack some of `batch`.  `condition`: that logits are let through where the key stands no later than
    the query, None where all are.  `between` are the tensors from the operands to `made`, the last the weights.
    """

    made: Assignment
    query: Access
    key: Access
    value: Access
    weights: Access
    scale: Expr
    condition: Expr | None
    batch: tuple[Index, ...]
    rows: Index
    columns: Index
    inner: Index
    channel: Index
    between: tuple[str, ...]

    def layout(self, operand: Access) -> tuple[Index, ...]:
        """The axes of an operand, of `made` or its cotangent: the batch, then its own two."""
        last = [i for i in (self.rows, self.columns, self.inner, self.channel) if i in operand.free]
        return (*(i for i in self.batch if i in operand.free), *last)


def attentions(program: Program, steps: Sequence[Assignment], kept: frozenset[str]) -> Iterator[Attention]:
    """Every attention in the steps; `kept` are the tensors that are returned."""
    if program.save == "all":
        return
    table = {step.target: step for step in steps}
    readers: dict[str, set[str]] = {}
    for step in steps:
        for access in accesses(step.value):
            readers.setdefault(access.tensor, set()).add(step.target)
    odd = {item.name for item in program.inputs if item.kind != "real" or item.default is not None}
    odd |= {step.target for step in steps if step.kind != "real"}
    for step in steps:
        own = _attention(step, table)
        if own is None or kept & set(own.between):
            continue
        operands = {own.query.tensor, own.key.tensor, own.value.tensor}
        chain = (*own.between, step.target)
        alone = all(readers[name] == {after} for name, after in pairwise(chain))
        if alone and len(operands) == 3 and not odd & operands:
            yield own


@dataclass(frozen=True, slots=True)
class _Logits:
    """`scale sum_inner first second`, and the statements that name it on its way."""

    scale: tuple[Expr, ...]
    inner: Index
    pair: tuple[Access, Access]
    names: tuple[str, ...] = ()


def _attention(made: Assignment, table: Mapping[str, Assignment]) -> Attention | None:
    """The attention that a statement is the result of."""
    found = _contraction(made.value)
    if found is None or found.scale:
        return None
    for weights, value in (found.pair, found.pair[::-1]):
        step = table.get(weights.tensor)
        if step is None or not isinstance(step.value, Scan) or step.value.kind != "softmax":
            continue
        here = _letters(step, weights)
        if [here[index] for index in step.value.indices] != [found.inner]:
            continue
        condition, body = _masked(substitute(step.value.body, here))
        logits = _of_logits(body, table, frozenset((*made.indices, found.inner)))
        for query, key in (logits.pair, logits.pair[::-1]) if logits is not None else ():
            assert logits is not None
            axes = _axes(made, (query, key, value), weights, (found.inner, logits.inner), condition)
            if axes is not None:
                between = (*logits.names, weights.tensor)
                return Attention(made, query, key, value, weights, mul(*logits.scale), condition, *axes, between)
    return None


def _of_logits(logits: Expr, table: Mapping[str, Assignment], taken: frozenset[Index]) -> _Logits | None:
    """The logits, if they are a product of two tensors times numbers, through the statements that name them.

    What is summed over is none of the indices taken.
    """
    rest = [f for f in factors_of(logits) if not _number(f)]
    if len(rest) != 1 or not isinstance(rest[0], Access):
        found = _contraction(logits)
        return None if found is None else _unscaled(found, table)
    step = table.get(rest[0].tensor)
    if step is None or not _plain(rest[0]):
        return None
    value = apart(step.value, taken | frozenset(step.indices))
    found = _of_logits(substitute(value, _letters(step, rest[0])), table, taken)
    if found is None:
        return None
    numbers = tuple(f for f in factors_of(logits) if _number(f))
    return replace(found, scale=(*numbers, *found.scale), names=(*found.names, step.target))


def _contraction(expr: Expr) -> _Logits | None:
    """A product of two tensors that is summed over one index, times numbers."""
    rest = [f for f in factors_of(expr) if not _number(f)]
    if len(rest) != 1 or not isinstance(rest[0], Sum) or len(rest[0].indices) != 1:
        return None
    factors = [f for f in factors_of(rest[0].body) if not _number(f)]
    tensors = [f for f in factors if isinstance(f, Access) and _plain(f)]
    if len(tensors) != 2 or len(factors) != 2:
        return None
    numbers = tuple(f for f in (*factors_of(expr), *factors_of(rest[0].body)) if _number(f))
    return _Logits(numbers, rest[0].indices[0], (tensors[0], tensors[1]))


def _unscaled(logits: _Logits, table: Mapping[str, Assignment]) -> _Logits:
    """The logits with the numbers that the two tensors are others times."""
    numbers = list(logits.scale)
    pair = list(logits.pair)
    for place, access in enumerate(pair):
        step = table.get(access.tensor)
        value = None if step is None else substitute(step.value, _letters(step, access))
        rest = [] if value is None else [f for f in factors_of(value) if not _number(f)]
        if value is not None and len(rest) == 1 and isinstance(rest[0], Access) and _plain(rest[0]):
            numbers += [f for f in factors_of(value) if _number(f)]
            pair[place] = rest[0]
    return replace(logits, scale=tuple(numbers), pair=(pair[0], pair[1]))


def _number(expr: Expr) -> bool:
    """Whether the expression is a Python number at run time: a function of numbers is worked out on a tensor."""
    return scalar(expr) and not any(isinstance(node, Apply) for node in walk(expr))


def _plain(access: Access) -> bool:
    return all(isinstance(s, Index) for s in access.subs) and len(set(access.subs)) == len(access.subs)


def _letters(step: Assignment, access: Access) -> dict[Index, Index]:
    """The letters of a step as those at which it is read."""
    return dict(zip(step.indices, (s for s in access.subs if isinstance(s, Index)), strict=True))


def _masked(body: Expr) -> tuple[Expr | None, Expr]:
    """The condition under which logits are let through, and these."""
    if isinstance(body, Where) and body.other == INFINITE:
        return body.condition, body.then
    if isinstance(body, Where) and body.then == INFINITE:
        return Logic("not", (body.condition,)), body.other
    return None, body


def _axes(
    made: Assignment,
    operands: tuple[Access, Access, Access],
    weights: Access,
    sums: tuple[Index, Index],
    condition: Expr | None,
) -> tuple[tuple[Index, ...], Index, Index, Index, Index] | None:
    """Batch, rows, columns, `d` and the index of values; None where an operand has others."""
    query, key, value = operands
    j, d = sums
    channels = [i for i in made.indices if i in value.free - weights.free]
    rows = [i for i in made.indices if i in query.free and i not in (*key.free, *value.free)]
    if condition is not None:
        rows = [i for i in rows if _causal(condition, i, j)]
    if len(channels) != 1 or not rows:
        return None
    row, channel = rows[-1], channels[0]
    batch = tuple(i for i in made.indices if i not in (row, channel))
    own = ({row, d}, {j, d}, {j, channel})
    fits = weights.free == {*batch, row, j} and all(
        axes <= operand.free <= {*batch, *axes} for operand, axes in zip(operands, own, strict=True)
    )
    fits = fits and set(batch) <= query.free | key.free | value.free
    # Any number of leading axes: all operands have them, or none.
    leading = {i for i in (*made.indices, j, d) if i.extent == "..."}
    fits = fits and leading <= set(batch) and all(leading <= operand.free for operand in operands)
    return (batch, row, j, d, channel) if fits else None


def _causal(condition: Expr, row: Index, column: Index) -> bool:
    """Whether the condition is `column <= row`: a comparison that depends on their distance alone."""
    if isinstance(condition, Logic) and condition.op == "not":
        inner, wanted = condition.args[0], False
    else:
        inner, wanted = condition, True
    line = _line(sub(inner.left, inner.right)) if isinstance(inner, Compare) else None
    if line is None or not isinstance(inner, Compare):
        return False
    offset, slope = line.pop(None, Fraction(0)), line.pop(column, Fraction(0))
    if not slope or line != {row: -slope}:
        return False
    holds = _HOLDS[inner.op]
    return all(holds(slope * distance + offset, 0) is (wanted is (distance <= 0)) for distance in range(-2, 3))


def _line(expr: Expr) -> dict[Index | None, Fraction] | None:
    """A sum of positions and a number (`None`): how often each; None if it is something else."""
    match expr:
        case Const(value):
            return {None: value}
        case Position(index):
            return {index: Fraction(1)}
        case Add(terms):
            total: dict[Index | None, Fraction] = {}
            for term in terms:
                line = _line(term)
                if line is None:
                    return None
                for place, often in line.items():
                    total[place] = total.get(place, Fraction(0)) + often
            return total
        case Mul((Const(value), *rest)):
            line = _line(mul(*rest))
            return None if line is None else {place: value * often for place, often in line.items()}
    return None
