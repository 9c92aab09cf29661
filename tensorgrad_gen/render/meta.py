"""What render is told about an op beside its lowered form."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpMeta:
    """`spec_path` as the header shows it (`paths.shown_path`), `spec_sha` of the file's bytes.

    `options` are the words of the command that makes the file again, beside the path; `depth` is how many
    folders deep the module stands below `_runtime.py`.  `equations` and `gradients` are lines for the docstring:
    by default, the program's and those of the code.  `templates` are pairs of name and text that replace the
    package's own; what they may print is in `view`.
    """

    spec_path: str
    spec_sha: str
    options: tuple[str, ...] = ()
    depth: int = 0
    standalone: bool = False
    equations: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    templates: tuple[tuple[str, str], ...] = ()

    @property
    def command(self) -> str:
        """The command that makes the file again."""
        words = ("tensorgrad-gen", "build", self.spec_path, *self.options)
        return " ".join(shlex.quote(one_line(word)) for word in words)


def one_line(text: str) -> str:
    """The text with what cannot be printed, line ends first of all, written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
