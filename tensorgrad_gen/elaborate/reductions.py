"""Reductions and scans in IR: they bind, or protect, their index in the whole argument (section 3, rule 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorgrad_gen.elaborate.vocabulary import BOUND, SCANS
from tensorgrad_gen.ir import (
    Apply,
    Expr,
    Extent,
    Index,
    Pow,
    Reduce,
    Scan,
    Special,
    Sum,
    const,
    div,
    inverse,
    mul,
    number,
    power,
    sub,
)
from tensorgrad_gen.syntax import tree as t

if TYPE_CHECKING:
    from tensorgrad_gen.elaborate.expressions import Builder, Env


def value(builder: Builder, tree: t.Bound, env: Env) -> Expr:
    """The value of a reduction or scan as a number; of `argmax` and `argmin` as a label."""
    own = letters(builder, tree)
    if tree.name in SCANS:
        indices = tuple(builder.index(letter, env) for letter in own)
        inner = {**env, **dict(zip(own, indices))}
        return Scan(tree.name, indices, builder.number(tree.args[0], inner))
    indices = tuple(builder.index(letter) for letter in own)
    body = builder.number(tree.args[0], {**env, **dict(zip(own, indices))})
    extras = [builder.number(arg, env) for arg in tree.args[1:]]
    return _reduced(tree, indices, body, extras or [const(d) for d in BOUND[tree.name].defaults])


def letters(builder: Builder, tree: t.Bound) -> list[str]:
    """The letters in the brackets."""
    return [letter for letter in (builder.scope.plain(s) for s in tree.subs) if letter is not None]


def _reduced(tree: t.Bound, indices: tuple[Index, ...], body: Expr, extras: list[Expr]) -> Expr:
    if tree.name == "sum":
        return Sum(indices, body)
    if tree.name == "mean":
        return _mean(indices, body)
    if tree.name == "norm":
        return _norm(indices, body, extras[0])
    if tree.name in ("var", "std"):
        centred = sub(body, _mean(indices, body))
        divisor = sub(_count(indices), extras[0])
        variance = div(Sum(indices, power(centred, 2)), divisor)
        return Apply("sqrt", (variance,)) if tree.name == "std" else variance
    return Reduce(tree.name, indices, body)


def _count(indices: tuple[Index, ...]) -> Expr:
    return mul(*(extent_of(index) for index in indices))


def extent_of(index: Index) -> Expr:
    """The extent of an index as a number."""
    return const(index.extent) if isinstance(index.extent, int) else Extent(index.extent)


def _mean(indices: tuple[Index, ...], body: Expr) -> Expr:
    return mul(inverse(_count(indices)), Sum(indices, body))


def _norm(indices: tuple[Index, ...], body: Expr, p: Expr) -> Expr:
    """The p-norm: of 2 a node of its own, of infinity the largest magnitude."""
    if number(p) == 2:
        return Reduce("norm", indices, body)
    magnitude = Apply("abs", (body,))
    if number(p) == 1:
        return Sum(indices, magnitude)
    if isinstance(p, Special) and p.name == "inf":
        return Reduce("max", indices, magnitude)
    return power(Sum(indices, Pow(magnitude, p)), inverse(p))
