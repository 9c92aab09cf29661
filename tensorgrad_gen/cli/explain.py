"""`tensorgrad-gen explain`: what the compiler makes of a spec, stage by stage."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tensorgrad_gen.cli.showing import show
from tensorgrad_gen.errors import SpecError
from tensorgrad_gen.pipeline import STAGES, Compiled, InternalError, run
from tensorgrad_gen.spec import read_text

_NAMES = tuple(stage.name for stage in STAGES)
_ROAD = "\n".join(f"  {stage.name:<10} {stage.doc}" for stage in STAGES)


@click.command("explain", epilog="\b\nStages:\n" + _ROAD)
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--stage", type=click.Choice(_NAMES), help="Print the product of this stage.")
@click.option("--wrt", metavar="INPUT", help="Only the gradient with respect to this input.")
@click.option("--format", "style", type=click.Choice(["text", "markdown", "latex"]), default="text", show_default=True)
@click.option("--valence", is_flag=True, help="Say of which valence each Jacobian is, as the inputs' `upper` has it.")
@click.option("--graph", is_flag=True, help="The dependency graphs of value and gradients, as Mermaid and DOT.")
@click.option("--depth", type=click.IntRange(min=0), metavar="N", help="At most N rewriting steps in each derivation.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(
    spec: Path,
    stage: str | None,
    wrt: str | None,
    style: str,
    valence: bool,
    graph: bool,
    depth: int | None,
    as_json: bool,
) -> None:
    """Print the derivation of a spec's gradients, or the product of one stage."""
    more: dict[str, object] = {}
    try:
        compiled = run(read_text(spec), str(spec), until=stage or "simplify")
        if stage:
            text = show(compiled[stage])
        elif graph:
            text = _graphs(compiled)
        else:
            text, more["sections"] = _derivation(compiled, wrt, style, valence, depth)
    except (SpecError, InternalError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    click.echo(json.dumps({"spec": str(spec), "stage": stage, "text": text, **more}, indent=2) if as_json else text)


def _graphs(compiled: Compiled) -> str:
    """Both graphs in both notations, each under its name."""
    from tensorgrad_gen.explain import graphs

    return "\n\n".join(f"{name}\n{text}" for name, text in graphs(compiled.program).items())


def _derivation(
    compiled: Compiled, wrt: str | None, style: str, valence: bool, depth: int | None
) -> tuple[str, list[dict[str, object]]]:
    """Every gradient, or one, step by step: as text, and section by section as plain values."""
    from tensorgrad_gen.explain import as_data, explain
    from tensorgrad_gen.explain import show as show_explanation

    derivatives = compiled["simplify"]
    differentiated = dict(derivatives.adjoint.gradients)
    inputs = [item.keyword for item in derivatives.program.inputs if item.name in differentiated]
    if wrt is not None and wrt not in inputs:
        raise click.UsageError(f"no gradient with respect to `{wrt}`; there is one for: {', '.join(inputs) or 'none'}")
    explanation = explain(compiled["elaborate"], wrt, valence, depth)
    return show_explanation(explanation, style), as_data(explanation, style)
