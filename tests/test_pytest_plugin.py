"""`pytest specs/`: an item for each check of each spec, and nothing for whoever has no specs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import DOUBLE, SQUARE

import tensorgrad_gen.verify
from tensorgrad_gen import pytest_plugin
from tensorgrad_gen.verify import CHECKS, Check
from tensorgrad_gen.verify.model import FindingError, SkippedError, Subject

pytest_plugins = ("pytester",)

PLUGIN = "tensorgrad_gen.pytest_plugin"
ROOT = Path(__file__).resolve().parents[1]
QUICK = [check for check in CHECKS if check.quick]
COMPOSE = "services:\n  web: {image: nginx}\nversion: '3'\n"


@pytest.fixture
def library(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Two specs and a YAML file that is none, in a folder without a configuration of pytest."""
    # The plugin is named on the command line, so that it does not matter whether it is installed.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))
    for path, text in {
        "specs/basics/square_it.yaml": SQUARE,
        "specs/nn/double_it.yaml": DOUBLE,
        "specs/compose.yaml": COMPOSE,
        "test_own.py": "def test_own(): ...\n",
    }.items():
        file = pytester.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return pytester


def use_checks(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(tensorgrad_gen.verify, "CHECKS", checks)


def passes(_: Subject) -> float:
    return 0.0


def fails(_: Subject) -> float:
    raise FindingError("gradient of x is off by 1.0e+00 relative (i=3); allowed 1e-10", 1.0)


def does_not_apply(_: Subject) -> float:
    raise SkippedError("the spec derives no jvp")


def test_every_check_passes(library: pytest.Pytester) -> None:
    result = library.runpytest_inprocess("-p", PLUGIN, "specs/nn", "-q")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] + outcomes["skipped"] == len(QUICK)
    assert outcomes["passed"] > 20
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(("words", "checks"), [([], QUICK), (["--tensorgrad-full"], CHECKS)], ids=["quick", "full"])
def test_an_item_for_each_check_of_each_op(library: pytest.Pytester, words: list[str], checks: list[Check]) -> None:
    result = library.runpytest_inprocess("-p", PLUGIN, "--collect-only", "-q", "specs", *words)
    names = [line for line in result.outlines if "::" in line]
    assert len(names) == len(set(names)) == 2 * len(checks)
    assert "specs/basics/square_it.yaml::gradcheck" in names
    assert "specs/nn/double_it.yaml::gradcheck-of-apply" in names


def test_one_check_is_named_by_its_id(library: pytest.Pytester) -> None:
    result = library.runpytest_inprocess("-p", PLUGIN, "specs/nn/double_it.yaml::vjp")
    result.assert_outcomes(passed=1)


def test_a_failure_is_the_message_of_the_check(library: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    use_checks(monkeypatch, Check("fine", 1, passes), Check("vjp", 1, fails), Check("jvp", 4, does_not_apply))
    result = library.runpytest_inprocess("-p", PLUGIN, "specs/nn", "-rs")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    assert "double_it: vjp: gradient of x is off by 1.0e+00 relative (i=3); allowed 1e-10" in text
    assert "the spec derives no jvp" in text
    assert "pytest_plugin.py:" not in text.split("short test summary")[0]


def test_a_bad_spec_fails_once_with_its_diagnostic(library: pytest.Pytester) -> None:
    (library.path / "specs/nn/double_it.yaml").write_text(DOUBLE.replace("2*x[i]", "2*x[i,j]"))
    result = library.runpytest_inprocess("-p", PLUGIN, "specs/nn")
    result.assert_outcomes(failed=1, skipped=len(QUICK) - 1)
    result.stdout.fnmatch_lines(["*specs/nn/double_it.yaml:5:*: error[[]E*", "*^*"])
    assert "Traceback" not in result.stdout.str()


def test_a_spec_without_a_sample_fails(library: pytest.Pytester) -> None:
    text = SQUARE.replace("x[i]^2", "log(x[i])").replace("{x: [i]}", "{x: {indices: [i], domain: [-2, -1]}}")
    (library.path / "specs/basics/square_it.yaml").write_text(text)
    result = library.runpytest_inprocess("-p", PLUGIN, "specs/basics")
    result.assert_outcomes(failed=1, skipped=len(QUICK) - 1)
    result.stdout.fnmatch_lines(["*square_it: no sample: *narrow a `domain`*"])


def test_a_run_that_names_nothing_has_nothing_to_do_with_specs(library: pytest.Pytester) -> None:
    library.runpytest_inprocess("-p", PLUGIN).assert_outcomes(passed=1)


def test_testpaths_name_specs_too(library: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    use_checks(monkeypatch, Check("fine", 1, passes))
    library.makeini("[pytest]\ntestpaths = specs test_own.py\n")
    library.runpytest_inprocess("-p", PLUGIN).assert_outcomes(passed=3)


def test_without_torch_the_message_says_what_to_install(
    library: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest_plugin, "find_spec", lambda name: None)
    result = library.runpytest_inprocess("-p", PLUGIN, "specs/nn")
    result.stdout.fnmatch_lines(["*pip install 'tensorgrad-gen[[]torch]'*"])
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_a_run_without_specs_imports_nothing_heavy(library: pytest.Pytester) -> None:
    (library.path / "conftest.py").write_text(
        "import sys\ndef pytest_unconfigure():\n"
        "    names = {n.partition('.')[2].partition('.')[0] for n in sys.modules if n.startswith('tensorgrad_gen.')}\n"
        "    print('ours:', names, 'heavy:', {'torch', 'numpy', 'ruamel', 'jinja2', 'click'} & set(sys.modules))\n"
    )
    (library.path / "specs/compose.yaml").rename(library.mkdir("deploy") / "compose.yaml")
    words = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-q", "test_own.py", "deploy"]
    env = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(words, cwd=library.path, env=env, capture_output=True, text=True, check=False)
    assert "ours: {'pytest_plugin'} heavy: set()" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SQUARE, True),
        ("\ufeff# a comment\n---\n" + SQUARE, True),
        ("{op: f, inputs: {x: [i]}, equations: 'y[i] = x[i]'}", True),
        ("inputs: {x: [i]}\nequations: y[i] = x[i\n", True),  # bad, and ours
        ('"op": f\n"inputs": {x: [i]}\n', True),
        (COMPOSE, False),
        ("op: add\nname: a patch\n", False),
        ("- {op: add, inputs: [a, b]}\n", False),
        ("graph:\n  op: add\n  inputs: [a, b]\n", False),
        ("op:add\ninputs:x\n", False),
        ("", False),
        ("\x00\x01", False),
    ],
)
def test_what_counts_as_a_spec(tmp_path: Path, text: str, expected: bool) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert pytest_plugin.is_spec(path) is expected


def test_every_spec_of_the_library_counts_as_one() -> None:
    assert all(pytest_plugin.is_spec(path) for path in (ROOT / "specs").rglob("*.yaml"))


def test_a_file_that_cannot_be_read_is_no_spec(tmp_path: Path) -> None:
    assert not pytest_plugin.is_spec(tmp_path / "missing.yaml")


def test_pytest_finds_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"tensorgrad_gen": PLUGIN}
