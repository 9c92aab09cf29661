"""Derivatives of a program: adjoint statements in reverse order, tangent statements in order."""

from tensorgrad_gen.derive import laws, matrix_laws, roots  # noqa: F401 - each law enters itself into the table
from tensorgrad_gen.derive.apart import names_apart
from tensorgrad_gen.derive.differential import LAWS, Differential
from tensorgrad_gen.derive.model import Adjoint, Derivatives, Tangent
from tensorgrad_gen.derive.modes import active_tensors, adjoint, derive, jacobian, tangent

__all__ = [
    "LAWS",
    "Adjoint",
    "Derivatives",
    "Differential",
    "Tangent",
    "active_tensors",
    "adjoint",
    "derive",
    "jacobian",
    "names_apart",
    "tangent",
]
