"""Stable forms that only a derivative has: `1 - p`, `p` a sigmoid, or `1/(1 + x) - x/(1 + x)^2`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tensorgrad_gen.ir import Program, Statement
from tensorgrad_gen.normalise.reading import Definitions, open_all
from tensorgrad_gen.normalise.stable import DERIVATIVE_RULES, stabilise


def stable(statements: Iterable[Statement], program: Program) -> list[Statement]:
    """The statements with the rows of the stable forms applied that concern scalars."""
    definitions = open_all(Definitions({s.target: s for s in program.statements}))
    return [replace(s, value=stabilise(s.value, definitions, DERIVATIVE_RULES)) for s in statements]
