"""Sums over products: which of them is a sum, a multiply-and-sum, a matrix product, a general contraction.

A contraction over windows may be a convolution (`convolutions`), one with a permutation symbol a cross product
(`crosses`); the table of all others is `pair`: no contracted index - broadcasting multiply; one side adds no index of
its own - matrix by vector if there is no batch, else multiply and sum; both add - `@`, by rows if several axes are
contracted, else einsum.
"""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.algebra.guards import is_masked
from tensorgrad_gen.algebra.indices import by_name
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    Iverson,
    Mul,
    Param,
    Position,
    Pow,
    Special,
    Sum,
)
from tensorgrad_gen.lower.arith import product
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.convolutions import convolved
from tensorgrad_gen.lower.crosses import crossed
from tensorgrad_gen.lower.deltas import sum_with_delta
from tensorgrad_gen.lower.matmul import pair
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.pointwise import collect, masked
from tensorgrad_gen.lower.reading import natural_order
from tensorgrad_gen.lower.reduce_axes import reduce_sum
from tensorgrad_gen.lower.torch_ir import Call, Infix, Lit, Method
from tensorgrad_gen.lower.values import LEAD, Val, align, permute
from tensorgrad_gen.lower.windows import product_of, unpadded
from tensorgrad_gen.plan.sizes import Regime


def lower_sum(b: Builder, node: Sum, order: Layout) -> Val:
    """A sum, of a product or of anything else."""
    body = node.body
    match body:
        case Apply("real", (Mul((Apply("conj", (Access() as left,)), Access() as right)),)) if LEAD not in node.indices:
            return _real_dot(b, node, left, right, order)
        case Apply("real", (Mul((Access() as right, Apply("conj", (Access() as left,)))),)) if LEAD not in node.indices:
            return _real_dot(b, node, left, right, order)
    return sum_product(b, node.indices, body.factors if isinstance(body, Mul) else (body,), order)


def _real_dot(b: Builder, node: Sum, left: Access, right: Access, order: Layout) -> Val:
    """The real part of a sum of products, of the parts of two tensors: the conjugate is no tensor then."""
    bound = frozenset(node.indices)
    layout = natural_order((left, right), bound, order)
    vals = [permute(b.solid(b.lower(access, layout)), layout) for access in (left, right)]
    parts = [Call("torch.view_as_real", (Method(v.expr, "resolve_conj"),)) for v in vals]
    axes = Lit((*(k - len(layout) - 1 for k, axis in enumerate(layout) if axis in bound), -1))
    rest = tuple(axis for axis in layout if axis not in bound)
    return align(Val(Method(Infix("*", *parts), "sum", (axes,)), rest), order)


def sum_product(b: Builder, bound: tuple[Index, ...], factors: tuple[Expr, ...], order: Layout) -> Val:
    """The sum of the product over the indices; what does not vary with them stays outside."""
    padded, factors = unpadded(b, factors)
    with b.padding(padded):
        return _sum_product(b, bound, factors, order)


def _sum_product(b: Builder, bound: tuple[Index, ...], factors: tuple[Expr, ...], order: Layout) -> Val:
    free: frozenset[Index] = frozenset().union(*(f.free for f in factors))
    absent = [k.extent for k in bound if k not in free]
    outside: list[Expr] = [Extent(e) if isinstance(e, str) else Const(Fraction(e)) for e in absent]
    bound = tuple(k for k in bound if k in free)
    outside += [f for f in factors if is_number(f)]
    factors = tuple(f for f in factors if not is_number(f))
    if not bound:
        return b.lower(product_of((*outside, *factors)), order)
    strict = any(isinstance(f, Iverson | Delta) for f in factors)
    if not strict:
        scales = [f for f in factors if not f.free & set(bound)]
        factors = tuple(f for f in factors if f.free & set(bound))
        taken, factors = _scaled_operand(Regime(b.program), scales, factors, frozenset(bound))
        outside += [f for f in scales if f not in taken]
    if any(isinstance(f, Delta) for f in factors):
        inner = sum_with_delta(b, bound, factors, order)
    elif strict:
        inner = sum_masked(b, bound, factors, order)
    else:
        special = convolved(b, bound, factors, order) or crossed(b, bound, factors, order)
        inner = special or contract(b, bound, factors, order)
    if not outside:
        return inner
    above, below = collect(b, tuple(outside), order)
    return product(b, [inner, *above], below)


def _scaled_operand(
    regime: Regime, scales: list[Expr], factors: tuple[Expr, ...], bound: frozenset[Index]
) -> tuple[list[Expr], tuple[Expr, ...]]:
    """What scales a batch of products scales an operand of which it is known to be no larger than the result."""
    whole = frozenset[Index]().union(*(f.free for f in factors)) - bound
    for place, factor in enumerate(factors if len(factors) == 2 else ()):
        mine, yours = by_name(factor.free - whole), by_name(whole - factor.free)
        if len(mine) == len(yours) == 1 and regime.never_longer(mine[0], yours[0]):
            taken = [f for f in scales if f.free and f.free <= factor.free & whole]
            return taken, tuple(product_of((f, *taken)) if k == place else f for k, f in enumerate(factors))
    return [], factors


def scaled_contraction(b: Builder, factors: tuple[Expr, ...], order: Layout) -> Val | None:
    """A number times a product of two tensors which, by the hints, is larger than one of them: that one is scaled."""
    sums = [f for f in factors if isinstance(f, Sum)]
    numbers = tuple(f for f in factors if is_number(f))
    if len(sums) != 1 or not numbers or len(numbers) + 1 < len(factors):
        return None
    (whole,) = sums
    operands = whole.body.factors if isinstance(whole.body, Mul) else ()
    if len(operands) != 2 or not all(isinstance(f, Access) and set(f.subs) == f.free for f in operands):
        return None
    regime = Regime(b.program)
    small, other = sorted(operands, key=lambda f: regime.elements(f.free))
    hinted = all(i.extent in regime.hints for i in whole.free - small.free)
    if not hinted or regime.elements(whole.free) < 2 * regime.elements(small.free):
        return None
    return sum_product(b, whole.indices, (Mul((*numbers, small)), other), order)


def is_number(expr: Expr) -> bool:
    """Whether the expression is a Python number at run time."""
    if isinstance(expr, Const | Special | Param | Extent):
        return True
    return isinstance(expr, Mul | Pow | Apply) and all(is_number(child) for child in expr.children)


def contract(b: Builder, bound: tuple[Index, ...], factors: tuple[Expr, ...], order: Layout) -> Val:
    """Factors with the same indices are multiplied first, then groups are contracted two at a time."""
    groups: dict[frozenset[Index], list[Expr]] = {}
    for factor in factors:
        groups.setdefault(factor.free, []).append(factor)
    if len(groups) == 1 and not (order == () and _dotted(factors, bound)):
        inner = natural_order(factors, bound, order)
        return reduce_sum(b, b.lower(product_of(factors), inner), bound, order)
    vals = []
    several = list(groups.values()) if len(groups) > 1 else [[factor] for factor in factors]
    products = [product_of(tuple(group)) for group in several]
    for group, whole in zip(several, products, strict=True):
        vals.append(b.real(b.tensor(b.lower(whole, natural_order(group, bound, order)))))
    return contract_values(b, b.of_one_kind(vals, products), frozenset(bound), order)


def _dotted(factors: tuple[Expr, ...], bound: tuple[Index, ...]) -> bool:
    """Whether this is the dot product of two tensors, all of whose axes are summed, as if each were one vector."""
    if len(factors) != 2 or any(isinstance(f, Pow) for f in factors) or LEAD in bound:
        return False
    return factors[0].free == factors[1].free == frozenset(bound)


def contract_values(b: Builder, vals: list[Val], bound: frozenset[Index], order: Layout) -> Val:
    """Two operands at a time, the cheapest pair first; counts of indices stand for costs."""
    # An axis that stands for a broadcast counts in full, and an index that no operand has multiplies by its extent.
    vals = [b.solid(v) if v.loose & bound else v for v in vals]
    absent = [k for k in by_name(bound) if all(k not in v.indices for v in vals)]
    if absent:
        inner = contract_values(b, vals, bound.difference(absent), order)
        return product(b, [inner, *(Val(b.size(k), kind="number") for k in absent)], [])
    while len(vals) > 2:
        _, first, second = min((_cost(vals, i, j, bound), i, j) for j in range(len(vals)) for i in range(j))
        others = [v for k, v in enumerate(vals) if k not in (first, second)]
        kept = frozenset().union(*(v.indices for v in others))
        both = dict.fromkeys((*vals[first].indices, *vals[second].indices))
        wanted = [axis for axis in order if axis is not None and axis in both]
        wanted += [axis for axis in both if axis in kept and axis not in wanted]
        lead = sorted(wanted, key=lambda axis: axis is not LEAD)
        here = frozenset(k for k in bound if k in both and k not in kept)
        vals = [pair(b, vals[first], vals[second], here, tuple(lead)), *others]
        bound -= here
    return pair(b, vals[0], vals[1], bound, order)


def _cost(vals: list[Val], i: int, j: int, bound: frozenset[Index]) -> tuple[int, int]:
    both = set(vals[i].indices) | set(vals[j].indices)
    others = set().union(*(v.indices for k, v in enumerate(vals) if k not in (i, j)))
    return len(both), len([axis for axis in both if axis not in bound or axis in others])


def sum_masked(b: Builder, bound: tuple[Index, ...], factors: tuple[Expr, ...], order: Layout) -> Val:
    """A sum of which only the part where the conditions hold is read."""
    conditions = tuple(f.condition for f in factors if isinstance(f, Iverson))
    rest = tuple(f for f in factors if not isinstance(f, Iverson))
    seen: frozenset[Index] = frozenset().union(*(c.free for c in conditions))
    # What no condition restricts is contracted first.
    early = tuple(k for k in bound if k not in seen)
    if early:
        inside = tuple(f for f in rest if f.free & set(early))
        rest = (*(f for f in rest if not f.free & set(early)), Sum(early, product_of(inside)))
        bound = tuple(k for k in bound if k in seen)
    if not bound:
        return masked(b, conditions, rest, order)
    running = _cumulative(b, bound, conditions, rest, order)
    if running is not None:
        return running
    whole: frozenset[Index] = seen.union(*(f.free for f in rest))
    if whole in (seen, *(f.free for f in rest)) or len(rest) <= 1:
        inner = natural_order((*rest, *(f for f in factors if isinstance(f, Iverson))), bound, order)
        return reduce_sum(b, masked(b, conditions, rest, inner), bound, order)
    return _masked_operands(b, bound, conditions, rest, order)


def _masked_operands(
    b: Builder, bound: tuple[Index, ...], conditions: tuple[Expr, ...], rest: tuple[Expr, ...], order: Layout
) -> Val:
    """Each operand that has all indices of the conditions is masked; so is the product of those that have no others.

    The rest is read whole: masking it too would make a tensor of all indices at once.
    """
    seen: frozenset[Index] = frozenset().union(*(c.free for c in conditions))
    table = {s.target: s for s in b.program.statements}
    done = [f for f in rest if isinstance(f, Access) and all(is_masked(f, c, table) for c in conditions)]
    inside = tuple(f for f in rest if f.free <= seen)
    wide = [f for f in rest if f.free > seen and f not in done]
    plain = [f for f in rest if not f.free <= seen and f not in wide]
    brackets = tuple(Iverson(c) for c in conditions)
    operands = [(*brackets, *inside)] if inside or not wide else []
    groups: dict[frozenset[Index], list[Expr]] = {}
    for f in wide:
        groups.setdefault(f.free, []).append(f)
    operands += [(*brackets, *group) for group in groups.values()]
    vals = []
    for operand in operands:
        inner = natural_order(operand, bound, order)
        vals.append(masked(b, conditions, tuple(f for f in operand if not isinstance(f, Iverson)), inner))
    with b.guarded(*conditions):
        for f in plain:
            vals.append(b.real(b.tensor(b.lower(f, natural_order((f,), bound, order)))))
    if len(vals) == 1:
        return reduce_sum(b, vals[0], bound, order)
    exprs = [product_of(operand) for operand in (*operands, *((f,) for f in plain))]
    return contract_values(b, b.of_one_kind(vals, exprs), frozenset(bound), order)


def _cumulative(
    b: Builder, bound: tuple[Index, ...], conditions: tuple[Expr, ...], rest: tuple[Expr, ...], order: Layout
) -> Val | None:
    """`sum_j [j <= i] x[j, ..]`: a running sum."""
    if len(bound) != 1 or len(conditions) != 1 or not rest or not isinstance(conditions[0], Compare):
        return None
    left, right, op = conditions[0].left, conditions[0].right, conditions[0].op
    if not (isinstance(left, Position) and isinstance(right, Position)) or op in ("==", "!="):
        return None
    (j,) = bound
    if right.index is j:
        left, right = right, left
        op = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
    i = right.index
    free: frozenset[Index] = frozenset().union(*(f.free for f in rest))
    if left.index is not j or i is j or i in free or j not in free or not b.sizes.same(i, j):
        return None
    swapped = tuple(j if axis is i else axis for axis in order)
    val = align(b.solid(b.real(b.lower(product_of(rest), swapped))), swapped)
    dim = Lit(val.layout.index(j) - len(val.layout))
    options = {"reverse": op[0] == ">", "exclusive": len(op) == 1}
    flags = tuple((name, Lit(value=True)) for name, on in options.items() if on)
    expr = Call("_runtime.cumsum", (val.expr, dim), flags) if flags else Method(val.expr, "cumsum", (dim,))
    return align(Val(expr, tuple(i if axis is j else axis for axis in val.layout), "real", val.loose), order)
