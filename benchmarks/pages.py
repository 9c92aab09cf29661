"""Pages with tables that a program writes.

Law: text between `<!-- NAME -->` and `<!-- end -->` is written here; what stands outside of these is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def written(page: str, parts: Mapping[str, str]) -> str:
    """The page with its parts anew; every part has its place there, and every place its part."""
    places = re.findall(r"^<!-- (?!end)(\w+) -->$", page, re.MULTILINE)
    if missing := [name for name in parts if name not in places]:
        raise ValueError(f"the page has no place for {', '.join(missing)}")
    if sorted(places) != sorted(parts):
        raise ValueError(f"the page has places for {places}, where there is {list(parts)}")
    for name, text in parts.items():
        pattern = rf"^<!-- {name} -->\n.*?^<!-- end -->$"
        new = f"<!-- {name} -->\n{text}\n<!-- end -->"
        page = re.sub(pattern, lambda _: new, page, flags=re.MULTILINE | re.DOTALL)  # noqa: B023 - called at once
    return page
