"""The conditions under which nodes and tensors are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from tensorgrad_gen.algebra.hoist import conjuncts, guards_inside, renamed
from tensorgrad_gen.algebra.indices import accesses, walk
from tensorgrad_gen.algebra.keys import key
from tensorgrad_gen.algebra.parts import factors_of, may_be_undefined
from tensorgrad_gen.algebra.rewrite import simplify
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, Linalg, Root, Scan, Special, Statement, Where, neg

Conditions = dict[str, Expr]  # all of them hold; by their keys


Inside = Callable[[Expr], tuple[tuple[Expr, ...], ...]]  # the conditions of a node under which each child is read


def read_under(
    statements: Sequence[Statement], outputs: Collection[str], inside: Inside = guards_inside
) -> dict[str, Conditions]:
    """Of each tensor that is read, the conditions of every read of it, in terms of its own indices."""
    found: dict[str, Conditions] = {name: {} for name in outputs}
    indices = {s.target: s.indices for s in statements}
    for statement in reversed(statements):
        own = tuple(found.get(statement.target, {}).values())
        for node, guards in nodes_under(statement.value, own, inside):
            if not isinstance(node, Access) or node.tensor not in indices:
                continue
            here = in_terms_of(indices[node.tensor], node, guards)
            others = found.get(node.tensor)
            found[node.tensor] = here if others is None else {k: g for k, g in others.items() if k in here}
    return found


def nodes_under(
    expr: Expr, guards: tuple[Expr, ...], inside: Inside = guards_inside
) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    """Every node, and the conditions under which it is read, in terms of indices that are free there."""
    yield expr, guards
    kept = known_inside(expr, guards)
    for child, more in zip(expr.children, inside(expr), strict=True):
        yield from nodes_under(child, kept + more, inside)


def hiding_inside(expr: Expr) -> tuple[tuple[Expr, ...], ...]:
    """As `guards_inside`, without conditions on what is divided by there, which only keep it from 0."""
    singular = {
        name
        for place, child in enumerate(expr.children)
        if not decides(expr, place) and not isinstance(child, Iverson)
        for node in walk(child)
        if may_be_undefined(node) and not isinstance(node, Access | Delta)
        for name in _numbers_of(node)
    }
    return tuple(tuple(g for g in guards if not read_by(g) & singular) for guards in guards_inside(expr))


def known_inside(expr: Expr, guards: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Those of the conditions under which a node is read that hold for what it reads, too."""
    if isinstance(expr, Root):
        return ()  # a search reads all of what it is given
    own = set(expr.bound)
    own |= set(expr.indices) if isinstance(expr, Scan) else set()
    own |= {*expr.rows, *expr.cols} if isinstance(expr, Linalg) else set()
    return tuple(guard for guard in guards if not guard.free & own)  # others mean another index


def _numbers_of(expr: Expr) -> set[str]:
    """The tensors that the value is made of, without labels at which they are read."""
    if isinstance(expr, Access):
        return {expr.tensor}
    return {name for child in expr.children for name in _numbers_of(child)}


def in_terms_of(indices: tuple[Index, ...], access: Access, guards: tuple[Expr, ...]) -> Conditions:
    """The guards as conditions on the indices of the tensor that is read, those that can be."""
    pairs = [(sub, own) for sub, own in zip(access.subs, indices, strict=True) if isinstance(sub, Index)]
    pairs = [(sub, own) for sub, own in pairs if access.subs.count(sub) == 1]  # a diagonal has no condition of its own
    subs, axes = tuple(sub for sub, _ in pairs), tuple(own for _, own in pairs)
    found = [renamed(part, subs, axes) for part in conjuncts_of(guards) if part.free <= set(subs)]
    return {key(part): part for part in found}


def is_masked(access: Access, condition: Expr, table: Mapping[str, Statement], *, shares: bool = False) -> bool:
    """Whether what is read is 0 where the condition is false, since it has that as a factor.

    With `shares`, also a softmax of -inf there, which is NaN where no number of a row is shown.
    """
    statement = table.get(access.tensor)
    if statement is None:
        return False
    own = in_terms_of(statement.indices, access, (condition,))
    guards = [f.condition for f in factors_of(statement.value) if isinstance(f, Iverson)]
    body = statement.value.body if isinstance(statement.value, Scan) and statement.value.kind == "softmax" else None
    if shares and isinstance(body, Where) and body.other == neg(Special("inf")):
        guards.append(body.condition)
    return bool(own) and own.keys() <= {key(part) for part in conjuncts_of(tuple(guards))}


def decides(expr: Expr, place: int) -> bool:
    """Whether the child at this place is a condition, and no value."""
    return isinstance(expr, Iverson) or (isinstance(expr, Where) and place == 0)


def read_by(expr: Expr) -> set[str]:
    """The tensors that the expression reads."""
    return {access.tensor for access in accesses(expr)}


def conjuncts_of(guards: tuple[Expr, ...]) -> Iterator[Expr]:
    """What must hold for all of them to do so, in canonical form."""
    return (simplify(part) for guard in guards for part in conjuncts(simplify(guard)))
