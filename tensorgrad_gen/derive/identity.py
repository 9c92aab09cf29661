"""Derivatives as tensors: the cotangent, or the tangent, of each component alone.

Law: the Jacobian of `y` is the adjoint program with `delta[b,b'] delta[h,h'] ...` in place of the cotangent of
`y[b',h']`; the derivative of a program by `x` is its tangent program with such deltas in place of the tangent of `x`.
All that depends on them has further axes, of `y` in front or of `x` behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorgrad_gen.algebra import accesses, all_indices, apart, map_nodes, simplify
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.derive.differential import Differential
from tensorgrad_gen.derive.modes import REAL, free_names
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Input, Statement, Sub, mul
from tensorgrad_gen.ir.build import ZERO


def letters(statements: Iterable[Statement]) -> frozenset[Index]:
    """Every index of the statements, bound ones included."""
    found: set[Index] = set()
    for statement in statements:
        found |= all_indices(statement.value) | frozenset(statement.indices)
    return frozenset(found)


def by_cotangent(statements: Sequence[Statement], root: str, axes: tuple[Index, ...]) -> list[Statement]:
    """An adjoint from one root for every component of it: `axes` are new indices for those of the root.

    A root of order 0 has the cotangent 1.
    """
    moved: set[str] = set()

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Access):
            return node
        if node.tensor == f"grad_{root}":
            return _deltas(axes, node.subs)
        return Access(node.tensor, (*axes, *node.subs)) if node.tensor in moved else node

    found = []
    for statement in statements:
        if not any(a.tensor == f"grad_{root}" or a.tensor in moved for a in accesses(statement.value)):
            found.append(statement)
            continue
        value = map_nodes(apart(statement.value, frozenset((*axes, *statement.indices))), visit)
        moved.add(statement.target)
        found.append(Statement(statement.target, (*axes, *statement.indices), simplify(value), statement.kind))
    return found


def by_input(
    statements: Sequence[Statement], item: Input, axes: tuple[Index, ...], names: Namer
) -> tuple[list[Statement], dict[str, str]]:
    """The derivatives of the statements by an input, and which tensor holds that of each: `t_by_x[..., p]`."""
    known: dict[str, str] = {}

    def leaf(access: Access) -> Expr:
        if access.tensor == item.name:
            return _deltas(access.subs, axes)
        name = known.get(access.tensor)
        return ZERO if name is None else Access(name, (*access.subs, *axes))

    found = []
    for statement in statements:
        if statement.kind not in REAL:
            continue
        indices = (*statement.indices, *axes)
        change = simplify(Differential(leaf, frozenset(indices))(apart(statement.value, frozenset(indices))))
        if change is not ZERO:
            known[statement.target] = names.name(f"{statement.target}_by_{item.name}")
            found.append(Statement(known[statement.target], indices, change))
    return found, known


def _deltas(one: Sequence[Sub], other: Sequence[Sub]) -> Expr:
    return mul(*(Delta(s, p) for s, p in zip(one, other, strict=True)))


def new_axes(tensor: tuple[Index, ...], statements: Iterable[Statement]) -> tuple[Index, ...]:
    """New indices for the axes of a tensor, unlike any of the statements."""
    return free_names(tensor, letters(statements))
