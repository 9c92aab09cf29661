"""Kronecker deltas that are left: a diagonal, a scatter along a label's values, at worst a comparison of positions."""

from __future__ import annotations

from tensorgrad_gen.algebra.indices import accesses, by_name
from tensorgrad_gen.ir import Add, Compare, Const, Delta, Expr, Index, Iverson, Mul, Position, Sum, sub_free
from tensorgrad_gen.ir.build import ONE as UNIT
from tensorgrad_gen.lower.access import label_order, safe_label
from tensorgrad_gen.lower.arith import ADDCMUL, ONE, product
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.convolutions import convolved_back
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.pointwise import collect
from tensorgrad_gen.lower.torch_ir import Call, Infix, Lit, Method, Prefix
from tensorgrad_gen.lower.values import LEAD, Val, align, squeeze
from tensorgrad_gen.lower.windows import add_window, adding, moved, product_of, split_label, window_delta, without_ends


def as_condition(delta: Delta) -> Iverson:
    """The delta as a comparison, a number on the right."""
    sides = [Position(side) if isinstance(side, Index) else side for side in (delta.left, delta.right)]
    left, right = reversed(sides) if isinstance(sides[0], Const) else sides
    return Iverson(Compare("==", left, right))


def lower_delta(b: Builder, node: Delta, order: Layout) -> Val:
    """A delta alone."""
    return lower_delta_product(b, (node,), order)


def lower_delta_product(b: Builder, factors: tuple[Expr, ...], order: Layout) -> Val:
    """A product with a delta of free indices."""
    delta = next(f for f in factors if isinstance(f, Delta))
    rest = tuple(f for f in factors if f is not delta)
    free: frozenset[Index] = frozenset().union(*(f.free for f in rest))
    if delta.left is delta.right:
        return b.lower(product_of(rest), order) if rest else ONE
    pair = split_label(delta)
    if pair is not None and pair[0] not in free | pair[1].free:
        return _scatter(b, pair[0], pair[1], rest, order)
    found = diagonal(factors)
    if found is not None:
        return _diagonal(b, *found, order)
    return b.lower(Mul((as_condition(delta), *rest)), order)


def diagonal(factors: tuple[Expr, ...]) -> tuple[Index, Index, tuple[Expr, ...]] | None:
    """Of a product with a delta between two indices: the one that the rest may have, the other, and the rest."""
    delta = next((f for f in factors if isinstance(f, Delta)), None)
    if delta is None or not isinstance(delta.left, Index) or not isinstance(delta.right, Index):
        return None
    rest = tuple(f for f in factors if f is not delta)
    free: frozenset[Index] = frozenset().union(*(f.free for f in rest))
    if delta.left not in free and delta.right in free:
        return delta.right, delta.left, rest
    if delta.right not in free and (free or any(accesses(f) for f in rest)):
        return delta.left, delta.right, rest
    return None


def inside(index: Index, twin: Index, order: Layout) -> tuple[Index, ...]:
    """The order in which what goes onto a diagonal is computed."""
    return (*_without(order, index, twin), index)


def _without(order: Layout, *gone: Index) -> tuple[Index, ...]:
    return tuple(axis for axis in order if axis is not None and axis not in gone)


def _diagonal(b: Builder, index: Index, twin: Index, rest: tuple[Expr, ...], order: Layout) -> Val:
    """`delta[i,j] v[.., i]`: a matrix with the values on its diagonal."""
    val = b.tensor(b.lower(product_of(rest), inside(index, twin, order)))
    layout = val.layout if index in val.indices else (*val.layout[:-1], index)
    val = b.solid(val, layout) if index in val.loose or index not in val.indices else val
    return align(val.over(Call("torch.diag_embed", (val.expr,)), (*val.layout, twin)), order)


def add_diagonals(b: Builder, node: Add, order: Layout) -> Val | None:
    """`y[i,j] + delta[i,j] x[i]`: added on the diagonal of a sum that is computed here, no matrix of zeros between."""
    apart = {t: d for t in node.terms if isinstance(t, Mul) and (d := diagonal(t.factors)) is not None}
    others = tuple(t for t in node.terms if t not in apart)
    axes = tuple(axis for axis in order if axis is not None and axis in node.free)
    if not apart or not others or any(not term.free <= frozenset().union(*(o.free for o in others)) for term in apart):
        return None
    val = b.real(b.lower(Add(others) if len(others) > 1 else others[0], axes))
    if not isinstance(val.expr, Infix | Prefix) or val.layout != axes or val.loose or len(axes) < len(node.free):
        return None  # what is no new tensor may not be changed
    for index, twin, rest in apart.values():
        inner = inside(index, twin, axes)
        added = b.tensor(b.real(b.lower(product_of(rest), inner)))
        dims = (Lit(axes.index(index) - len(axes)), Lit(axes.index(twin) - len(axes)))
        val = val.over(Call("_runtime.add_diagonal", (val.expr, align(added, inner).expr, *dims)))
    return align(val, order)


def _scatter(b: Builder, index: Index, label: Expr, rest: tuple[Expr, ...], order: Layout) -> Val:
    """`delta[v, t[..]] x[..]`: zeros but at the label."""
    lead = _without(order, index)
    source, places = _scattered_parts(b, label, rest, lead)
    call = Call("_runtime.scatter_sum", (source.expr, places.expr, b.size(index)))
    have = set(source.indices) | set(places.indices)
    start = next((k for k, axis in enumerate(lead) if axis in have), len(lead))
    layout = tuple(axis if axis in have else None for axis in lead[start:])
    loose = frozenset(a for a in have if all(a not in v.indices or a in v.loose for v in (source, places)))
    return align(Val(call, (*layout, index), "real", loose), order)


def _scattered_parts(b: Builder, label: Expr, rest: tuple[Expr, ...], lead: tuple[Index, ...]) -> tuple[Val, Val]:
    """What is put at a label, and the label, each with a last axis of size 1."""
    val = b.tensor(b.lower(product_of(rest), lead) if rest else ONE)
    with b.guarded(*(f.condition for f in rest if isinstance(f, Iverson))):
        chosen = align(safe_label(b, label, label_order(label, lead)), lead)
    source, places = (v.over(Method(v.expr, "unsqueeze", (Lit(-1),)), (*v.layout, None)) for v in (val, chosen))
    return source, places


def scattered(term: Expr) -> bool:
    """Whether a term is a product with one delta, between an index that nothing else has and a label."""
    factors = term.factors if isinstance(term, Mul) else (term,)
    found = [f for f in factors if isinstance(f, Delta)]
    if len(found) != 1:
        return False
    pair = split_label(found[0])
    return pair is not None and not any(pair[0] in f.free for f in (*factors, pair[1]) if f is not found[0])


def add_scattered(b: Builder, term: Expr, others: tuple[Expr, ...], order: Layout) -> Val:
    """`y[.., v] + delta[v, t[..]] x[..]`: added where the label says, no tensor of zeros between."""
    factors = term.factors if isinstance(term, Mul) else (term,)
    delta = next(f for f in factors if isinstance(f, Delta))
    pair = split_label(delta)
    assert pair is not None
    index, label = pair
    lead = _without(order, index)
    base = Add(others) if len(others) > 1 else others[0]
    lead = tuple(axis for axis in lead if axis in base.free | term.free)
    onto = b.solid(align(b.real(b.tensor(b.lower(base, (*lead, index)))), (*lead, index)), (*lead, index))
    source, places = _scattered_parts(b, label, tuple(f for f in factors if f is not delta), lead)
    onto, source = b.of_one_kind([onto, source], (base, term))
    # What is computed here is nobody else's: it may be changed.
    made = isinstance(onto.expr, Infix | Prefix) or (isinstance(onto.expr, Call) and onto.expr.function == ADDCMUL)
    call = "_runtime.add_into" if made else "_runtime.add_at"
    return align(Val(Call(call, (onto.expr, places.expr, source.expr)), (*lead, index)), order)


def sum_with_delta(b: Builder, bound: tuple[Index, ...], factors: tuple[Expr, ...], order: Layout) -> Val:
    """A sum over a product with a delta: the bound index is replaced, or what a label chooses is added up there."""
    from tensorgrad_gen.algebra.indices import substitute
    from tensorgrad_gen.ir import IRError
    from tensorgrad_gen.lower.contract import sum_product

    delta = next(f for f in factors if isinstance(f, Delta))
    rest = tuple(f for f in factors if f is not delta)
    for side, other in ((delta.left, delta.right), (delta.right, delta.left)):
        if isinstance(side, Index) and side in bound and side not in sub_free(other):
            left = tuple(k for k in bound if k is not side)
            try:
                replaced = tuple(substitute(f, {side: other}) for f in rest)
            except IRError:
                break
            return sum_product(b, left, replaced, order) if left else _product(b, replaced, order)
    factors = moved(b, frozenset(bound), factors)
    outside = tuple(f for f in factors if not f.free & set(bound) and not isinstance(f, Iverson | Delta))
    if outside and any(window_delta(f, frozenset(bound)) for f in factors):
        varying = tuple(f for f in factors if f not in outside)
        above, below = collect(b, outside, order)
        return product(b, [sum_with_delta(b, bound, varying, order), *above], below)
    transposed = convolved_back(b, bound, factors, order) or _window_sum(b, bound, factors, order)
    if transposed is not None:
        return transposed
    pair = split_label(delta)
    free: frozenset[Index] = frozenset().union(*(f.free for f in rest))
    if pair is not None and pair[0] not in free and not (set(bound) & pair[1].free):
        # Conditions on the label stay beside it: where they fail, it may point outside.
        apart = tuple(f for f in rest if isinstance(f, Iverson) and not f.free & set(bound))
        inside = Sum(bound, product_of(tuple(f for f in rest if f not in apart)))
        return _scatter(b, pair[0], pair[1], (*apart, inside), order)
    if pair is not None and pair[0] not in free | pair[1].free and rest:
        summed = _accumulate(b, pair[0], pair[1], bound, rest, order)
        if summed is not None:
            return summed
    return sum_product(b, bound, (as_condition(delta), *rest), order)


def _window_sum(b: Builder, bound: tuple[Index, ...], factors: tuple[Expr, ...], order: Layout) -> Val | None:
    """`sum over i, k of delta[n, 2*i+k] x[i, k, ..]`: added up along an axis, the transpose of a view."""
    for delta in factors:
        found = window_delta(delta, frozenset(bound))
        rest = tuple(f for f in factors if f is not delta)
        if found is None or any(found.index in f.free for f in rest):
            continue
        own = tuple(index for index, _ in found.window.steps)
        rest = without_ends(rest, found.label, found.index.extent)
        inner = tuple(k for k in bound if k not in own)
        body = product_of(rest) if rest else UNIT
        body = Sum(inner, body) if inner else body
        free = body.free.difference(own)
        lead = tuple(axis for axis in _without(order, found.index) if axis in free)
        if len(lead) < len(free):
            continue
        with b.padding(frozenset({(found.label, found.index.extent)})):
            val = b.real(b.tensor(b.lower(body, (*lead, *own))))
        return align(add_window(b, b.solid(val, (*lead, *own)), found, lead, adding(b, factors)), order)
    return None


def _product(b: Builder, factors: tuple[Expr, ...], order: Layout) -> Val:
    return b.lower(product_of(factors), order) if factors else ONE


def _accumulate(
    b: Builder, index: Index, label: Expr, bound: tuple[Index, ...], rest: tuple[Expr, ...], order: Layout
) -> Val | None:
    """`sum over n of delta[v, t[n]] x[n, ..]`: rows added up where their label says."""
    body = product_of(rest)
    inner = tuple(k for k in bound if k not in label.free)
    if inner:
        body = Sum(inner, body)
    summed = tuple(k for k in bound if k in label.free)
    others = tuple(axis for axis in _without(order, index) if axis in body.free and axis not in label.free)
    conditions = tuple(f.condition for f in rest if isinstance(f, Iverson))
    with b.guarded(*conditions):
        wanted = label_order(label, (*_without(order, index), *by_name(frozenset(summed))))
        places = safe_label(b, label, wanted)
    if len(summed) == len(label.free) and LEAD not in others:
        where = b.solid(squeeze(b.solid(places)), wanted)
        source = b.tensor(b.lower(body, (*wanted, *others)))
        source = b.solid(source, (*wanted, *others))
        call = Call("_runtime.index_sum", (source.expr, where.expr, b.size(index)))
        return align(Val(call, (index, *others)), order)
    if len(summed) > 1 or LEAD in summed:
        return None
    lead = tuple(axis for axis in _without(order, index) if axis in body.free | label.free)
    source = b.solid(b.tensor(b.lower(body, (*lead, *summed))), (*lead, *summed))
    where = align(places, (*lead, *summed))
    call = Call("_runtime.scatter_sum", (source.expr, where.expr, b.size(index)))
    return align(Val(call, (*lead, index)), order)
