"""A plugin of pytest: `pytest specs/` verifies specs, one item for each check of each op.

Specs are collected where the command line or `testpaths` names a file or a folder; a run that names nothing has
nothing to do with them.  Nothing heavy is imported before a spec is collected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tensorgrad_gen.verify import Check
    from tensorgrad_gen.verify.model import Subject

# Two of these at the top of a YAML file make it a spec, if perhaps a bad one.
_KEYS = frozenset({"op", "inputs", "equations", "implicit"})
_TOP_KEY = re.compile(r"""^["']?(\w+)["']?\s*:(?=\s|$)""", re.MULTILINE)
_FLOW_KEY = re.compile(r"""[{,]\s*["']?(\w+)["']?\s*:(?=\s|$)""")
_LOOKED_AT = 65_536  # bytes


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's option."""
    group = parser.getgroup("tensorgrad-gen")
    group.addoption(
        "--tensorgrad-full",
        action="store_true",
        help="Verify specs by every check, not by those of `tensorgrad-gen verify --quick`.",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The checks of a file, if it is a spec."""
    if file_path.suffix != ".yaml" or parent.config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR:
        return None
    return SpecFile.from_parent(parent, path=file_path) if is_spec(file_path) else None


def is_spec(path: Path) -> bool:
    """Whether a YAML file has keys of a spec, seen without reading it as YAML."""
    try:
        with path.open("rb") as file:
            text = file.read(_LOOKED_AT).decode("utf-8-sig", errors="replace")
    except OSError:
        return False
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "---"))]
    flow = bool(lines) and lines[0].startswith("{")
    return len(_KEYS.intersection((_FLOW_KEY if flow else _TOP_KEY).findall(text))) > 1


class NotVerifiedError(Exception):
    """What a check found, or why none could run."""


class SpecFile(pytest.File):
    """A spec: an item for each check."""

    blamed = False

    def collect(self) -> Iterator[pytest.Item]:
        """The checks, in the order of the table."""
        if find_spec("torch") is None:
            raise self.CollectError("verifying a spec needs torch: pip install 'tensorgrad-gen[torch]'")
        from tensorgrad_gen.verify import CHECKS

        for check in CHECKS:
            if check.quick or self.config.getoption("tensorgrad_full"):
                yield CheckItem.from_parent(self, name=re.sub(r"\W+", "-", check.name), check=check)

    @cached_property
    def subject(self) -> Subject | str:
        """What the checks run on, or why there is nothing; made when the first check runs."""
        from tensorgrad_gen.api import compile_spec, load_module
        from tensorgrad_gen.errors import SpecError
        from tensorgrad_gen.pipeline import InternalError
        from tensorgrad_gen.verify.samples import NoSampleError
        from tensorgrad_gen.verify.subject import make_subject

        try:
            compiled = compile_spec(self.path, standalone=True)
            subject = make_subject(compiled["elaborate"], load_module(self.path.stem, compiled.source))
        except (SpecError, InternalError, NoSampleError) as error:
            return str(error)
        return replace(subject, quick=not self.config.getoption("tensorgrad_full"))


class CheckItem(pytest.Item):
    """One check of one op."""

    def __init__(self, *, check: Check, **given: Any) -> None:
        super().__init__(**given)
        self.check = check

    def runtest(self) -> None:
        from tensorgrad_gen.verify.run import run_check

        file = self.parent
        assert isinstance(file, SpecFile)
        subject = file.subject
        if isinstance(subject, str):
            if file.blamed:
                pytest.skip("another check of this spec says why none can run")
            file.blamed = True
            raise NotVerifiedError(subject)
        result = run_check(self.check, subject)
        if result.status == "skipped":
            pytest.skip(result.message)
        if result.status == "failed":
            raise NotVerifiedError(f"{subject.name}: {self.check.name}: {result.message}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotVerifiedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.stem}: {self.check.name}"
