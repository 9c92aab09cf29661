"""The folder of tests that `--tests` names: `specs/<group>/<op>.yaml` makes `<tests>/<group>/test_<op>.py`."""

from __future__ import annotations

import keyword
import os
from pathlib import Path

import click

from tensorgrad_gen.cli.cache import BuildCache, generator_hash
from tensorgrad_gen.cli.files import Selection, SpecFile
from tensorgrad_gen.cli.making import Options
from tensorgrad_gen.cli.support import is_generated

_PREFIX = "test_"


def package_of(out: Path) -> str:
    """What a user imports the ops from: the output folder, and the packages it is in."""
    folder = Path(os.path.abspath(out))  # noqa: PTH100  a symbolic link is imported under its own name
    parts = [folder.name]
    while (folder.parent / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
        parts.insert(0, folder.name)
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            raise click.UsageError(f"--tests: nothing can be imported from {out}, as `{part}` is no Python name")
    return ".".join(parts)


class OpTests:
    """The tests that one run makes or checks."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.package = package_of(options.out)
        if Path(os.path.abspath(folder)).is_relative_to(os.path.abspath(options.out)):  # noqa: PTH100
            raise click.UsageError(f"--tests: {folder} is inside the output folder, which holds ops alone")
        self.cache = BuildCache(folder, generator_hash(options.templates) + self.package)

    def file(self, spec: SpecFile) -> Path:
        """The file of tests of a spec."""
        return self.folder / spec.group / f"{_PREFIX}{spec.name}.py"

    def fresh(self, spec: SpecFile) -> bool:
        """Whether it is what building would write."""
        return self.cache.fresh(self.file(spec), self.cache.spec_key(spec))

    def write(self, spec: SpecFile, text: str) -> str | None:
        """Write it; the reason why it may not be written, if there is one."""
        from tensorgrad_gen.outputs import INTERNAL, NotAllowedError, OutputError, write

        path = self.file(spec)
        name = path.relative_to(self.folder).as_posix()
        try:
            write(self.folder, name, text, package=self.package)
        except OutputError as error:
            return str(error)
        except NotAllowedError as error:
            return f"{name}: {INTERNAL}: {error}"
        self.cache.record(path, self.cache.spec_key(spec), text, [])
        return None

    def orphans(self, selection: Selection) -> list[Path]:
        """Generated tests of what no selected spec makes, in the groups that are selected whole."""
        known = {self.file(spec) for spec in selection.specs}
        found = (path for path in self.folder.glob(f"*/{_PREFIX}*.py") if is_generated(path))
        return sorted(
            path
            for path in found
            if path not in known and (selection.groups is None or path.parent.name in selection.groups)
        )


def tests_of(options: Options) -> OpTests | None:
    """The tests that are asked for."""
    return None if options.tests is None else OpTests(options.tests, options)
