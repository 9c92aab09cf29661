"""`tensorgrad-gen build`: make the files of specs.  What is unchanged is known by its hashes and not made again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tensorgrad_gen.cli.cache import BuildCache, generator_hash
from tensorgrad_gen.cli.files import Selection, SpecFile, select
from tensorgrad_gen.cli.making import Made, Options, Plain, fault, make_all, own_templates, refuse_same_names
from tensorgrad_gen.cli.op_tests import tests_of
from tensorgrad_gen.cli.progress import track
from tensorgrad_gen.cli.support import listed, orphans, support_files, support_text


@click.command("build")
@click.argument("specs", nargs=-1, metavar="SPECS...")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("generated"),
    show_default=True,
    help="Folder to write; specs/<group>/<op>.yaml makes <out>/<group>/<op>.py.",
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to build with.")
@click.option("--standalone", is_flag=True, help="Inline the runtime helpers: each file imports torch alone.")
@click.option(
    "--templates",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of templates that replace the built-in ones of the same name.",
)
@click.option(
    "--tests",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write tests to, for pytest: <tests>/<group>/test_<op>.py.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    specs: tuple[str, ...],
    out: Path,
    jobs: int,
    standalone: bool,
    templates: Path | None,
    tests: Path | None,
    as_json: bool,
) -> None:
    """Build spec files, or folders of them (default: specs), into Python modules."""
    own_templates(templates)
    selection = select(specs or ("specs",))
    build = _Build(selection, Options(out, standalone, templates, tests))
    rows = build.run(jobs)
    count = {status: sum(row["status"] == status for row in rows) for status in ("built", "unchanged", "failed")}
    lost = [str(path) for path in build.orphans()]
    if as_json:
        click.echo(json.dumps({"ops": rows, "orphans": lost}, indent=2))
    else:
        for diagnostic in (d for row in rows for d in row["diagnostics"]):
            click.echo(diagnostic["text"], err=True)
        for path in lost:
            click.echo(f"{path}: warning: no spec makes this file; delete it", err=True)
        click.echo(f"{out}: " + ", ".join(f"{number} {status}" for status, number in count.items()))
    raise SystemExit(2 if count["failed"] else 0)


class _Build:
    """One run: what is selected, how it is built, and what became of it."""

    def __init__(self, selection: Selection, options: Options) -> None:
        self.selection = selection
        self.options = options
        self.cache = BuildCache(options.out, generator_hash(options.templates) + options.cache_key)
        self.tests = tests_of(options)
        self.refused = refuse_same_names(selection)
        self.rows: list[Plain] = []

    def run(self, jobs: int) -> list[Plain]:
        """Build what is not as it should be; a row of plain values for each spec, in order."""
        stale = [spec for spec in self.selection.specs if not self.settled(spec)]
        for made in track(make_all(stale, self.options, jobs), len(stale), "building"):
            self.keep(made)
        self.support()
        self.cache.save()
        if self.tests is not None:
            self.tests.cache.save()
        return sorted(self.rows, key=lambda row: (row["group"], row["op"]))

    def settled(self, spec: SpecFile) -> bool:
        """Whether nothing is to be made of a spec: it is unchanged, or must not be built."""
        output = spec.output(self.options.out)
        if spec in self.refused:
            self.add(spec, "failed", [self.refused[spec]])
        elif self.cache.fresh(output, self.cache.spec_key(spec)) and (self.tests is None or self.tests.fresh(spec)):
            self.add(spec, "unchanged", self.cache.warnings(output))
        else:
            return False
        return True

    def keep(self, made: Made) -> None:
        """Write what was made, unless the spec was bad."""
        if made.text is None:
            self.add(made.spec, "failed", made.diagnostics)
            return
        output = made.spec.output(self.options.out)
        folder, error = self.options.out, self.write(output, made.text)
        if error is None:
            self.cache.record(output, self.cache.spec_key(made.spec), made.text, made.diagnostics)
            if self.tests is not None:
                folder, error = self.tests.folder, self.tests.write(made.spec, made.tests)
        if error is None:
            self.add(made.spec, "built", made.diagnostics)
        else:
            self.add(made.spec, "failed", [fault(str(made.spec.path), "output", error, f"{folder}/{error}")])

    def write(self, path: Path, text: str) -> str | None:
        """Write a generated file; the reason why it may not be written, if there is one."""
        from tensorgrad_gen.outputs import INTERNAL, NotAllowedError, OutputError, write

        name = path.relative_to(self.options.out).as_posix()
        try:
            write(self.options.out, name, text, shared=path.name.startswith("_"))
        except OutputError as error:
            return str(error)
        except NotAllowedError as error:
            return f"{name}: {INTERNAL}: {error}"
        return None

    def support(self) -> None:
        """Write the files that belong to no single op, where they are not as they should be."""
        out, command = self.options.out, self.options.command(self.selection.specs)
        ops = listed(self.selection, out)
        for file in support_files(ops, out, self.cache, command, self.options.standalone):
            if not self.cache.fresh(file.path, file.key):
                text = support_text(file, command)
                if (error := self.write(file.path, text)) is not None:
                    raise click.UsageError(error)
                self.cache.record(file.path, file.key, text, [])

    def orphans(self) -> list[Path]:
        """Files that no spec makes, although they say that one did."""
        tests = [] if self.tests is None else self.tests.orphans(self.selection)
        return [*orphans(self.selection, self.options.out), *tests]

    def add(self, spec: SpecFile, status: str, diagnostics: list[Plain]) -> None:
        """A row of the outcome."""
        files = {"spec": str(spec.path), "output": str(spec.output(self.options.out))}
        if self.tests is not None:
            files["tests"] = str(self.tests.file(spec))
        self.rows.append({"op": spec.name, "group": spec.group, **files, "status": status, "diagnostics": diagnostics})
