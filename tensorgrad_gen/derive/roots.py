"""The law of what solves a nonlinear equation: from the differential of the equation, one linear solve."""

from __future__ import annotations

from tensorgrad_gen.algebra import all_indices, apart, fresh, map_nodes, substitute
from tensorgrad_gen.derive.differential import Differential, law
from tensorgrad_gen.ir import Access, Delta, Expr, Index, IRError, Linalg, Problem, Root, Sub, div, mul, neg
from tensorgrad_gen.ir.build import ZERO

# What the unknown is called while the law is applied: a tensor of this name has no differential.
_UNKNOWN = "the unknown"


def slope(residual: Expr, problem: Problem, at: tuple[Index, ...], unknown: str = "") -> Expr:
    """`d residual[batch, rows] / d unknown[batch, at]`: `at` are new indices for the problem's `cols`."""

    def leaf(access: Access) -> Expr:
        if access.tensor != (unknown or problem.unknown):
            return ZERO
        pairs = [(sub, i) for sub, i in zip(access.subs, problem.declared, strict=True) if i in problem.cols]
        return mul(*(Delta(sub, at[problem.cols.index(i)]) for sub, i in pairs))

    return Differential(leaf, frozenset(at))(residual)


@law(Root, "derivative of a solution")
def _root(d: Differential, e: Expr) -> Expr:
    """F(y, x) = 0: dF/dy[rows; cols] dy[cols] = -dF[rows], dF at constant y"""
    assert isinstance(e, Root)
    problem = e.problem
    own = [sub for sub in e.subs if isinstance(sub, Index)]
    if len(own) < len(e.subs):
        raise IRError("the differential of a solution at a label")
    residual = problem.residual.value
    outer = d.avoid | all_indices(e)
    taken = {i.name for i in outer | all_indices(residual)}
    batch, rows, at = (_new(indices, taken) for indices in (problem.batch, problem.rows, problem.cols))
    inner = dict(zip((*problem.batch, *problem.rows), (*batch, *rows), strict=True))
    residual = _outside(substitute(apart(residual, outer), inner), e)
    change = d(residual)
    if change is ZERO:
        return ZERO
    matrix = slope(residual, problem, at, _UNKNOWN)
    place = dict(zip(problem.declared, own, strict=True))
    names = dict(zip((*batch, *at), [place[i] for i in (*problem.batch, *problem.cols)], strict=True))
    matrix, change = (_solved(substitute(part, names), e) for part in (matrix, change))
    if not rows:
        return neg(div(change, matrix))
    return Linalg("solve", matrix, rows, tuple(place[i] for i in problem.cols), neg(change))


def _new(indices: tuple[Index, ...], taken: set[str]) -> tuple[Index, ...]:
    found = []
    for index in indices:
        found.append(fresh(index, taken))
        taken.add(found[-1].name)
    return tuple(found)


def _outside(residual: Expr, e: Root) -> Expr:
    """The residual in terms of what the problem's inputs are outside."""
    args = dict(zip((item.name for item in e.problem.program.inputs), e.args, strict=True))
    axes = {item.name: item.indices for item in e.problem.program.inputs}

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Access) or node.tensor not in args:
            return node
        if node.tensor == e.problem.unknown:
            return Access(_UNKNOWN, node.subs)
        arg = apart(args[node.tensor], all_indices(node))
        places: dict[Index, Sub] = dict(zip(axes[node.tensor], node.subs, strict=True))
        return substitute(arg, places)

    return map_nodes(residual, visit)


def _solved(expr: Expr, e: Root) -> Expr:
    """The expression with the solution in place of the unknown."""

    def visit(node: Expr) -> Expr:
        if isinstance(node, Access) and node.tensor == _UNKNOWN:
            return Root(e.problem, e.args, node.subs)
        return node

    return map_nodes(expr, visit)
