"""Sums over axes of one value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from tensorgrad_gen.ir import Index
from tensorgrad_gen.lower.arith import product
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.torch_ir import Call, Lit, Method, TExpr
from tensorgrad_gen.lower.values import LEAD, Val, align, axis_number, fits

Options: TypeAlias = tuple[tuple[str, TExpr], ...]


def keeps(layout: Layout, bound: Iterable[Index], order: Layout) -> bool:
    """Whether reduced axes are better kept with size 1, for the result to fit the order."""
    gone = set(bound)
    if LEAD in gone:
        return False
    kept = tuple(None if axis in gone else axis for axis in layout)
    dropped = tuple(axis for axis in layout if axis not in gone)
    # A tensor of order 0 among larger ones changes its dtype in forward mode: so it keeps an axis.
    alone = not any(dropped) and bool(order) and order != (LEAD,)
    return fits(kept, order) and (alone or not fits(dropped, order))


def axes_of(layout: Layout, bound: Iterable[Index]) -> TExpr:
    """The axes as the argument `dim`."""
    gone = set(bound)
    numbers = [axis_number(layout, k) for k, axis in enumerate(layout) if axis in gone]
    if len(numbers) == 1:
        return Lit(numbers[0])
    return Lit(tuple(k - len(layout) for k, axis in enumerate(layout) if axis in gone))


def reduce_sum(b: Builder, val: Val, bound: Iterable[Index], order: Layout) -> Val:
    """The sum over the indices, an extent for each that the value does not have."""
    bound = tuple(bound)
    val = b.real(val)
    if val.loose & set(bound):
        val = b.solid(val)
    present = [k for k in bound if k in val.indices]
    absent = [Val(b.size(k), kind="number") for k in bound if k not in val.indices]
    if absent:
        val = product(b, [val, *absent], [])
    if not present:
        return align(val, order)
    return align(_sum(*_unconverted(b, val, present), present, order), order)


def _unconverted(b: Builder, val: Val, bound: list[Index]) -> tuple[Val, Options]:
    """The value before it is converted, and the dtype in which it is added up, if that is the dtype of a number."""
    match val.expr:
        case Method(receiver, "to", (dtype,), ()) if LEAD not in bound and b.locals[b.like].kind == "real":
            if dtype == b.like_attr("dtype"):
                return val.over(receiver), (("dtype", dtype),)
    return val, ()


def _sum(val: Val, counted: Options, bound: list[Index], order: Layout) -> Val:
    layout = val.layout
    if keeps(layout, bound, order):
        kept = tuple(None if axis in bound else axis for axis in layout)
        keyword: tuple[tuple[str, TExpr], ...] = (("keepdim", Lit(value=True)), *counted)
        return val.over(Method(val.expr, "sum", (axes_of(layout, bound),), keyword), kept)
    left = tuple(axis for axis in layout if axis not in bound)
    if not any(left):
        return val.over(Method(val.expr, "sum", (), counted), ())
    plain = [k for k in bound if k is not LEAD]
    if plain:
        rest = tuple(a for a in layout if a not in plain)
        val = val.over(Method(val.expr, "sum", (axes_of(layout, plain),), counted), rest)
    if LEAD in bound:
        arguments: tuple[TExpr, ...] = (val.expr,) if len(left) == 1 else (val.expr, Lit(len(left)))
        val = val.over(Call("_runtime.sum_lead", arguments), left)
    return val
