"""What lowered code calls beside torch.

Law: pure, out of place, differentiable to any order, no value of a tensor read in Python; right for
zero batch axes and for extents 0; right under `vmap`, forward mode, `torch.compile`, and legacy
batched cotangents.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import (
    compiling,
    forward_mode,
    in_transform,
    legacy_batched,
    primal,
    recording,
)


def rows(x: Tensor, keep: int = 1) -> Tensor:
    """All axes but the last `keep` flattened into one, of size 1 where there are none."""
    if x.dim() == keep + 1:
        return x
    lead = x.shape[: x.dim() - keep]
    return x.reshape((lead.numel(), *x.shape[x.dim() - keep :]))


def merge_last(x: Tensor, count: int) -> Tensor:
    """The last `count` axes as one.  (`flatten` has no rule for legacy batched tensors.)"""
    return x.reshape((*x.shape[:-count], x.shape[-count:].numel()))


def split_axis(x: Tensor, dim: int, sizes: tuple[int, ...]) -> Tensor:
    """An axis, counted from the end, as several of these sizes."""
    after = x.shape[dim + 1 :] if dim != -1 else ()
    return x.reshape((*x.shape[:dim], *sizes, *after))


def matmul(a: Tensor, b: Tensor, batch: int, inner: int) -> Tensor:
    """The sum of `a[batch.., rows.., inner..] b[batch.., inner.., cols..]` over `inner`."""
    if not batch:
        product: Tensor = torch.tensordot(a, b, inner)
        return product
    split = a.dim() - inner
    lead, rows_, summed = a.shape[:batch], a.shape[batch:split], a.shape[split:]
    cols = b.shape[batch + inner :]
    left = a.reshape((lead.numel(), rows_.numel(), summed.numel()))
    right = b.reshape((lead.numel(), summed.numel(), cols.numel()))
    return (left @ right).reshape((*lead, *rows_, *cols))


def minus_matmul(a: Tensor, b: Tensor) -> Tensor:
    """`-(a @ b)` of matrices, in one pass over the result where nothing looks on."""
    dims = a.dim()
    plain = dims == b.dim() and 2 <= dims <= 3 and a.shape[:-2] == b.shape[:-2]
    if not plain or a.dtype != b.dtype or recording(a, b):
        return -(a @ b)
    unread = a.new_empty((1,) * dims)  # as beta is 0
    add = torch.addmm if dims == 2 else torch.baddbmm
    return add(unread, a, b, beta=0, alpha=-1)


_LARGE_SUM = 1 << 14  # elements of a sum that one pass less is worth some tests for


def add_products(
    total: Tensor | None, *products: tuple[Tensor, Tensor] | tuple[Tensor, Tensor, float]
) -> Tensor:
    """`total + a @ b + ..` of products `(a, b)`, or `(a, b, number)`: that many times `a @ b`.

    One that is large is added as it is computed, with no tensor of its own, where nothing looks on.
    """
    left, right = products[0][:2]
    alone = not compiling() and left.numel() * right.shape[-1] >= _LARGE_SUM * left.shape[-1]
    if alone:
        parts = [part for product in products for part in product[:2]]
        alone = not recording(*parts) and (total is None or not recording(total))
    found = total
    for product in products:
        left, right = product[:2]
        scale = product[2] if len(product) == 3 else 1
        added = _add_product(found, left, right, scale, found is not total) if alone else None
        if added is None:
            term = left @ right
            if found is not None and scale == -1:
                added = found - term
            else:
                term = term if scale == 1 else scale * term
                added = term if found is None else found + term
        found = added
    assert found is not None
    return found


def _add_product(
    total: Tensor | None, left: Tensor, right: Tensor, scale: float, own: bool
) -> Tensor | None:
    """`total + scale * (left @ right)` in one call, in place of `total` if that is our own."""
    if total is None:
        return minus_matmul(left, right) if scale == -1 else None
    dims = left.dim()
    if scale == 0 or dims < 2 or not total.dtype == left.dtype == right.dtype:
        return None  # 0 times NaN is NaN
    shape = left.shape[:-1] + right.shape[-1:]
    same = total.shape == shape
    if dims == right.dim() <= 3 and left.shape[:-2] == right.shape[:-2]:
        if not same and not _expands(total.shape, shape):
            return None
        add = torch.addmm if dims == 2 else torch.baddbmm
        if same and own:
            return add(total, left, right, alpha=scale, out=total)
        return add(total, left, right, alpha=scale)
    elif right.dim() == 2 and left.is_contiguous():
        lines, columns = shape[:-1].numel(), shape[-1]
        if same and total.is_contiguous():
            total = total.view(lines, columns)
        elif total.shape != shape[-1:]:
            return None
        result = left.new_empty(shape)  # what is returned is no view
        flat, rows_ = result.view(lines, columns), left.view(lines, left.shape[-1])
        torch.addmm(total, rows_, right, alpha=scale, out=flat)
        return result
    return None


def _expands(own: torch.Size, shape: torch.Size) -> bool:
    """Whether a tensor of this size is added to one of that shape without changing it."""
    return len(own) <= len(shape) and all(
        size in (1, other) for size, other in zip(reversed(own), reversed(shape))
    )


def sum_lead(x: Tensor, keep: int = 1) -> Tensor:
    """Sum over all axes but the last `keep`.  (`x.sum(dim=())` would sum everything.)"""
    return x.sum(tuple(range(x.dim() - keep))) if x.dim() > keep else x


def ratio(a: float, b: float) -> float:
    """`a / b` as tensors divide: inf or nan where `b` is 0."""
    if b == 0:
        return (
            math.nan
            if a == 0 or math.isnan(a)
            else math.copysign(math.inf, a) * math.copysign(1.0, b)
        )
    return a / b


def power(base: float, exponent: float) -> float:
    """`base ** exponent` as tensors have it: never complex, never an exception."""
    if base == 0 and exponent < 0:
        return math.inf
    if base < 0 and exponent != int(exponent):
        return math.nan
    value: float = float(base) ** exponent
    return value


def take(x: Tensor, label: Tensor, dim: int) -> Tensor:
    """`x` at the labels along an axis: the axes of `label`, then those of `x` without `dim`."""
    picked = x.movedim(dim, 0).index_select(0, label.reshape(label.numel()))
    return picked.reshape((*label.shape, *picked.shape[1:]))


def gather(x: Tensor, label: Tensor) -> Tensor:
    """`x` at the labels along the last axis; the axes before broadcast against each other."""
    lead = torch.broadcast_shapes(x.shape[:-1], label.shape[:-1])  # type: ignore[no-untyped-call]
    return x.expand((*lead, x.shape[-1])).gather(-1, label.expand((*lead, label.shape[-1])))


def scatter_sum(x: Tensor, label: Tensor, size: int) -> Tensor:
    """`y[.., v] = sum over n of x[.., n] where label[.., n] == v`; leading axes broadcast."""
    shape = torch.broadcast_shapes(x.shape, label.shape)  # type: ignore[no-untyped-call]
    zeros = x.new_zeros((*shape[:-1], size))
    return zeros.scatter_add(-1, label.expand(shape), x.expand(shape))


def add_at(y: Tensor, label: Tensor, x: Tensor) -> Tensor:
    """`y` with `x[.., n]` added at `label[.., n]` of its last axis; leading axes broadcast."""
    shape = (*y.shape[:-1], max(label.shape[-1], x.shape[-1]))
    return y.scatter_add(-1, label.expand(shape), x.expand(shape))


def add_into(y: Tensor, label: Tensor, x: Tensor) -> Tensor:
    """As `add_at`, to a tensor that nothing else reads: in place where nothing looks on."""
    watched = torch.is_grad_enabled() and (y.requires_grad or x.requires_grad)
    if watched or compiling() or in_transform() or legacy_batched(y) or legacy_batched(x):
        return add_at(y, label, x)
    shape = (*y.shape[:-1], max(label.shape[-1], x.shape[-1]))
    return y.scatter_add_(-1, label.expand(shape), x.expand(shape))


def add_diagonal(y: Tensor, x: Tensor, dim1: int, dim2: int) -> Tensor:
    """`y`, which nothing else reads, with `x` added on the diagonal of two axes: its last one.

    In place where nothing looks on: a copy costs as much as all the rest.
    """
    watched = torch.is_grad_enabled() and (y.requires_grad or x.requires_grad)
    if watched or compiling() or in_transform():
        diagonal = y.diagonal(0, dim1, dim2) + x
        return torch.diagonal_scatter(y, diagonal, 0, dim1, dim2)
    y.diagonal(0, dim1, dim2).add_(x)
    return y


def index_sum(x: Tensor, label: Tensor, size: int) -> Tensor:
    """`y[v, ..] = sum over the axes of label of x[labels.., ..] where label == v`."""
    rest = x.shape[label.dim() :]
    flat = x.reshape((label.numel(), *rest))
    return x.new_zeros((size, *rest)).index_add(0, label.reshape(label.numel()), flat)


def cumsum(x: Tensor, dim: int, reverse: bool = False, exclusive: bool = False) -> Tensor:
    """Running sum along a negative axis: from the end, or without the element itself, as asked."""
    if reverse:
        x = x.flip(dim)
    if exclusive:
        shifted = x.narrow(dim, 0, max(x.shape[dim] - 1, 0))
        first = torch.zeros_like(x.narrow(dim, 0, min(x.shape[dim], 1)))
        x = torch.cat((first, shifted), dim)
    y = x.cumsum(dim)
    return y.flip(dim) if reverse else y


def levi_civita(order: int, like: Tensor) -> Tensor:
    """The permutation symbol of that order: the determinant of rows of the unit matrix, exactly."""
    position = torch.arange(order, device=like.device)
    axes = [
        position.reshape([-1 if k == axis else 1 for k in range(order)]) for axis in range(order)
    ]
    y = like.new_ones((order,) * order)
    for first in range(order):
        for second in range(first + 1, order):
            y = y * (axes[second] - axes[first]).sign().to(like.dtype)
    return y


def matrix_axes(x: Tensor, rows: int, cols: int) -> Tensor:
    """The last `rows + cols` axes flattened into a matrix."""
    split = x.dim() - cols
    lead = x.shape[: split - rows]
    return x.reshape((*lead, x.shape[split - rows : split].numel(), x.shape[split:].numel()))


def surrogate(value: Tensor, z: Tensor, scale: Tensor | float = 1) -> Tensor:
    """`value`, to the last bit, with the derivative of `scale*z` in place of its own."""
    nothing = torch.where(torch.isfinite(z), z - z.detach(), 0)
    return value.detach() + scale * nothing


def prod_others(x: Tensor, dim: int) -> Tensor:
    """At each place the product of all others along a negative axis: no division, exact at 0."""
    if torch.compiler.is_compiling():  # Dynamo traces no Function that has forward mode
        return _before_and_after(x, dim)
    product: Tensor = _ProductOfOthers.apply(x, dim)  # type: ignore[no-untyped-call]
    return product


def _before_and_after(x: Tensor, dim: int) -> Tensor:
    """The product of those before a place, times the product of those after it."""
    size = x.shape[dim]
    one = torch.ones_like(x.narrow(dim, 0, min(size, 1)))
    before = torch.cat((one, x.narrow(dim, 0, max(size - 1, 0))), dim).cumprod(dim)
    after = torch.cat((one, x.flip(dim).narrow(dim, 0, max(size - 1, 0))), dim).cumprod(dim)
    return before * after.flip(dim)


class _ProductOfOthers(torch.autograd.Function):
    """`p[i] = prod over j != i of x[j]`; `dp[i]/dx[j]` is the product of all but two, as exact."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, dim: int) -> Tensor:
        return _before_and_after(x, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        x, ctx.dim = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return None, None
        (x,) = ctx.saved_tensors
        return _over_pairs(x.conj() if x.is_complex() else x, grad, ctx.dim), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _dim: None) -> Tensor:
        (x,) = ctx.saved_tensors
        with forward_mode():
            return _over_pairs(primal(x), tangent, ctx.dim)


def _over_pairs(x: Tensor, change: Tensor, dim: int) -> Tensor:
    """`y[i] = sum over j != i of (prod of all but i and j) change[j]`."""
    x, change = x.movedim(dim, -1), change.movedim(dim, -1)
    same = torch.eye(x.shape[-1], dtype=torch.bool, device=x.device)
    pairs = prod_others(torch.where(same, 1, x.unsqueeze(-2)), -1)
    pairs = torch.where(same, 0, pairs)
    return (pairs * change.unsqueeze(-2)).sum(-1).movedim(-1, dim)


def einsum(formula: str, a: Tensor, b: Tensor) -> Tensor:
    """`torch.einsum` of two operands; legacy batched tensors, which it refuses, go by `bmm`."""
    if not torch.compiler.is_compiling() and any(legacy_batched(t) for t in (a, b)):
        return _bmm_einsum(formula, a, b)
    return torch.einsum(formula, a, b)


def _spelled(letters: str, x: Tensor, batch: str) -> str:
    """Letters of every axis, `...` replaced by as many of `batch` as it stands for."""
    if "..." not in letters:
        return letters
    count = x.dim() - (len(letters) - 3)
    return letters.replace("...", batch[:count])


def _bmm_einsum(formula: str, a: Tensor, b: Tensor) -> Tensor:
    """A contraction of two operands, each letter once in each, by permute, reshape and `bmm`."""
    left, right = formula.split("->", maxsplit=1)[0].split(",")
    out = formula.split("->")[1]
    batch = "".join(c for c in map(chr, range(ord("A"), ord("Z") + 1)) if c not in formula)
    lead = max((t.dim() - len(s) + 3 for s, t in ((left, a), (right, b)) if "..." in s), default=0)
    left, right = _spelled(left, a, batch), _spelled(right, b, batch)
    out = out.replace("...", batch[:lead])
    sizes = dict(zip(left + right, (*a.shape, *b.shape), strict=True))
    shared = [c for c in left if c in right and c in out]
    summed = [c for c in left if c in right and c not in out]
    rows_, cols = [c for c in left if c not in right], [c for c in right if c not in left]

    def matrix(x: Tensor, letters: str, first: list[str], second: list[str]) -> Tensor:
        x = x.permute([letters.index(c) for c in (*shared, *first, *second)])
        return x.reshape(*(math.prod(sizes[c] for c in group) for group in (shared, first, second)))

    product = torch.bmm(matrix(a, left, rows_, summed), matrix(b, right, summed, cols))
    letters = [*shared, *rows_, *cols]
    product = product.reshape([sizes[c] for c in letters])
    gone = tuple(k for k, c in enumerate(letters) if c not in out)
    if gone:
        product = product.sum(gone)
        letters = [c for c in letters if c in out]
    return product.permute([letters.index(c) for c in out])
