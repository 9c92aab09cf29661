"""Canonical keys: equal exactly when two expressions agree up to order and the names of dummies.

A key is a string.  Children of sums and products are sorted by their keys; bound indices are
numbered by refining colours on the graph of factors and indices, ties broken by trying each
choice (up to a cap) and keeping the smallest key.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeAlias

from tensorgrad_gen.algebra.indices import by_name
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Reduce,
    Root,
    Scan,
    Special,
    Sub,
    Sum,
    Where,
)
from tensorgrad_gen.ir.budget import spend

_CAP = 720  # most orders of tied indices that are tried

Names: TypeAlias = tuple[tuple[Index, str], ...]
Colours: TypeAlias = dict[Index, str]
Render: TypeAlias = Callable[[Names], str]


def key(expr: Expr) -> str:
    """The canonical key of an expression; free indices count by name."""
    return _key(expr, ())


def abstract_key(expr: Expr) -> tuple[str, tuple[Index, ...]]:
    """A key in which free indices count only by how they are used, and their canonical order.

    Two expressions with equal abstract keys are the same function of their free indices,
    matched position by position.
    """
    return _number(tuple(by_name(expr.free)), (), lambda names: _key(expr, names))


def placed_key(expr: Expr, axes: tuple[Index, ...]) -> str:
    """The key of an expression as a function of its axes, whatever they are called."""
    return _key(expr, tuple((i, f"#0.{n}:{i.extent}") for n, i in enumerate(axes)))


def _restrict(names: Names, expr: Expr) -> Names:
    return tuple(pair for pair in names if pair[0] in expr.free)


def _key(expr: Expr, names: Names) -> str:
    return _memo(expr, _restrict(names, expr))


@lru_cache(maxsize=100_000)
def _memo(expr: Expr, names: Names) -> str:
    found = _KEYS[type(expr)](expr, names)
    spend(1 + len(found) // 100)
    return found


def _index(index: Index, names: Names) -> str:
    for known, name in names:
        if known is index:
            return name
    return f"{index.name}:{index.extent}"


def _depth(names: Names) -> int:
    """How many binders stand around: one more than the largest number in use."""
    return 1 + max((int(name[1:].split(".")[0]) for _, name in names if name.startswith("#")), default=-1)


def _sub(sub: Sub, names: Names) -> str:
    return _index(sub, names) if isinstance(sub, Index) else "@" + _key(sub, names)


def _sorted(children: tuple[Expr, ...], names: Names) -> str:
    return ",".join(sorted(_key(child, names) for child in children))


def _ordered(children: tuple[Expr, ...], names: Names) -> str:
    return ",".join(_key(child, names) for child in children)


def _access(e: Access, names: Names) -> str:
    return f"{e.tensor}[{','.join(_sub(s, names) for s in e.subs)}]"


def _delta(e: Delta, names: Names) -> str:
    return f"delta[{','.join(sorted((_sub(e.left, names), _sub(e.right, names))))}]"


def _binder(e: Expr, head: str, names: Names, indices: tuple[Index, ...], body: tuple[Expr, ...]) -> str:
    depth = _depth(names)
    # A bound index may shadow a name that is already numbered; its own number is the later one.
    outer = tuple(pair for pair in names if pair[0] not in indices)
    found, _ = _number(indices, outer, lambda inner: _ordered(body, inner), depth)
    return f"{head}({found})"


def _linalg(e: Linalg, names: Names) -> str:
    # Rows and columns are positions, so they are named in place rather than refined.
    bound = frozenset(e.bound)
    inner = tuple(pair for pair in names if pair[0] not in bound)
    inner += tuple((i, f"#{_depth(names)}.{n}:{i.extent}") for n, i in enumerate(e.rows + e.cols) if i in bound)
    rows = ",".join(_index(i, inner) for i in e.rows)
    cols = ",".join(_index(i, inner) for i in e.cols)
    return f"{e.kind}<{rows}|{cols}>({_ordered(e.children, inner)})"


def _root(e: Root, names: Names) -> str:
    problem = e.problem
    how = f"{problem.solver} {problem.tolerance} {problem.iterations}"
    inside = f"{problem.declared}|{_key(problem.residual.value, ())}={problem.residual.indices}"
    args = ",".join(f"{item.name}{item.indices}={_key(arg, ())}" for item, arg in zip(problem.program.inputs, e.args))
    return f"root<{how}|{inside}>({args})[{','.join(_sub(s, names) for s in e.subs)}]"


_KEYS: dict[type[Expr], Callable[[Any, Names], str]] = {
    Const: lambda e, n: str(e.value),
    Special: lambda e, n: e.name,
    Param: lambda e, n: f"${e.name}",
    Extent: lambda e, n: f"|{e.symbol}|",
    Position: lambda e, n: f"pos({_index(e.index, n)})",
    Access: _access,
    Delta: _delta,
    LeviCivita: lambda e, n: f"eps[{','.join(_index(s, n) for s in e.subs)}]",
    Add: lambda e, n: f"+({_sorted(e.terms, n)})",
    Mul: lambda e, n: f"*({_sorted(e.factors, n)})",
    Pow: lambda e, n: f"^({_ordered((e.base, e.exponent), n)})",
    Apply: lambda e, n: f"{e.function}({_ordered(e.args, n)})",
    Compare: lambda e, n: f"({_key(e.left, n)}{e.op}{_key(e.right, n)})",
    Logic: lambda e, n: f"{e.op}({_sorted(e.args, n)})",
    Iverson: lambda e, n: f"[{_key(e.condition, n)}]",
    Where: lambda e, n: f"where({_ordered((e.condition, e.then, e.other), n)})",
    Sum: lambda e, n: _binder(e, "sum", n, e.indices, (e.body,)),
    Reduce: lambda e, n: _binder(e, e.kind, n, e.indices, (e.body,)),
    Scan: lambda e, n: f"{e.kind}<{','.join(sorted(_index(i, n) for i in e.indices))}>({_key(e.body, n)})",
    Linalg: _linalg,
    Root: _root,
}


def _number(
    indices: tuple[Index, ...], names: Names, render: Render, depth: int | None = None
) -> tuple[str, tuple[Index, ...]]:
    """Number `indices` canonically: the smallest rendering, and the indices in the order of their numbers."""
    depth = _depth(names) if depth is None else depth
    colours = {index: f"?{index.extent}" for index in indices}
    budget = [_CAP]
    return _refine(tuple(indices), colours, names, render, depth, budget)


def _refine(
    indices: tuple[Index, ...], colours: Colours, names: Names, render: Render, depth: int, budget: list[int]
) -> tuple[str, tuple[Index, ...]]:
    """Refine colours until they are stable; individualise the first tie if one is left."""
    colours = _stable(indices, colours, names, render)
    ordered = sorted(indices, key=lambda i: (colours[i], i.name))
    classes = [list(group) for _, group in groupby(ordered, key=lambda i: colours[i])]
    tied = next((group for group in classes if len(group) > 1), None)
    if tied is None or budget[0] <= 0:
        final = names + tuple((i, f"#{depth}.{n}:{i.extent}") for n, i in enumerate(ordered))
        return render(final), tuple(ordered)
    trials = []
    for index in tied:
        budget[0] -= 1
        trials.append(_refine(indices, {**colours, index: colours[index] + "!"}, names, render, depth, budget))
    return min(trials, key=lambda trial: trial[0])


def _stable(indices: tuple[Index, ...], colours: Colours, names: Names, render: Render) -> Colours:
    """Colours that no further look at the neighbourhood splits."""
    for _ in indices:
        if len(set(colours.values())) == len(indices):
            break
        signature = {
            i: (colours[i], render(names + tuple((j, "*" if j is i else colours[j]) for j in indices))) for i in indices
        }
        ranks = {s: n for n, s in enumerate(sorted(set(signature.values())))}
        refined = {i: f"?{i.extent}.{ranks[signature[i]]:03d}" for i in indices}
        if len(set(refined.values())) == len(set(colours.values())):
            return refined
        colours = refined
    return colours
