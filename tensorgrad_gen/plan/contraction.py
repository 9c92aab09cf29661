"""Contractions of more than two tensors, split into pairs in the cheapest order."""

from __future__ import annotations

from collections.abc import Sequence

from tensorgrad_gen.algebra import accesses, by_name
from tensorgrad_gen.algebra.hoist import Known, scalar
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, LeviCivita, Mul, Statement, Sum, mul
from tensorgrad_gen.plan.sizes import Regime


def order_contractions(statements: Sequence[Statement], names: Namer, known: Known, regime: Regime) -> list[Statement]:
    """The statements, each contraction with at most two operands."""
    out: list[Statement] = []
    for statement in statements:
        value = statement.value
        scale, contraction = _scaled(value)
        same = None if contraction is None or scale else known.find(contraction)
        if same is not None:
            value = same
        elif contraction is not None:
            split = _split(contraction, out, names, known, regime)
            if split is not contraction:
                value = mul(*scale, split)
        done = Statement(statement.target, statement.indices, value, statement.kind)
        known.enter(done)
        out.append(done)
    return out


def _scaled(value: Expr) -> tuple[tuple[Expr, ...], Sum | None]:
    """Scalar factors in front of a contraction, and the contraction."""
    parts = factors_of(value)
    sums = [p for p in parts if isinstance(p, Sum)]
    if len(sums) != 1 or not all(scalar(p) for p in parts if p is not sums[0]):
        return (), None
    return tuple(p for p in parts if p is not sums[0]), sums[0]


def _operands(factors: tuple[Expr, ...], regime: Regime) -> list[list[Expr]]:
    """Factors grouped: one whose indices another has is multiplied into the smallest such one."""
    groups: list[list[Expr]] = []
    sets: list[frozenset[Index]] = []
    for part in sorted(factors, key=lambda f: -len(f.free)):
        homes = [n for n, indices in enumerate(sets) if part.free <= indices]
        if homes:
            home = min(homes, key=lambda n: regime.elements(sets[n]))
            groups[home].append(part)
        else:
            groups.append([part])
            sets.append(part.free)
    order = {id(f): n for n, f in enumerate(factors)}
    groups = [sorted(group, key=lambda f: order[id(f)]) for group in groups]
    return sorted(groups, key=lambda group: order[id(group[0])])


def _split(contraction: Sum, out: list[Statement], names: Namer, known: Known, regime: Regime) -> Expr:
    if not isinstance(contraction.body, Mul):
        return contraction
    if any(isinstance(f, Iverson | Delta | LeviCivita) for f in contraction.body.factors):
        return contraction
    operands = [mul(*group) for group in _operands(contraction.body.factors, regime)]
    if len(operands) <= 2:
        return contraction
    for left, right in _path(operands, contraction.free, regime)[:-1]:
        first, second = operands[left], operands[right]
        rest = [o for n, o in enumerate(operands) if n not in (left, right)]
        operands = [*rest, _pair(first, second, rest, contraction, out, names, known)]
    remaining = frozenset().union(*(o.free for o in operands))
    indices = tuple(i for i in contraction.indices if i in remaining)
    return Sum(indices, mul(*operands)) if indices else mul(*operands)


def _pair(
    first: Expr,
    second: Expr,
    rest: list[Expr],
    contraction: Sum,
    out: list[Statement],
    names: Namer,
    known: Known,
) -> Expr:
    """The contraction of two operands over what nothing else has, as a named tensor."""
    needed = contraction.free.union(*(o.free for o in rest))
    summed = tuple(i for i in contraction.indices if i in first.free | second.free and i not in needed)
    value: Expr = mul(first, second)
    if summed:
        value = Sum(summed, value)
    found = known.find(value)
    if found is not None:
        return found
    indices = _in_order_of_reading(value)
    statement = Statement(names.name(describe(value)), indices, value)
    known.enter(statement)
    out.append(statement)
    return Access(statement.target, indices)


def _in_order_of_reading(value: Expr) -> tuple[Index, ...]:
    """Free indices as the operands have them, `...` first: a matrix product then needs no transpose."""
    read = [s for a in accesses(value) for s in a.subs if isinstance(s, Index) and s in value.free]
    rest = [i for i in by_name(value.free) if i not in read]
    return tuple(sorted(dict.fromkeys([*read, *rest]), key=lambda i: i.extent != "..."))


def _path(operands: list[Expr], free: frozenset[Index], regime: Regime) -> list[tuple[int, int]]:
    """The order of pairwise contractions, found by dynamic programming at build time."""
    import opt_einsum

    letters: dict[Index, str] = {}
    terms = []
    for operand in operands:
        indices = sorted(operand.free, key=lambda i: i.name)
        for index in indices:
            letters.setdefault(index, opt_einsum.get_symbol(len(letters)))
        terms.append("".join(letters[i] for i in indices))
    result = "".join(letters[i] for i in sorted(free, key=lambda i: i.name) if i in letters)
    shapes = [tuple(regime.extent(i) for i in sorted(o.free, key=lambda i: i.name)) for o in operands]
    equation = f"{','.join(terms)}->{result}"
    strategy = "dp" if len(operands) <= 10 else "greedy"
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=strategy)
    pairs: list[tuple[int, int]] = []
    for step in path:
        # A step over more than two operands (none of them shares an index) goes from the left.
        chosen = sorted(step)
        while len(chosen) > 1:
            pairs.append((chosen[0], chosen[1]))
            count = len(operands) - len(pairs)
            chosen = sorted([c - (c > pairs[-1][0]) - (c > pairs[-1][1]) for c in chosen[2:]] + [count])
    return pairs
