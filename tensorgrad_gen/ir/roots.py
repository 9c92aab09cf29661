"""The solution of a nonlinear equation, found by iteration."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.ir.base import Expr, Index, IRError, Sub, set_free, sub_free
from tensorgrad_gen.ir.program import Program, Statement

SOLVERS = ("newton", "fixed_point")


@dataclass(frozen=True, slots=True)
class Problem:
    """An equation `residual[batch, rows] = 0` in the unknown, and how it is solved.

    `program` is a world of its own: its first input is the unknown, as declared; the others are the tensors that
    the residual reads; its one statement is the residual.  `cols` are the indices of the unknown that are no
    batch, `rows` those of the residual; there are as many of one as of the other, none where each component has
    an equation of its own.  `sign` is that of the unknown where the residual is `sign*(unknown - next)`.
    """

    program: Program
    rows: tuple[Index, ...]
    cols: tuple[Index, ...]
    solver: str
    tolerance: Fraction
    iterations: int
    sign: int = 1

    @property
    def unknown(self) -> str:
        """The name of the unknown inside."""
        return self.program.inputs[0].name

    @property
    def declared(self) -> tuple[Index, ...]:
        """The indices of the unknown."""
        return self.program.inputs[0].indices

    @property
    def residual(self) -> Statement:
        """What is zero."""
        return self.program.statements[0]

    @property
    def batch(self) -> tuple[Index, ...]:
        """The indices of the unknown that every access of it has."""
        return tuple(i for i in self.declared if i not in self.cols)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Root(Expr):
    """An element of the tensor that solves a problem: at `subs`, one for each index of the unknown.

    `args` are what the problem's inputs are, each in terms of that input's indices, which are bound here: for the
    unknown where the search starts, for the others what the residual reads.
    """

    problem: Problem
    args: tuple[Expr, ...]
    subs: tuple[Sub, ...]

    def __post_init__(self) -> None:
        if len(self.args) != len(self.problem.program.inputs) or len(self.subs) != len(self.problem.declared):
            raise IRError(f"{len(self.args)} tensors and {len(self.subs)} subscripts for {self.problem.unknown}")
        set_free(self, frozenset().union(*(sub_free(sub) for sub in self.subs)))

    @property
    def children(self) -> tuple[Expr, ...]:
        return (*self.args, *(sub for sub in self.subs if not isinstance(sub, Index)))

    def rebuild(self, children: tuple[Expr, ...]) -> Expr:
        labels = iter(children[len(self.args) :])
        subs = tuple(sub if isinstance(sub, Index) else next(labels) for sub in self.subs)
        return Root(self.problem, children[: len(self.args)], subs)
