"""The command line.  A command's module is imported when that command runs, so that each starts fast."""

from __future__ import annotations

from importlib import import_module
from typing import cast

import click

from tensorgrad_gen import __version__

# The command's name -> its module below `tensorgrad_gen.cli`.
_COMMANDS = {name: name for name in ("build", "check", "verify", "explain", "import", "bench")}
_COMMANDS["import"] = "importing"  # `import` can name no module


class _LazyGroup(click.Group):
    """The command `name` is `tensorgrad_gen.cli.<its module>.command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        return cast(click.Command, import_module(f"tensorgrad_gen.cli.{_COMMANDS[cmd_name]}").command)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tensorgrad-gen")
def main() -> None:
    """Compile tensor calculus in index notation to PyTorch.

    Exit status: 0 fine, 1 a finding (a stale file, a failed check), 2 a bad spec or bad usage.
    """
