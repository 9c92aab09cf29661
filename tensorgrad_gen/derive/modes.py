"""Reverse and forward mode over the statements of a program.

Reverse: for a statement `T[f] = e` and a tensor `A` that `e` reads,
`grad_A[p] += sum over f of grad_T[f] * dT[f]/dA[p]`, with `p` new free indices.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from tensorgrad_gen.algebra import accesses, all_indices, fresh, simplify, substitute
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.algebra.naming import Namer, derivative_names
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.derive.apart import names_apart
from tensorgrad_gen.derive.conjugate import conjugate, pulled_back
from tensorgrad_gen.derive.differential import Differential
from tensorgrad_gen.derive.model import Adjoint, Derivatives, Tangent
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Delta,
    Expr,
    Index,
    Iverson,
    Logic,
    Position,
    Program,
    Special,
    Statement,
    Sub,
    Sum,
    Where,
    add,
    complex_of,
    const,
    is_complex,
    mul,
)
from tensorgrad_gen.ir.build import ZERO

REAL = ("real", "complex")


def active_tensors(program: Program) -> dict[str, tuple[Index, ...]]:
    """Tensors that depend on a differentiable input, with their declared indices."""
    active = {i.name: i.indices for i in program.inputs if i.grad and i.kind in REAL}
    for statement in program.statements:
        if statement.kind in REAL and any(a.tensor in active for a in accesses(statement.value)):
            active[statement.target] = statement.indices
    return active


def reads(expr: Expr, active: dict[str, tuple[Index, ...]]) -> list[str]:
    """Active tensors that the expression reads, each once, in order."""
    return list(dict.fromkeys(a.tensor for a in accesses(expr) if a.tensor in active))


def free_names(tensor: tuple[Index, ...], used: frozenset[Index]) -> tuple[Index, ...]:
    """New free indices `p` for the axes of a tensor."""
    names = {i.name for i in used} | {i.name for i in tensor}
    found = []
    for index in tensor:
        new = fresh(index, names)
        names.add(new.name)
        found.append(new)
    return tuple(found)


def jacobian(expr: Expr, tensor: str, at: tuple[Index, ...], complex_: Collection[str] = ()) -> Expr:
    """`d expr / d tensor[at]`: each access of the tensor gives a product of deltas; `complex_` are complex tensors."""

    def leaf(access: Access) -> Expr:
        if access.tensor != tensor:
            return ZERO
        return mul(*(Delta(s, p) for s, p in zip(access.subs, at, strict=True)))

    return Differential(leaf, frozenset(at), complex_)(expr)


def adjoint(program: Program, roots: tuple[str, ...], names: Namer) -> Adjoint:
    """Reverse mode from the cotangents of `roots`, jointly: of those that reach an input."""
    active = active_tensors(program)
    complex_ = set(complex_of(program))
    complex_ |= {f"grad_{root}" for root in roots if root in complex_}
    contributions: dict[str, list[Expr]] = {r: [] for r in roots if r in active}
    statements: list[Statement] = []
    for statement in reversed(program.statements):
        name = statement.target
        if name not in active or name not in contributions:
            continue
        total = _total(program, name, name in roots, contributions[name])
        if total is ZERO:
            continue
        cotangent = _named(statement, total, name in roots, names, statements)
        if name in complex_:
            complex_.add(cotangent.tensor)
        _spread(statement, cotangent, active, contributions, complex_)
    gradients = []
    for item in program.inputs:
        total = _total(program, item.name, item.name in roots, contributions.get(item.name, []))
        total = in_structure(total, item.indices, item.structure)
        if item.name in active and total is not ZERO:
            target = names.name(f"grad_{item.name}", own=True)
            statements.append(Statement(target, item.indices, total))
            gradients.append((item.name, target))
    needed = _needed(statements, {target for _, target in gradients})
    reaching = tuple(root for root in roots if f"grad_{root}" in needed)
    return Adjoint(reaching, tuple(s for s in statements if s.target in needed), tuple(gradients))


def _needed(statements: list[Statement], results: set[str]) -> set[str]:
    """The tensors that results are computed from: the cotangent of a count, or of a floor, is none of them."""
    needed = set(results)
    for statement in reversed(statements):
        if statement.target in needed:
            needed |= {access.tensor for access in accesses(statement.value)}
    return needed


def in_structure(gradient: Expr, indices: tuple[Index, ...], structure: str) -> Expr:
    """The gradient of a structured matrix, in the structure of its last two axes.

    symmetric: the mean of it and its transpose; lower, upper: zero beyond the triangle; diagonal: zero off it.
    """
    if structure == "general" or len(indices) < 2:
        return gradient
    i, j = indices[-2:]
    if structure == "symmetric":
        return simplify(mul(const(Fraction(1, 2)), add(gradient, substitute(gradient, {i: j, j: i}))))
    op = {"lower": ">=", "upper": "<=", "diagonal": "=="}[structure]
    return simplify(mul(Iverson(Compare(op, Position(i), Position(j))), gradient))


def _total(program: Program, name: str, is_root: bool, parts: list[Expr]) -> Expr:
    own = [Access(f"grad_{name}", program.tensors[name].indices)] if is_root else []
    return simplify(add(*own, *parts))


def _named(statement: Statement, total: Expr, is_root: bool, names: Namer, statements: list[Statement]) -> Access:
    """The cotangent as an access: to the root itself, or to a new statement."""
    if isinstance(total, Access) and total.tensor == f"grad_{statement.target}" and is_root:
        return total
    prefix = "total_grad" if is_root else "grad"
    target = names.name(f"{prefix}_{statement.target}", own=True)
    statements.append(Statement(target, statement.indices, total))
    return Access(target, statement.indices)


def _spread(
    statement: Statement,
    cotangent: Expr,
    active: dict[str, tuple[Index, ...]],
    contributions: dict[str, list[Expr]],
    complex_: Collection[str],
) -> None:
    """Add what the statement contributes to the cotangent of each tensor that it reads."""
    for given, value in pulled_back(cotangent, statement.value):
        for tensor in reads(value, active):
            at = free_names(active[tensor], all_indices(value) | frozenset(statement.indices))
            product = mul(given, conjugate(jacobian(value, tensor, at, complex_), complex_))
            part = Sum(statement.indices, product) if statement.indices else product
            if tensor not in complex_ and is_complex(part, complex_):
                part = Apply("real", (part,))
            part = simplify(part)
            if part is not ZERO:
                back: dict[Index, Sub] = dict(zip(at, active[tensor], strict=True))
                contributions.setdefault(tensor, []).append(substitute(part, back))


def tangent(program: Program, names: Namer) -> Tangent:
    """Forward mode: the differential of each statement, with tangents for the tensors it reads."""
    active = active_tensors(program)
    known = {i.name: f"tangent_{i.name}" for i in program.inputs if i.name in active}
    complex_ = set(complex_of(program))
    complex_ |= {tangent for name, tangent in known.items() if name in complex_}

    masks: dict[str, tuple[tuple[Index, ...], Expr]] = {}

    def leaf(access: Access) -> Expr:
        name = known.get(access.tensor)
        if name is None:
            return ZERO
        if access.tensor not in masks:
            return Access(name, access.subs)
        indices, mask = masks[access.tensor]
        return mul(renamed(mask, indices, access.subs), Access(name, access.subs))

    statements = []
    for statement in program.statements:
        if statement.target not in active:
            continue
        change = Differential(leaf, frozenset(statement.indices), complex_)(statement.value)
        if statement.target not in complex_ and is_complex(change, complex_):
            change = Apply("real", (change,))
        change = simplify(change)
        if change is not ZERO:
            target = names.name(f"tangent_{statement.target}", own=True)
            complex_ |= {target} if statement.target in complex_ else set()
            known[statement.target] = target
            if mask := _mask_of_finite(statement.value):
                masks[statement.target] = statement.indices, mask
            statements.append(Statement(target, statement.indices, change))
    targets = {s.target for s in program.statements}
    return Tangent(tuple(statements), tuple((n, t) for n, t in known.items() if n in targets))


def _mask_of_finite(value: Expr) -> Expr | None:
    """1 where `where(c, x, -inf)` is x: elsewhere it has no change, whatever the factors beside it (`inf - inf`)."""
    if isinstance(value, Where):
        if _infinite(value.other):
            return Iverson(value.condition)
        if _infinite(value.then):
            return Iverson(Logic("not", (value.condition,)))
    return None


def _infinite(expr: Expr) -> bool:
    return any(factor is Special("inf") for factor in factors_of(expr))


def taken_names(program: Program) -> set[str]:
    """Every name of the program, and the names of given cotangents and tangents."""
    names = set(program.tensors) | {p.name for p in program.params}
    names |= {f"grad_{o}" for o in program.tensors if program.tensors[o].role == "defined" and o in program.outputs}
    names |= {f"tangent_{i.name}" for i in program.inputs}
    return names


def derive(program: Program) -> Derivatives:
    """The adjoint from all outputs jointly, and the tangent program."""
    program = names_apart(program)
    names = taken_names(program)
    outputs = tuple(o for o in program.outputs if program.tensors[o].kind in REAL)
    reserved = derivative_names(set(program.tensors))
    return Derivatives(
        program,
        adjoint(program, outputs, Namer(set(names), reserved)),
        tangent(program, Namer(set(names), reserved)),
    )


__all__ = ["active_tensors", "adjoint", "derive", "free_names", "jacobian", "reads", "tangent", "taken_names"]
