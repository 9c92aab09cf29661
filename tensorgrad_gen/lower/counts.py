"""Counts: how often something holds.  They are finite everywhere, and no derivative goes through one."""

from __future__ import annotations

from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import Access, Apply, Expr, Iverson, Sum
from tensorgrad_gen.ir.build import ONE
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.torch_ir import Call, Lit
from tensorgrad_gen.lower.values import Val


def is_count(expr: Expr) -> bool:
    """Whether the expression says how often conditions hold."""
    return isinstance(expr, Sum) and all(isinstance(f, Iverson) for f in factors_of(expr.body))


def count_above_zero(b: Builder, expr: Expr, order: Layout) -> Val | None:
    """`max(n, 1)` of a count, which may divide even where it is not read; None for anything else."""
    if not isinstance(expr, Apply) or expr.function != "max" or ONE not in expr.args:
        return None
    [count] = [arg for arg in expr.args if arg != ONE] or [ONE]
    if not is_count(count) and not (isinstance(count, Access) and b.locals[count.tensor].count):
        return None
    val = b.real(b.lower(count, order))
    return val.over(Call("torch.clamp", (val.expr,), (("min", Lit(1)),)))
