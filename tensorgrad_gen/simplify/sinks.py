"""A softmax times how much of a larger sum its row is: `softmax[j](x) sigmoid(L - a)` as one exponential.

Law: it is `exp(x[j] - logaddexp(L, a))`, `L` the logsumexp of the row; where a mask lets nothing of the row through,
that is 0, and the softmax has no value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import abstract_key, key, map_nodes, simplify, walk
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Expr,
    Iverson,
    Mul,
    Program,
    Reduce,
    Scan,
    Statement,
    Sum,
    Where,
    add,
    mul,
    neg,
    sub,
)
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.simplify.through_values import through_values


@dataclass(frozen=True, slots=True)
class _Known:
    """What has been computed: the logarithms of sums by name, and the keys of the exponentials."""

    logs: dict[str, Statement]
    exponentials: frozenset[str]


def beside_sinks(statements: Iterable[Statement], program: Program) -> list[Statement]:
    """The statements with such products as the exponential, where that is computed anyway: it is no more exact."""
    statements = list(statements)
    logs = {s.target: s for s in program.statements if isinstance(s.value, Reduce) and s.value.kind == "logsumexp"}
    if not logs:
        return statements
    nodes = (node for s in (*program.statements, *statements) for node in walk(s.value))
    exponentials = (abstract_key(n)[0] for n in nodes if isinstance(n, Apply) and n.function == "exp")
    known = _Known(logs, frozenset(exponentials))
    out = []
    for statement in statements:
        value = map_nodes(statement.value, lambda node: _whole(node, known))
        changed = value is not statement.value
        out.append(replace(statement, value=through_values(simplify(value), program)) if changed else statement)
    return out


def _whole(node: Expr, known: _Known) -> Expr:
    """A product with both factors as it is by the law."""
    softs = [f for f in factors_of(node) if isinstance(f, Scan) and f.kind == "softmax"]
    for soft in softs if isinstance(node, Mul) else ():
        rest = [f for f in factors_of(node) if f is not soft]
        for place, factor in enumerate(rest):
            for share, left in _shares(factor):
                found = _exponential(share.args[0], soft, tuple(rest), known.logs)
                if found is not None and abstract_key(found)[0] in known.exponentials:
                    return _whole(mul(*rest[:place], left, *rest[place + 1 :], found), known)
    return node


def _shares(expr: Expr) -> Iterator[tuple[Apply, Expr]]:
    """Each sigmoid that is a factor, of what is summed in it too, and the expression without it."""
    if isinstance(expr, Apply) and expr.function == "sigmoid":
        yield expr, ONE
    elif isinstance(expr, Sum):
        for share, left in _shares(expr.body):
            if not share.free & frozenset(expr.indices):
                yield share, Sum(expr.indices, left)
    elif isinstance(expr, Mul):
        for place, factor in enumerate(expr.factors):
            for share, left in _shares(factor):
                yield share, mul(*expr.factors[:place], left, *expr.factors[place + 1 :])


def _exponential(odds: Expr, soft: Scan, factors: tuple[Expr, ...], logs: dict[str, Statement]) -> Expr | None:
    """`exp(x - logaddexp(L, a))`, if the odds are `L - a`, and `L` the logsumexp of the row of the softmax."""
    row = key(Reduce("logsumexp", soft.indices, soft.body))
    for log in terms_of(odds):
        own = logs.get(log.tensor) if isinstance(log, Access) else None
        if own is None or not isinstance(log, Access) or key(renamed(own.value, own.indices, log.subs)) != row:
            continue
        rest = simplify(neg(add(*(term for term in terms_of(odds) if term is not log))))
        logit = soft.body
        if isinstance(logit, Where) and Iverson(logit.condition) in factors:
            logit = logit.then
        whole = Apply("softplus", (log, ONE)) if rest is ZERO else Apply("logaddexp", (log, rest))
        return Apply("exp", (simplify(sub(logit, whole)),))
    return None
