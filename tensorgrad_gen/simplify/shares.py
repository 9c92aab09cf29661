"""Exponentials of a log_softmax that nothing else reads are the softmax itself: backward keeps no tensor for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, map_nodes, walk
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.ir import Access, Apply, Expr, Index, Program, Scan, Statement


def softmaxes(statements: Iterable[Statement], program: Program, kept: Collection[str] = ()) -> list[Statement]:
    """`exp(p[n,v])`, where `p[n,v] = log_softmax[v](x[n,v])`, as `softmax[v](x[n,v])`, if `p` is not `kept` anyway."""
    statements = list(statements)
    logs = {
        s.target: s
        for s in program.statements
        if isinstance(s.value, Scan) and s.value.kind == "log_softmax" and s.target not in (*program.outputs, *kept)
    }
    if not logs or program.save == "all":
        return statements
    nodes = [node for s in statements for node in walk(s.value)]
    inside = Counter(log.tensor for node in nodes if (log := _logarithm(node)) is not None)
    reads = Counter(access.tensor for s in statements for access in accesses(s.value))
    alone = {name: s for name, s in logs.items() if inside[name] == reads[name]}

    def visit(node: Expr) -> Expr:
        log = _logarithm(node)
        own = alone.get(log.tensor) if log is not None else None
        if log is None or own is None or not isinstance(own.value, Scan):
            return node
        return renamed(Scan("softmax", own.value.indices, own.value.body), own.indices, log.subs)

    return [replace(s, value=map_nodes(s.value, visit)) for s in statements]


def _logarithm(node: Expr) -> Access | None:
    """The tensor of which the node is the exponential, read along its axes."""
    argument = node.args[0] if isinstance(node, Apply) and node.function == "exp" else None
    if not isinstance(argument, Access) or not all(isinstance(sub, Index) for sub in argument.subs):
        return None
    return argument if len(set(argument.subs)) == len(argument.subs) else None
