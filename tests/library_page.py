"""The page `docs/library.md`: every op of the library as its generated file describes it.

`UPDATE_LIBRARY=1 pytest tests/test_docs.py` writes it anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.opinfo_rows import ROWS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "library.md"
HEAD = """\
# The library

Every op of `specs/`, as the docstring of its generated file has it: the formulas, the gradients, what is saved for
backward. Where PyTorch has the op too, its name follows; the two agree on PyTorch's own samples, in value and
derivatives (`tests/test_opinfo.py`). This page is written by `tests/library_page.py`, and a test holds it to the files.
"""


def page() -> str:
    """The text of the page."""
    groups = sorted(folder for folder in (ROOT / "generated").iterdir() if (ROOT / "specs" / folder.name).is_dir())
    return "\n".join([HEAD, _contents(groups), *(line for group in groups for line in _group(group))])


def _contents(groups: list[Path]) -> str:
    counts = {group.name: len(_ops(group)) for group in groups}
    links = [f"[{name}](#{name}) ({count})" for name, count in counts.items()]
    return f"{sum(counts.values())} ops: {', '.join(links)}.\n"


def _ops(group: Path) -> list[Path]:
    return sorted(path for path in group.glob("*.py") if path.stem != "__init__")


def _group(group: Path) -> Iterator[str]:
    yield f"## {group.name}\n"
    for path in _ops(group):
        head, *body = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")
        same = sorted({_shown(row.opinfo) for row in ROWS if row.op == path.stem})
        yield f"### {path.stem}\n"
        yield (
            " ".join(head.split()) + (f" In PyTorch: {', '.join(f'`{name}`' for name in same)}." if same else "") + "\n"
        )
        yield "```text\n" + "\n\n".join(body) + "\n```\n"


def _shown(opinfo: str) -> str:
    return opinfo if opinfo.startswith("torch.") else f"torch.{opinfo}"
