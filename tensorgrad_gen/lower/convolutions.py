"""Contractions over windows that are a convolution, or one of its two transposes.

The indices of `x[b,g,c,n..]`, `w[g,o,c,k..]`, `y[b,g,o,i..]`, where each n is the window of an i and a k, are told
apart by where they occur: whichever two of the tensors are contracted, the third is the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from tensorgrad_gen.algebra.indices import accesses
from tensorgrad_gen.ir import Delta, Expr, Index, Iverson, Size, number
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.reading import natural_order
from tensorgrad_gen.lower.torch_ir import Call, Lit, Tup
from tensorgrad_gen.lower.values import LEAD, Val, align, permute
from tensorgrad_gen.lower.windows import (
    Window,
    adding,
    at_index,
    axis_extent,
    integer,
    product_of,
    reading,
    window_delta,
    window_of,
    without_ends,
    zeros_at,
)

Axes: TypeAlias = tuple[Index, ...]
Kinds: TypeAlias = tuple[Axes, Axes, Axes, Axes]


@dataclass(frozen=True, slots=True)
class _Axis:
    """One window: the axis, the index of positions, that of the kernel, and what they are multiplied by."""

    whole: Index
    near: Index
    far: Index
    step: Expr
    dilation: Expr
    start: Expr


def _axis(b: Builder, window: Window, whole: Index) -> _Axis | None:
    """A window of two indices; the one that has the axis's extent, or one computed from it, is that of positions."""
    if window.divisor > 1 or len(window.steps) != 2 or len({whole, *(index for index, _ in window.steps)}) < 3:
        return None
    votes = [(_follows(b, index, whole), number(step) != 1) for index, step in window.steps]
    near = 1 if votes[1] > votes[0] else 0
    (first, step), (second, dilation) = window.steps[near], window.steps[1 - near]
    return _Axis(whole, first, second, step, dilation, window.start)


def _follows(b: Builder, index: Index, whole: Index) -> bool:
    """Whether the extent of the index is that of the axis, or computed from it."""
    sizes = dict(b.program.size_defs)

    def mentions(extent: str | int) -> bool:
        return extent == whole.extent or (isinstance(extent, str) and extent in sizes and inside(sizes[extent]))

    def inside(size: Size) -> bool:
        if size.op == "size":
            return mentions(size.args[0])
        return any(inside(arg) for arg in size.args if isinstance(arg, Size))

    return mentions(index.extent)


def convolved(b: Builder, bound: Axes, factors: tuple[Expr, ...], order: Layout) -> Val | None:
    """`sum over c, k of x[b,c,2*i+k] w[o,c,k]`, or over b, i with `y[b,o,i]`; None if the contraction is neither."""
    for label in dict.fromkeys(label for f in factors for label in _labels(f)):
        images = tuple(f for f in factors if label in _labels(f))
        others = tuple(f for f in factors if f not in images)
        image = _unrolled(b, product_of(images)) if others and _nested(others) else None
        found = None if image is None else _with_image(b, frozenset(bound), image, others, order)
        if found is not None:
            return found
    return None


def _labels(expr: Expr) -> list[Expr]:
    """What the expression is read at that is no index."""
    return [sub for access in accesses(expr) for sub in access.subs if isinstance(sub, Expr)]


@dataclass(frozen=True, slots=True)
class _Image:
    """What is read through windows, as it is before: `expr` has the axes whole."""

    expr: Expr
    axes: tuple[_Axis, ...]
    padded: bool


def _unrolled(b: Builder, expr: Expr) -> _Image | None:
    """`f(x[b,2*i+k])` as `f(x[b,n])` and its window."""
    axes: list[_Axis] = []
    ways: set[bool | None] = set()
    zeros = zeros_at(b, expr)
    for label in dict.fromkeys(_labels(expr)):
        extents = {axis_extent(b, access, label) for access in accesses(expr) if label in access.subs}
        extent, window = extents.pop(), window_of(label)
        if extents or extent is None or window is None:
            return None
        axis = _axis(b, window, Index(f"axis {len(axes)}", extent))
        way = reading(b, label, extent)
        if axis is None or (way and (label, extent) not in zeros):
            return None
        ways.add(way)
        axes.append(axis)
        expr = at_index(b, expr, label, axis.whole)
    windowed = [index for axis in axes for index in (axis.near, axis.far)]
    if len(ways) != 1 or None in ways or len(set(windowed)) < len(windowed) or expr.free & set(windowed):
        return None
    return _Image(expr, tuple(axes), ways == {True})


def _with_image(
    b: Builder, bound: frozenset[Index], image: _Image, others: tuple[Expr, ...], order: Layout
) -> Val | None:
    whole = tuple(a.whole for a in image.axes)
    near, far = tuple(a.near for a in image.axes), tuple(a.far for a in image.axes)
    x, other = image.expr.free.difference(whole), frozenset[Index]().union(*(f.free for f in others))
    used = other & {*near, *far}
    if used not in (set(near), set(far)) or used != bound & {*near, *far}:
        return None
    shared, mine, yours = other & x, x - other, other - x - used
    if shared & bound != bound - used:
        return None
    by_kernel = used == set(far)
    batch, channel = (mine, shared & bound) if by_kernel else (shared & bound, mine)
    kinds = _kinds((batch, shared - bound, yours, channel), (image.expr, *others), order)
    if kinds is None:
        return None
    batched, group, out, channels = kinds
    y, w = (*batched, *group, *out, *near), (*group, *out, *channels, *far)
    name, second, third = ("conv", w, y) if by_kernel else ("conv_weight", y, w)
    operands = _tensor(b, image.expr, (*batched, *group, *channels, *whole)), _tensor(b, product_of(others), second)
    call = _called(b, name, operands, near if by_kernel else far, image.axes, kinds)
    if image.padded:
        call = replace(call, kwargs=(("padded", Lit(value=True)), *call.kwargs))
    return align(Val(call, third), order)


def convolved_back(b: Builder, bound: Axes, factors: tuple[Expr, ...], order: Layout) -> Val | None:
    """`sum over o, i, k of y[b,o,i] w[o,c,k] delta[n, 2*i+k]`; None if the sum is no such thing."""
    axes: list[_Axis] = []
    options = adding(b, factors)
    for delta in (f for f in factors if isinstance(f, Delta)):
        found = window_delta(delta, frozenset(bound))
        axis = None if found is None else _axis(b, found.window, found.index)
        if found is None or axis is None:
            return None
        axes.append(axis)
        factors = without_ends(tuple(f for f in factors if f is not delta), found.label, found.index.extent)
    near, far = frozenset(a.near for a in axes), frozenset(a.far for a in axes)
    images = tuple(f for f in factors if f.free & near)
    kernels = tuple(f for f in factors if f not in images)
    if any(isinstance(f, Iverson) for f in factors) or not (_nested(images) and _nested(kernels)):
        return None
    mine: frozenset[Index] = frozenset().union(*(f.free for f in images))
    yours: frozenset[Index] = frozenset().union(*(f.free for f in kernels))
    whole = frozenset(a.whole for a in axes)
    if not near <= mine or not far <= yours or near & yours or far & mine or (mine | yours) & whole:
        return None
    mine, yours = mine - near, yours - far
    if len(near) + len(far) < 2 * len(axes) or (mine & yours & frozenset(bound)) != frozenset(bound) - near - far:
        return None
    summed = mine & yours & frozenset(bound)
    kinds = _kinds((mine - yours, (mine & yours) - summed, summed, yours - mine), (*images, *kernels), order)
    if kinds is None:
        return None
    batch, group, out, channel = kinds
    y = _tensor(b, product_of(images), (*batch, *group, *out, *(a.near for a in axes)))
    w = _tensor(b, product_of(kernels), (*group, *out, *channel, *(a.far for a in axes)))
    whole_ = tuple(a.whole for a in axes)
    call = _called(b, "conv_input", (y, w), whole_, tuple(axes), kinds)
    call = replace(call, kwargs=(*options, *call.kwargs))
    return align(Val(call, (*batch, *group, *channel, *whole_)), order)


def _nested(factors: tuple[Expr, ...]) -> bool:
    """Whether one of the factors has all indices of the others: their product is no larger than it."""
    free: frozenset[Index] = frozenset().union(*(f.free for f in factors))
    return any(f.free == free for f in factors)


def _kinds(sets: tuple[frozenset[Index], ...], parts: tuple[Expr, ...], order: Layout) -> Kinds | None:
    """Batch, group, output and channel indices, ordered as they are read; `...` may be among the batch alone."""
    read = [axis for part in parts for axis in natural_order((part,), (), order)]
    places = [axis for axis in order if axis is not None] + read
    batch, group, out, channel = (tuple(sorted(s, key=lambda i: (i is not LEAD, places.index(i)))) for s in sets)
    return None if LEAD in (*group, *out, *channel) else (batch, group, out, channel)


def _tensor(b: Builder, expr: Expr, layout: Axes) -> Val:
    """The expression with exactly these axes, all of full size."""
    val = b.real(b.tensor(b.lower(expr, layout)))
    return permute(b.solid(align(val, layout)), layout)


def _called(
    b: Builder, name: str, operands: tuple[Val, Val], result: Axes, axes: tuple[_Axis, ...], kinds: Kinds
) -> Call:
    """A function of the runtime: `result` are the axes that its operands do not have."""
    columns = [[a.step for a in axes], [a.dilation for a in axes], [a.start for a in axes]]
    if all(number(a.start) == 0 for a in axes):
        columns.pop()
    windows = (Tup(tuple(integer(b, number_) for number_ in column)) for column in columns)
    counts = (("groups", len(kinds[1]), 0), ("channels", len(kinds[3]), 1))
    told = tuple((word, Lit(count)) for word, count, usual in counts if count != usual)
    arguments = (*(v.expr for v in operands), Tup(tuple(b.size(index) for index in result)), *windows)
    return Call(f"_runtime.{name}", arguments, told)
