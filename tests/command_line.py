"""A small library of specs, and the command line run on it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from tensorgrad_gen.cli import main

SQUARE = """\
op: square_it
doc: The square of each component.
inputs: {x: [i]}
equations: |
  y[i] = x[i]^2
outputs: [y]
"""
DOUBLE = SQUARE.replace("square_it", "double_it").replace("x[i]^2", "2*x[i]").replace("The square", "Twice the value")

FILES = {
    "__init__.py",
    "_runtime.py",
    "basics/__init__.py",
    "basics/square_it.py",
    "nn/__init__.py",
    "nn/double_it.py",
    ".build-cache.json",
}


def put(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def command(*words: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    return result


def written(folder: str = "generated") -> dict[str, str]:
    """Every file of the output folder, by its path."""
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(Path(folder).rglob("*")) if p.is_file()}
