"""`check`: how a generated file came to differ from what its spec makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import DOUBLE, command, put


def test_check_finds_nothing_after_a_build(op_library: Path) -> None:
    command("build", "specs")
    assert command("check").stdout == "generated: 2 specs, 0 findings, 0 errors\n"
    Path("generated/.build-cache.json").unlink()
    assert command("check").stdout == "generated: 2 specs, 0 findings, 0 errors\n"


def test_check_writes_nothing(op_library: Path) -> None:
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
def test_check_tells_how_a_file_came_to_differ(op_library: Path, kind: str) -> None:
    command("build", "specs")
    DAMAGES[kind]()
    result = command("check", status=1)
    assert result.stdout.startswith(f"generated/nn/double_it.py: {kind}; ")
    assert ("\n-" in result.stdout) is (kind != "missing")
    [finding] = json.loads(command("check", "--json", status=1).stdout)["findings"]
    assert finding["kind"] == kind
    assert finding["path"] == "generated/nn/double_it.py"


def test_check_tells_a_changed_generator(op_library: Path) -> None:
    command("build", "specs")
    path = Path("generated/nn/double_it.py")
    first, second, third, rest = path.read_text().split("\n", 3)
    head, body = third.split("template sha256:")
    path.write_text("\n".join([first, second, head + "template sha256:" + "0" * 12 + body[12:], "# older\n" + rest]))
    assert "stale, the generator changed" in command("check", status=1).stdout


def test_check_finds_orphans(op_library: Path) -> None:
    command("build", "specs")
    Path("specs/nn/double_it.yaml").unlink()
    command("build", "specs")
    assert "generated/nn/double_it.py: orphaned; no spec makes it; delete it" in command("check", status=1).stdout
    assert "orphaned" not in command("check", "specs/basics/square_it.yaml").stdout


def test_layout_alone_is_no_finding(op_library: Path) -> None:
    command("build", "specs")
    replace("generated/nn/double_it.py", "return outputs[0]", "return (outputs[0])")
    command("check")


@pytest.mark.parametrize("name", ["__init__.py", "nn/__init__.py", "_runtime.py"])
def test_check_looks_at_what_the_ops_share(op_library: Path, name: str) -> None:
    command("build", "specs")
    path = Path("generated") / name
    path.write_text(path.read_text() + "x = 1\n")
    assert f"{path}: edited by hand" in command("check", status=1).stdout


def test_a_bad_spec_makes_check_exit_with_2(op_library: Path) -> None:
    command("build", "specs")
    put("specs/nn/bad.yaml", "op: bad\n")
    assert "E108" in command("check", status=2).stderr
