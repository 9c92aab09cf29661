"""Tensors that are zero but on diagonals, kept without them.

Law: a statement is split by the deltas of its terms, and each part is defined without them, on fewer axes:
`t[a,b,c] = delta[a,b] u[b,c] + v[a,b,c]` -> `p[b,c] = u[b,c]`, `q[a,b,c] = v[a,b,c]`, and
`delta[a,b] p[b,c] + q[a,b,c]` for `t[a,b,c]`.  Where it is read, deltas contract.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import simplify
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.algebra.parts import factors_of, has_delta, terms_of
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, Statement, add, mul, sub_free
from tensorgrad_gen.simplify.factor import factor
from tensorgrad_gen.simplify.inline import put


@dataclass(frozen=True, slots=True)
class _Part:
    """The deltas of some terms, the axes they leave, and the sum of the terms without them."""

    deltas: tuple[Delta, ...]
    indices: tuple[Index, ...]
    terms: tuple[Expr, ...]


def split_by_deltas(statements: list[Statement], wanted: set[str], names: Namer) -> list[Statement]:
    """The statements without deltas, which are put where they are read; what is wanted stays whole."""
    done: list[Statement] = []
    split: dict[str, Statement] = {}
    for statement in statements:
        value = statement.value
        for old in split.values():
            value = put(value, old)
        statement = replace(statement, value=value if value is statement.value else simplify(value))
        parts = [] if statement.target in wanted else _parts(statement)
        if any(part.deltas for part in parts):
            defined = [_defined(statement, part, names) for part in parts]
            done += [part for part, _ in defined]
            split[statement.target] = replace(statement, value=add(*(access for _, access in defined)))
        else:
            done.append(statement)
    return done


def common_deltas_last(statements: list[Statement], names: Namer) -> list[Statement]:
    """A sum whose terms have deltas in common is made without these, and put on the diagonal by the next statement."""
    done: list[Statement] = []
    for statement in statements:
        part = _common(statement) if len(terms_of(statement.value)) > 1 else None
        if part is None:
            done.append(statement)
        else:
            made, whole = _defined(statement, part, names)
            done += [made, replace(statement, value=whole)]
    return done


def factored(value: Expr) -> Expr:
    """Common factors in front of each sum of terms, but not of terms with deltas: these stand apart, on diagonals."""
    terms = terms_of(value)
    apart = [term for term in terms if has_delta(term)]
    if not apart:
        return factor(value)
    others = [term for term in terms if not has_delta(term)]
    return add(*apart, factor(add(*others)))


def _parts(statement: Statement) -> list[_Part]:
    """The terms, those with the same deltas together."""
    found: dict[tuple[Delta, ...], _Part] = {}
    for term in terms_of(statement.value):
        deltas, indices = _removable(term, statement.indices)
        rest = mul(*(f for f in factors_of(term) if f not in deltas))
        before = found.get(deltas)
        found[deltas] = _Part(deltas, indices, (rest,) if before is None else (*before.terms, rest))
    return list(found.values())


def _common(statement: Statement) -> _Part | None:
    """All terms, without the deltas that every one of them has, if there are any."""
    terms = terms_of(statement.value)
    every = [_removable(term, statement.indices)[0] for term in terms]
    deltas = tuple(delta for delta in every[0] if all(delta in other for other in every))
    rest = tuple(mul(*(f for f in factors_of(term) if f not in deltas)) for term in terms)
    free = frozenset[Index]().union(*(term.free for term in rest))
    gone = {_removed(delta, free) for delta in deltas}
    if not deltas or None in gone or len(gone) < len(deltas):
        return None
    return _Part(deltas, tuple(i for i in statement.indices if i not in gone), rest)


def _removed(delta: Delta, free: frozenset[Index]) -> Index | None:
    """The side of the delta that nothing else has."""
    return next((i for i in (delta.right, delta.left) if isinstance(i, Index) and i not in free), None)


def _removable(term: Expr, indices: tuple[Index, ...]) -> tuple[tuple[Delta, ...], tuple[Index, ...]]:
    """Deltas that put an axis of the statement, which nothing else has, at another one or at a label."""
    factors = factors_of(term)
    masked = any(isinstance(f, Iverson) for f in factors)
    removed: list[Delta] = []
    left = list(indices)
    for delta in factors:
        if not isinstance(delta, Delta):
            continue
        for one, other in ((delta.right, delta.left), (delta.left, delta.right)):
            if not isinstance(one, Index) or one not in left or not sub_free(other) <= set(left) - {one}:
                continue
            if not isinstance(other, Index) and masked:
                continue  # where the mask fails, the label may point outside
            if any(one in f.free for f in factors if f is not delta and f not in removed):
                continue
            removed.append(delta)
            left.remove(one)
            break
    return tuple(removed), tuple(left)


def _defined(statement: Statement, part: _Part, names: Namer) -> tuple[Statement, Expr]:
    """The part as a statement, and what the whole has of it."""
    stem = f"{statement.target}_{'diagonal' if part.deltas else 'rest'}"
    made = Statement(names.name(stem), part.indices, add(*part.terms), statement.kind)
    return made, mul(*part.deltas, Access(made.target, part.indices))
