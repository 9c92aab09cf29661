"""`build`: what it writes, says, and exits with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import DOUBLE, FILES, SQUARE, command, put, written

import tensorgrad_gen


def test_build_writes_a_file_for_each_spec_and_what_they_share(op_library: Path) -> None:
    result = command("build", "specs", "--out", "generated")
    assert set(written()) == FILES
    assert result.stdout == "generated: 2 built, 0 unchanged, 0 failed\n"


def test_what_is_unchanged_is_not_built_again(op_library: Path) -> None:
    command("build", "specs")
    before = {p: p.stat().st_mtime_ns for p in Path("generated").rglob("*")}
    assert "0 built, 2 unchanged" in command("build", "specs").stdout
    assert {p: p.stat().st_mtime_ns for p in Path("generated").rglob("*")} == before


def test_a_changed_spec_is_built_alone(op_library: Path) -> None:
    command("build", "specs")
    put("specs/nn/double_it.yaml", DOUBLE.replace("2*", "3*"))
    assert "1 built, 1 unchanged" in command("build", "specs").stdout


@pytest.mark.parametrize("damage", ["edit", "delete"])
def test_a_damaged_file_is_built_again(op_library: Path, damage: str) -> None:
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
def test_how_specs_are_named_makes_no_difference(op_library: Path, arguments: list[str]) -> None:
    command("build", "specs", "--out", "one/generated")
    command("build", *arguments, "--out", "two/generated")
    one, two = written("one/generated"), written("two/generated")
    one.pop(".build-cache.json")
    two.pop(".build-cache.json")
    assert one == two


def test_one_spec_is_added_to_what_is_there(op_library: Path) -> None:
    command("build", "specs/nn")
    command("build", "specs/basics/square_it.yaml")
    assert set(written()) == FILES
    assert "square_it" in written()["__init__.py"]
    assert "double_it" in written()["__init__.py"]


def test_a_standalone_file_needs_no_other(op_library: Path) -> None:
    command("build", "specs", "--standalone")
    assert set(written()) == FILES - {"_runtime.py"}
    code = "import runpy; print(runpy.run_path('generated/nn/double_it.py')['double_it'].__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "double_it\n"


def test_generated_is_a_package_of_ops(op_library: Path) -> None:
    command("build", "specs")
    code = (
        "import torch; from generated import double_it, square_it; from generated.nn import double_it as same\n"
        "x = torch.tensor([3.0], requires_grad=True); double_it(square_it(x)).backward()\n"
        "print(same is double_it, x.grad.item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True 12.0\n", done.stderr


def test_every_error_of_every_bad_spec_is_shown_and_good_specs_are_built(op_library: Path) -> None:
    put("specs/nn/bad.yaml", DOUBLE.replace("double_it", "bad").replace("doc:", "dok:").replace("2*x[i]", "2*x[[i]"))
    put("specs/nn/worse.yaml", "- not a spec\n")
    result = command("build", "specs", status=2)
    assert "specs/nn/bad.yaml:2:1: error[E103]" in result.stderr
    assert "specs/nn/bad.yaml:5:" in result.stderr
    assert "specs/nn/worse.yaml:1:1: error[E107]" in result.stderr
    assert set(written()) == FILES
    assert "2 built, 0 unchanged, 2 failed" in result.stdout


def test_a_bad_spec_leaves_what_was_built_before(op_library: Path) -> None:
    command("build", "specs")
    before = written()
    put("specs/nn/double_it.yaml", DOUBLE.replace("x[i]", "x[i,j]"))
    command("build", "specs", status=2)
    assert written() == before


def test_two_ops_with_one_name_are_an_error(op_library: Path) -> None:
    put("specs/nn/square_it.yaml", SQUARE)
    result = command("build", "specs", status=2)
    assert "error[E120]: another op is named `square_it`, in specs/basics/square_it.yaml" in result.stderr
    assert "nn/square_it.py" not in written()


def test_a_warning_is_printed_each_time_and_is_not_fatal(op_library: Path) -> None:
    put("specs/basics/square_it.yaml", SQUARE.replace("x: [i]", "x: [i], unused: [i]"))
    for _ in range(2):
        assert "warning[W401]" in command("build", "specs").stderr


def test_a_file_of_somebody_else_is_not_overwritten(op_library: Path) -> None:
    mine = put("generated/nn/double_it.py", "print('mine')\n")
    assert "generated/nn/double_it.py" in command("build", "specs", status=2).stderr
    assert mine.read_text() == "print('mine')\n"


def test_an_op_and_a_group_of_one_name_are_an_error(op_library: Path) -> None:
    put("specs/square_it/double_it.yaml", DOUBLE)
    Path("specs/nn/double_it.yaml").unlink()
    assert "two things are called square_it" in command("build", "specs", status=2).stderr


def test_build_tells_of_files_without_a_spec(op_library: Path) -> None:
    command("build", "specs")
    Path("specs/nn/double_it.yaml").unlink()
    result = command("build", "specs")
    assert "generated/nn/double_it.py: warning: no spec makes this file" in result.stderr
    assert "double_it" not in written()["__init__.py"]


def test_build_says_as_json_what_it_did(op_library: Path) -> None:
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


def test_a_template_of_the_users_own_replaces_the_built_in_one(op_library: Path) -> None:
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
def test_a_bad_template_is_a_clean_error(op_library: Path, name: str, text: str, message: str) -> None:
    put(f"mine/{name}", text)
    assert message in command("build", "specs", "--templates", "mine", status=2).stderr
    assert not Path("generated/nn/double_it.py").exists()
