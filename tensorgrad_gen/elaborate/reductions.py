"""Reductions and scans in IR: they bind, or protect, their index in the whole argument (section 3, rule 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorgrad_gen.elaborate import complexes
from tensorgrad_gen.elaborate.extents import ELLIPSIS
from tensorgrad_gen.elaborate.vocabulary import BOUND, LABEL_REDUCTIONS, SCANS
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Const,
    Expr,
    Extent,
    Index,
    Iverson,
    Mul,
    Position,
    Pow,
    Reduce,
    Scan,
    Special,
    Sum,
    Where,
    add,
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
    if tree.name == "sort":
        return _sorted(builder, tree, own[0], env)
    if tree.name in ("cumsum", "cumprod", "flip"):
        return _running(builder, tree, own[0], env)
    if tree.name in SCANS:
        indices = tuple(builder.index(letter, env) for letter in own)
        inner = {**env, **dict(zip(own, indices))}
        return _over(tree.name, indices, _real(builder, tree, builder.number(tree.args[0], inner)))
    indices = tuple(builder.index(letter) for letter in own)
    body = _real(builder, tree, builder.number(tree.args[0], {**env, **dict(zip(own, indices))}))
    extras = [builder.number(arg, env) for arg in tree.args[1:]]
    if tree.name in LABEL_REDUCTIONS and indices[0] not in body.free:
        return builder.error("E208", f"the argument of `{tree.name}` is the same along `{own[0]}`", tree.span)
    return _reduced(builder, tree, indices, body, extras or [const(d) for d in BOUND[tree.name].defaults])


def _real(builder: Builder, tree: t.Bound, body: Expr) -> Expr:
    """The argument, if the reduction or scan takes it; a norm is that of the magnitudes."""
    if tree.name in ("sum", "mean", "prod", "var", "std") or not complexes.complex_value(builder, body):
        return body
    if tree.name == "norm":
        return Apply("complex_abs", (body,))
    return complexes.refused(builder, tree)


def _sorted(builder: Builder, tree: t.Bound, letter: str, env: Env) -> Expr:
    """`sort[i](z)` reads `z` at `argsort[i](z)`: both are statements of their own."""
    index = builder.index(letter, env)
    body = _real(builder, tree, builder.number(tree.args[0], {**env, letter: index}))
    others = sorted(body.free - {index}, key=lambda i: (i.extent != ELLIPSIS, i.name))
    indices = (*others, index)
    unsorted = builder.define("unsorted", indices, body, "real")
    order = builder.define("order", indices, Scan("argsort", (index,), Access(unsorted, indices)), "label")
    return Access(unsorted, (*others, Access(order, indices)))


def _running(builder: Builder, tree: t.Bound, letter: str, env: Env) -> Expr:
    """A scan over positions as a reduction of what it reads: `cumsum[i](z)` is the sum of `[j <= i]*z` over `j`."""
    here = builder.index(letter, env)
    there = builder.other_index(letter, env)
    body = builder.number(tree.args[0], {**env, letter: there})
    up_to_here = Compare("<=", Position(there), Position(here))
    if tree.name == "cumprod":
        return Reduce("prod", (there,), Where(up_to_here, body, const(1)))
    if tree.name == "cumsum":
        return Sum((there,), mul(Iverson(up_to_here), body))
    mirrored = sub(sub(extent_of(here), const(1)), Position(here))
    return Sum((there,), mul(Iverson(Compare("==", Position(there), mirrored)), body))


def letters(builder: Builder, tree: t.Bound) -> list[str]:
    """The letters in the brackets."""
    return [letter for letter in (builder.scope.plain(s) for s in tree.subs) if letter is not None]


def _reduced(builder: Builder, tree: t.Bound, indices: tuple[Index, ...], body: Expr, extras: list[Expr]) -> Expr:
    if tree.name == "sum":
        return Sum(indices, body)
    if tree.name == "mean":
        return _mean(indices, body)
    if tree.name == "norm":
        return _norm(indices, body, extras[0])
    if tree.name in ("var", "std"):
        centred = sub(body, _mean(indices, body))
        centred = Apply("complex_abs", (centred,)) if complexes.complex_value(builder, body) else centred
        divisor = sub(_count(indices), extras[0])
        variance = div(Sum(indices, power(centred, 2)), divisor)
        return Apply("sqrt", (variance,)) if tree.name == "std" else variance
    return _over(tree.name, indices, body)


def _over(kind: str, indices: tuple[Index, ...], body: Expr) -> Expr:
    """A reduction or scan; an index that the argument lacks (it had only a one-tensor) enters by its extent."""
    present = tuple(index for index in indices if index in body.free)
    count = _count(tuple(index for index in indices if index not in body.free))
    value: Expr = body
    if present:
        value = Scan(kind, present, body) if kind in SCANS else Reduce(kind, present, body)
    if len(present) == len(indices) or kind in ("max", "min"):
        return value
    if kind == "prod":
        return power(value, count)
    if kind == "logsumexp":
        return add(value, Apply("log", (count,)))
    if kind == "norm":
        return mul(value if present else Apply("abs", (body,)), Apply("sqrt", (count,)))
    if kind == "softmax":
        return mul(value if present else const(1), inverse(count))
    return sub(value if present else const(0), Apply("log", (count,)))


def _count(indices: tuple[Index, ...]) -> Expr:
    return mul(*(extent_of(index) for index in indices))


def extent_of(index: Index) -> Expr:
    """The extent of an index as a number."""
    return const(index.extent) if isinstance(index.extent, int) else Extent(index.extent)


def _mean(indices: tuple[Index, ...], body: Expr) -> Expr:
    return mul(inverse(_count(indices)), Sum(indices, body))


def _norm(indices: tuple[Index, ...], body: Expr, p: Expr) -> Expr:
    """The p-norm: of 2 a node of its own, of an infinite p the extreme magnitude, of 0 how many are not 0."""
    if number(p) == 2:
        return _over("norm", indices, body)
    if number(p) == 0:
        return Sum(indices, Iverson(Compare("!=", body, const(0))))
    magnitude = Apply("abs", (body,))
    if number(p) == 1:
        return Sum(indices, magnitude)
    if sign := _sign_of_infinity(p):
        return _over("max" if sign > 0 else "min", indices, magnitude)
    return _power_mean(indices, body, p)


def _power_mean(indices: tuple[Index, ...], body: Expr, p: Expr) -> Expr:
    """`(sum |x|^p)^(1/p)`, its derivative masked where it is 0 times infinity: at 0, as of any norm."""
    magnitude: Expr = Apply("abs", (body,))
    order = number(p)
    if order is None or order < 1:
        magnitude = Where(Compare("!=", body, const(0)), magnitude, const(0))
    total = Sum(indices, Pow(magnitude, p))
    return Where(Compare("!=", total, const(0)), power(total, inverse(p)), const(0))


def _sign_of_infinity(p: Expr) -> int:
    """1 of `inf`, -1 of `-inf`, and of their multiples by numbers; 0 of all else."""
    match p:
        case Special("inf"):
            return 1
        case Mul((Const(factor), Special("inf"))):
            return 1 if factor > 0 else -1
    return 0
