"""A multiple of an inverse is a solution for that multiple of the identity: one pass over the matrix less.

Law: the steps compute the same tensors; an inverse that anything else reads, or that is a result, stays, and so does
that of a matrix whose factors forward does not have: without them a solution takes more operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, all_indices, substitute, walk
from tensorgrad_gen.algebra.indices import fresh
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, Linalg, Mul, Program, Statement, Sub, mul


def solve_for_scaled_identities(statements: Sequence[Statement], program: Program, kept: set[str]) -> list[Statement]:
    """The statements, each inverse that is only scaled as a solution: `g[b] M^-1[b,j,i]`."""
    factorised = {
        node.matrix.tensor
        for statement in program.statements
        for node in walk(statement.value)
        if isinstance(node, Linalg) and node.kind in ("solve", "logdet") and isinstance(node.matrix, Access)
    }
    found = list(statements)
    for inverse in statements:
        node = inverse.value
        if not isinstance(node, Linalg) or node.kind != "inverse" or inverse.target in kept:
            continue
        if not isinstance(node.matrix, Access) or node.matrix.tensor not in factorised:
            continue
        readers = [s for s in found if any(a.tensor == inverse.target for a in accesses(s.value))]
        value = _solution(readers[0].value, inverse) if len(readers) == 1 else None
        if value is not None:
            found = [replace(s, value=value) if s is readers[0] else s for s in found if s is not inverse]
    return found


def _solution(whole: Expr, inverse: Statement) -> Expr | None:
    """The product as a solution; None where it is no inverse with a number for each matrix of a batch."""
    node = inverse.value
    assert isinstance(node, Linalg)
    factors = whole.factors if isinstance(whole, Mul) else ()
    reads = [f for f in factors if isinstance(f, Access) and f.tensor == inverse.target]
    scales = [f for f in factors if f not in reads]
    if len(reads) != 1 or not any(accesses(f) for f in scales):
        return None
    letters: dict[Index, Sub] = dict(zip(inverse.indices, reads[0].subs, strict=True))
    if not all(isinstance(own, Index) for own in letters.values()) or len(set(letters.values())) < len(letters):
        return None
    batch = {letters[index] for index in inverse.indices if index not in (*node.rows, *node.cols)}
    plain = all(f.free <= batch and not isinstance(f, Iverson | Delta) for f in scales)
    if not plain or any(a.tensor == inverse.target for f in scales for a in accesses(f)):
        return None
    taken = {index.name for index in (*all_indices(whole), *all_indices(node))}
    rows: list[Index] = []
    for row in node.rows:
        rows.append(fresh(row, taken | {own.name for own in rows}))
    one = mul(*(Delta(new, letters[row]) for new, row in zip(rows, node.rows, strict=True)))
    matrix = substitute(node.matrix, letters | dict(zip(node.rows, rows, strict=True)))
    cols = tuple(own for own in (letters[col] for col in node.cols) if isinstance(own, Index))
    return Linalg("solve", matrix, tuple(rows), cols, mul(*scales, one))
