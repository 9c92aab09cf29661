"""`pytest specs/`: an item for each check of each spec, and nothing for whoever has no specs."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command_line import DOUBLE, SQUARE, put

import tensorgrad_gen.verify
from tensorgrad_gen import pytest_plugin
from tensorgrad_gen.verify import CHECKS, Check
from tensorgrad_gen.verify.model import FindingError, SkippedError, Subject

PLUGIN = "tensorgrad_gen.pytest_plugin"
ROOT = Path(__file__).resolve().parents[1]
QUICK = [check for check in CHECKS if check.quick]
COMPOSE = "services:\n  web: {image: nginx}\nversion: '3'\n"


@dataclass
class Run:
    """What a run of pytest collected, and how each item ended.

    `pytester` is not used: it takes modules imported by a run out of this process, and torch is not imported twice.
    """

    ids: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    status: int = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.ids = [item.nodeid for item in session.items]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.texts.append(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.outcome] += 1
        if report.failed:
            self.texts.append(report.longreprtext)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two specs, a YAML file that is none and a test, in a folder without a configuration of pytest."""
    monkeypatch.chdir(tmp_path)
    # The plugin is named on the command line, so that it does not matter whether it is installed.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    put("specs/basics/square_it.yaml", SQUARE)
    put("specs/nn/double_it.yaml", DOUBLE)
    put("specs/compose.yaml", COMPOSE)
    put("test_own.py", "def test_own(): ...\n")
    return tmp_path


def run(*words: str) -> Run:
    """A run in this process, of the current folder."""
    made = Run()
    # The second collects garbage five times at the end of a run, of all that this process has.
    without = ["-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    quiet = ["-p", PLUGIN, *without, "--assert=plain", "--rootdir=.", "-q"]
    made.status = pytest.main([*quiet, *words], plugins=[made])
    sys.modules.pop("test_own", None)
    return made


def use_checks(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr(tensorgrad_gen.verify, "CHECKS", checks)


def passes(_: Subject) -> float:
    return 0.0


def fails(_: Subject) -> float:
    raise FindingError("gradient of x is off by 1.0e+00 relative (i=3); allowed 1e-10", 1.0)


def does_not_apply(_: Subject) -> float:
    raise SkippedError("the spec derives no jvp")


def test_every_check_passes(library: Path) -> None:
    made = run("specs/nn")
    assert made.status == pytest.ExitCode.OK
    assert made.outcomes["passed"] + made.outcomes["skipped"] == len(QUICK)
    assert made.outcomes["passed"] > 20


@pytest.mark.parametrize(("words", "checks"), [([], QUICK), (["--tensorgrad-full"], CHECKS)], ids=["quick", "full"])
def test_an_item_for_each_check_of_each_op(library: Path, words: list[str], checks: Sequence[Check]) -> None:
    made = run("--collect-only", "specs", *words)
    assert len(made.ids) == len(set(made.ids)) == 2 * len(checks)
    assert "specs/basics/square_it.yaml::gradcheck" in made.ids
    assert "specs/nn/double_it.yaml::gradcheck-of-apply" in made.ids


def test_one_check_is_named_by_its_id(library: Path) -> None:
    assert run("specs/nn/double_it.yaml::vjp").outcomes == {"passed": 1}


def test_a_failure_is_the_message_of_the_check(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_checks(monkeypatch, Check("fine", 1, passes), Check("vjp", 1, fails), Check("jvp", 4, does_not_apply))
    made = run("specs/nn")
    assert made.status == pytest.ExitCode.TESTS_FAILED
    assert made.outcomes == {"passed": 1, "failed": 1, "skipped": 1}
    assert made.texts == ["double_it: vjp: gradient of x is off by 1.0e+00 relative (i=3); allowed 1e-10"]


def test_a_bad_spec_fails_once_with_its_diagnostic(library: Path) -> None:
    put("specs/nn/double_it.yaml", DOUBLE.replace("2*x[i]", "2*x[i,j]"))
    made = run("specs/nn")
    assert made.outcomes == {"failed": 1, "skipped": len(QUICK) - 1}
    [text] = made.texts
    assert "specs/nn/double_it.yaml:5:12: error[E" in text
    assert "^" in text
    assert "Traceback" not in text


def test_a_spec_without_a_sample_fails(library: Path) -> None:
    text = SQUARE.replace("x[i]^2", "log(x[i])").replace("{x: [i]}", "{x: {indices: [i], domain: [-2, -1]}}")
    put("specs/basics/square_it.yaml", text)
    made = run("specs/basics")
    assert made.outcomes == {"failed": 1, "skipped": len(QUICK) - 1}
    assert made.texts[0].startswith("square_it: no sample: ")


def test_a_run_that_names_nothing_has_nothing_to_do_with_specs(library: Path) -> None:
    assert run().ids == ["test_own.py::test_own"]


def test_testpaths_name_specs_too(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_checks(monkeypatch, Check("fine", 1, passes))
    put("pytest.ini", "[pytest]\ntestpaths = specs test_own.py\n")
    assert run().outcomes == {"passed": 3}


def test_without_torch_the_message_says_what_to_install(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_plugin, "find_spec", lambda name: None)
    made = run("specs/nn")
    assert made.status == pytest.ExitCode.INTERRUPTED
    assert "pip install 'tensorgrad-gen[torch]'" in made.texts[0]


def test_a_run_without_specs_imports_nothing_heavy(library: Path) -> None:
    put(
        "conftest.py",
        "import sys\ndef pytest_unconfigure():\n"
        "    names = {n.partition('.')[2].partition('.')[0] for n in sys.modules if n.startswith('tensorgrad_gen.')}\n"
        "    print('ours:', names, 'heavy:', {'torch', 'numpy', 'ruamel', 'jinja2', 'click'} & set(sys.modules))\n",
    )
    put("deploy/compose.yaml", COMPOSE)
    words = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-q", "test_own.py", "deploy"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
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
