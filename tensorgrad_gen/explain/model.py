"""An explanation: sections of lines, each line an equation and the rule that gave it."""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.algebra import all_indices, fresh
from tensorgrad_gen.ir import Access, Apply, Expr, Index, Position, Program

# The derivative of tensor A by tensor B, as a tensor with the indices of both.
BY = "@by@"
# The derivative of a whole expression by a tensor: the differential before any law.
DIFFERENTIAL = "@d@"


@dataclass(frozen=True, slots=True)
class Line:
    """`left = right` by `reason`; `left` is None where it is that of the line above."""

    left: Expr | None
    right: Expr
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a remark beside it, lines, and facts in words (label, text)."""

    title: str
    note: str = ""
    lines: tuple[Line, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole derivation of one op."""

    program: Program
    sections: tuple[Section, ...]  # the first is the op itself


def derivative(of: str, indices: tuple[Index, ...], by: str, at: tuple[Index, ...]) -> Access:
    """`d of[indices] / d by[at]` as one tensor."""
    return Access(f"{of}{BY}{by}", (*indices, *at))


def differential(by: str, at: tuple[Index, ...], expr: Expr) -> Expr:
    """`d(expr) / d by[at]`, unevaluated; `at` ride along as the arguments after the first."""
    return Apply(f"{DIFFERENTIAL}{by}", (expr, *(Position(p) for p in at)))


def new_indices(own: tuple[Index, ...], program: Program) -> tuple[Index, ...]:
    """New free indices for the axes of a tensor: letters that textbooks use and the program does not, p, q, r, s."""
    names = {i.name for s in program.statements for i in all_indices(s.value) | frozenset(s.indices)}
    names |= set(program.tensors)
    letters = [letter for letter in "pqrsuvwzefg" if letter not in names]
    letters += [f"p{n}" for n in range(1, len(own) + 1) if f"p{n}" not in names]
    return tuple(fresh(i, names) if i.extent == "..." else Index(letters.pop(0), i.extent) for i in own)
