"""`tensorgrad-gen import`: a spec made of a formula that somebody has already."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click

from tensorgrad_gen.cli.writing import write_text
from tensorgrad_gen.errors import SpecError
from tensorgrad_gen.pipeline import InternalError

_MARK = "# Written by `tensorgrad-gen import`, "
_EXAMPLES = """\b
Examples:
  tensorgrad-gen import --einsum 'bij,bjk->bik'
  tensorgrad-gen import --latex 'y_{ij} = \\tanh(x_{ik} w_{kj} + b_j)'
  tensorgrad-gen import --matrix 'norm2(A*x - y)^2' --shapes 'A[i,j] x[j] y[i]'

The spec goes to standard output, or with --out to a file, which is never one that somebody else wrote or changed."""


@click.command("import", epilog=_EXAMPLES)
@click.option("--einsum", metavar="FORMULA", help="A formula of torch.einsum or numpy.einsum.")
@click.option("--latex", metavar="EQUATIONS", help="Equations in index notation, a repeated index being summed.")
@click.option("--matrix", metavar="FORMULA", help="A formula of matrices and vectors, as at matrixcalculus.org.")
@click.option("--names", metavar="NAMES", help="With --einsum: the operands' names, `x,w`.")
@click.option("--shapes", metavar="SHAPES", help="With --matrix: the indices of each name, `A[i,j] x[j] c`.")
@click.option("--symmetric", multiple=True, metavar="NAME", help="With --matrix: this matrix is symmetric.")
@click.option("--op", metavar="NAME", help="The op's name; default: that of the file, or `imported`.")
@click.option("--doc", metavar="TEXT", help="What the op is; default: the formula it was imported from.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write to <op>.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def command(
    einsum: str | None,
    latex: str | None,
    matrix: str | None,
    names: str | None,
    shapes: str | None,
    symmetric: tuple[str, ...],
    op: str | None,
    doc: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make a spec of an einsum formula, of LaTeX, or of a matrix formula."""
    from tensorgrad_gen.importing import import_formula

    notation, formula = _chosen({"einsum": einsum, "latex": latex, "matrix": matrix})
    _only_with("einsum", notation, {"--names": names})
    _only_with("matrix", notation, {"--shapes": shapes, "--symmetric": symmetric})
    _may_write(out)
    try:
        imported = import_formula(
            notation,
            formula,
            op=op or (out.stem if out else "imported"),
            doc=doc or "",
            names=[name.strip() for name in names.split(",")] if names else [],
            shapes=shapes or "",
            symmetric=symmetric,
        )
    except (SpecError, InternalError) as error:
        _fail(str(error), as_json)
    text = _marked(imported.text)
    if out is not None:
        if out.stem != imported.op:
            raise click.UsageError(f"the file of the op `{imported.op}` is called `{imported.op}.yaml`, not {out.name}")
        _save(out, text)
    if as_json:
        outcome = {"op": imported.op, "spec": text, "out": None if out is None else str(out)}
        click.echo(json.dumps(outcome | {"warnings": imported.warnings}, indent=2))
        return
    for warning in imported.warnings:
        click.echo(warning, err=True)
    click.echo(text if out is None else f"{out}: written\n", nl=False)


def _chosen(given: dict[str, str | None]) -> tuple[str, str]:
    """The one notation that is given, and the formula."""
    found = [(notation, formula) for notation, formula in given.items() if formula is not None]
    if len(found) != 1:
        raise click.UsageError("give one of --einsum, --latex and --matrix")
    return found[0]


def _only_with(wanted: str, notation: str, options: dict[str, object]) -> None:
    for option, value in options.items():
        if value and notation != wanted:
            raise click.UsageError(f"{option} goes with --{wanted}")


def _fail(text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"op": None, "spec": None, "out": None, "error": text}, indent=2))
    else:
        click.echo(text, err=True)
    raise SystemExit(2)


def _marked(text: str) -> str:
    """The text under a line by which a later import knows that nobody changed it."""
    return f"{_MARK}sha256:{hashlib.sha256(text.encode()).hexdigest()[:12]}\n{text}"


def _may_write(out: Path | None) -> None:
    """Refuse a file that is there and is not as an import left it, and a name that no spec has."""
    if out is None:
        return
    if out.suffix != ".yaml":
        raise click.UsageError(f"the name of a spec ends in `.yaml`: {out}")
    if out.is_symlink():
        raise click.UsageError(f"{out} is a symbolic link; name the file it leads to")
    if not out.exists():
        return
    try:
        head, _, rest = out.read_text("utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        head = rest = ""
    if not head.startswith(_MARK) or _marked(rest).partition("\n")[0] != head:
        raise click.UsageError(f"{out} exists, and is not as `import` wrote it; move it, or use another --out")


def _save(out: Path, text: str) -> None:
    try:
        write_text(out, text)
    except OSError as error:
        raise click.UsageError(f"{out}: cannot be written: {error.strerror or error}") from error
