"""The command line: what each command writes, says, and exits with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import tensorgrad_gen
from tensorgrad_gen import __version__
from tensorgrad_gen.cli import main
from tensorgrad_gen.pipeline import STAGES

SQUARE = """\
op: square_it
doc: The square of each component.
inputs: {x: [i]}
equations: |
  y[i] = x[i]^2
outputs: [y]
"""
DOUBLE = SQUARE.replace("square_it", "double_it").replace("x[i]^2", "2*x[i]").replace("The square", "Twice the value")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two specs in two groups, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(tensorgrad_gen.__file__).parents[1]))
    put("specs/basics/square_it.yaml", SQUARE)
    put("specs/nn/double_it.yaml", DOUBLE)
    return tmp_path


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


FILES = {
    "__init__.py",
    "_runtime.py",
    "basics/__init__.py",
    "basics/square_it.py",
    "nn/__init__.py",
    "nn/double_it.py",
    ".build-cache.json",
}


# build


def test_build_writes_a_file_for_each_spec_and_what_they_share(library: Path) -> None:
    result = command("build", "specs", "--out", "generated")
    assert set(written()) == FILES
    assert result.stdout == "generated: 2 built, 0 unchanged, 0 failed\n"


def test_what_is_unchanged_is_not_built_again(library: Path) -> None:
    command("build", "specs")
    before = {p: p.stat().st_mtime_ns for p in Path("generated").rglob("*")}
    assert "0 built, 2 unchanged" in command("build", "specs").stdout
    assert {p: p.stat().st_mtime_ns for p in Path("generated").rglob("*")} == before


def test_a_changed_spec_is_built_alone(library: Path) -> None:
    command("build", "specs")
    put("specs/nn/double_it.yaml", DOUBLE.replace("2*", "3*"))
    assert "1 built, 1 unchanged" in command("build", "specs").stdout


@pytest.mark.parametrize("damage", ["edit", "delete"])
def test_a_damaged_file_is_built_again(library: Path, damage: str) -> None:
    command("build", "specs")
    before = written()
    path = Path("generated/nn/double_it.py")
    if damage == "edit":
        path.write_text(path.read_text() + "\n# edited\n")
    else:
        path.unlink()
    command("build", "specs")
    assert written() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["specs", "--jobs", "2"],
        ["specs/nn", "specs/basics"],
        ["specs/nn/double_it.yaml", "specs/basics/square_it.yaml"],
        [],
    ],
    ids=" ".join,
)
def test_how_specs_are_named_makes_no_difference(library: Path, arguments: list[str]) -> None:
    command("build", "specs", "--out", "one/generated")
    command("build", *arguments, "--out", "two/generated")
    one, two = written("one/generated"), written("two/generated")
    one.pop(".build-cache.json")
    two.pop(".build-cache.json")
    assert one == two


def test_one_spec_is_added_to_what_is_there(library: Path) -> None:
    command("build", "specs/nn")
    command("build", "specs/basics/square_it.yaml")
    assert set(written()) == FILES
    assert "square_it" in written()["__init__.py"]
    assert "double_it" in written()["__init__.py"]


def test_a_standalone_file_needs_no_other(library: Path) -> None:
    command("build", "specs", "--standalone")
    assert set(written()) == FILES - {"_runtime.py"}
    code = "import runpy; print(runpy.run_path('generated/nn/double_it.py')['double_it'].__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "double_it\n"


def test_generated_is_a_package_of_ops(library: Path) -> None:
    command("build", "specs")
    code = (
        "import torch; from generated import double_it, square_it; from generated.nn import double_it as same\n"
        "x = torch.tensor([3.0], requires_grad=True); double_it(square_it(x)).backward()\n"
        "print(same is double_it, x.grad.item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True 12.0\n", done.stderr


def test_every_error_of_every_bad_spec_is_shown_and_good_specs_are_built(library: Path) -> None:
    put("specs/nn/bad.yaml", DOUBLE.replace("double_it", "bad").replace("doc:", "dok:").replace("2*x[i]", "2*x[[i]"))
    put("specs/nn/worse.yaml", "- not a spec\n")
    result = command("build", "specs", status=2)
    assert "specs/nn/bad.yaml:2:1: error[E103]" in result.stderr
    assert "specs/nn/bad.yaml:5:" in result.stderr
    assert "specs/nn/worse.yaml:1:1: error[E107]" in result.stderr
    assert set(written()) == FILES
    assert "2 built, 0 unchanged, 2 failed" in result.stdout


def test_a_bad_spec_leaves_what_was_built_before(library: Path) -> None:
    command("build", "specs")
    before = written()
    put("specs/nn/double_it.yaml", DOUBLE.replace("x[i]", "x[i,j]"))
    command("build", "specs", status=2)
    assert written() == before


def test_two_ops_with_one_name_are_an_error(library: Path) -> None:
    put("specs/nn/square_it.yaml", SQUARE)
    result = command("build", "specs", status=2)
    assert "error[E120]: another op is named `square_it`, in specs/basics/square_it.yaml" in result.stderr
    assert "nn/square_it.py" not in written()


def test_a_warning_is_printed_each_time_and_is_not_fatal(library: Path) -> None:
    put("specs/basics/square_it.yaml", SQUARE.replace("x: [i]", "x: [i], unused: [i]"))
    for _ in range(2):
        assert "warning[W401]" in command("build", "specs").stderr


def test_a_file_of_somebody_else_is_not_overwritten(library: Path) -> None:
    mine = put("generated/nn/double_it.py", "print('mine')\n")
    assert "generated/nn/double_it.py" in command("build", "specs", status=2).stderr
    assert mine.read_text() == "print('mine')\n"


def test_an_op_and_a_group_of_one_name_are_an_error(library: Path) -> None:
    put("specs/square_it/double_it.yaml", DOUBLE)
    Path("specs/nn/double_it.yaml").unlink()
    assert "two things are called square_it" in command("build", "specs", status=2).stderr


def test_build_tells_of_files_without_a_spec(library: Path) -> None:
    command("build", "specs")
    Path("specs/nn/double_it.yaml").unlink()
    result = command("build", "specs")
    assert "generated/nn/double_it.py: warning: no spec makes this file" in result.stderr
    assert "double_it" not in written()["__init__.py"]


def test_build_says_as_json_what_it_did(library: Path) -> None:
    put("specs/nn/bad.yaml", "op: bad\n")
    rows = json.loads(command("build", "specs", "--json", status=2).stdout)["ops"]
    assert [(row["op"], row["status"]) for row in rows] == [
        ("square_it", "built"),
        ("bad", "failed"),
        ("double_it", "built"),
    ]
    [error] = rows[1]["diagnostics"]
    assert error["code"] == "E108"
    assert error["path"] == "specs/nn/bad.yaml"


MODULE = Path(tensorgrad_gen.__file__).parent / "templates" / "module.py.jinja"


def test_a_template_of_the_users_own_replaces_the_built_in_one(library: Path) -> None:
    put("mine/module.py.jinja", MODULE.read_text().replace("__all__ =", "# of mine\n__all__ ="))
    command("build", "specs", "--templates", "mine")
    assert "# of mine\n" in written()["nn/double_it.py"]
    assert "build specs/nn/double_it.yaml --templates mine\n" in written()["nn/double_it.py"]
    command("check", "--templates", "mine")
    assert "the generator changed" in command("check", status=1).stdout


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("modul.py.jinja", "", "no template is called modul.py.jinja"),
        ("module.py.jinja", "{{ view.nonsense }}", "the templates in mine do not fit"),
        ("module.py.jinja", "{% if %}", "the templates in mine do not fit"),
        ("module.py.jinja", "import os\n", "not allowed"),
    ],
)
def test_a_bad_template_is_a_clean_error(library: Path, name: str, text: str, message: str) -> None:
    put(f"mine/{name}", text)
    assert message in command("build", "specs", "--templates", "mine", status=2).stderr
    assert not Path("generated/nn/double_it.py").exists()


# check


def test_check_finds_nothing_after_a_build(library: Path) -> None:
    command("build", "specs")
    assert command("check").stdout == "generated: 2 specs, 0 findings, 0 errors\n"
    Path("generated/.build-cache.json").unlink()
    assert command("check").stdout == "generated: 2 specs, 0 findings, 0 errors\n"


def test_check_writes_nothing(library: Path) -> None:
    command("check", status=1)
    assert not Path("generated").exists()


def replace(path: str, old: str, new: str) -> None:
    file = Path(path)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


DAMAGES = {
    "missing": lambda: Path("generated/nn/double_it.py").unlink(),
    "stale, the spec changed": lambda: put("specs/nn/double_it.yaml", DOUBLE.replace("2*", "3*")),
    "edited by hand": lambda: replace("generated/nn/double_it.py", "return outputs[0]", "return outputs[0] + 1"),
}


@pytest.mark.parametrize("kind", sorted(DAMAGES))
def test_check_tells_how_a_file_came_to_differ(library: Path, kind: str) -> None:
    command("build", "specs")
    DAMAGES[kind]()
    result = command("check", status=1)
    assert result.stdout.startswith(f"generated/nn/double_it.py: {kind}; ")
    assert ("\n-" in result.stdout) is (kind != "missing")
    [finding] = json.loads(command("check", "--json", status=1).stdout)["findings"]
    assert finding["kind"] == kind
    assert finding["path"] == "generated/nn/double_it.py"


def test_check_tells_a_changed_generator(library: Path) -> None:
    command("build", "specs")
    path = Path("generated/nn/double_it.py")
    first, second, third, rest = path.read_text().split("\n", 3)
    head, body = third.split("template sha256:")
    path.write_text("\n".join([first, second, head + "template sha256:" + "0" * 12 + body[12:], "# older\n" + rest]))
    assert "stale, the generator changed" in command("check", status=1).stdout


def test_check_finds_orphans(library: Path) -> None:
    command("build", "specs")
    Path("specs/nn/double_it.yaml").unlink()
    command("build", "specs")
    assert "generated/nn/double_it.py: orphaned; no spec makes it; delete it" in command("check", status=1).stdout
    assert "orphaned" not in command("check", "specs/basics/square_it.yaml").stdout


def test_layout_alone_is_no_finding(library: Path) -> None:
    command("build", "specs")
    replace("generated/nn/double_it.py", "return outputs[0]", "return (outputs[0])")
    command("check")


@pytest.mark.parametrize("name", ["__init__.py", "nn/__init__.py", "_runtime.py"])
def test_check_looks_at_what_the_ops_share(library: Path, name: str) -> None:
    command("build", "specs")
    path = Path("generated") / name
    path.write_text(path.read_text() + "x = 1\n")
    assert f"{path}: edited by hand" in command("check", status=1).stdout


def test_a_bad_spec_makes_check_exit_with_2(library: Path) -> None:
    command("build", "specs")
    put("specs/nn/bad.yaml", "op: bad\n")
    assert "E108" in command("check", status=2).stderr


# verify


def test_verify_prints_a_line_for_each_check(library: Path) -> None:
    result = command("verify", "specs/nn/double_it.yaml", "--quick")
    assert "gradcheck" in result.stdout
    assert "1 ops: 1 right, 0 not" in result.stdout


def test_verify_writes_json_and_junit(library: Path) -> None:
    result = command("verify", "specs", "--quick", "--jobs", "2", "--json", "--junit", "report.xml")
    checks = json.loads(result.stdout)["checks"]
    assert {check["op"] for check in checks} == {"square_it", "double_it"}
    assert Path("report.xml").read_text().count("<testcase ") == len(checks)


def test_verify_exits_with_1_on_a_wrong_derivative(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorgrad_gen import api

    right = api.load_module

    def wrong(name: str, source: str) -> object:
        assert "2 * " in source
        return right(name, source.replace("2 * ", "3 * ", 1))

    monkeypatch.setattr(api, "load_module", wrong)
    assert "failed" in command("verify", "specs/nn/double_it.yaml", "--quick", status=1).stdout


def test_a_bad_spec_makes_verify_exit_with_2(library: Path) -> None:
    put("specs/nn/bad.yaml", "op: bad\n")
    assert "E108" in command("verify", "specs/nn/bad.yaml", "--quick", status=2).stderr


# explain


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_explain_prints_every_stage(library: Path, stage: str) -> None:
    text = command("explain", "specs/basics/square_it.yaml", "--stage", stage).stdout
    assert "square_it" in text or "x" in text
    assert (
        json.loads(command("explain", "specs/basics/square_it.yaml", "--stage", stage, "--json").stdout)["text"] in text
    )


def test_explain_knows_the_inputs(library: Path) -> None:
    result = command("explain", "specs/basics/square_it.yaml", "--wrt", "z", status=2)
    assert "no gradient with respect to `z`; there is one for: x" in result.stderr


def test_explain_of_a_bad_spec_exits_with_2(library: Path) -> None:
    put("specs/nn/bad.yaml", "op: bad\n")
    assert "E108" in command("explain", "specs/nn/bad.yaml", status=2).stderr


# all commands


@pytest.mark.parametrize("words", [["bench"], ["build", "nowhere"], ["nonsense"], ["build", "specs", "--jobs", "0"]])
def test_bad_usage_exits_with_2(library: Path, words: list[str]) -> None:
    assert "Error: " in command(*words, status=2).stderr


@pytest.mark.parametrize("words", [[], ["build"], ["check"], ["verify"], ["explain"], ["bench"]], ids=str)
def test_every_command_has_help(words: list[str]) -> None:
    assert "Usage: " in command(*words, "--help").stdout


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tensorgrad_gen", "--version"], capture_output=True, check=True, text=True
    )
    assert __version__ in done.stdout


def test_a_build_of_unchanged_files_imports_nothing_heavy(library: Path) -> None:
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
