"""An unknown that a nonlinear equation defines: the problem that a solver gets (language, section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.algebra import accesses, all_indices, apart, fresh, key, simplify, substitute, walk
from tensorgrad_gen.elaborate.implicit import UnbalancedError, at_zero
from tensorgrad_gen.elaborate.matrix import SYMMETRIC
from tensorgrad_gen.elaborate.sizes import symbols_in
from tensorgrad_gen.ir import (
    Access,
    Add,
    Expr,
    Extent,
    Index,
    Input,
    Linalg,
    Parameter,
    Problem,
    Program,
    Root,
    Scan,
    Size,
    Statement,
    Sub,
    Sum,
    TensorInfo,
    add,
    const,
    mul,
    neg,
    sub,
)
from tensorgrad_gen.spec.model import ImplicitSpec

TOLERANCE = Fraction(1, 10**10)
ITERATIONS = {"newton": 30, "fixed_point": 200}


@dataclass(frozen=True, slots=True)
class Nonlinear:
    """`residual[batch, rows] = 0` with an unknown at `[batch, cols]`.

    `axes` are the indices of the unknown in order, a batch under the residual's name for it.
    """

    residual: Expr
    rows: tuple[Index, ...]
    cols: tuple[Index, ...]
    axes: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class World:
    """What the tensors, params and extents of an op are, of which a problem takes what it needs."""

    tensors: Mapping[str, TensorInfo]
    params: tuple[Parameter, ...]
    size_defs: tuple[tuple[str, Size], ...]


def nonlinear(residual: Expr, free: tuple[Index, ...], unknown: str, declared: tuple[Index, ...]) -> Nonlinear:
    """The equation `residual[free] = 0`, its batch found; `declared` are the unknown's indices."""
    residual = apart(residual, frozenset((*free, *declared)))
    taken = {i.name for i in (*all_indices(residual), *free)}
    reads = [a for a in accesses(residual) if a.tensor == unknown]
    mixed = {i for n in walk(residual) if isinstance(n, Scan) and _has(n, unknown) for i in n.indices}
    axes: list[Index] = []
    for place, index in enumerate(declared):
        found = {access.subs[place] for access in reads}
        common = next(iter(found)) if len(found) == 1 else None
        if isinstance(common, Index) and common in free and common not in mixed and common not in axes:
            axes.append(common)
        else:
            axes.append(fresh(index, taken))
            taken.add(axes[-1].name)
    rows = tuple(i for i in free if i not in axes)
    cols = tuple(i for i in axes if i not in free)
    if len(rows) != len(cols):
        raise UnbalancedError(rows, cols)
    return Nonlinear(residual, rows, cols, tuple(axes))


def _has(expr: Expr, unknown: str) -> bool:
    return any(access.tensor == unknown for access in accesses(expr))


def problem(
    found: Nonlinear, unknown: str, declared: tuple[Index, ...], how: ImplicitSpec, world: World
) -> tuple[Problem, tuple[Access, ...]] | None:
    """The problem, and what its inputs beside the unknown are; None where a fixed point needs another form."""
    assert how.solver is not None
    pairs = list(zip(found.rows, found.cols, strict=True))
    solver = how.solver.text
    sign = 1
    if solver == "fixed_point":
        bare = _bare(found, unknown)
        if bare is None:
            return None
        sign, pairs = bare
    names: dict[Index, Sub] = dict(zip(found.axes, declared, strict=True))
    taken = {i.name for i in (*all_indices(found.residual), *found.axes, *declared)}
    residual = apart(found.residual, frozenset(declared))
    rows = []
    for row, _ in pairs:
        new = fresh(row, taken) if row.name in {i.name for i in declared} else row
        taken.add(new.name)
        rows.append(new)
        names[row] = new
    cols = tuple(declared[found.axes.index(col)] for _, col in pairs)
    batch = tuple(i for i in declared if i not in cols)
    statement = Statement(_new("residual", unknown, residual), (*batch, *rows), substitute(residual, names))
    program, args = _program(statement, unknown, declared, world)
    tolerance, iterations = how.tolerance or TOLERANCE, how.iterations or ITERATIONS[solver]
    return Problem(program, tuple(rows), cols, solver, tolerance, iterations, sign), args


def _new(name: str, unknown: str, residual: Expr) -> str:
    taken = {unknown, *(access.tensor for access in accesses(residual))}
    while name in taken:
        name += "_"
    return name


def _bare(found: Nonlinear, unknown: str) -> tuple[int, list[tuple[Index, Index]]] | None:
    """The sign of the unknown where it stands alone as a term, and which row is which of its axes."""
    terms = found.residual.terms if isinstance(found.residual, Add) else (found.residual,)
    for sign in (1, -1):
        for term in terms:
            access = term if sign == 1 else neg(term)
            if isinstance(access, Access) and access.tensor == unknown:
                rows = [(row, col) for row, col in zip(access.subs, found.axes, strict=True) if col in found.cols]
                known = [(row, col) for row, col in rows if isinstance(row, Index) and row in found.rows]
                if len(known) == len(rows) == len({row for row, _ in known}):
                    return sign, known
    return None


def _program(
    residual: Statement, unknown: str, declared: tuple[Index, ...], world: World
) -> tuple[Program, tuple[Access, ...]]:
    """The residual as a program whose inputs give every extent that it needs, and what they are outside."""
    read = list(dict.fromkeys(a.tensor for a in accesses(residual.value) if a.tensor != unknown))
    kinds = {name: world.tensors[name].kind for name in read}
    inputs = [Input(unknown, declared), *(Input(n, world.tensors[n].indices, kinds[n], grad=False) for n in read)]
    defs = dict(world.size_defs)
    needed: dict[str, Size] = {}
    open_ = [*_symbols(residual.value), *(str(i.extent) for i in residual.indices)]
    while open_:
        symbol = open_.pop()
        given = {str(i.extent) for item in inputs for i in item.indices}
        if symbol in given or symbol in needed or symbol.isdigit():
            continue
        if symbol in defs:
            needed[symbol] = defs[symbol]
            open_ += sorted(symbols_in(defs[symbol]))
            continue
        giver = next(t for t in world.tensors.values() if any(i.extent == symbol for i in t.indices))
        inputs.append(Input(giver.name, giver.indices, giver.kind, grad=False))
    axes: dict[str, list[tuple[str, int]]] = {}
    for item in inputs:
        for place, index in enumerate(item.indices):
            if isinstance(index.extent, str):
                axes.setdefault(index.extent, []).append((item.name, place - len(item.indices)))
    program = Program(
        unknown,
        "",
        tuple(inputs),
        world.params,
        (),
        (residual,),
        (residual.target,),
        tuple((symbol, tuple(places)) for symbol, places in axes.items()),
        tuple((symbol, size) for symbol, size in world.size_defs if symbol in needed),
        derivatives=(),
    )
    return program, tuple(Access(item.name, item.indices) for item in inputs[1:])


def _symbols(expr: Expr) -> list[str]:
    found = {str(i.extent) for i in all_indices(expr)}
    found |= {node.symbol for node in walk(expr) if isinstance(node, Extent)}
    return sorted(found)


def by_iteration(found: Problem, start: Expr, args: Iterable[Access], unknown: str) -> Statement:
    """The unknown as what an iteration from `start` finds."""
    return Statement(unknown, found.declared, Root(found, (start, *args), found.declared))


# Matrix functions, and what of their value is the matrix: `y[i,k]*y[j,k] = a[i,j]`.
_SQUARES = {"cholesky": ((0, 2), (1, 2)), "matrix_sqrt": ((0, 2), (2, 1))}
SQUARES_SHOWN = {"cholesky": "y[i,k]*y[j,k] = a[i,j]", "matrix_sqrt": "y[i,k]*y[k,j] = a[i,j]"}


def by_matrix_function(found: Nonlinear, unknown: str, declared: tuple[Index, ...], kind: str) -> Statement | None:
    """The unknown as a matrix function of what the equation says its square is; None where that is not its form."""
    if kind not in _SQUARES or len(found.rows) != 2:
        return None
    constant = at_zero(found.residual, unknown)
    square = simplify(sub(found.residual, constant))
    batch = {place: axis for place, axis in enumerate(found.axes) if axis not in found.cols}
    for row, col in (found.rows, found.rows[::-1]):
        middle = fresh(row, {i.name for i in all_indices(found.residual)})
        letters = (row, col, middle)
        factors = []
        for places in _SQUARES[kind]:
            own = iter(letters[p] for p in places)
            factors.append(Access(unknown, tuple(batch.get(n) or next(own) for n in range(len(declared)))))
        form = simplify(Sum((middle,), mul(*factors)))
        for matrix, sign in ((neg(constant), form), (constant, neg(form))):
            if key(simplify(sign)) == key(square):
                first, second = (i for i in declared if i not in {declared[n] for n in batch})
                names: dict[Index, Sub] = {axis: declared[n] for n, axis in batch.items()}
                names |= {row: first, col: second}
                matrix = substitute(apart(matrix, frozenset(declared)), names)
                if kind in SYMMETRIC:
                    flipped = substitute(matrix, {first: second, second: first})
                    matrix = mul(const(Fraction(1, 2)), add(matrix, flipped))
                return Statement(unknown, declared, Linalg(kind, matrix, (first,), (second,), None))
    return None
