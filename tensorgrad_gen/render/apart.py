"""What a module uses of Python and torch goes by other names where an op would hide it.

An op may be called `slice` or `torch`: then the module says `from builtins import slice as _slice` or
`import torch as _torch`, and the op stands beside it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator

from tensorgrad_gen.render.parsed import parsed

_FUTURE = "from __future__ import annotations\n"


def apart(text: str, ops: Collection[str]) -> str:
    """The text of a module that defines or imports these ops, with `_` before each name that one of them hides."""
    tree = parsed(text)
    imported = _imported(tree)
    hidden = frozenset(name for name in ops if hasattr(builtins, name) or name in imported)
    if not hidden:
        return text
    rows = [row.encode() for row in text.split("\n")]
    places = [*_named(tree, hidden), *_aliases(tree, hidden)]
    for line, column, name, new in sorted(set(places), reverse=True):
        row = rows[line - 1]
        rows[line - 1] = row[:column] + new.encode() + row[column + len(name) :]
    used = sorted({name for _, _, name, new in places if new == f"_{name}" and hasattr(builtins, name)} - imported)
    return _with_builtins("\n".join(row.decode() for row in rows), used)


def _imported(tree: ast.Module) -> frozenset[str]:
    """The names that imports of other modules give the module."""
    found = (node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    return frozenset(alias.name for node in found if not _relative(node) for alias in node.names)


def _relative(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and (bool(node.level) or node.module == "__future__")


Place = tuple[int, int, str, str]


def _named(node: ast.AST, hidden: frozenset[str]) -> Iterator[Place]:
    """Where the names are read, but for functions that have an argument of that name."""
    if isinstance(node, ast.Name) and node.id in hidden and isinstance(node.ctx, ast.Load):
        yield node.lineno, node.col_offset, node.id, f"_{node.id}"
    inner = hidden
    if isinstance(node, ast.FunctionDef):
        own = node.args
        inner = hidden - {a.arg for a in (*own.posonlyargs, *own.args, *own.kwonlyargs)}
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _named(child, inner if field == "body" else hidden)


def _aliases(tree: ast.Module, hidden: frozenset[str]) -> Iterator[Place]:
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and not _relative(node):
            for alias in node.names:
                if alias.name in hidden:
                    yield alias.lineno, alias.col_offset, alias.name, f"{alias.name} as _{alias.name}"


def _with_builtins(text: str, names: list[str]) -> str:
    """The names of Python's own that are used, imported where imports are sorted."""
    if not names:
        return text
    own = [f"from builtins import {name} as _{name}" for name in names]
    before, after = text.split(_FUTURE, maxsplit=1)
    block, _, rest = after.lstrip("\n").partition("\n\n")
    lines = block.split("\n")
    if any("torch" in row for row in lines):  # there is nothing else of Python's own
        lines = ["", *lines]
    place = next((k for k, row in enumerate(lines) if not row.startswith("import ")), len(lines))
    block = "\n".join((*lines[:place], *own, *lines[place:]))
    return f"{before}{_FUTURE}\n{block}\n\n{rest}"
