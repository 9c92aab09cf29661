"""The syntax tree of a module's text, kept for whoever looks at the same text next; nobody changes it."""

from __future__ import annotations

import ast
from functools import lru_cache


@lru_cache(maxsize=1)
def parsed(text: str) -> ast.Module:
    """The module."""
    return ast.parse(text)
