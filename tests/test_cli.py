"""The command line: what `verify`, `explain` and all commands together say and exit with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import command, put

from tensorgrad_gen import __version__
from tensorgrad_gen.pipeline import STAGES

# verify


def test_verify_prints_a_line_for_each_check(op_library: Path) -> None:
    result = command("verify", "specs/nn/double_it.yaml", "--quick")
    assert "gradcheck" in result.stdout
    assert "1 ops: 1 right, 0 not" in result.stdout


def test_verify_says_what_is_done_where_there_is_no_terminal(op_library: Path) -> None:
    one = command("verify", "specs/nn/double_it.yaml", "--quick").stderr.splitlines()
    total = len(one)
    assert one[0].startswith(f"1/{total} double_it: ")
    assert all(" passed, " in line or " skipped, " in line for line in one)
    assert one[-1].startswith(f"{total}/{total} ")
    assert command("verify", "specs", "--quick").stderr.splitlines() == ["1/2 square_it: right", "2/2 double_it: right"]


def test_verify_writes_json_and_junit(op_library: Path) -> None:
    result = command("verify", "specs", "--quick", "--jobs", "2", "--json", "--junit", "report.xml")
    checks = json.loads(result.stdout)["checks"]
    assert {check["op"] for check in checks} == {"square_it", "double_it"}
    assert Path("report.xml").read_text().count("<testcase ") == len(checks)


def test_verify_exits_with_1_on_a_wrong_derivative(op_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorgrad_gen import api

    right = api.load_module

    def wrong(name: str, source: str) -> object:
        assert "2 * " in source
        return right(name, source.replace("2 * ", "3 * ", 1))

    monkeypatch.setattr(api, "load_module", wrong)
    assert "failed" in command("verify", "specs/nn/double_it.yaml", "--quick", status=1).stdout


def test_verify_without_torch_says_what_to_install(op_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorgrad_gen.cli.verify.find_spec", lambda _: None)
    assert "needs torch" in command("verify", "specs", status=2).stderr


def test_a_bad_spec_makes_verify_exit_with_2(op_library: Path) -> None:
    put("specs/nn/bad.yaml", "op: bad\n")
    assert "E108" in command("verify", "specs/nn/bad.yaml", "--quick", status=2).stderr


# explain


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_explain_prints_every_stage(op_library: Path, stage: str) -> None:
    text = command("explain", "specs/basics/square_it.yaml", "--stage", stage).stdout
    assert "square_it" in text or "x" in text
    assert (
        json.loads(command("explain", "specs/basics/square_it.yaml", "--stage", stage, "--json").stdout)["text"] in text
    )


def test_explain_knows_the_inputs(op_library: Path) -> None:
    result = command("explain", "specs/basics/square_it.yaml", "--wrt", "z", status=2)
    assert "no gradient with respect to `z`; there is one for: x" in result.stderr


def test_explain_of_a_bad_spec_exits_with_2(op_library: Path) -> None:
    put("specs/nn/bad.yaml", "op: bad\n")
    assert "E108" in command("explain", "specs/nn/bad.yaml", status=2).stderr


# all commands


@pytest.mark.parametrize("words", [["bench"], ["build", "nowhere"], ["nonsense"], ["build", "specs", "--jobs", "0"]])
def test_bad_usage_exits_with_2(op_library: Path, words: list[str]) -> None:
    assert "Error: " in command(*words, status=2).stderr


@pytest.mark.parametrize("words", [[], ["build"], ["check"], ["verify"], ["explain"], ["import"], ["bench"]], ids=str)
def test_every_command_has_help(words: list[str]) -> None:
    assert "Usage: " in command(*words, "--help").stdout


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tensorgrad_gen", "--version"], capture_output=True, check=True, text=True
    )
    assert __version__ in done.stdout


def test_a_build_of_unchanged_files_imports_nothing_heavy(op_library: Path) -> None:
    command("build", "specs")
    code = (
        "import sys; from tensorgrad_gen.cli import main\n"
        "try: main(['build', 'specs'])\n"
        "except SystemExit: pass\n"
        "heavy = {'lark', 'ruamel', 'pydantic', 'jinja2', 'black', 'sympy', 'torch', 'rich', 'networkx', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines() == ["generated: 0 built, 2 unchanged, 0 failed", "[]"]
