"""The rewriting engine: a table of rules, applied bottom-up to a fixed point.

A rule has a name, the node type it looks at, and a law that says before -> after; its function
returns the new expression, or `None` where its side condition fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tensorgrad_gen.ir import Expr

Rewrite = Callable[..., "Expr | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    name: str
    node: type[Expr]
    law: str
    apply: Rewrite


RULES: dict[type[Expr], list[Rule]] = {}


def rule(node: type[Expr], name: str, law: str) -> Callable[[Rewrite], Rewrite]:
    """Enter a function into the table under the node type that it rewrites."""

    def enter(function: Rewrite) -> Rewrite:
        RULES.setdefault(node, []).append(Rule(name, node, law, function))
        return function

    return enter


def _at_root(expr: Expr) -> tuple[Rule, Expr] | None:
    for row in RULES.get(type(expr), ()):
        result = row.apply(expr)
        if result is not None and result is not expr:
            return row, result
    return None


@lru_cache(maxsize=200_000)
def simplify(expr: Expr) -> Expr:
    """The normal form: no rule of the table applies anywhere in it."""
    children = expr.children
    if children:
        new = tuple(simplify(child) for child in children)
        if new != children:
            expr = expr.rebuild(new)
    found = _at_root(expr)
    return expr if found is None else simplify(found[1])


def step(expr: Expr) -> tuple[Rule, Expr, Expr, Expr] | None:
    """One rewrite, innermost first: the rule, the node before and after, and the whole after."""
    children = expr.children
    for position, child in enumerate(children):
        found = step(child)
        if found is not None:
            row, before, after, new = found
            return row, before, after, expr.rebuild((*children[:position], new, *children[position + 1 :]))
    at_root = _at_root(expr)
    return None if at_root is None else (at_root[0], expr, at_root[1], at_root[1])
