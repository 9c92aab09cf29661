"""Cross-entropies: a logit at a label or on the diagonal, less the logsumexp of its row, read off a log_softmax.

Law: `x[n,t[n]] - m[n]`, where `m[n] = logsumexp[v](x[n,v])`, is `p[n,t[n]]`, `p[n,v] = log_softmax[v](x[n,v])`, which
does not round the logarithm first.  Taken where nothing else reads `m`, or both would be computed; and where rows are
read at places alone, since backward holds the cotangent of a row that is read whole beside its softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from tensorgrad_gen.algebra import accesses, key, map_nodes, rename_tensors, simplify, substitute
from tensorgrad_gen.algebra.hoist import Known
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import split_coefficient, terms_of
from tensorgrad_gen.ir import Access, Expr, Index, IRError, Program, Reduce, Scan, Statement, Sub, add, const, mul


def log_shares(statements: Sequence[Statement], program: Program, names: Namer) -> list[Statement]:
    """The statements, each logsumexp that only stands beside logits of its own row as a log_softmax."""
    done = list(statements)
    for total in statements:
        if isinstance(total.value, Reduce) and total.value.kind == "logsumexp" and total.target not in program.outputs:
            done = _as_shares(done, total, total.value, names)
    values = {s.target: s.value for s in statements}
    changed = [s for s in done if values.get(s.target, s.value) is not s.value and s.target not in program.tensors]
    new = {s.target: names.name(describe(s.value)) for s in changed}  # they are called after what they were
    return [replace(s, target=new.get(s.target, s.target), value=rename_tensors(s.value, new)) for s in done]


def _as_shares(statements: list[Statement], total: Statement, value: Reduce, names: Namer) -> list[Statement]:
    logs = Scan("log_softmax", value.indices, value.body)
    known = Known()
    for statement in statements:
        known.enter(statement)
    found = known.find(logs)
    share = found or Access(names.name(describe(logs)), _axes(total, value))

    def read(statement: Statement) -> Statement:
        if total.target not in {a.tensor for a in accesses(statement.value)}:
            return statement
        return replace(statement, value=simplify(map_nodes(statement.value, lambda e: _read(e, total, value, share))))

    changed = [read(statement) for statement in statements]
    reads = [a for s in changed for a in accesses(s.value)]
    if changed == statements or any(a.tensor == total.target for a in reads):
        return statements
    if found is None and any(a.tensor == share.tensor and len(set(a.subs) & set(a.free)) == len(a.subs) for a in reads):
        return statements
    own = next((s for s in changed if found and s.target == found.tensor), None)
    new = own or Statement(share.tensor, tuple(i for i in share.subs if isinstance(i, Index)), logs)
    first, *rest = (s.target for s in changed if s is own or s.target == total.target)  # before the readers of either
    return [new if s.target == first else s for s in changed if s.target not in rest]


def _axes(total: Statement, value: Reduce) -> tuple[Index, ...]:
    """The axes of the shares: in the order of the logits, if these are one tensor."""
    axes = (*total.indices, *value.indices)
    subs = value.body.subs if isinstance(value.body, Access) else ()
    return tuple(sorted(axes, key=subs.index)) if set(subs) == set(axes) and len(subs) == len(axes) else axes


def _read(node: Expr, total: Statement, value: Reduce, share: Access) -> Expr:
    """`c x[n,t[n]] - c m[n]` as `c p[n,t[n]]`"""
    parts = [split_coefficient(term) for term in terms_of(node)]
    for first, (coefficient, log) in enumerate(parts):
        if not isinstance(log, Access) or log.tensor != total.target:
            continue
        row = dict(zip(total.indices, log.subs, strict=True))
        for second, (scale, logit) in enumerate(parts):
            place = _place(logit, row, value) if scale == -coefficient else None
            if place is not None:
                others = [t for k, t in enumerate(terms_of(node)) if k not in (first, second)]
                return add(*others, mul(const(scale), substitute(share, place)))
    return node


def _place(logit: Expr, row: dict[Index, Sub], value: Reduce) -> dict[Index, Sub] | None:
    """The subscripts at which the logits of that row have this one."""
    candidates = dict.fromkeys([s for a in accesses(logit) for s in a.subs])
    for subs in product(candidates, repeat=len(value.indices)):
        place = {**row, **dict(zip(value.indices, subs, strict=True))}
        try:
            if key(substitute(value.body, place)) == key(logit):
                return place
        except IRError:
            continue  # the logits are no tensors: they have no value at a label
    return None
