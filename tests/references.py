"""What every op of the library must equal: plain PyTorch, written without looking at the spec's equations.

`REFERENCES` maps an op's name to a function with the op's own signature.  Where PyTorch has the op, it is
PyTorch's; derivatives are autograd's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.reference_ops import (
    activations,
    basics,
    complexes,
    equations,
    kernels,
    linalg,
    losses,
    nn,
    structure,
    tensors,
    windows,
)


def _functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The module's own public functions by name."""
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


REFERENCES: dict[str, Callable[..., Any]] = {
    name: function
    for module in (basics, structure, activations, nn, losses, linalg, tensors, kernels, windows, complexes, equations)
    for name, function in _functions(module).items()
}
