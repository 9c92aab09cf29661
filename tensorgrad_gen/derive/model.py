"""What differentiation produces."""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.ir import Program, Statement


@dataclass(frozen=True, slots=True)
class Adjoint:
    """Reverse mode from some tensors at once: `roots` are the tensors whose cotangents are given.

    The cotangent of a root `y` is the tensor `grad_y`.  `statements` define the cotangents of what
    the roots depend on, in reverse order; `gradients` pairs each differentiable input that they
    reach with the tensor of its gradient.
    """

    roots: tuple[str, ...]
    statements: tuple[Statement, ...]
    gradients: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tangent:
    """Forward mode: `tangent_x` is given for each differentiable input; statements in order."""

    statements: tuple[Statement, ...]
    tangents: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Derivatives:
    """A program with its adjoint (from all outputs jointly) and its tangent program."""

    program: Program
    adjoint: Adjoint
    tangent: Tangent

    def text(self) -> str:
        """Every statement in index notation."""
        from tensorgrad_gen.notation import print_statement

        lines = ["adjoint:"]
        lines += [f"  {print_statement(s)}" for s in self.adjoint.statements]
        lines += ["tangent:"]
        lines += [f"  {print_statement(s)}" for s in self.tangent.statements]
        return "\n".join(lines)
