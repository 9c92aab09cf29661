"""Products that are one call of `_runtime`: how it is written."""

from __future__ import annotations

from tensorgrad_gen.ir import number
from tensorgrad_gen.lower.arith import pointwise, product
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.fused import Fused
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.pointwise import collect
from tensorgrad_gen.lower.torch_ir import Call, Lit
from tensorgrad_gen.lower.values import Val, axis_number


def lower_fused(b: Builder, node: Fused, order: Layout) -> Val:
    """The call, of tensors of one layout."""
    values = [b.tensor(b.lower(operand, order)) for operand in node.operands]
    expressions = tuple(value.expr for value in values)
    if node.axis is not None:
        layout = values[-1].layout
        dim = Lit(axis_number(layout, layout.index(node.axis)))
        above, below = collect(b, node.numbers, order)
        called = pointwise(Call(f"_runtime.{node.name}", (*expressions, dim)), *values, kind="real")
        return product(b, [called, *above], below)
    numbers = tuple(b.lower(value, order).expr for value in node.numbers if number(value) != 1)
    return pointwise(Call(f"_runtime.{node.name}", (*expressions, *numbers)), *values, kind="real")
