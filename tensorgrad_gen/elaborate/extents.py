"""Extents: which axes must agree, by union-find over letters and integers (language, section 3, rule 7).

A key is a letter of the whole spec (declared by `inputs` or `sizes`), a letter of one equation
`(equation, letter)`, an integer, or `...`.  A class of keys has an integer if one of its keys
is one; else the symbol of its first declared letter; else its extent is unknown.
"""

from __future__ import annotations

from typing import TypeAlias

Key: TypeAlias = "str | int | tuple[int, str]"
ELLIPSIS = "..."


class Extents:
    """Classes of keys that have one extent.

    `sources` are the letters that an input's axis or a size gives, in order: they name classes.
    """

    def __init__(self) -> None:
        self.sources: dict[str, None] = {ELLIPSIS: None}
        self._parent: dict[Key, Key] = {}
        self._rank: dict[str, int] = {ELLIPSIS: 0}

    def declare(self, letter: str) -> None:
        """Something gives this letter's extent."""
        if letter not in self.sources:
            self._rank[letter] = len(self.sources)
            self.sources[letter] = None

    def find(self, key: Key) -> Key:
        """The representative of the key's class: an integer, else the first letter with a source."""
        root = key
        while root in self._parent:
            root = self._parent[root]
        while key != root:
            above = self._parent[key]
            self._parent[key] = root
            key = above
        return root

    def join(self, a: Key, b: Key) -> bool:
        """Make two keys agree; False if they are different integers, or one is `...`."""
        first, second = self.find(a), self.find(b)
        if first == second:
            return True
        if ELLIPSIS in (first, second) or (isinstance(first, int) and isinstance(second, int)):
            return False
        if self._order(second) < self._order(first):
            first, second = second, first
        self._parent[second] = first
        return True

    def _order(self, key: Key) -> tuple[int, int, str]:
        if isinstance(key, int):
            return (0, key, "")
        if isinstance(key, str):
            return (1, self._rank.get(key, len(self._rank)), key) if key in self._rank else (2, 0, key)
        return (3, *key)

    def extent(self, key: Key) -> str | int | None:
        """The symbol or integer of the key's class; None if nothing gives it."""
        root = self.find(key)
        if isinstance(root, int):
            return root
        return root if isinstance(root, str) and root in self.sources else None
