"""The road: imports only go down it, files and functions stay readable, and no spec text is ever run."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tensorgrad_gen"

# A part may import itself and what stands above it.
ROAD = (
    "__init__",
    "runtime",
    "errors",
    "paths",
    "ir",
    "functions",
    "notation",
    "algebra",
    "spec",
    "syntax",
    "elaborate",
    "reference",
    "legality",
    "normalise",
    "derive",
    "simplify",
    "plan",
    "lower",
    "schedule",
    "render",
    "outputs",
    "op_tests",
    "pipeline",
    "importing",
    "explain",
    "api",
    "verify",
    "bench",
    "testing",
    "pytest_plugin",
    "cli",
    "__main__",
)
MAX_FILE = 400
MAX_FUNCTION = 50
# path (or path::function) -> why it is longer
LONG: dict[str, str] = {}

# Text that goes into what is generated: it runs there, never here.
RUNTIME_PARTS = (
    "core",
    "calls",
    "registered",
    "wording",
    "ops",
    "series",
    "matrices",
    "factors",
    "windows",
    "convolutions",
    "solvers",
    "blocks",
    "fused",
    "attention",
)
RUNTIME_TEXT = {f"tensorgrad_gen/runtime/{name}.py" for name in RUNTIME_PARTS}

SOURCES = sorted(p for p in PACKAGE.rglob("*.py"))
OWN_CODE = SOURCES + sorted(p for folder in ("tests", "benchmarks", "examples") for p in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(path: Path) -> str:
    top = path.relative_to(PACKAGE).parts[0]
    return top.removesuffix(".py")


def imported_parts(tree: ast.Module) -> set[str]:
    """The parts of the package that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            names.update(f"{module}.{alias.name}" for alias in node.names)
    own = (name.split(".") for name in names if name.split(".")[0] == "tensorgrad_gen")
    return {parts[1] if len(parts) > 1 and parts[1] in ROAD else "__init__" for parts in own}


def test_every_part_has_a_place_on_the_road() -> None:
    assert {part_of(path) for path in SOURCES} <= set(ROAD)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_only_go_down_the_road(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        pytest.skip("the package's own names are imported when they are first used")
    wrong = {p for p in imported_parts(ast.parse(path.read_text())) if ROAD.index(p) > ROAD.index(part)}
    assert not wrong, f"{name_of(path)} imports {sorted(wrong)}, which stand below it"


@pytest.mark.parametrize("path", OWN_CODE, ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    name = name_of(path)
    assert name in LONG or len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and f"{name}::{node.name}" not in LONG:
            assert (node.end_lineno or 0) - node.lineno + 1 <= MAX_FUNCTION, f"{node.name} in {name} is too long"


RUNS_TEXT = {"eval", "exec", "sympify", "parse_expr", "compile", "__import__"}
RUNS_TEXT_METHODS = {"sympify", "parse_expr", "lambdify", "unsafe_load", "full_load"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_text_is_run(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                assert function.id not in RUNS_TEXT, f"{name_of(path)}:{node.lineno} calls {function.id}"
            elif isinstance(function, ast.Attribute):
                assert function.attr not in RUNS_TEXT_METHODS, f"{name_of(path)}:{node.lineno} calls {function.attr}"
                if isinstance(function.value, ast.Name) and function.value.id == "yaml":
                    assert function.attr != "load", f"{name_of(path)}:{node.lineno} calls yaml.load"


def test_building_never_imports_torch() -> None:
    for path in SOURCES:
        if ROAD.index(part_of(path)) < ROAD.index("api") and name_of(path) not in RUNTIME_TEXT:
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
                assert not any(n.split(".")[0] == "torch" for n in [*names, module]), f"{name_of(path)} imports torch"
