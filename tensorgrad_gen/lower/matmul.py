"""Contractions of two operands."""

from __future__ import annotations

from string import ascii_letters

from tensorgrad_gen.ir import Index
from tensorgrad_gen.lower.arith import product
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.reduce_axes import reduce_sum
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Lit, TExpr
from tensorgrad_gen.lower.values import LEAD, Val, align, method, permute, squeeze

Axes = tuple[Index, ...]


def pair(b: Builder, left: Val, right: Val, bound: frozenset[Index], order: Layout) -> Val:
    """The sum over the bound indices of the product of two values, in a layout that fits the order."""
    left, right = _prepared(b, left, bound, right), _prepared(b, right, bound, left)
    common = tuple(k for k in left.indices if k in right.indices and k in bound)
    if not common:
        return product(b, [align(left, order), align(right, order)], [])
    batch = tuple(k for k in left.indices if k in right.indices and k not in bound)
    mine = tuple(k for k in left.indices if k not in right.indices)
    yours = tuple(k for k in right.indices if k not in left.indices)
    first, second = squeeze(left), squeeze(right)
    found: Val | None = None
    if not batch and not (mine and yours):
        large, small = (second, first) if yours else (first, second)
        found = _by_vector(large, small, common, order)
    elif not (mine and yours):
        large, small = (second, first) if yours else (first, second)
        found = _by_vectors(large, small, batch, common)
    else:
        found = _matrix(b, first, second, (batch, mine, yours, common), order)
    if found is not None:
        return align(found, order)
    return _multiply_and_sum(b, left, right, bound, order)


def _prepared(b: Builder, val: Val, bound: frozenset[Index], other: Val) -> Val:
    """Without bound indices that the other does not have."""
    alone = tuple(k for k in val.indices if k in bound and k not in other.indices)
    if alone:
        val = reduce_sum(b, val, alone, tuple(axis for axis in val.indices if axis not in alone))
    return b.solid(val)


def _multiply_and_sum(b: Builder, left: Val, right: Val, bound: frozenset[Index], order: Layout) -> Val:
    large, small = (left, right) if len(left.layout) >= len(right.layout) else (right, left)
    inner = large.indices
    if not set(small.indices) <= set(inner):
        free = [a for a in order if a is not None and a in (*left.indices, *right.indices)]
        rest = [a for a in (*large.indices, *small.indices) if a not in free]
        inner = tuple(sorted(dict.fromkeys((*free, *rest)), key=lambda axis: axis is not LEAD))
    whole = product(b, [align(left, inner), align(right, inner)], [])
    return reduce_sum(b, whole, [k for k in inner if k in bound], order)


def _at(left: TExpr, right: TExpr) -> TExpr:
    return Infix("@", left, right)


def _by_vector(matrix: Val, vector: Val, common: Axes, order: Layout) -> Val | None:
    """`m @ v`, `m.mT @ v`, or the product of two vectors; nothing if the axes are deep inside, or are to be kept.

    Never `v @ m`: to the compiler that is a product of matrices, for which it writes `m`; into `m.mT @ v` it fuses `m`.
    """
    rest = tuple(k for k in matrix.indices if k not in common)
    layout = matrix.indices
    if not rest:
        if any(a is None for a in order) or LEAD in common:
            return None
        return Val(_at(_flat(matrix), _flat(permute(vector, layout))))
    if len(common) > 1 or LEAD in common:
        return _by_long_vector(matrix, vector, rest)
    (axis,) = common
    if layout[-1] is axis:
        return Val(_at(matrix.expr, vector.expr), rest)
    if layout[-2] is axis:
        return Val(_at(Attr(matrix.expr, "mT"), vector.expr), rest)
    return _grouped(vector, matrix, ((), (), rest), order) if layout[0] is axis else None


def _flat(val: Val) -> TExpr:
    """All axes as one."""
    return val.expr if len(val.layout) == 1 else Call("_runtime.rows", (val.expr, Lit(0)))


def _by_vectors(matrix: Val, vector: Val, batch: Axes, common: Axes) -> Val | None:
    """A batch of matrices, each by a vector of its own: the vectors as rows, which is faster than as columns."""
    own = tuple(k for k in matrix.indices if k not in vector.indices)
    if not own or LEAD in (*own, *common):
        return None
    lead = tuple(k for k in matrix.indices if k in batch)
    if len(own) > 1 or len(common) > 1:
        return None if LEAD in batch else _grouped(vector, matrix, (lead, (), own), ())
    row = method(permute(vector, (*lead, *common)), "unsqueeze", -2)
    product = Val(_at(row, permute(matrix, (*lead, *common, *own)).expr), (*lead, None, *own))
    return Val(method(product, "squeeze", -2), (*lead, *own))


def _by_long_vector(matrix: Val, vector: Val, rest: Axes) -> Val | None:
    """As `_by_vector`, several axes taken as one."""
    count = len(matrix.layout) - len(rest)
    if len(rest) == 1 and matrix.layout[-1] is rest[0]:
        flat = Call("_runtime.rows", (permute(vector, matrix.indices[:-1]).expr, Lit(0)))
        return Val(_at(Attr(Call("_runtime.rows", (matrix.expr,)), "mT"), flat), rest)
    common = matrix.indices[-count:]
    if LEAD not in common and not set(common) & set(rest):
        flat = Call("_runtime.rows", (permute(vector, common).expr, Lit(0)))
        return Val(_at(Call("_runtime.merge_last", (matrix.expr, Lit(count))), flat), rest)
    return None


def _matrix(b: Builder, left: Val, right: Val, kinds: tuple[Axes, Axes, Axes, Axes], order: Layout) -> Val | None:
    """Both operands have indices of their own."""
    batch, mine, yours, common = kinds
    if not batch and len(common) == 1 and common[0] is not LEAD:
        (axis,) = common
        if _reversed(order, mine, yours) and not _as_they_lie(left, right, axis):
            left, right, mine, yours = right, left, yours, mine
        if len(yours) == 1 and yours[0] is not LEAD and (len(mine) == 1 or _ends(left, common)):
            if len(mine) > 1 and _reversed(order, mine, yours):
                return _grouped(right, left, ((), yours, mine), order)
            return _plain(left, right, mine, yours[0], axis)
        if len(mine) == 1 and mine[0] is not LEAD and (len(yours) == 1 or _ends(right, common)):
            if len(yours) > 1 and not _reversed(order, mine, yours) and _first(order, mine[0]):
                return _grouped(left, right, ((), mine, yours), order)
            return _plain(right, left, yours, mine[0], axis)
    single = len(mine) == len(yours) == 1 and LEAD not in (*mine, *yours)
    # One index of its own on the other side: `...` is none, it may be any number of axes.
    rows = len(yours) == 1 and yours[0] is not LEAD and _ends(left, common)
    columns = len(mine) == 1 and mine[0] is not LEAD and _ends(right, common)
    if not batch and columns and not single and not rows and LEAD not in yours and _first(order, mine[0]):
        return _grouped(left, right, ((), mine, yours), order)
    if not batch and (single or rows or columns):
        if (not single and not rows) or (single and _reversed(order, mine, yours)):
            left, right, mine, yours = right, left, yours, mine
        return _by_rows(left, right, mine, yours[0], common)
    if single and len(common) == 1 and common[0] is not LEAD:
        if _reversed(order, mine, yours):
            left, right, mine, yours = right, left, yours, mine
        lead = tuple(axis for axis in order if axis in batch) if set(batch) <= set(order) else batch
        first = permute(left, (*lead, *mine, *common))
        second = permute(right, (*lead, *common, *yours))
        return Val(_at(first.expr, second.expr), (*lead, *mine, *yours))
    if LEAD in (*left.indices, *right.indices):
        return _einsum(b, left, right, order, frozenset(common))
    if _reversed(order, mine, yours):
        left, right, mine, yours = right, left, yours, mine
    return _grouped(left, right, (batch, mine, yours), order)


def _grouped(left: Val, right: Val, groups: tuple[Axes, Axes, Axes], order: Layout) -> Val:
    """Batch, own and contracted axes each taken as one: any contraction is one batched matrix product."""
    batch, mine, yours = groups
    mine, yours = _as_wanted(left, mine, order), _as_wanted(right, yours, order)
    lead = tuple(axis for axis in order if axis in batch) if set(batch) <= set(order) else batch
    inner = _inner(left, right, groups)
    first, second = permute(left, (*lead, *mine, *inner)), permute(right, (*lead, *inner, *yours))
    counts = (Lit(len(lead)), Lit(len(inner)))
    return Val(Call("_runtime.matmul", (first.expr, second.expr, *counts)), (*lead, *mine, *yours))


def _inner(left: Val, right: Val, groups: tuple[Axes, Axes, Axes]) -> Axes:
    """The contracted axes in the order in which one of the operands has them: fewest axes are copied then."""
    apart = {axis for group in groups for axis in group}
    operands = sorted((left, right), key=lambda val: -len(val.indices))
    orders = [tuple(k for k in val.indices if k not in apart) for val in operands]
    return min(orders, key=lambda order: sum(len(v.indices) for v in operands if not _in_groups(v, order, groups[0])))


def _in_groups(val: Val, inner: Axes, batch: Axes) -> bool:
    """Whether batch, own and contracted axes lie together, each in its order: taking them as one copies nothing."""
    rest = val.indices[len(batch) :]
    return set(val.indices[: len(batch)]) == set(batch) and inner in (rest[: len(inner)], rest[-len(inner) :])


def _as_wanted(val: Val, own: Axes, order: Layout) -> Axes:
    """The axes in the order that is asked for, where they are apart: the value is copied then in any order."""
    wanted = tuple(axis for axis in order if axis in own)
    return wanted if len(wanted) == len(own) and not _lies(val, own) else own


def _lies(val: Val, axes: Axes) -> bool:
    """Whether the axes follow each other in the value, so that they are one without a copy."""
    indices = val.indices
    return any(indices[k : k + len(axes)] == axes for k in range(len(indices) - len(axes) + 1))


def _reversed(order: Layout, mine: Axes, yours: Axes) -> bool:
    """Whether the order has the last of the right operand's indices before the left one's."""
    places = {axis: k for k, axis in enumerate(order) if axis is not None}
    if mine[-1] not in places or yours[-1] not in places or LEAD in yours:
        return False
    return LEAD not in mine and places[yours[-1]] < places[mine[-1]]


def _as_they_lie(left: Val, right: Val, axis: Index) -> bool:
    """Whether two matrices are multiplied without a transposition: exchanged, each would need one."""
    return len(left.layout) == len(right.layout) == 2 and (left.indices[-1], right.indices[0]) == (axis, axis)


def _first(order: Layout, axis: Index) -> bool:
    """Whether the order begins with the axis."""
    return next((a for a in order if a is not None), None) is axis


def _plain(left: Val, right: Val, mine: Axes, yours: Index, axis: Index) -> Val:
    """`x[.., k] @ w[k, o]`: any axes on the left, two on the right."""
    first = permute(left, (*mine, axis))
    second = permute(right, (axis, yours))
    return Val(_at(first.expr, second.expr), (*mine, yours))


def _ends(val: Val, common: Axes) -> bool:
    """Whether the contracted axes are the last ones, in this order."""
    return LEAD not in common and val.indices[-len(common) :] == common


def _by_rows(left: Val, right: Val, mine: Axes, yours: Index, common: Axes) -> Val:
    """Several contracted axes as one: the last ones flattened, or `rows` where they come first."""
    if not _ends(left, common) and len(right.indices) == len(common) + 1:
        here, there = (tuple(k for k in val.indices if k in common) for val in (left, right))
        common = there if _ends(right, there) or (_lies(right, there) and not _lies(left, here)) else here
    common = tuple(sorted(common, key=lambda axis: axis is not LEAD))
    count = Lit(len(common))
    if _ends(left, common):
        first: TExpr = Call("_runtime.merge_last", (left.expr, count))
    else:
        first = Attr(Call("_runtime.rows", (permute(left, (*common, *mine)).expr,)), "mT")
    if right.indices == (yours, *common) and LEAD not in common:
        second: TExpr = Attr(Call("_runtime.merge_last", (right.expr, count)), "mT")
    else:
        second = Call("_runtime.rows", (permute(right, (*common, yours)).expr,))
    return Val(_at(first, second), (*mine, yours))


def _einsum(b: Builder, left: Val, right: Val, order: Layout, bound: frozenset[Index]) -> Val:
    """Whatever is left."""
    every = dict.fromkeys((*left.indices, *right.indices))
    out = [axis for axis in order if axis is not None and axis in every and axis not in bound]
    out += [axis for axis in every if axis not in bound and axis not in out]
    letters: dict[Index, str] = {axis: "..." for axis in every if axis is LEAD}
    for axis in every:
        if axis is not LEAD:
            used = set(letters.values())
            wish = (axis.name[:1], *ascii_letters)
            letters[axis] = next(c for c in wish if c in ascii_letters and c not in used)
    spelled = ["".join(letters[axis] for axis in axes) for axes in (left.indices, right.indices, tuple(out))]
    formula = Lit(f"{spelled[0]},{spelled[1]}->{spelled[2]}")
    return Val(Call("_runtime.einsum", (formula, left.expr, right.expr)), tuple(out))
