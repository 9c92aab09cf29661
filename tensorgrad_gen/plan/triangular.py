"""Products by the inverse of a triangular matrix are solutions: half the operations, and more exact.

Law: the steps compute the same tensors; the inverse of a Cholesky factor is made only where something but a product by
one other tensor reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, substitute, walk
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, Linalg, Mul, Program, Statement, Sub, Sum, mul
from tensorgrad_gen.plan.model import Step


def solve_triangular_systems(statements: Sequence[Statement], program: Program, kept: set[str]) -> list[Statement]:
    """The statements, each inverse of a factor of the program that only products read as solutions by the factor."""
    factors = cholesky_factors(program.statements)
    found = list(statements)
    for statement in statements:
        node = statement.value
        if not isinstance(node, Linalg) or node.kind != "inverse" or statement.target in kept:
            continue
        if not isinstance(node.matrix, Access) or node.matrix.tensor not in factors:
            continue
        readers = [s for s in found if statement.target in {a.tensor for a in accesses(s.value)}]
        solved = {s.target: _solution(s, statement) for s in readers}
        if solved and all(value is not None for value in solved.values()):
            found = [replace(s, value=solved.get(s.target) or s.value) for s in found if s is not statement]
    return found


def cholesky_factors(made: Iterable[Statement | Step]) -> dict[str, tuple[int, int]]:
    """The lower triangular tensors among these, with the places of their rows and columns."""
    found = {}
    for own in made:
        node = own.value
        if isinstance(node, Linalg) and node.kind == "cholesky" and len(node.rows) == 1:
            found[own.target] = (own.indices.index(node.rows[0]), own.indices.index(node.cols[0]))
    return found


def _solution(statement: Statement, inverse: Statement) -> Expr | None:
    """`sum_k M^-1[i,k] x[k,..]`, however it is turned, as a solution; None if the statement is something else."""
    whole = statement.value
    others = whole.factors if isinstance(whole, Mul) else ()
    sums = [f for f in (others or (whole,)) if isinstance(f, Sum)]
    if len(sums) != 1 or any(a.tensor == inverse.target for f in others if f is not sums[0] for a in accesses(f)):
        return None
    solution = _solved(sums[0], inverse)
    if solution is None or solution.rhs is None:
        return None
    # What scales a solution scales what it is a solution for; a mask that hides a matrix has to stay outside.
    scales = [f for f in others if f is not sums[0]]
    if any(f.free & {*solution.rows, *solution.cols} or isinstance(f, Iverson | Delta) for f in scales):
        return None
    return Linalg("solve", solution.matrix, solution.rows, solution.cols, mul(*scales, solution.rhs))


def _solved(product: Sum, inverse: Statement) -> Linalg | None:
    node = inverse.value
    assert isinstance(node, Linalg)
    operands = product.body.factors if isinstance(product.body, Mul) else ()
    own = [f for f in operands if isinstance(f, Access) and f.tensor == inverse.target]
    if len(product.indices) != 1 or len(operands) != 2 or len(own) != 1:
        return None
    (read,) = own
    (other,) = (f for f in operands if f is not read)
    (k,) = product.indices
    if not all(isinstance(s, Index) for s in read.subs) or len(set(read.subs)) < len(read.subs):
        return None
    if any(a.tensor == inverse.target for a in accesses(other)) or k not in other.free:
        return None
    # Under the letters of this product.
    letters: dict[Index, Sub] = dict(zip(inverse.indices, read.subs, strict=True))
    (row,), (col,) = node.rows, node.cols
    near = letters[col] if letters[row] is k else letters[row]
    if k not in (letters[row], letters[col]) or not isinstance(near, Index) or near in other.free:
        return None
    if any(isinstance(n, Sum) for n in walk(other)):
        return None
    return Linalg("solve", substitute(node.matrix, letters), (k,), (near,), other)
