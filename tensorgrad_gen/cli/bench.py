"""`tensorgrad-gen bench`: what a generated op costs, beside autograd of its formula."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from types import ModuleType

    from tensorgrad_gen.bench import Case, Measured
    from tensorgrad_gen.ir import Program


@click.command("bench")
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="b=64,h=512",
    help="Extents by index; `...=8x128` are the leading axes. Others stay medium. Several --size make several tables.",
)
@click.option(
    "--rounds", type=click.IntRange(1), default=20, show_default=True, help="Each side is timed once in each."
)
@click.option("--threads", type=click.IntRange(1), help="Threads of PyTorch; default: its own choice.")
@click.option("--device", default="cpu", show_default=True, help="The device to run on: cpu, cuda, cuda:1.")
@click.option("--compile", "compiled", is_flag=True, help="Both sides under torch.compile too.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the numbers here as well.")
def command(
    spec: Path,
    sizes: tuple[str, ...],
    rounds: int,
    threads: int | None,
    device: str,
    compiled: bool,
    file: Path | None,
) -> None:
    """Time and count an op of a spec, forward and backward, beside autograd of its formula written in PyTorch."""
    if find_spec("torch") is None:
        raise click.UsageError("`bench` needs torch: pip install 'tensorgrad-gen[torch]'")
    from tensorgrad_gen.bench import threads as with_threads

    program, module = _built(spec)
    cases = [_case(program, text, device) for text in sizes or ("",)]
    with with_threads(threads):
        done = [_measured(case, module, rounds, device, compiled) for case in cases]
    from tensorgrad_gen.cli.tables import print_measured
    from tensorgrad_gen.cli.writing import write_text

    if file is not None:
        write_text(file, json.dumps([found.as_data() for found in done], indent=2) + "\n")
    for found in done:
        print_measured(found)


def _built(spec: Path) -> tuple[Program, ModuleType]:
    """The op in memory."""
    from tensorgrad_gen.api import compile_spec, load_module
    from tensorgrad_gen.errors import SpecError
    from tensorgrad_gen.pipeline import InternalError

    try:
        compiled = compile_spec(spec, standalone=True)
    except (SpecError, InternalError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    program: Program = compiled["elaborate"]
    if not any(item.grad and item.kind in ("real", "complex") for item in program.inputs):
        raise click.UsageError(f"{program.name} has no real input to differentiate by: there is no backward to measure")
    return program, load_module(program.name, compiled.source)


def _case(program: Program, text: str, device: str) -> Case:
    """Arguments of the sizes that were asked for."""
    from tensorgrad_gen.bench import SizeError, drawn, medium, parse_sizes, with_sizes

    with _as_usage(f"{program.name} cannot be measured at {text or 'medium extents'}"):
        base = medium(program)
        try:
            shape = with_sizes(program, base.shape, parse_sizes(text) if text else {}, base.params)
        except SizeError as error:
            raise click.BadParameter(str(error), param_hint="--size") from None
        return drawn(program, shape, base.params, device=device)


def _measured(case: Case, module: ModuleType, rounds: int, device: str, compiled: bool) -> Measured:
    from tensorgrad_gen.bench import measure

    with _as_usage(f"{case.program.name} cannot be measured at {case.shape.label}"):
        return measure(case, getattr(module, case.program.name), rounds, device, compiled=compiled)


@contextmanager
def _as_usage(what: str) -> Iterator[None]:
    """What PyTorch refuses (a device, too much memory, sizes without a value) is bad usage, not a failure of ours."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, AssertionError, MemoryError, ZeroDivisionError) as error:
        text = " ".join(str(error).split())
        raise click.UsageError(f"{what}: {text[:300]}") from None
