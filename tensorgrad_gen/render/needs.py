"""Tests of many gradients: each is a variable, made from the one before it: their text grows as their number."""

from __future__ import annotations

from collections.abc import Iterable

from tensorgrad_gen.lower.names import Names
from tensorgrad_gen.render.facts import Facts, test_of

# A test of more gradients than this has a name.
MOST_SPELLED = 12

NamedTests = dict[frozenset[str], str]


def named_tests(
    facts: Facts, needs: Iterable[frozenset[str]], among: tuple[str, ...]
) -> tuple[NamedTests, tuple[str, ...]]:
    """The variable for each set of gradients that is large, and the lines that make these variables, in order."""
    place, every = {name: k for k, name in enumerate(among)}, frozenset(among)
    large = {need for need in needs if need < every and len(need) > MOST_SPELLED}
    names, fresh, lines = NamedTests(), Names(frozenset()), list[str]()
    for need in sorted(large, key=lambda need: (len(need), sorted(map(place.__getitem__, need)))):
        inner: frozenset[str] = next((known for known in reversed(names) if known < need), frozenset())
        first, last = (choose(need, key=place.__getitem__) for choose in (min, max))
        parts = [names[inner]] if inner else []
        name = fresh.fresh(f"{facts.names['needs']}_{first}_to_{last}")
        lines.append(f"{name} = {' or '.join((*parts, test_of(facts, need - inner, among)))}")
        names[need] = name
    return names, tuple(lines)
