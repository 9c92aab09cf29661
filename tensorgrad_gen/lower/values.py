"""Values: torch expressions that know which index each of their axes is, and how to be brought into line.

Everything broadcasts from the right.  A layout *fits* an order of indices when, counted from the end,
each of its axes is that of the order or has size 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

from tensorgrad_gen.ir import Index
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.torch_ir import Attr, Lit, Method, TExpr, Tup, Var

LEAD = Index("...", "...")


class LoweringError(Exception):
    """An expression that the planner should not have sent: an internal fault."""


@dataclass(frozen=True, slots=True)
class Val:
    """An expression with its layout.

    `kind`: `real`, `bool`, `label` (an integer tensor), `number` (a Python scalar) or `flag` (a Python bool).
    `loose` are the indices whose axis may have size 1 instead of the extent (an omitted input).
    `spread` are the factors of a product that is larger than either.
    """

    expr: TExpr
    layout: Layout = ()
    kind: str = "real"
    loose: frozenset[Index] = frozenset()
    spread: tuple[TExpr, TExpr] | None = None

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices that have an axis."""
        return tuple(axis for axis in self.layout if axis is not None)

    @property
    def scalar(self) -> bool:
        """Whether this is a Python scalar, not a tensor."""
        return self.kind in ("number", "flag")

    def over(self, expr: TExpr, layout: Layout | None = None, kind: str | None = None) -> Val:
        """Another expression with what is not given as here."""
        layout = self.layout if layout is None else layout
        return Val(expr, layout, kind or self.kind, self.loose & frozenset(a for a in layout if a is not None))


def fits(layout: Layout, order: Layout) -> bool:
    """Whether a tensor of this layout broadcasts into the order as it is."""
    if len(layout) > len(order):
        return False
    pairs = zip(reversed(layout), reversed(order), strict=False)
    return all(axis is wanted or (axis is None and wanted is not LEAD) for axis, wanted in pairs)


def merge(*vals: Val) -> tuple[Layout, frozenset[Index]]:
    """Layout and loose indices of a pointwise combination of values that fit one order."""
    columns = zip_longest(*(reversed(val.layout) for val in vals if not val.scalar))
    layout = tuple(next((axis for axis in column if axis is not None), None) for column in columns)[::-1]
    firm = {axis for val in vals for axis in val.indices if axis not in val.loose}
    return layout, frozenset(axis for axis in layout if axis is not None and axis not in firm)


def axis_number(layout: Layout, position: int) -> int:
    """How code names an axis: from the end, but for a first axis that no batch axes precede."""
    if position == 0 and LEAD not in layout and len(layout) > 1:
        return 0
    return position - len(layout)


def method(val: Val, name: str, *args: object) -> TExpr:
    """A method call with literal arguments; one that undoes the call before it leaves neither."""
    literals = tuple(_literal(arg) for arg in args)
    before = val.expr
    undone = {"unsqueeze": "squeeze", "squeeze": "unsqueeze"}.get(name)
    if isinstance(before, Method) and before.name == undone and before.args == literals:
        return before.receiver
    return Method(before, name, literals)


def _literal(arg: object) -> TExpr:
    return Tup(tuple(Lit(part) for part in arg)) if isinstance(arg, tuple) else Lit(arg)


def squeeze(val: Val) -> Val:
    """Without its kept axes."""
    for position in reversed(range(len(val.layout))):
        if val.layout[position] is None:
            rest = val.layout[:position] + val.layout[position + 1 :]
            val = val.over(method(val, "squeeze", position - len(val.layout)), rest)
    return val


def permute(val: Val, indices: tuple[Index, ...]) -> Val:
    """Exactly these axes in this order; the value has all of them and nothing else but kept axes."""
    if val.layout == indices:
        return val
    if val.indices == indices:
        return squeeze(val)
    val = squeeze(val)
    if LEAD in indices and indices[0] is not LEAD:
        raise LoweringError("batch axes cannot be moved from the front")
    layout, count = val.layout, len(indices)
    moved = [k for k in range(count) if layout[k] is not indices[k]]
    if len(moved) == 2:
        first, second = moved
        if (first, second) == (count - 2, count - 1):
            return val.over(Attr(val.expr, "mT"), indices)
        return val.over(method(val, "transpose", first - count, second - count), indices)
    if LEAD in layout:
        sources = tuple(layout.index(indices[k]) - count for k in moved)
        return val.over(method(val, "movedim", sources, tuple(k - count for k in moved)), indices)
    return val.over(method(val, "permute", *(layout.index(axis) for axis in indices)), indices)


def align(val: Val, order: Layout) -> Val:
    """The same value in a layout that fits the order."""
    if val.scalar or fits(val.layout, order):
        return val
    have = set(val.indices)
    wanted = tuple(axis for axis in order if axis is not None and axis in have)
    if len(wanted) != len(have):
        raise LoweringError(f"layout {val.layout} does not fit {order}")
    if val.indices != wanted:
        val = permute(val, wanted)
    start = next((k for k, axis in enumerate(order) if axis is not None and axis in have), len(order))
    target = tuple(axis if axis in have else None for axis in order[start:])
    return _respace(val, target)


def _respace(val: Val, target: Layout) -> Val:
    """Kept axes taken out and put in until the layout is the target; the indices agree already."""
    right = 0
    while True:
        have, want = len(val.layout) - right, len(target) - right
        here = val.layout[have - 1] if have else LEAD
        there = target[want - 1] if want else LEAD
        if not have and not want:
            return val
        if have and want and here is there:
            right += 1
        elif have and here is None:
            rest = val.layout[: have - 1] + val.layout[have:]
            val = val.over(method(val, "squeeze", -(right + 1)), rest)
        else:
            grown = (*val.layout[:have], None, *val.layout[have:])
            val = val.over(method(val, "unsqueeze", -(right + 1)), grown)
            right += 1


def named(expr: TExpr) -> bool:
    """Whether the expression is a tensor with a name, or has axes of size 1 more or less than one."""
    while isinstance(expr, Method) and expr.name in ("unsqueeze", "squeeze"):
        expr = expr.receiver
    return isinstance(expr, Var)


def tighten(val: Val, loose: frozenset[Index]) -> Val:
    """The value with these loose indices."""
    return replace(val, loose=loose)
