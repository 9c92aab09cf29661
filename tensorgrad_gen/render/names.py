"""Names in generated code that clash with nothing."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable

# What the module itself calls by a bare name.
MODULE_NAMES = frozenset({"torch", "math", "F", "Tensor", "Any", "annotations", "_runtime"})


class Names:
    """Names already used; `fresh` gives the wanted one, or that with `_` appended."""

    def __init__(self, used: Iterable[str]) -> None:
        self.used = set(used) | MODULE_NAMES | set(dir(builtins)) | set(keyword.kwlist)

    def fresh(self, wanted: str) -> str:
        """A name not used yet."""
        while wanted in self.used:
            wanted += "_"
        self.used.add(wanted)
        return wanted


def class_name(op: str) -> str:
    """`layer_norm` -> `_LayerNorm`."""
    return "_" + "".join(part[:1].upper() + part[1:] for part in op.split("_"))
