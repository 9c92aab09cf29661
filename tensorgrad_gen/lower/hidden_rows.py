"""Softmaxes of rows that a condition may hide whole.

Law: a softmax that is read only where its condition holds is the same there whatever stands in what it hides, as long
as that is no larger than any number; of -inf alone it is NaN, which a derivative multiplies by 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tensorgrad_gen.algebra.guards import conjuncts_of, nodes_under, read_under
from tensorgrad_gen.algebra.indices import walk
from tensorgrad_gen.algebra.keys import key
from tensorgrad_gen.ir import Expr, Scan, Special, Statement, Where, neg
from tensorgrad_gen.plan.model import Step

_HIDDEN = neg(Special("inf"))


def finitely_hidden(steps: Sequence[Step], results: Collection[str]) -> frozenset[Expr]:
    """The choices between a number and -inf for which the lowest finite number does, wherever they stand."""
    if not any(_masked(node) for step in steps for node in walk(step.value)):
        return frozenset()
    statements = [Statement(s.target, s.indices, s.value, s.kind) for s in steps]
    found = list(_found(statements, results))
    return frozenset(body for body, guarded in found if guarded) - {body for body, guarded in found if not guarded}


def _found(statements: Sequence[Statement], results: Collection[str]) -> Iterator[tuple[Expr, bool]]:
    """Every such choice, and whether it is read only where its condition holds."""
    under = read_under(statements, results)
    for statement in statements:
        own = tuple(under.get(statement.target, {}).values())
        for node, guards in nodes_under(statement.value, own):
            if isinstance(node, Scan) and _masked(node) and isinstance(node.body, Where):
                known = {key(part) for part in conjuncts_of(guards)}
                yield node.body, {key(part) for part in conjuncts_of((node.body.condition,))} <= known


def _masked(node: Expr) -> bool:
    """Whether this is a softmax of numbers of which a condition hides some."""
    if not isinstance(node, Scan) or node.kind != "softmax":
        return False
    return isinstance(node.body, Where) and node.body.other == _HIDDEN
