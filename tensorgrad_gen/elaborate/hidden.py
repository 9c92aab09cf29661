"""What a condition hides is not read, by whatever name: a tensor that is read only under a condition has it itself.

`a[n] = log(x[n]); y[n] = where(p[n], a[n], 0)` -> `a[n] = where(p[n], log(x[n]), 0); ...`
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import apart, key, map_nodes, walk
from tensorgrad_gen.algebra.guards import Conditions, conjuncts_of, in_terms_of, nodes_under, read_by, read_under
from tensorgrad_gen.algebra.parts import may_be_undefined
from tensorgrad_gen.ir import Access, Expr, Iverson, Logic, Mul, Statement, Where, mul, number
from tensorgrad_gen.ir.build import ZERO


def hide(statements: Sequence[Statement], outputs: Collection[str]) -> tuple[Statement, ...]:
    """The statements, with the conditions under which all readers read a tensor in its own value, if that wants them.

    An output is read by the caller, everywhere.  A statement moves to its first reader where a condition is known
    only there.
    """
    current = list(statements)
    if not any(isinstance(node, Iverson | Where) for s in current for node in walk(s.value)):
        return tuple(current)
    changed: set[str] = set()
    conditions = read_under(current, outputs)
    for statement in reversed(statements):
        known = conditions.get(statement.target, {})
        if known and any(map(may_be_undefined, walk(statement.value))):
            moved = _under_its_conditions(statement, known, changed, current)
            if moved is not None:
                current, conditions = moved, read_under(moved, outputs)
                changed.add(statement.target)
    return tuple(current)


def _under_its_conditions(
    statement: Statement, conditions: Conditions, changed: Collection[str], current: list[Statement]
) -> list[Statement] | None:
    """The statements with this one under those of the conditions that are known before it is read."""
    place = current.index(statement)
    first = next(n for n, s in enumerate(current) if statement.target in read_by(s.value))
    before = [s for s in current[:first] if s is not statement]
    later = {s.target for s in current[first:]} | {statement.target}
    known = {
        name: guard
        for name, guard in conditions.items()
        if not read_by(guard) & later and not _rests_on(guard, changed, before)
    }
    if not _wants(statement.value, known):
        return None
    needed = frozenset().union(*map(read_by, known.values())) & {s.target for s in before[place:]}
    at = first - 1 if needed else place
    readers = [replace(s, value=_plain(s.value, statement, known)) for s in current[first:]]
    return [*before[:at], _where(statement, tuple(known.values())), *before[at:], *readers]


def _rests_on(expr: Expr, tensors: Collection[str], statements: Sequence[Statement]) -> bool:
    """Whether any of the tensors is needed for the value: it does not have all of its own any more."""
    needed = read_by(expr)
    for statement in reversed(statements):
        if statement.target in needed:
            needed |= read_by(statement.value)
    return not needed.isdisjoint(tensors)


def _wants(value: Expr, conditions: Conditions) -> bool:
    """Whether something that may be undefined is read under less than the conditions."""
    found = (guards for node, guards in nodes_under(value, ()) if may_be_undefined(node))
    return any(not conditions.keys() <= {key(part) for part in conjuncts_of(guards)} for guards in found)


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
        own = list(conjuncts_of(guards))
        has = in_terms_of(statement.indices, rest, guards)
        return rest if len(has) == len(own) and has.keys() <= known.keys() else node

    return map_nodes(expr, visit) if statement.target in read_by(expr) else expr
