"""The steps of an iteration: programs of their own, from a point to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.derive.roots import slope
from tensorgrad_gen.ir import Access, Expr, Linalg, Problem, Program, Statement, const, div, mul, sub
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.plan.model import Plan, Solver


def solver(problem: Problem, planned: Callable[[Program], Plan]) -> Solver:
    """Newton's method for the problem, and the iteration that searches if that is another one."""
    newton = planned(normalise(_newton(problem)))
    other = planned(normalise(_fixed_point(problem))) if problem.solver == "fixed_point" else None
    return Solver(problem, newton, other)


def _newton(problem: Problem) -> Program:
    """The residual, what it says to take off, the next point."""
    residual = problem.residual
    names = Namer({*problem.program.tensors, *(p.name for p in problem.program.params)})
    value = Access(residual.target, residual.indices)
    matrix = slope(residual.value, problem, problem.cols)
    off = Linalg("solve", matrix, problem.rows, problem.cols, value) if problem.rows else div(value, matrix)
    change = Statement(names.name("change"), problem.declared, off)
    return _stepping(problem, [residual, change], Access(change.target, problem.declared), names)


def _fixed_point(problem: Problem) -> Program:
    """The unknown without `unknown - next`."""
    names = Namer({*problem.program.tensors, *(p.name for p in problem.program.params)})
    columns = dict(zip(problem.rows, problem.cols, strict=True))
    own = tuple(columns.get(i, i) for i in problem.residual.indices)
    change = mul(const(problem.sign), Access(problem.residual.target, own))
    return _stepping(problem, [problem.residual], change, names)


def _stepping(problem: Problem, statements: list[Statement], change: Expr, names: Namer) -> Program:
    target = names.name(f"next_{problem.unknown}")
    after = Statement(target, problem.declared, sub(Access(problem.unknown, problem.declared), change))
    return replace(problem.program, statements=(*statements, after), outputs=(target,))
