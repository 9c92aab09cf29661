"""`tensorgrad-gen verify`: are the generated values and derivatives right?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tensorgrad_gen.cli.files import SpecFile, select
from tensorgrad_gen.cli.progress import in_terminal, say, track

if TYPE_CHECKING:
    from tensorgrad_gen.verify import CheckResult


@dataclass(frozen=True, slots=True)
class Verified:
    """The checks of one op; `errors` is what a bad spec got instead."""

    op: str
    results: list[CheckResult] = field(default_factory=list)
    errors: str = ""

    def count(self, status: str) -> int:
        """How many checks ended so."""
        return sum(result.status == status for result in self.results)

    def said(self) -> str:
        """The outcome in a line."""
        failed = [result.name for result in self.results if result.status == "failed"]
        return f"{self.op}: {'errors' if self.errors else 'failed: ' + ', '.join(failed) if failed else 'right'}"


@dataclass(frozen=True, slots=True)
class _Options:
    quick: bool
    device: str
    lines: bool  # one for each check


@click.command("verify")
@click.argument("specs", nargs=-1, metavar="SPECS...")
@click.option("--quick", is_flag=True, help="Leave out Inductor and the slowest combinations.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to verify with.")
@click.option("--device", default="cpu", show_default=True, help="The device to run on: cpu, cuda, cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write the outcome as JUnit XML.")
def command(specs: tuple[str, ...], quick: bool, jobs: int, device: str, as_json: bool, junit: Path | None) -> None:
    """Verify spec files, or folders of them (default: specs): values, derivatives of every kind, edge cases."""
    if find_spec("torch") is None:
        raise click.UsageError("`verify` needs torch: pip install 'tensorgrad-gen[torch]'")
    found = select(specs or ("specs",)).specs
    options = _Options(quick, device, len(found) == 1 and not in_terminal())
    done = list(track(_verify_all(found, options, jobs), len(found), "verifying", Verified.said))
    from tensorgrad_gen.cli.tables import print_verified
    from tensorgrad_gen.cli.writing import write_text
    from tensorgrad_gen.verify import as_json as json_of
    from tensorgrad_gen.verify import as_junit, failed

    results = [result for verified in done for result in verified.results]
    if junit is not None:
        write_text(junit, as_junit(results))
    if as_json:
        click.echo(json_of(results))
    else:
        print_verified(done)
    errors = [verified.errors for verified in done if verified.errors]
    for text in errors:
        click.echo(text, err=True)
    raise SystemExit(2 if errors else 1 if failed(results) else 0)


def _verify_all(specs: Sequence[SpecFile], options: _Options, jobs: int) -> Iterator[Verified]:
    """Every spec's checks, in the order of the specs."""
    if jobs < 2 or len(specs) < 2:
        yield from (_verify(spec, options) for spec in specs)
        return
    from concurrent.futures import ProcessPoolExecutor
    from itertools import repeat
    from multiprocessing import get_context

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores already
    # Spawned, not forked: neither CUDA nor OpenMP survives a fork.
    with ProcessPoolExecutor(min(jobs, len(specs)), get_context("spawn")) as pool:
        yield from pool.map(_verify, specs, repeat(options))


def _verify(spec: SpecFile, options: _Options) -> Verified:
    """The checks of one op, built in memory; the samples and the plain formula come from the program as written."""
    from tensorgrad_gen.api import compile_spec, load_module
    from tensorgrad_gen.errors import SpecError
    from tensorgrad_gen.pipeline import InternalError
    from tensorgrad_gen.verify import verify_op

    try:
        compiled = compile_spec(spec.path, standalone=True)
        module = load_module(spec.name, compiled.source)
    except (SpecError, InternalError) as error:
        return Verified(spec.name, errors=str(error))
    progress = _say if options.lines else None
    results = verify_op(compiled["elaborate"], module, quick=options.quick, device=options.device, progress=progress)
    return Verified(spec.name, results)


def _say(result: CheckResult, done: int, total: int) -> None:
    say(done, total, f"{result.op}: {result.name} {result.status}, {result.seconds:.1f} s")
