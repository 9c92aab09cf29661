"""The hash of a module's own body: of its syntax tree, so formatting does not count."""

from __future__ import annotations

import ast
import hashlib
import inspect


def body_sha(text: str) -> str:
    """The first 12 digits of the hash of the syntax tree; comments, layout and quotes are not in it.

    Written by hand, as `ast.dump` differs from one Python to the next.
    """
    return hashlib.sha256(_canonical(ast.parse(text)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _canonical(node: object) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        # Formatters move the lines of a docstring.
        lines = inspect.cleandoc(node.value.value).split("\n")
        return f"Doc({[line.rstrip() for line in lines if line.strip()]!r})"
    if isinstance(node, ast.Constant):
        return f"Constant({node.value!r})"
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields)
        # Empty fields come and go between versions of Python.
        shown = ", ".join(
            [f"{name}={_canonical(value)}" for name, value in fields if value is not None and value != []]
        )
        return f"{type(node).__name__}({shown})"
    if isinstance(node, list):
        return f"[{', '.join(_canonical(item) for item in node)}]"
    return repr(node)
