"""What a condition hides is not read, by whatever name: a tensor that is read only under a condition has it itself.

`a[n] = log(x[n]); y[n] = where(p[n], a[n], 0)` -> `a[n] = where(p[n], log(x[n]), 0); ...`
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, apart, key, map_nodes, simplify, walk
from tensorgrad_gen.algebra.hoist import conjuncts, guards_inside, renamed
from tensorgrad_gen.algebra.parts import may_be_undefined
from tensorgrad_gen.ir import (
    Access,
    Expr,
    Index,
    Iverson,
    Linalg,
    Logic,
    Mul,
    Root,
    Scan,
    Statement,
    Where,
    mul,
    number,
)
from tensorgrad_gen.ir.build import ZERO

Conditions = dict[str, Expr]  # all of them hold; by their keys


def hide(statements: Sequence[Statement], outputs: Collection[str]) -> tuple[Statement, ...]:
    """The statements, with the conditions under which all readers read a tensor in its own value, if that wants them.

    An output is read by the caller, everywhere.  A statement moves to its first reader where a condition is known
    only there.
    """
    current = list(statements)
    if not any(isinstance(node, Iverson | Where) for s in current for node in walk(s.value)):
        return tuple(current)
    changed: set[str] = set()
    conditions = _conditions(current, outputs)
    for statement in reversed(statements):
        known = conditions.get(statement.target, {})
        if known and any(map(may_be_undefined, walk(statement.value))):
            moved = _under_its_conditions(statement, known, changed, current)
            if moved is not None:
                current, conditions = moved, _conditions(moved, outputs)
                changed.add(statement.target)
    return tuple(current)


def _under_its_conditions(
    statement: Statement, conditions: Conditions, changed: Collection[str], current: list[Statement]
) -> list[Statement] | None:
    """The statements with this one under those of the conditions that are known before it is read."""
    place = current.index(statement)
    first = next(n for n, s in enumerate(current) if statement.target in _read_by(s.value))
    before = [s for s in current[:first] if s is not statement]
    later = {s.target for s in current[first:]} | {statement.target}
    known = {
        name: guard
        for name, guard in conditions.items()
        if not _read_by(guard) & later and not _rests_on(guard, changed, before)
    }
    if not _wants(statement.value, known):
        return None
    needed = frozenset().union(*map(_read_by, known.values())) & {s.target for s in before[place:]}
    at = first - 1 if needed else place
    readers = [replace(s, value=_plain(s.value, statement, known)) for s in current[first:]]
    return [*before[:at], _where(statement, tuple(known.values())), *before[at:], *readers]


def _conditions(statements: Sequence[Statement], outputs: Collection[str]) -> dict[str, Conditions]:
    """Of each tensor that is read, the conditions of every read of it, in terms of its own indices."""
    found: dict[str, Conditions] = {name: {} for name in outputs}
    indices = {s.target: s.indices for s in statements}
    for statement in reversed(statements):
        own = tuple(found.get(statement.target, {}).values())
        for node, guards in _under(statement.value, own):
            if not isinstance(node, Access) or node.tensor not in indices:
                continue
            here = _in_terms_of(indices[node.tensor], node, guards)
            others = found.get(node.tensor)
            found[node.tensor] = here if others is None else {k: g for k, g in others.items() if k in here}
    return found


def _under(expr: Expr, guards: tuple[Expr, ...]) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    """Every node, and the conditions under which it is read, in terms of indices that are free there."""
    yield expr, guards
    if isinstance(expr, Root):
        guards = ()  # a search reads all of what it is given
    own = set(expr.bound)
    own |= set(expr.indices) if isinstance(expr, Scan) else set()
    own |= {*expr.rows, *expr.cols} if isinstance(expr, Linalg) else set()
    kept = tuple(guard for guard in guards if not guard.free & own)  # others mean another index
    for child, more in zip(expr.children, guards_inside(expr), strict=True):
        yield from _under(child, kept + more)


def _in_terms_of(indices: tuple[Index, ...], access: Access, guards: tuple[Expr, ...]) -> Conditions:
    """The guards as conditions on the indices of the tensor that is read, those that can be."""
    subs = [sub for sub in access.subs if isinstance(sub, Index)]
    if len(set(subs)) < len(access.subs):
        return {}
    own = [renamed(part, tuple(subs), indices) for part in _parts(guards) if part.free <= set(subs)]
    return {key(part): part for part in own}


def _read_by(expr: Expr) -> set[str]:
    return {access.tensor for access in accesses(expr)}


def _rests_on(expr: Expr, tensors: Collection[str], statements: Sequence[Statement]) -> bool:
    """Whether any of the tensors is needed for the value: it does not have all of its own any more."""
    needed = _read_by(expr)
    for statement in reversed(statements):
        if statement.target in needed:
            needed |= _read_by(statement.value)
    return not needed.isdisjoint(tensors)


def _wants(value: Expr, conditions: Conditions) -> bool:
    """Whether something that may be undefined is read under less than the conditions."""
    found = (guards for node, guards in _under(value, ()) if may_be_undefined(node))
    return any(not conditions.keys() <= {key(part) for part in _parts(guards)} for guards in found)


def _parts(guards: tuple[Expr, ...]) -> Iterator[Expr]:
    """What must hold for all of them to do so, in canonical form."""
    return (simplify(part) for guard in guards for part in conjuncts(simplify(guard)))


def _where(statement: Statement, conditions: tuple[Expr, ...]) -> Statement:
    """The statement with its value where the conditions hold; 0, or false, elsewhere, where nothing reads it."""
    if statement.kind == "bool":
        value: Expr = Logic("and", (*conditions, statement.value))
    else:
        whole = conditions[0] if len(conditions) == 1 else Logic("and", conditions)
        value = Where(whole, statement.value, ZERO)
    return replace(statement, value=apart(value, frozenset(statement.indices)))


def _plain(expr: Expr, statement: Statement, known: Conditions) -> Expr:
    """A reader whose condition hides nothing but the tensor, which has it now, reads the tensor."""

    def visit(node: Expr) -> Expr:
        if isinstance(node, Where) and number(node.other) == 0:
            guards: tuple[Expr, ...] = (node.condition,)
            rest = node.then
        elif isinstance(node, Mul):
            rest = mul(*(f for f in node.factors if not isinstance(f, Iverson)))
            guards = tuple(f.condition for f in node.factors if isinstance(f, Iverson))
        else:
            return node
        if not isinstance(rest, Access) or rest.tensor != statement.target:
            return node
        own = list(_parts(guards))
        has = _in_terms_of(statement.indices, rest, guards)
        return rest if len(has) == len(own) and has.keys() <= known.keys() else node

    return map_nodes(expr, visit) if statement.target in _read_by(expr) else expr
