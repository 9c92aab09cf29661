"""`tensorgrad-gen bench`: what the generated ops cost.  Not built yet."""

from __future__ import annotations

import click


@click.command("bench")
@click.argument("specs", nargs=-1)
def command(specs: tuple[str, ...]) -> None:
    """Time generated ops against PyTorch's own (not built yet)."""
    raise click.UsageError("`bench` is not built yet; `verify` checks what the ops compute")
