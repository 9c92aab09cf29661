"""Reading a tensor: axes named by the subscripts, diagonals, windows, labels, constants of the op."""

from __future__ import annotations

from tensorgrad_gen.algebra.indices import by_name
from tensorgrad_gen.ir import Access, Expr, Index, LeviCivita
from tensorgrad_gen.lower.builder import Builder, rational
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.torch_ir import Call, Infix, Lit, Method, TExpr, Var
from tensorgrad_gen.lower.values import LEAD, LoweringError, Val, align, axis_number, merge, squeeze
from tensorgrad_gen.lower.windows import read_window


def read(b: Builder, node: Access, order: Layout) -> Val:
    """The tensor's value, of its own kind, in a layout that fits the order."""
    local = b.locals.get(node.tensor)
    if local is None:
        return _subscribe(b, *_constant(b, node), order)
    if node.tensor in b.outside:
        b.reads.add(node.tensor)
    layout = tuple(None if place is None else local.indices[place] for place in local.axes)
    val = Val(Var(local.name), layout, local.kind, frozenset(local.indices[place] for place in local.loose))
    plain = [sub for sub in node.subs if isinstance(sub, Index)]
    if len(plain) < len(node.subs) or len(set(plain)) < len(plain):
        val = b.solid(val)
    return _subscribe(b, val, dict(zip(local.indices, node.subs, strict=True)), order)


def _constant(b: Builder, node: Access) -> tuple[Val, dict[Index, Index | Expr]]:
    """A constant tensor of the op, made when it is first read; of order 0, a Python number."""
    constant = next((c for c in b.program.constants if c.name == node.tensor), None)
    if constant is None:
        raise LoweringError(f"no tensor {node.tensor} in this body")
    if not constant.indices:
        return Val(rational(constant.values[0]), kind="number"), {}
    key = ("constant", constant.name)
    found = b.recall(key)
    if found is None:
        nested: list[object] = [float(value) for value in constant.values]
        for index in reversed(constant.indices[1:]):
            count = int(index.extent)
            nested = [tuple(nested[k : k + count]) for k in range(0, len(nested), count)]
        options = (("dtype", b.like_attr("dtype")), ("device", b.like_attr("device")))
        found = b.temp(constant.name, Val(Call("torch.tensor", (Lit(tuple(nested)),), options), constant.indices))
        b.remember(key, found)
    return found, dict(zip(constant.indices, node.subs, strict=True))


def _subscribe(b: Builder, val: Val, subs: dict[Index, Index | Expr], order: Layout) -> Val:
    """Axes renamed to their subscripts, repeated ones to diagonals, labels looked up."""
    if val.kind == "number":
        return val
    labels: dict[Index, Expr] = {}
    layout: list[Index | None] = []
    for axis in val.layout:
        sub = None if axis is None else subs[axis]
        if axis is None:
            layout.append(None)
        elif isinstance(sub, Expr):
            place = Index(f"label {len(labels)}", axis.extent)
            labels[place] = sub
            layout.append(place)
        else:
            layout.append(sub)
    loose = frozenset(s for s in (subs[axis] for axis in val.loose) if isinstance(s, Index))
    val = _diagonals(Val(val.expr, tuple(layout), val.kind, loose))
    for place, label in labels.items():
        view = read_window(b, val, place, label, label_order(label, order))
        val = pick(b, val, place, label, order) if view is None else _diagonals(view)
    return align(val, order)


def _diagonals(val: Val) -> Val:
    while True:
        seen = [(k, val.layout.index(axis)) for k, axis in enumerate(val.layout) if axis is not None]
        twice = next(((first, second) for second, first in seen if first != second), None)
        if twice is None:
            return val
        first, second = twice
        count = len(val.layout)
        dims = (("dim1", Lit(first - count)), ("dim2", Lit(second - count)))
        rest = tuple(axis for k, axis in enumerate(val.layout) if k not in twice)
        expr = Method(val.expr, "diagonal", (), dims)
        val = Val(expr, (*rest, val.layout[first]), val.kind)


def label_order(label: Expr, order: Layout) -> tuple[Index, ...]:
    """The free indices of a label as they follow each other in the order."""
    found = tuple(axis for axis in order if axis is not None and axis in label.free)
    rest = tuple(axis for axis in by_name(label.free) if axis not in found)
    whole = found + rest
    return (LEAD, *(axis for axis in whole if axis is not LEAD)) if LEAD in whole else whole


def safe_label(b: Builder, label: Expr, wanted: tuple[Index, ...]) -> Val:
    """The label's value with these axes, 0 where it is not read: there it may be outside."""
    val = b.integer(label, wanted)
    made = isinstance(label, Access) and any(item.made and item.name == label.tensor for item in b.program.inputs)
    if val.kind == "number" or made:
        return val
    for guards in (tuple(g for g in b.guards if g.free <= label.free), b.guards):
        if not guards:
            continue
        mask = _seen_by(b, guards, wanted)
        if mask is None:
            continue
        layout, loose = merge(val, mask)
        safe = Val(Call("torch.where", (mask.expr, val.expr, Lit(0))), layout, "label", loose)
        return b.once(("label", label, guards, wanted), "label", safe)
    return val


def _seen_by(b: Builder, guards: tuple[Expr, ...], wanted: tuple[Index, ...]) -> Val | None:
    """Where the guards hold for some value of the indices beyond the wanted ones."""
    extra = by_name(frozenset().union(*(g.free for g in guards)) - set(wanted))
    if not extra:
        return b.mask(guards, wanted)
    if LEAD in extra:
        return None
    order = (*wanted[:1], *extra, *wanted[1:]) if LEAD in wanted else (*extra, *wanted)
    mask = b.mask(guards, order)
    dims = [k - len(mask.layout) for k, axis in enumerate(mask.layout) if axis in extra]
    if not dims:
        return align(mask, wanted)
    left = tuple(axis for axis in mask.layout if axis not in extra)
    return align(Val(Method(mask.expr, "any", (Lit(tuple(dims)),)), left, "bool"), wanted)


def pick(b: Builder, val: Val, place: Index, label: Expr, order: Layout) -> Val:
    """The value with the axis `place` read at the label."""
    wanted = label_order(label, order)
    chosen = safe_label(b, label, wanted)
    position = val.layout.index(place)
    dim = axis_number(val.layout, position)
    others = tuple(axis for axis in val.layout if axis is not place)
    if chosen.kind == "number":
        known = isinstance(chosen.expr, Lit) or b.guards
        at = chosen.expr if known else Call("_runtime.on_axis", (chosen.expr, b.size(place)))
        return val.over(Method(val.expr, "select", (Lit(dim), at)), others)
    if set(chosen.indices) & set(others) or (LEAD in others and chosen.indices):
        return _gather(b, val, place, chosen, order)
    chosen = squeeze(b.solid(chosen))
    if len(chosen.layout) == 1 and chosen.layout[0] is not LEAD:
        layout = (*val.layout[:position], chosen.layout[0], *val.layout[position + 1 :])
        return Val(Method(val.expr, "index_select", (Lit(dim), chosen.expr)), layout, val.kind, val.loose)
    call = Call("_runtime.take", (val.expr, chosen.expr, Lit(dim)))
    if len(val.layout) == 2 and dim == 0 and None not in val.layout and not b.complex:
        call = Call("torch.nn.functional.embedding", (chosen.expr, val.expr))
    return Val(call, (*chosen.layout, *others), val.kind, val.loose)


def _gather(b: Builder, val: Val, place: Index, label: Val, order: Layout) -> Val:
    """Along the last axis, the others broadcast."""
    have = set(val.indices) | set(label.indices)
    lead = tuple(axis for axis in order if axis is not None and axis in have)
    rest = tuple(axis for axis in val.indices if axis not in lead and axis is not place)
    lead = (*lead, *rest)
    source = align(val, (*lead, place))
    index = align(label, lead)
    grown = index.over(Method(index.expr, "unsqueeze", (Lit(-1),)), (*index.layout, None))
    layout, loose = merge(Val(source.expr, source.layout[:-1]), index)
    picked: TExpr = Call("_runtime.gather", (source.expr, grown.expr))
    return Val(Method(picked, "squeeze", (Lit(-1),)), layout, val.kind, loose & (source.loose | index.loose))


def lower_access(b: Builder, node: Access, order: Layout) -> Val:
    """The tensor as real numbers."""
    return b.real(read(b, node, order))


def condition_access(b: Builder, node: Access, order: Layout) -> Val:
    """The tensor as a condition: where it is not 0."""
    val = read(b, node, order)
    return val if val.kind == "bool" else val.over(Infix("!=", val.expr, Lit(0)), kind="bool")


def integer_access(b: Builder, node: Access, order: Layout) -> Val:
    """The tensor as integers."""
    val = read(b, node, order)
    return val if val.kind == "label" else val.over(Method(val.expr, "long"), kind="label")


def lower_levi_civita(b: Builder, node: LeviCivita, order: Layout) -> Val:
    """The permutation symbol as a small tensor, made once a body."""
    count = len(node.subs)
    if len(set(node.subs)) < count:
        return Val(Lit(0), kind="number")
    key = ("levi_civita", count)
    found = b.recall(key)
    if found is None:
        b.reads.add(b.like)
        call = Call("_runtime.levi_civita", (Lit(count), Var(b.locals[b.like].name)))
        found = b.temp("epsilon", Val(call, node.subs))
        b.remember(key, found)
    return align(Val(found.expr, node.subs), order)
