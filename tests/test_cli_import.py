"""`tensorgrad-gen import`: what it prints, writes, refuses, and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import command, put

from tensorgrad_gen import compile_spec

EINSUM = ("import", "--einsum", "bij,bjk->bik")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        EINSUM,
        ("import", "--latex", "y_{ij} = x_{ik} a_{kj}"),
        ("import", "--matrix", "norm2(A*x - y)^2", "--shapes", "A[i,j] x[j] y[i]"),
        (*EINSUM, "--names", "x, w", "--op", "batched", "--doc", 'A "product": of #1\n- and more'),
    ],
)
def test_what_is_printed_builds_without_a_word(words: tuple[str, ...]) -> None:
    result = command(*words)
    assert not result.stderr
    assert not compile_spec(result.stdout).warnings


def test_the_op_is_called_as_its_file_and_builds_from_it() -> None:
    assert command(*EINSUM, "--out", "specs/nn/bmm.yaml").stdout == "specs/nn/bmm.yaml: written\n"
    assert "op: bmm\n" in Path("specs/nn/bmm.yaml").read_text()
    command("build", "specs")
    assert "def bmm(" in Path("generated/nn/bmm.py").read_text()


def test_a_file_that_an_import_wrote_is_written_anew() -> None:
    command(*EINSUM, "--out", "f.yaml")
    command("import", "--einsum", "i->", "--out", "f.yaml")
    assert "x[i]" in Path("f.yaml").read_text()


@pytest.mark.parametrize("change", [lambda text: text + "# mine\n", lambda text: "op: f\n", lambda text: ""])
def test_a_file_that_somebody_wrote_or_changed_is_left_alone(change: object) -> None:
    command(*EINSUM, "--out", "f.yaml")
    mine = change(Path("f.yaml").read_text())  # type: ignore[operator]
    put("f.yaml", mine)
    assert "not as `import` wrote it" in command(*EINSUM, "--out", "f.yaml", status=2).stderr
    assert Path("f.yaml").read_text() == mine


def test_a_file_that_is_no_text_is_left_alone() -> None:
    Path("f.yaml").write_bytes(b"\xff\x00")
    assert "not as `import` wrote it" in command(*EINSUM, "--out", "f.yaml", status=2).stderr


def test_nothing_is_written_through_a_link() -> None:
    Path("f.yaml").symlink_to("other.yaml")
    assert "symbolic link" in command(*EINSUM, "--out", "f.yaml", status=2).stderr
    assert not Path("other.yaml").exists()


def test_a_bad_formula_leaves_no_file_and_exits_with_2() -> None:
    result = command("import", "--einsum", "ij->ik", "--out", "f.yaml", status=2)
    assert result.stderr.startswith("--einsum:1:6: error[E205]")
    assert "    1 | ij->ik\n      |      ^\n" in result.stderr
    assert not list(Path().iterdir())


def test_the_outcome_as_json() -> None:
    outcome = json.loads(command(*EINSUM, "--json").stdout)
    assert compile_spec(outcome["spec"]).program.name == outcome["op"] == "imported"
    assert outcome["warnings"] == []
    failed = json.loads(command("import", "--latex", "y = x_i", "--json", status=2).stdout)
    assert failed["spec"] is None
    assert "E203" in failed["error"]


def test_a_reading_that_may_surprise_is_a_warning_on_standard_error() -> None:
    result = command("import", "--latex", "y_i = a_{ii}")
    assert "W403" in result.stderr
    assert not compile_spec(result.stdout).warnings


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--einsum", "i->", "--latex", "y = x"),
        ("--einsum", "i->", "--shapes", "x[i]"),
        ("--einsum", "i->", "--symmetric", "x"),
        ("--latex", "y = x", "--names", "x"),
        ("--einsum", "i->", "--out", "f.txt"),
        ("--einsum", "i->", "--out", "f.yaml", "--op", "g"),
        ("--einsum", "i->", "--out", "."),
    ],
)
def test_bad_usage_exits_with_2(words: tuple[str, ...]) -> None:
    assert "Error: " in command("import", *words, status=2).stderr
    assert not list(Path().iterdir())


@pytest.mark.parametrize("op", ["no name", "class", "a/b", "x" * 5, "\udcff", "y", "été"])
def test_any_name_of_the_op_builds_or_is_refused(op: str) -> None:
    result = command("import", "--einsum", "i->", "--op", op, status=0 if op in ("xxxxx", "y") else 2)
    assert "Traceback" not in result.stderr


def test_any_doc_builds_or_is_refused() -> None:
    for doc in ("\x00", "\udcff", '"', "'''", '"""', "\\", "é", "{{ x }}", "a\nb"):
        text = command("import", "--einsum", "i->", "--doc", doc, status=2 if doc in ("\x00", "\udcff") else 0).stdout
        assert text or doc in ("\x00", "\udcff")
