"""Renaming and substitution of indices, without capture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from tensorgrad_gen.ir import (
    Access,
    Delta,
    Expr,
    Index,
    IRError,
    Iverson,
    LeviCivita,
    Linalg,
    Position,
    Reduce,
    Root,
    Scan,
    Sub,
    Sum,
    sub_free,
)
from tensorgrad_gen.ir.nodes import Compare, Logic


def by_name(indices: Iterable[Index]) -> list[Index]:
    """Indices in the order of their names: the only order in which a set of them is walked."""
    return sorted(indices, key=lambda index: (index.name, str(index.extent)))


@lru_cache(maxsize=100_000)
def all_indices(expr: Expr) -> frozenset[Index]:
    """Every index that occurs in the expression, bound ones included."""
    found = set(expr.free) | set(expr.bound)
    if isinstance(expr, Scan):
        found |= set(expr.indices)
    if isinstance(expr, Linalg):
        found |= set(expr.rows) | set(expr.cols)
    for child in expr.children:
        found |= all_indices(child)
    return frozenset(found)


def fresh(index: Index, used: Iterable[str]) -> Index:
    """An index of the same extent whose name is not among `used`: `h`, `h1`, `h2`, ..."""
    taken = set(used)
    stem = index.name.rstrip("0123456789") or index.name
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return Index(f"{stem}{number}", index.extent)


def substitute(expr: Expr, mapping: Mapping[Index, Sub]) -> Expr:
    """The expression with free indices replaced by other subscripts, without capture."""
    relevant = {i: s for i, s in mapping.items() if i in expr.free and s is not i}
    if not relevant:
        return expr
    if expr.bound or isinstance(expr, Linalg | Scan):
        return _substitute_binder(expr, relevant)
    return _substitute_here(expr, relevant)


def _incoming(mapping: Mapping[Index, Sub]) -> frozenset[Index]:
    return frozenset().union(*(sub_free(s) for s in mapping.values()))


def _substitute_binder(expr: Expr, mapping: dict[Index, Sub]) -> Expr:
    clashing = _incoming(mapping) & frozenset(expr.bound)
    if clashing:
        expr = rename_bound(expr, {i.name for i in all_indices(expr) | _incoming(mapping)}, clashing)
    if isinstance(expr, Scan | Linalg):
        return _substitute_kept(expr, mapping)
    return expr.rebuild(tuple(substitute(child, mapping) for child in expr.children))


def _substitute_kept(expr: Scan | Linalg, mapping: dict[Index, Sub]) -> Expr:
    """Indices that a scan or a matrix function leaves in its value can only be renamed."""

    def renamed(index: Index) -> Index:
        new = mapping.get(index, index)
        if not isinstance(new, Index):
            raise IRError(f"a label cannot be put for index {index} of {type(expr).__name__}")
        return new

    own = expr.indices if isinstance(expr, Scan) else expr.rows + expr.cols + expr.number
    kept = frozenset(own) - frozenset(expr.bound)
    targets = {renamed(i) for i in kept}
    others = expr.free - kept
    incoming = _incoming({i: mapping[i] for i in others & frozenset(mapping)})
    if len(targets) < len(kept) or targets & ((others - frozenset(mapping)) | incoming):
        raise IRError(f"indices of {type(expr).__name__} would be joined")
    children = tuple(substitute(child, mapping) for child in expr.children)
    if isinstance(expr, Scan):
        return Scan(expr.kind, tuple(renamed(i) for i in expr.indices), *children)
    rows = tuple(renamed(i) if i in kept else i for i in expr.rows)
    cols = tuple(renamed(i) if i in kept else i for i in expr.cols)
    return Linalg(expr.kind, children[0], rows, cols, children[1] if len(children) > 1 else None)


def _swap(sub: Sub, mapping: Mapping[Index, Sub]) -> Sub:
    if isinstance(sub, Index):
        return mapping.get(sub, sub)
    return substitute(sub, mapping)


def _substitute_here(expr: Expr, mapping: dict[Index, Sub]) -> Expr:
    if isinstance(expr, Access):
        return Access(expr.tensor, tuple(_swap(s, mapping) for s in expr.subs))
    if isinstance(expr, Root):
        return Root(expr.problem, expr.args, tuple(_swap(s, mapping) for s in expr.subs))
    if isinstance(expr, Delta):
        return Delta(_swap(expr.left, mapping), _swap(expr.right, mapping))
    if isinstance(expr, Position):
        new = mapping[expr.index]
        return Position(new) if isinstance(new, Index) else new
    if isinstance(expr, LeviCivita):
        subs = tuple(s for s in (mapping.get(s, s) for s in expr.subs) if isinstance(s, Index))
        if len(subs) < len(expr.subs):
            raise IRError("a label cannot stand in levi_civita")
        return LeviCivita(subs)
    return expr.rebuild(tuple(substitute(child, mapping) for child in expr.children))


def rename_bound(expr: Expr, used: Iterable[str], which: Iterable[Index] | None = None) -> Expr:
    """The same binder with (some of) its own bound indices renamed apart from `used`."""
    taken = set(used)
    renaming: dict[Index, Sub] = {}
    for index in by_name(expr.bound if which is None else which):
        new = fresh(index, taken)
        taken.add(new.name)
        renaming[index] = new

    def renamed(index: Index) -> Index:
        new = renaming.get(index, index)
        assert isinstance(new, Index)
        return new

    children = tuple(substitute(child, renaming) for child in expr.children)
    if isinstance(expr, Sum):
        return Sum(tuple(renamed(i) for i in expr.indices), children[0])
    if isinstance(expr, Reduce):
        return Reduce(expr.kind, tuple(renamed(i) for i in expr.indices), children[0])
    if isinstance(expr, Linalg):
        bound = frozenset(expr.bound)
        rows = tuple(renamed(i) if i in bound else i for i in expr.rows)
        cols = tuple(renamed(i) if i in bound else i for i in expr.cols)
        return Linalg(expr.kind, children[0], rows, cols, children[1] if len(children) > 1 else None)
    return expr


def apart(expr: Expr, used: frozenset[Index]) -> Expr:
    """The expression with every bound index, at any depth, renamed apart from `used` and from each other."""
    taken = {i.name for i in used} | {i.name for i in expr.free}
    return _apart(expr, taken)


@lru_cache(maxsize=100_000)
def _binds(expr: Expr) -> bool:
    """Whether a node in the expression binds an index."""
    return bool(expr.bound) or any(_binds(child) for child in expr.children)


def _apart(expr: Expr, taken: set[str]) -> Expr:
    if not _binds(expr):
        return expr
    clashing = [i for i in expr.bound if i.name in taken]
    if clashing:
        expr = rename_bound(expr, taken | {i.name for i in all_indices(expr)}, clashing)
    taken |= {i.name for i in expr.bound}
    return expr.rebuild(tuple(_apart(child, taken) for child in expr.children)) if expr.children else expr


def map_nodes(expr: Expr, function: Callable[[Expr], Expr]) -> Expr:
    """Bottom-up map: children first, then the node."""
    children = expr.children
    if children:
        new = tuple(map_nodes(child, function) for child in children)
        if new != children:
            expr = expr.rebuild(new)
    return function(expr)


def rename_tensors(expr: Expr, names: Mapping[str, str]) -> Expr:
    """The expression with tensors under other names."""

    def visit(node: Expr) -> Expr:
        return Access(names[node.tensor], node.subs) if isinstance(node, Access) and node.tensor in names else node

    return map_nodes(expr, visit) if names else expr


def walk(expr: Expr) -> Iterable[Expr]:
    """Every node, parents before children."""
    stack = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack += node.children[::-1]


def is_condition(expr: Expr) -> bool:
    """Whether the node is a condition by its type (an access to a bool tensor is one by its kind)."""
    return isinstance(expr, Compare | Iverson | Logic)


def accesses(expr: Expr) -> list[Access]:
    """Every access in the expression, labels' included, in order."""
    return [node for node in walk(expr) if isinstance(node, Access)]


def looks_up(expr: Expr) -> bool:
    """Whether a tensor in it is read at a label."""
    return any(isinstance(sub, Expr) for access in accesses(expr) for sub in access.subs)
