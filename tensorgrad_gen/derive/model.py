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
class Block:
    """One tensor of a further derivative: that of the output `of` by the inputs `by`, in the tensor `held`."""

    of: str
    by: tuple[str, ...]
    held: str


@dataclass(frozen=True, slots=True)
class Further:
    """A derivative with a function of its own: `kind` is `jacobian`, `hessian` or `hvp`.

    `program` is the op, with the cotangents and tangents that the function takes as inputs behind its own, and
    with a letter for `...` where a result would have it twice (`lettered`).  `statements` come after those of the
    op; the function returns the tensors of `blocks`.
    """

    kind: str
    program: Program
    statements: tuple[Statement, ...]
    blocks: tuple[Block, ...]
    lettered: bool = False


@dataclass(frozen=True, slots=True)
class Derivatives:
    """A program with its adjoint (from all outputs jointly), its tangent program, and what else the spec asks for."""

    program: Program
    adjoint: Adjoint
    tangent: Tangent
    further: tuple[Further, ...] = ()

    def text(self) -> str:
        """Every statement in index notation."""
        from tensorgrad_gen.notation import print_statement

        lines = ["adjoint:"]
        lines += [f"  {print_statement(s)}" for s in self.adjoint.statements]
        lines += ["tangent:"]
        lines += [f"  {print_statement(s)}" for s in self.tangent.statements]
        for further in self.further:
            lines.append(f"{further.kind}:")
            lines += [f"  {print_statement(s)}" for s in further.statements]
        return "\n".join(lines)
