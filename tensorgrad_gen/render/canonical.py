"""The hash of a module's own body: of its syntax tree, so formatting does not count."""

from __future__ import annotations

import ast
import hashlib
import inspect
from typing import cast


def body_sha(text: str) -> str:
    """The first 12 digits of the hash of the syntax tree; comments, layout and quotes are not in it.

    Written by hand, as `ast.dump` differs from one Python to the next.
    """
    return hashlib.sha256(_canonical(ast.parse(text)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _canonical(node: object) -> str:
    # Most nodes have no fields (`Load()`) or are names: this runs over every node of every file.
    kind = type(node)
    if kind is str:
        return repr(node)
    if kind is list:
        return f"[{', '.join(map(_canonical, cast(list[object], node)))}]"
    if kind is ast.Load:
        return "Load()"
    if kind is ast.Name:
        read = cast(ast.Name, node)
        return f"Name(id={read.id!r}, ctx={type(read.ctx).__name__}())"
    if not isinstance(node, ast.AST):
        return repr(node)
    if kind is ast.Constant:
        return f"Constant({cast(ast.Constant, node).value!r})"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        # Formatters move the lines of a docstring.
        lines = inspect.cleandoc(node.value.value).split("\n")
        return f"Doc({[line.rstrip() for line in lines if line.strip()]!r})"
    shown = []
    for name in node._fields:
        value = getattr(node, name, None)
        # Empty fields come and go between versions of Python.
        if value is not None and value != []:
            shown.append(f"{name}={_canonical(value)}")
    return f"{kind.__name__}({', '.join(shown)})"
