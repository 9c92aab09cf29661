"""tensorgrad-gen: a compiler from tensor calculus in index notation to PyTorch.

`load_op` builds a spec in memory and returns the op as a callable; `compile_spec` keeps every
stage's product; `SpecError` is what a bad spec raises.  Each is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorgrad_gen.api import compile_spec, load_op
    from tensorgrad_gen.errors import SpecError
    from tensorgrad_gen.pipeline import Compiled

__all__ = ["Compiled", "SpecError", "compile_spec", "load_op"]
__version__ = "0.1.0"

_HOME = {
    "Compiled": "tensorgrad_gen.pipeline",
    "SpecError": "tensorgrad_gen.errors",
    "compile_spec": "tensorgrad_gen.api",
    "load_op": "tensorgrad_gen.api",
}


def __getattr__(name: str) -> object:
    """The public names, imported from where they live."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
