"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tensorgrad_gen import compile_spec

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
[SPEC] = [text for language, _, text in BLOCKS if language == "yaml"]


@pytest.mark.parametrize("excerpt", [text for _, note, text in BLOCKS if note == "excerpt"])
def test_the_excerpt_is_of_the_file_that_the_spec_makes(excerpt: str) -> None:
    assert excerpt in compile_spec(SPEC).source


def test_the_model_runs(tmp_path: Path) -> None:
    [path] = [note for language, note, _ in BLOCKS if language == "yaml"]
    [use] = [text for _, note, text in BLOCKS if note == "use"]
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(SPEC)
    build = [sys.executable, "-m", "tensorgrad_gen", "build", "specs"]
    subprocess.run(build, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True)
    subprocess.run([sys.executable, "-c", use], cwd=tmp_path, check=True)


def test_what_the_readme_points_to_is_there() -> None:
    assert all((ROOT / link).is_file() for link in re.findall(r"\]\(([\w./-]+\.md)\)", README))


def test_the_commands_are_targets_of_make() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)) <= set(targets)
