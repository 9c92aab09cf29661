"""Which spec makes which file: `specs/<group>/<op>.yaml` makes `<out>/<group>/<op>.py`."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click

from tensorgrad_gen.paths import shown_path


@dataclass(frozen=True, slots=True, order=True)
class SpecFile:
    """A spec on disk.  `path` is as the user gave it, for messages."""

    group: str
    name: str
    path: Path

    @property
    def key(self) -> str:
        """The op's place in the output folder, without the ending."""
        return f"{self.group}/{self.name}"

    def output(self, out: Path) -> Path:
        """The file that this spec makes."""
        return out / self.group / f"{self.name}.py"

    @property
    def recorded_path(self) -> str:
        """The path that the generated file names: `specs/<group>/<op>.yaml`, however the spec was named."""
        return shown_path(self.path)


@dataclass(frozen=True, slots=True)
class Selection:
    """What the arguments of a command name.

    `groups` are the groups of which all specs are selected (so that a file without a spec is known
    to be an orphan): None means every group, an empty set none.
    """

    specs: tuple[SpecFile, ...]
    groups: frozenset[str] | None


def select(arguments: Sequence[str]) -> Selection:
    """The specs that files and folders name, sorted; raises a usage error if there are none."""
    specs: dict[Path, SpecFile] = {}
    group_of = cache(_group)
    groups: set[str] = set()
    whole = False
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*.yaml") if p.is_file() and p.suffix)
            if any(p.parent == path for p in found):
                groups.add(group_of(path))
            else:
                whole = True
        elif path.is_file() and path.suffix not in (".yaml", ".yml"):
            raise click.UsageError(f"the name of a spec ends in `.yaml`: {argument}")
        elif path.is_file():
            found = [path]
        else:
            raise click.UsageError(f"no such file or folder: {argument}")
        if not found:
            raise click.UsageError(f"no spec (*.yaml) in {argument}")
        for spec in found:
            specs.setdefault(spec.absolute(), SpecFile(group_of(spec.parent), spec.stem, spec))
    return Selection(tuple(sorted(specs.values())), None if whole else frozenset(groups))


def _group(folder: Path) -> str:
    """The group of the specs in a folder: its name, as a Python identifier."""
    name = folder.resolve().name.replace("-", "_")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise click.UsageError(
            f"the folder {folder} cannot be a group of ops: `{name}` is no Python name; rename the folder"
        )
    return name


def same_names(specs: Iterable[SpecFile]) -> list[tuple[SpecFile, SpecFile]]:
    """Pairs of specs with one op name: the later one with the first of that name."""
    first: dict[str, SpecFile] = {}
    pairs = []
    for spec in specs:
        if spec.name in first:
            pairs.append((spec, first[spec.name]))
        first.setdefault(spec.name, spec)
    return pairs
