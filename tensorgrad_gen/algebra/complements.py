"""Terms of a sum of which one is masked by a condition, another by its contrary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tensorgrad_gen.algebra.keys import key
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Compare, Expr, Iverson, Logic, mul

# Comparisons of which one holds where the other does not, of NaN too.
_CONTRARY = {"==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Pair:
    """`[condition] then + [not condition] other`, and where the two stand in the sum."""

    places: tuple[int, int]
    condition: Expr
    then: Expr
    other: Expr


def complementary(terms: Sequence[Expr]) -> Iterator[Pair]:
    """The pairs of terms that complementary conditions mask; the condition is one that is no negation."""
    masked: dict[str, list[tuple[int, Expr, Expr]]] = {}
    for place, term in enumerate(terms):
        factors = factors_of(term)
        for at, factor in enumerate(factors):
            if isinstance(factor, Iverson):
                rest = mul(*(f for k, f in enumerate(factors) if k != at))
                masked.setdefault(key(factor.condition), []).append((place, factor.condition, rest))
    for found in list(masked.values()) if len(masked) > 1 else ():
        for place, condition, then in found:
            for opposite in _contraries(condition):
                for second, _, other in masked.get(key(opposite), ()):
                    if place != second:
                        yield Pair((place, second), condition, then, other)


def _contraries(condition: Expr) -> Iterator[Expr]:
    """Spellings of the condition that holds where this one does not, for each pair of which one is no negation."""
    if not isinstance(condition, Logic) or condition.op != "not":
        yield Logic("not", (condition,))
    if isinstance(condition, Compare) and condition.op in _CONTRARY:
        yield Compare(_CONTRARY[condition.op], condition.left, condition.right)


__all__ = ["Pair", "complementary"]
