"""The runtime as text: the whole file beside the generated ops, or the part that one op uses."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import pairwise

# The modules of `tensorgrad_gen.runtime`, in order.
PARTS = (
    "core.py",
    "calls.py",
    "registered.py",
    "wording.py",
    "ops.py",
    "series.py",
    "matrices.py",
    "factors.py",
    "windows.py",
    "convolutions.py",
    "solvers.py",
    "blocks.py",
    "fused.py",
    "attention.py",
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A top-level statement of the runtime: the names it defines, those it reads, its text."""

    names: tuple[str, ...]
    reads: frozenset[str]
    text: str
    imports: bool = False


def runtime_sources() -> tuple[str, ...]:
    """The text of each part."""
    return tuple(resources.files("tensorgrad_gen.runtime").joinpath(name).read_text("utf-8") for name in PARTS)


@cache
def definitions() -> tuple[Definition, ...]:
    """The top-level statements of all parts in order, imports from outside included, docstrings of modules left out."""
    found: list[Definition] = []
    for source in runtime_sources():
        lines = source.split("\n")
        end = 0
        for node in ast.parse(source).body:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            start = first - 1
            while start > end and lines[start - 1].startswith("#"):
                start -= 1
            text = "\n".join(lines[start : node.end_lineno])
            end = node.end_lineno or end
            own = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tensorgrad_gen.")
            if not own and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                found.append(_definition(node, text))
    return tuple(found)


def _definition(node: ast.stmt, text: str) -> Definition:
    loads = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    if isinstance(node, ast.Import | ast.ImportFrom):
        return Definition(tuple(a.asname or a.name.split(".")[0] for a in node.names), frozenset(), text, imports=True)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return Definition((node.name,), loads, text)
    stores = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return Definition(tuple(stores), loads, text)


def runtime_body() -> str:
    """All parts as one module, without header and docstring."""
    return _joined(definitions())


def inlined(names: frozenset[str], modules: tuple[str, ...]) -> tuple[str, str]:
    """Imports and definitions of what is named and all it needs, each name with `_` before it.

    `modules` are what the module itself imports beside.
    """
    table = definitions()
    wanted, grown = set(names), True
    while grown:
        needed = {read for d in table if wanted & set(d.names) for read in d.reads}
        grown = not needed <= wanted
        wanted |= needed
    used = [d for d in table if wanted & set(d.names)]
    texts = [d.text for d in used if d.imports] + [f"import {module}" for module in modules]
    imports = _imports(texts, wanted | set(modules))
    return imports, _spaced([_hidden(d) for d in used if not d.imports])


@cache
def _hidden(definition: Definition) -> Definition:
    """The definition with `_` before each name that a part of the runtime defines."""
    own = {name for d in definitions() if not d.imports for name in d.names}
    return replace(definition, text=_renamed(definition.text, own))


def _joined(table: tuple[Definition, ...]) -> str:
    imports = _imports([d.text for d in table if d.imports], None)
    return f"{imports}\n\n{_spaced([d for d in table if not d.imports])}\n"


def _imports(texts: list[str], wanted: set[str] | None) -> str:
    """Import lines but for `__future__`, sorted, merged by module, only of names that are wanted."""
    plain: set[str] = set()
    members: dict[str, set[str]] = {}
    for node in (n for text in texts for n in _statements(text)):
        for alias in getattr(node, "names", ()):
            if wanted is None or (alias.asname or alias.name.split(".")[0]) in wanted:
                if isinstance(node, ast.ImportFrom):
                    members.setdefault(node.module or "", set()).add(alias.name)
                else:
                    plain.add(f"import {alias.name}")
    members.pop("__future__", None)
    lines = sorted(plain) + [f"from {m} import {', '.join(sorted(members[m]))}" for m in sorted(members)]
    standard = [line for line in lines if "torch" not in line]
    torch = [line for line in lines if "torch" in line]
    return "\n\n".join("\n".join(block) for block in (standard, torch) if block)


@cache
def _statements(text: str) -> tuple[ast.stmt, ...]:
    return tuple(ast.parse(text).body)


def _spaced(table: list[Definition]) -> str:
    parts = [d.text for d in table]
    out = parts[:1]
    for before, part in pairwise(parts):
        overloaded = before.startswith("@overload")
        block = part.startswith(("def ", "@", "class ")) or before.startswith(("def ", "@", "class "))
        out.append(("\n" if overloaded else "\n\n\n" if block else "\n") + part)
    return "".join(out)


def _renamed(text: str, own: set[str]) -> str:
    """The text with `_` before each name of `own` that has none; attributes keep theirs."""
    out: list[tokenize.TokenInfo] = []
    rows = text.split("\n")
    shift: dict[int, int] = {}
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string in own and before != "." and token.string[0] != "_":
            out.append(token)
        before = token.string
    for token in out:
        row, column = token.start
        at = column + shift.get(row, 0)
        rows[row - 1] = rows[row - 1][:at] + "_" + rows[row - 1][at:]
        shift[row] = shift.get(row, 0) + 1
    return "\n".join(rows)
