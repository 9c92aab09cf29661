"""What generated code may import, call and name.

Law: nothing that is not on these lists is ever written, whatever a spec says: a fault of the generator
shows here, not in a user's process.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODULES = frozenset(
    {"__future__", "contextlib", "functools", "importlib", "inspect", "math", "numbers", "sys", "torch"}
)
FROM = {
    "__future__": {"annotations"},
    "collections.abc": {"Callable", "Iterable", "Iterator", "Sequence"},
    "torch": {"Tensor"},
    "torch.autograd": {"forward_ad"},
    "types": {"ModuleType"},
    "typing": {"Any", "Literal", "NoReturn", "TYPE_CHECKING", "TypeAlias", "TypeVar", "overload"},
}
BUILTINS = frozenset(
    {
        *("AttributeError", "IndexError", "RuntimeError", "TypeError", "ValueError", "__name__"),
        *("abs", "all", "any", "bool", "chr", "dict", "enumerate", "float", "int", "isinstance", "len", "list", "map"),
        *("max", "min", "ord", "range", "reversed", "set", "slice", "sorted", "staticmethod", "str", "sum", "super"),
        *("tuple", "type", "zip"),
    }
)
# Names of the runtime that reach further into Python than an op may, and where they may stand.
RUNTIME_BUILTINS = frozenset({"getattr", "globals", "hasattr", "setattr"})
RUNTIME_ATTRIBUTES = frozenset({"library"})
DUNDERS = frozenset(
    {"__all__", "__class__", "__dict__", "__dir__", "__getattr__", "__module__", "__name__", "__setattr__"}
)
FORBIDDEN = frozenset(
    {
        *("builtins", "compile", "cpp_extension", "distributed", "from_file", "hub", "jit", "library", "load"),
        *("load_library", "multiprocessing", "os", "package", "pickle", "save", "serialization", "set_default_device"),
        *("share_memory_", "subprocess", "system", "tofile", "untyped_storage", "utils"),
    }
)


# What the tests of an op have beside that.
TEST_FROM = {"torch.autograd": {"gradcheck", "gradgradcheck"}}
TEST_ATTRIBUTES = frozenset({"compile"})


class NotAllowedError(Exception):
    """Generated text that would do what no generated file may."""


def check_generated(source: str, *, shared: bool = False, package: str = "") -> None:
    """Raise `NotAllowedError` unless the module keeps to the lists.

    `shared`: it is `_runtime.py` or an `__init__.py`.  `package`: it is the tests of an op that is imported from there.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise NotAllowedError(f"the text is no Python: {error}") from error
    nodes = _nodes(tree)
    known = BUILTINS | frozenset(_bound(nodes))
    runtime = shared or (not package and _inlines(tree))
    if runtime:
        known |= RUNTIME_BUILTINS
    for node in nodes:
        if package and _of_tests(node, package):
            continue
        if runtime and isinstance(node, ast.Attribute) and node.attr in RUNTIME_ATTRIBUTES:
            continue
        if word := _refused(node, known, shared):
            raise NotAllowedError(f"line {getattr(node, 'lineno', 1)}: {word} is not allowed in generated code")


def _nodes(tree: ast.AST) -> list[ast.AST]:
    """Every node, those near the root first, but for `Load()` and the like: `ast.walk` looks at twice as many."""
    found = [tree]
    for node in found:
        for name in node._fields:
            value = None if name == "ctx" else getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [item for item in value if isinstance(item, ast.AST)]
    return found


def _of_tests(node: ast.AST, package: str) -> bool:
    """Whether the node is what tests have and an op has not."""
    if isinstance(node, ast.Import):
        return [(alias.name, alias.asname) for alias in node.names] == [("pytest", None)]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        names = {alias.name for alias in node.names}
        return (node.module == package and len(names) == 1) or names <= TEST_FROM.get(node.module or "", set())
    return isinstance(node, ast.Attribute) and node.attr in TEST_ATTRIBUTES


def _inlines(tree: ast.Module) -> bool:
    """Whether the module has the runtime inside instead of importing it."""
    return not any(isinstance(n, ast.ImportFrom) and any(a.name == "_runtime" for a in n.names) for n in tree.body)


def _bound(nodes: list[ast.AST]) -> Iterator[str]:
    """Every name that the module itself gives a meaning."""
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


# All others are allowed.
_LOOKED_AT = frozenset(
    {
        *(ast.Import, ast.ImportFrom, ast.Name, ast.Attribute, ast.Call),
        *(ast.Global, ast.Nonlocal, ast.Await, ast.AsyncFunctionDef, ast.Delete),
    }
)


def _refused(node: ast.AST, known: frozenset[str], shared: bool) -> str | None:
    """What is wrong with the node, or None."""
    if type(node) not in _LOOKED_AT:
        return None
    if isinstance(node, ast.Import):
        return next((f"import {a.name}" for a in node.names if _otherwise(a) or a.name not in MODULES), None)
    if isinstance(node, ast.ImportFrom):
        return _refused_from(node, known, shared)
    if isinstance(node, ast.Name):
        return f"the name {node.id}" if isinstance(node.ctx, ast.Load) and node.id not in known else None
    if isinstance(node, ast.Attribute):
        hidden = node.attr.startswith("__") and node.attr not in DUNDERS
        return f".{node.attr}" if hidden or node.attr in FORBIDDEN else None
    if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name | ast.Attribute):
        return "a call of what is no name"
    if isinstance(node, ast.Delete) and all(isinstance(target, ast.Name) for target in node.targets):
        return None
    if isinstance(node, ast.Global | ast.Nonlocal | ast.Await | ast.AsyncFunctionDef | ast.Delete):
        return type(node).__name__
    return None


def _otherwise(alias: ast.alias) -> bool:
    """Whether it goes by another name than its own, or that with `_` before it where an op has its own."""
    return alias.asname not in (None, f"_{alias.name}")


def _refused_from(node: ast.ImportFrom, known: frozenset[str], shared: bool) -> str | None:
    names = {alias.name for alias in node.names}
    if node.module == "builtins" and not node.level:
        own = known & (BUILTINS | RUNTIME_BUILTINS)
        return None if names <= own and not any(map(_otherwise, node.names)) else "from builtins import"
    if node.level:
        relative = names == {"_runtime"} if not shared else len(names) == 1
        return None if relative else f"from {'.' * node.level}{node.module or ''} import {', '.join(sorted(names))}"
    allowed = FROM.get(node.module or "", set())
    return None if names <= allowed else f"from {node.module} import {', '.join(sorted(names - allowed))}"
