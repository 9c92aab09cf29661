"""Numbers that scale every reading of a tensor: they scale the tensor, once."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from tensorgrad_gen.algebra import accesses, map_nodes
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, Mul, Statement, Sum, add, const, mul
from tensorgrad_gen.plan.sizes import Regime

# A number in two parts: the rational one, which may be negative, and the others.
_Scale = tuple[Fraction, tuple[Expr, ...]]


def share_scales(statements: list[Statement], names: Namer, results: frozenset[str], regime: Regime) -> list[Statement]:
    """`u = beta t; v = -beta t` -> `t' = beta t; u = t'; v = -t'`, where `t` is read nowhere else.

    What was a pass over each of the tensors is one at most: often `t` has a number already, or a tensor without axes.
    So are contractions, `u = beta sum_j t[i,j] a[j]`, where `t` is smaller than what was scaled.
    """
    readers: dict[str, list[Statement]] = {}
    for statement in statements:
        for tensor in {access.tensor for access in accesses(statement.value)}:
            readers.setdefault(tensor, []).append(statement)
    for place, statement in enumerate(statements):
        if statement.target in results or statement.kind != "real":
            continue
        scale = _common(statement.target, readers.get(statement.target, []), regime.elements(statement.indices), regime)
        if scale is None:
            continue
        number, others = scale
        value = add(*(mul(const(number), *others, term) for term in terms_of(statement.value)))
        name = _name(statement, names)
        scaled = Statement(name, statement.indices, value)
        later = [_unscaled(s, statement.target, scale, name) for s in statements[place + 1 :]]
        return share_scales([*statements[:place], scaled, *later], names, results, regime)
    return statements


def _name(statement: Statement, names: Namer) -> str:
    """That of the tensor, unless it says what the tensor no longer is: a cotangent."""
    return names.name(f"scaled_{statement.target}") if statement.target in names.reserved else statement.target


def _common(tensor: str, readers: list[Statement], size: int, regime: Regime) -> _Scale | None:
    """The number before each reading of the tensor, but for its sign; None unless there are several, all with it."""
    scales: list[_Scale] = []
    passed = 0
    for statement in readers:
        every = sum(1 for access in accesses(statement.value) if access.tensor == tensor)
        own = [_scale(term) for term in _scaled_readings(statement, tensor)]
        if len(own) != every:
            return None
        scales += own
        passed += sum(_passed(term, regime) for term in _scaled_readings(statement, tensor))
    if len(scales) < 2 or passed <= size or (abs(scales[0][0]) == 1 and not scales[0][1]):
        return None
    first, *rest = scales
    return first if all(abs(s[0]) == abs(first[0]) and s[1] == first[1] for s in rest) else None


def _scaled_readings(statement: Statement, tensor: str) -> Iterator[Expr]:
    """The terms that have the tensor as a factor, once, and no axis that it has not, or that contract it."""
    for term in terms_of(statement.value):
        summed = _contracted(term)
        own = [f for f in factors_of(summed or term) if isinstance(f, Access) and f.tensor == tensor]
        if len(own) != 1 or not all(isinstance(sub, Index) for sub in own[0].subs):
            continue
        if summed is not None or own[0].free == term.free:
            yield term


def _contracted(term: Expr) -> Expr | None:
    """The product that is summed, if that is all there is in the term beside numbers."""
    sums = [f for f in factors_of(term) if not scalar(f)]
    body = sums[0].body if len(sums) == 1 and isinstance(sums[0], Sum) else None
    return None if body is None or any(isinstance(f, Iverson | Delta) for f in factors_of(body)) else body


def _passed(term: Expr, regime: Regime) -> int:
    """The elements of what is scaled: of a contraction the smallest of the operands and the result."""
    parts = (term, *factors_of(_contracted(term) or term))
    return min(regime.elements(part.free) for part in parts if not scalar(part))


def _scale(term: Expr) -> _Scale:
    number, rest = split_coefficient(term)
    return number, tuple(f for f in factors_of(rest) if scalar(f))


def _unscaled(statement: Statement, tensor: str, scale: _Scale, name: str) -> Statement:
    """The statement with the scaled tensor read, and no longer scaled."""

    def renamed(node: Expr) -> Expr:
        return Access(name, node.subs) if isinstance(node, Access) and node.tensor == tensor else node

    terms = []
    for term in terms_of(statement.value):
        if any(access.tensor == tensor for access in accesses(term)):
            number, rest = split_coefficient(term)
            kept = [f for f in factors_of(rest) if not scalar(f)] if isinstance(term, Mul) else [term]
            term = mul(const(number / scale[0]), *(map_nodes(f, renamed) for f in kept))
        terms.append(term)
    return Statement(statement.target, statement.indices, add(*terms), statement.kind)
