"""Every spec of the language page builds, or is refused as it says; the tutorial and the page on correctness run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from tensorgrad_gen import SpecError, compile_spec
from tensorgrad_gen.pipeline import STAGES
from tests.library_page import PAGE, page

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w+)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else stands beside the fence, its text."""

    language: str
    note: str
    text: str

    @property
    def title(self) -> str:
        return self.text.split("\n", 1)[0].removeprefix("op: ")


def blocks(page: str) -> list[Block]:
    return [Block(*match.groups()) for match in FENCE.finditer((ROOT / "docs" / page).read_text(encoding="utf-8"))]


LANGUAGE = [block for block in blocks("language.md") if block.language == "yaml"]


@pytest.mark.parametrize("block", [b for b in LANGUAGE if not b.note], ids=lambda b: b.title)
def test_spec_of_the_language_page_builds(block: Block) -> None:
    assert f"def {block.title}(" in compile_spec(block.text).source


@pytest.mark.parametrize("block", [b for b in LANGUAGE if b.note.startswith("E")], ids=lambda b: b.title)
def test_wrong_spec_of_the_language_page_is_refused_with_its_code(block: Block) -> None:
    with pytest.raises(SpecError, match=rf"error\[{block.note}\]"):
        compile_spec(block.text)


@pytest.mark.parametrize("block", [b for b in LANGUAGE if b.note.startswith("W")], ids=lambda b: b.title)
def test_doubtful_spec_of_the_language_page_gets_its_warning(block: Block) -> None:
    assert [d.code for d in compile_spec(block.text).warnings] == [block.note]


def test_tutorial_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    others = {name: sys.modules.pop(name) for name in generated_modules()}
    names: dict[str, Any] = {}
    try:
        for block in blocks("tutorial.md"):
            run(block, tmp_path, names)
    finally:
        for name in generated_modules():
            del sys.modules[name]
        sys.modules.update(others)


def generated_modules() -> list[str]:
    """Imported modules of the package that `build` writes."""
    return [name for name in sys.modules if name.split(".")[0] == "generated"]


def run(block: Block, folder: Path, names: dict[str, Any]) -> None:
    """Do what a reader does with a block: save a spec, type commands, run Python."""
    if block.language == "yaml":
        path = folder / block.note
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    elif block.language == "sh":
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        for line in block.text.splitlines():
            command = [sys.executable, "-m", "tensorgrad_gen", *shlex.split(line)[1:]]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    else:
        exec(compile(block.text, "tutorial.md", "exec"), names)  # noqa: S102 - the page is ours


def test_what_the_page_on_correctness_prints_is_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    default = torch.get_default_dtype()
    names: dict[str, Any] = {}
    printed = ""
    try:
        for block in blocks("correctness.md"):
            if block.language == "python":
                assert not printed, f"no text follows the block that prints {printed!r}"
                exec(compile(block.text, "correctness.md", "exec"), names)  # noqa: S102 - the page is ours
                printed = capsys.readouterr().out
            else:
                assert printed == block.text
                printed = ""
    finally:
        torch.set_default_dtype(default)


def test_the_page_on_importing_prints_what_it_says(tmp_path: Path) -> None:
    found = blocks("importing.md")
    for block, after in pairwise(found):
        if block.language == "sh":
            command = [sys.executable, "-m", "tensorgrad_gen", *shlex.split(block.text)[1:]]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            marked = done.stdout.split("\n", 1)[-1]
            assert (done.returncode, marked if after.language == "yaml" else done.stderr) == (
                0 if after.language == "yaml" else 2,
                after.text,
            )
    [python] = [block for block in found if block.language == "python"]
    names: dict[str, Any] = {}
    exec(compile(python.text, "importing.md", "exec"), names)  # noqa: S102 - the page is ours
    matrix, x = torch.rand(3, 3), torch.rand(3)
    torch.testing.assert_close(names["quadratic"](matrix, x), x @ matrix @ x)


def test_the_table_of_stages_is_the_list_of_stages() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("<!-- stages -->")[1].split("<!-- /stages -->")[0].strip().split("\n")[2:]
    assert table == [f"| {s.name} | `tensorgrad_gen.{s.module}` | {s.doc} |" for s in STAGES]


def test_the_page_on_the_library_is_what_the_files_say() -> None:
    if os.environ.get("UPDATE_LIBRARY"):
        PAGE.write_text(page(), "utf-8")
    assert PAGE.read_text("utf-8") == page(), "run `UPDATE_LIBRARY=1 pytest tests/test_docs.py`"
