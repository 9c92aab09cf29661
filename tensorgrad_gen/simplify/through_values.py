"""Derivatives through values: `exp(x[i])` is `y[i]` where a statement says `y[i] = exp(x[i])`."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from tensorgrad_gen.algebra import abstract_key, map_nodes
from tensorgrad_gen.algebra import simplify as normal
from tensorgrad_gen.algebra.hoist import Known, renamed
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Expr,
    Index,
    Linalg,
    Pow,
    Program,
    Reduce,
    Root,
    Scan,
    Statement,
    Sum,
    number,
    power,
)


class _Root(NamedTuple):
    """A tensor that is a constant power of something: `t[indices] = u^exponent`, `order` as in `abstract_key(u)`."""

    target: str
    indices: tuple[Index, ...]
    order: tuple[Index, ...]
    exponent: Fraction


@lru_cache(maxsize=64)
def _tables(statements: tuple[Statement, ...]) -> tuple[Known, dict[str, _Root], dict[str, Statement]]:
    known = Known()
    conjugates = {}
    powers: dict[str, _Root] = {}
    for statement in statements:
        known.enter(statement)
        value, indices = statement.value, statement.indices
        if isinstance(value, Apply) and value.function == "conj" and isinstance(value.args[0], Access):
            conjugates[statement.target] = statement
        exponent = number(value.exponent) if isinstance(value, Pow) else None
        if isinstance(value, Pow) and exponent is not None and value.free == frozenset(indices):
            name, order = abstract_key(value.base)
            powers.setdefault(name, _Root(statement.target, indices, order, exponent))
    return known, powers, conjugates


def through_values(expr: Expr, program: Program) -> Expr:
    """The expression with every value that has a name replaced by an access to it, in normal form."""
    return normal(read_values(expr, program))


def read_values(expr: Expr, program: Program) -> Expr:
    """The expression with every value that has a name replaced by an access to it, and what is read off one."""
    known, powers, conjugates = _tables(program.statements)
    given = frozenset(item.name for item in program.inputs)

    def visit(node: Expr) -> Expr:
        if isinstance(node, Pow):
            root = _as_power(node, powers)
            if root is not None:
                return root
        if isinstance(node, Apply) and node.function == "conj":
            return _conjugate_of_conjugate(node, conjugates) or known.find(node) or node
        if isinstance(node, Root):
            return _solution(node, known)
        if isinstance(node, Compare):
            return _rectified(node, known, given)
        if isinstance(node, Add | Apply | Pow | Sum | Reduce | Scan | Linalg):
            found = known.find(node)
            if found is not None:
                return found
        return node

    return map_nodes(expr, visit)


def _rectified(node: Compare, known: Known, given: frozenset[str]) -> Expr:
    """`z > 0` as `y > 0` where `y = relu(z)` has a name, and `z` is no input: then that may be all that is kept."""
    if node.op != ">" or number(node.right) != 0 or (isinstance(node.left, Access) and node.left.tensor in given):
        return node
    found = known.find(Apply("relu", (node.left,)))
    return node if found is None else Compare(">", found, node.right)


def _solution(node: Root, known: Known) -> Expr:
    """An element of the tensor that holds the solution, whatever its subscripts."""
    declared = node.problem.declared
    found = known.find(Root(node.problem, node.args, declared))
    return node if found is None else renamed(found, declared, node.subs)


def _conjugate_of_conjugate(node: Apply, conjugates: dict[str, Statement]) -> Expr | None:
    """`z` for the conjugate of a tensor that is the conjugate of `z`."""
    (value,) = node.args
    statement = conjugates.get(value.tensor) if isinstance(value, Access) else None
    if statement is None or not isinstance(value, Access):
        return None
    return renamed(statement.value.children[0], statement.indices, value.subs)


def _as_power(node: Pow, powers: dict[str, _Root]) -> Expr | None:
    """`u^q` as `t^(q/p)` where `t = u^p` has a name and `q/p` is an integer; of a tensor, a root as a short product."""
    exponent = number(node.exponent)
    if exponent is None:
        return None
    name, order = abstract_key(node.base)
    found = powers.get(name)
    if found is None:
        return None
    ratio = exponent / found.exponent
    if ratio.denominator != 1:
        return None
    if isinstance(node.base, Access) and (ratio not in (-1, 3) or exponent.denominator == 1):
        return None
    back = dict(zip(found.order, order, strict=True))
    return power(Access(found.target, tuple(back[i] for i in found.indices)), ratio)
