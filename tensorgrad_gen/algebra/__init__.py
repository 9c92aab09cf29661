"""Index algebra: renaming, canonical keys, and the rule table with its engine."""

from tensorgrad_gen.algebra import contractions as _contractions  # noqa: F401  (fills the table)
from tensorgrad_gen.algebra import rules as _rules  # noqa: F401  (fills the table)
from tensorgrad_gen.algebra.indices import (
    accesses,
    all_indices,
    apart,
    by_name,
    fresh,
    map_nodes,
    rename_bound,
    rename_tensors,
    substitute,
    walk,
)
from tensorgrad_gen.algebra.keys import abstract_key, key
from tensorgrad_gen.algebra.letters import plain_dummies, plain_letters, readable
from tensorgrad_gen.algebra.rewrite import RULES, Rule, rule, simplify, step

__all__ = [
    "RULES",
    "Rule",
    "abstract_key",
    "accesses",
    "all_indices",
    "apart",
    "by_name",
    "fresh",
    "key",
    "map_nodes",
    "rename_tensors",
    "plain_dummies",
    "plain_letters",
    "readable",
    "rename_bound",
    "rule",
    "simplify",
    "step",
    "substitute",
    "walk",
]
