"""Making the text of generated files, in this process or in several.  Nothing here writes a file."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from tensorgrad_gen.cli.files import Selection, SpecFile, same_names

if TYPE_CHECKING:
    from tensorgrad_gen.errors import Diagnostic
    from tensorgrad_gen.pipeline import Compiled

Plain = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of every file."""

    out: Path
    standalone: bool = False
    templates: Path | None = None
    tests: Path | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The options that change what is made, as words of a command; where it is put is not one of them."""
        words = ("--standalone",) if self.standalone else ()
        return words if self.templates is None else (*words, "--templates", self.templates.name)

    @property
    def cache_key(self) -> str:
        """What the cache must know of the options; the templates are hashed by content."""
        return "standalone" if self.standalone else "shared"

    def command(self, specs: Sequence[SpecFile]) -> str:
        """The command that makes the whole output folder again."""
        parts = PurePosixPath(specs[0].recorded_path).parts
        folder = shlex.quote(parts[0]) if len(parts) == 3 else "SPECS"
        return " ".join(("tensorgrad-gen build", folder, *self.words))


@dataclass(frozen=True, slots=True)
class Made:
    """What a spec came to: its module's text, or none; errors and warnings as plain values; its tests, if asked for."""

    spec: SpecFile
    text: str | None
    diagnostics: list[Plain]
    tests: str = ""


def make(spec: SpecFile, options: Options) -> Made:
    """The module that a spec file makes.  A bad spec is a result, never an exception."""
    from tensorgrad_gen.errors import NotBuiltError, SpecError
    from tensorgrad_gen.pipeline import InternalError, run
    from tensorgrad_gen.spec import read_text

    path = str(spec.path)
    try:
        shown = spec.recorded_path
        meta = {
            "spec_path": shown,
            "options": options.words,
            "depth": 1,
            "standalone": options.standalone,
            "templates": own_templates(options.templates),
        }
        compiled = run(read_text(spec.path), path, meta=meta)
        tests = "" if options.tests is None else _tests(compiled, shown, options)
    except SpecError as error:
        return Made(spec, None, [plain(d, error.path, error.text) for d in error.diagnostics])
    except NotBuiltError as error:
        return Made(spec, None, [fault(path, "E901", str(error), f"{path}: error[E901]: {error}")])
    except InternalError as error:
        if options.templates is not None and error.stage == "render":
            message = f"the templates in {options.templates} do not fit: {error.cause}"
            return Made(spec, None, [fault(path, "template", message, f"{path}: error: {message}")])
        return Made(spec, None, [fault(path, "internal", error.message, str(error))])
    return Made(spec, compiled.source, [plain(d, path, compiled.text) for d in compiled.warnings], tests)


def _tests(compiled: Compiled, shown: str, options: Options) -> str:
    """The file of tests of an op."""
    from tensorgrad_gen.cli.op_tests import package_of
    from tensorgrad_gen.op_tests import TestMeta, render_test

    sha = hashlib.sha256(compiled.text.encode()).hexdigest()
    meta = TestMeta(shown, sha, package_of(options.out), own_templates(options.templates))
    return render_test(compiled["elaborate"], meta)


def own_templates(folder: Path | None) -> tuple[tuple[str, str], ...]:
    """The user's templates; a usage error if one has a name that no template has."""
    if folder is None:
        return ()
    from tensorgrad_gen.errors import NotBuiltError
    from tensorgrad_gen.render import load_templates

    try:
        return load_templates(folder)
    except (NotBuiltError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{folder}: {error}") from None


def _collect_seldom() -> None:
    """Garbage is little beside what a process that builds keeps, and looking for it takes a tenth of the time."""
    import gc

    gc.set_threshold(100_000, 50, 100)


def make_all(specs: Sequence[SpecFile], options: Options, jobs: int) -> Iterator[Made]:
    """Every spec's module, in the order of the specs."""
    _collect_seldom()
    if jobs < 2 or len(specs) < 2:
        yield from (make(spec, options) for spec in specs)
        return
    from concurrent.futures import ProcessPoolExecutor
    from itertools import repeat

    with ProcessPoolExecutor(min(jobs, len(specs)), initializer=_collect_seldom) as pool:
        yield from pool.map(make, specs, repeat(options), chunksize=2)


def refuse_same_names(selection: Selection) -> dict[SpecFile, Plain]:
    """The specs that may not be built because another one has their name, and the error each gets."""
    refused = {}
    for later, first in same_names(selection.specs):
        message = f"another op is named `{later.name}`, in {first.path}"
        text = f"{later.path}: error[E120]: {message}\n   help: rename one of the two files, and its `op`"
        refused[later] = fault(str(later.path), "E120", message, text)
    return refused


def fault(path: str, code: str, message: str, text: str) -> Plain:
    """An error with no place in the text of a spec, as plain values."""
    where: Plain = {"path": path, "line": None, "column": None, "help": None}
    return {"severity": "error", "code": code, "message": message, **where, "text": text}


def plain(diagnostic: Diagnostic, path: str, text: str) -> Plain:
    """A diagnostic as plain values; `text` is what a user reads."""
    from tensorgrad_gen.errors import render

    span = diagnostic.span
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "path": path,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "help": diagnostic.help,
        "text": render([diagnostic], path, text),
    }
