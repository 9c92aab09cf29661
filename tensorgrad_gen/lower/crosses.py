"""Cross products: two tensors under a permutation symbol of three indices, two of them summed."""

from __future__ import annotations

from tensorgrad_gen.ir import Expr, Index, LeviCivita
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.torch_ir import Call
from tensorgrad_gen.lower.values import LEAD, Val, align
from tensorgrad_gen.lower.windows import product_of


def crossed(b: Builder, bound: tuple[Index, ...], factors: tuple[Expr, ...], order: Layout) -> Val | None:
    """`sum_{j,k} eps[i,j,k] u[..,j] v[..,k]` as `torch.linalg.cross(u, v)`, if both have the same further axes."""
    symbols = [f for f in factors if isinstance(f, LeviCivita)]
    if len(symbols) != 1 or len(symbols[0].subs) != 3 or len(set(symbols[0].subs)) < 3:
        return None
    subs = symbols[0].subs
    kept = [index for index in subs if index not in bound]
    if len(kept) != 1 or len(bound) != 2 or kept[0] not in order:
        return None
    # Even permutations of the symbol's indices leave it as it is.
    place = subs.index(kept[0])
    first, second = subs[(place + 1) % 3], subs[(place + 2) % 3]
    rest = [f for f in factors if f is not symbols[0]]
    left = tuple(f for f in rest if f.free & set(subs) == {first})
    right = tuple(f for f in rest if f.free & set(subs) == {second})
    if not left or not right or len(left) + len(right) < len(rest):
        return None
    batch = tuple(axis for axis in order if axis is not None and axis is not kept[0])
    vals = [_rows(b, part, (*batch, index)) for part, index in ((left, first), (right, second))]
    if vals[0].layout[:-1] != vals[1].layout[:-1] or LEAD in subs:
        return None
    layout = (*vals[0].layout[:-1], kept[0])
    operands = b.of_one_kind(vals, (product_of(left), product_of(right)))
    return align(Val(Call("torch.linalg.cross", tuple(val.expr for val in operands)), layout), order)


def _rows(b: Builder, factors: tuple[Expr, ...], order: Layout) -> Val:
    """The product, vectors in its last axis, with no axis of size 1 that stands for a longer one."""
    return b.solid(align(b.real(b.tensor(b.lower(product_of(factors), order))), order))
