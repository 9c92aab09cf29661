"""`tensorgrad-gen explain`: what the compiler makes of a spec, stage by stage."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tensorgrad_gen.errors import SpecError
from tensorgrad_gen.ir import Statement
from tensorgrad_gen.pipeline import STAGES, Compiled, InternalError, run
from tensorgrad_gen.spec import read_text

_NAMES = tuple(stage.name for stage in STAGES)
_ROAD = "\n".join(f"  {stage.name:<10} {stage.doc}" for stage in STAGES)


@click.command("explain", epilog="\b\nStages:\n" + _ROAD)
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--stage", type=click.Choice(_NAMES), help="Print the product of this stage.")
@click.option("--wrt", metavar="INPUT", help="Only the gradient with respect to this input.")
@click.option("--format", "style", type=click.Choice(["text", "markdown", "latex"]), default="text", show_default=True)
@click.option("--valence", is_flag=True, help="Say which indices are upper and which are lower.")
@click.option("--graph", is_flag=True, help="Draw the dependency graphs of the value and of the gradients.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(
    spec: Path, stage: str | None, wrt: str | None, style: str, valence: bool, graph: bool, as_json: bool
) -> None:
    """Print the equations of a spec and of its gradients, or the product of one stage."""
    for wanted, name in ((valence, "--valence"), (graph, "--graph"), (style != "text", f"--format {style}")):
        if wanted:
            raise click.UsageError(f"`explain {name}` is not built yet")
    try:
        compiled = run(read_text(spec), str(spec), until=stage or "simplify")
    except (SpecError, InternalError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    from tensorgrad_gen.cli.showing import show

    text = show(compiled[stage]) if stage else _gradients(compiled, wrt)
    click.echo(json.dumps({"spec": str(spec), "stage": stage, "text": text}, indent=2) if as_json else text)


def _gradients(compiled: Compiled, wrt: str | None) -> str:
    """The op's equations, and those that lead to its gradients."""
    from tensorgrad_gen.algebra import accesses
    from tensorgrad_gen.notation import print_program, print_statement

    derivatives = compiled["simplify"]
    inputs = [name for name, _ in derivatives.adjoint.gradients]
    if wrt is not None and wrt not in inputs:
        raise click.UsageError(f"no gradient with respect to `{wrt}`; there is one for: {', '.join(inputs) or 'none'}")
    needed = {tensor for name, tensor in derivatives.adjoint.gradients if wrt in {None, name}}
    statements: list[Statement] = []
    for statement in reversed(derivatives.adjoint.statements):
        if statement.target in needed:
            statements.insert(0, statement)
            needed |= {access.tensor for access in accesses(statement.value)}
    lines = [compiled.program.name, "", print_program(compiled.program, "math"), "", "gradients"]
    return "\n".join(lines + [print_statement(s, "math") for s in statements])
