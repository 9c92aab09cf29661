"""`tensorgrad-gen check`: are the generated files what the specs make?"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from tensorgrad_gen.cli.cache import BuildCache, generator_hash
from tensorgrad_gen.cli.files import Selection, select
from tensorgrad_gen.cli.making import Options, Plain, make_all, own_templates, refuse_same_names
from tensorgrad_gen.cli.op_tests import tests_of
from tensorgrad_gen.cli.progress import track
from tensorgrad_gen.cli.support import Op, listed, orphans, support_files, support_text

_REMEDIES = {
    "missing": "build it",
    "stale, the spec changed": "build it again",
    "stale, the generator changed": "build it again",
    "edited by hand": "make the change in the spec or the generator, and build it again",
    "orphaned": "no spec makes it; delete it",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not what its spec makes, and how it differs."""

    path: str
    kind: str
    diff: str = ""


@click.command("check")
@click.argument("specs", nargs=-1, metavar="[SPECS...]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("generated"),
    show_default=True,
    help="Folder that holds the generated files.",
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to build with.")
@click.option("--standalone", is_flag=True, help="As for build.")
@click.option("--templates", type=click.Path(exists=True, file_okay=False, path_type=Path), help="As for build.")
@click.option("--tests", type=click.Path(file_okay=False, path_type=Path), help="As for build.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(
    specs: tuple[str, ...],
    out: Path,
    jobs: int,
    standalone: bool,
    templates: Path | None,
    tests: Path | None,
    as_json: bool,
) -> None:
    """Compare the generated files with what the specs (default: specs) make, and write nothing."""
    own_templates(templates)
    selection = select(specs or ("specs",))
    bad, findings = _check(selection, Options(out, standalone, templates, tests), jobs)
    if as_json:
        click.echo(json.dumps({"findings": [asdict(f) for f in findings], "diagnostics": bad}, indent=2))
    else:
        for finding in findings:
            click.echo(f"{finding.path}: {finding.kind}; {_REMEDIES[finding.kind]}\n{finding.diff}", nl=False)
        for diagnostic in bad:
            click.echo(diagnostic["text"], err=True)
        click.echo(f"{out}: {len(selection.specs)} specs, {len(findings)} findings, {len(bad)} errors")
    raise SystemExit(2 if bad else 1 if findings else 0)


def _check(selection: Selection, options: Options, jobs: int) -> tuple[list[Plain], list[Finding]]:
    """Errors of bad specs, and findings, in the order of the specs; then the files that belong to no single op."""
    out = options.out
    cache = BuildCache(out, generator_hash(options.templates) + options.cache_key)
    tests = tests_of(options)
    refused = refuse_same_names(selection)
    bad = list(refused.values())
    specs = [s for s in selection.specs if s not in refused]
    fresh = {s for s in specs if cache.fresh(s.output(out), cache.spec_key(s)) and (tests is None or tests.fresh(s))}
    doubtful = [s for s in specs if s not in fresh]
    findings: list[Finding] = []
    good = set(specs)
    for made in track(make_all(doubtful, options, jobs), len(doubtful), "checking"):
        if made.text is None:
            bad += made.diagnostics
            good.remove(made.spec)
        else:
            findings += _compare(made.spec.output(out), made.text)
            findings += [] if tests is None else _compare(tests.file(made.spec), made.tests)
    if selection.groups is None:  # of a part of the library one cannot say what the whole should offer
        findings += _shared(listed(selection, out, good), cache, options, options.command(selection.specs))
    lost = [*orphans(selection, out), *([] if tests is None else tests.orphans(selection))]
    return bad, findings + [Finding(str(path), "orphaned") for path in lost]


def _shared(ops: list[Op], cache: BuildCache, options: Options, command: str) -> Iterator[Finding]:
    """Findings among the files that belong to no single op."""
    for file in support_files(ops, options.out, cache, command, options.standalone):
        if not cache.fresh(file.path, file.key):
            yield from _compare(file.path, support_text(file, command))


def _compare(path: Path, expected: str) -> Iterator[Finding]:
    """The finding that a file is, if it is one."""
    if not path.is_file():
        yield Finding(str(path), "missing")
        return
    present = path.read_text(encoding="utf-8", errors="replace")
    if not _same(present, expected):
        yield Finding(str(path), _why(present, expected), _diff(present, expected, str(path)))


def _same(present: str, expected: str) -> bool:
    """Whether two files say the same: a new release of the formatter alone makes no difference."""
    if present == expected:
        return True
    return _code(present) == _code(expected) and _comments(present) == _comments(expected)


def _code(text: str) -> str:
    from tensorgrad_gen.render import body_sha

    try:
        return body_sha(text)
    except (SyntaxError, ValueError):
        return text


def _comments(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.lstrip().startswith("#")]


def _why(present: str, expected: str) -> str:
    """Which of the three changed: the file against its own hash, the spec, or else the generator."""
    from tensorgrad_gen.outputs import edited, parse_header

    recorded, wanted = parse_header(present), parse_header(expected)
    if recorded is None or wanted is None or edited(present):
        return "edited by hand"
    return "stale, the spec changed" if recorded.spec_sha != wanted.spec_sha else "stale, the generator changed"


def _diff(present: str, expected: str, path: str) -> str:
    lines = difflib.unified_diff(
        present.splitlines(keepends=True), expected.splitlines(keepends=True), path, f"{path} (as it should be)"
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)
