"""The wheel carries all that building needs, and nothing of the development."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the wheel's files."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "tensorgrad_gen", source / "tensorgrad_gen", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(source / "dist"),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [file] = (source / "dist").glob("*.whl")
    return set(zipfile.ZipFile(file).namelist())


def test_the_wheel_has_every_file_of_the_package(wheel: set[str]) -> None:
    package = ROOT / "tensorgrad_gen"
    ours = (p for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc" and p.name != "ruff.toml")
    files = {p.relative_to(ROOT).as_posix() for p in ours}
    assert {name for name in wheel if name.startswith("tensorgrad_gen/")} == files
    assert any(name.endswith(".jinja") for name in files)
    assert "tensorgrad_gen/syntax/grammar.lark" in files


def test_the_wheel_has_nothing_else(wheel: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"tensorgrad_gen"}
