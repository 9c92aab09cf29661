"""Contractions made ready for their order: several products split, numbers that scale one taken into it."""

from __future__ import annotations

from tensorgrad_gen.algebra import accesses, apart, map_nodes
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import Access, Add, Delta, Expr, Index, Iverson, Linalg, Mul, Sum, add, mul
from tensorgrad_gen.ir.build import MINUS_ONE, ONE


def split_contractions(expr: Expr) -> Expr:
    """`sum_k (a[i,k] b[k,j] + c[i,k] d[k,j])` as two contractions: each is one matrix product.

    So are products with a vector, `sum_j (a[i,j] x[j] + c[i,j] z[j])`, which read each matrix once, and those behind a
    common factor, `sum_f s[b,f] (a[d,f] u[b,f] + c[d,f] v[b,f])`, where the sum of the products would be larger than
    what is contracted.  A sum over other terms that have the axes of the whole stays one pass over memory, and a
    difference of two tensors one number at each place.
    """

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Sum):
            return node
        if any(isinstance(f, Sum) and _looks_up(f.body) for f in factors_of(node.body)):
            node = _flat(node)
        whole = node.body.free
        if isinstance(node.body, Mul):
            terms = _outer_products(node.body)
        else:
            terms = terms_of(node.body)
            vectors = all(_by_vector(term, whole, node.indices) for term in terms)
            terms = terms if vectors or any(_contracts(term, whole) for term in terms) else ()
        if len(terms) < 2:
            return node
        return add(*(_flat(Sum(node.indices, term)) for term in terms))

    return map_nodes(expr, visit)


def _flat(contraction: Sum) -> Sum:
    """`sum_k a[i,k] (sum_l b[k,l] c[l,j])` as one contraction of three: which pair comes first is decided later."""
    factors = factors_of(contraction.body)
    if not any(isinstance(f, Sum) for f in factors):
        return contraction
    whole = apart(contraction, contraction.free)
    assert isinstance(whole, Sum)
    inner = [f for f in factors_of(whole.body) if isinstance(f, Sum)]
    rest = [f for f in factors_of(whole.body) if not isinstance(f, Sum)]
    indices = (*whole.indices, *(index for f in inner for index in f.indices))
    return Sum(indices, mul(*rest, *(f.body for f in inner)))


def _looks_up(product: Expr) -> bool:
    """Whether a product adds up where a label says, under a mask: alone it would be as long as there are labels."""
    factors = factors_of(product)
    return any(isinstance(f, Iverson) for f in factors) and any(isinstance(f, Delta) for f in factors)


def scale_inside(expr: Expr) -> Expr:
    """`s[] (sum_k a[i,k] b[k])` -> `sum_k s[] a[i,k] b[k]`: the order of contraction says what is scaled.

    That is the smallest of the operands and the result, or what has a name already.  Of a sum of products that spread,
    `s[] (a[i] b[j] + c[i] d[j])`, it is a factor of each; so is a number.
    """

    def visit(node: Expr) -> Expr:
        if not isinstance(node, Mul):
            return node
        inside = [f for f in node.factors if isinstance(f, Access) and not f.free]
        sums = [f for f in node.factors if isinstance(f, Sum)]
        rest = [f for f in node.factors if f not in inside and f not in sums]
        spread = [
            f for f in rest if isinstance(f, Add) and all(_contracts(t, f.free) and t.free == f.free for t in f.terms)
        ]
        if len(spread) == 1 and not sums:
            moved = [*(f for f in rest if scalar(f)), *inside]
            large = [f for f in rest if f not in moved and f not in spread]
            if any(f not in (ONE, MINUS_ONE) for f in moved):
                return mul(*large, add(*(mul(*moved, term) for term in spread[0].terms)))
        if len(sums) == 1:
            batch = [f for f in rest if isinstance(f, Access) and _of_batch(f, sums[0])]
            inside, rest = [*inside, *batch], [f for f in rest if f not in batch]
        if not inside or len(sums) != 1 or not all(map(scalar, rest)) or not _spreads(sums[0]):
            return node
        return Sum(sums[0].indices, mul(*rest, *inside, sums[0].body))

    return map_nodes(expr, visit)


def _of_batch(factor: Access, contraction: Sum) -> bool:
    """Whether the factor is one number for each of a batch of matrix products."""
    operands = factors_of(contraction.body)
    plain = all(isinstance(sub, Index) for sub in factor.subs)
    return plain and len(operands) == 2 and all(factor.free < f.free - set(contraction.indices) for f in operands)


def _spreads(contraction: Sum) -> bool:
    """Whether the operands are plain tensors, with different indices, of which some are left."""
    factors = factors_of(contraction.body)
    plain = all(isinstance(f, Access | Linalg) for f in factors)
    return plain and bool(contraction.free) and len({f.free for f in factors}) > 1


def _outer_products(body: Mul) -> tuple[Expr, ...]:
    """The terms of a product with one sum, if each term of that is a product that spreads over all axes."""
    sums = [f for f in body.factors if isinstance(f, Add)]
    large = [f for f in sums if all(t.free == f.free and _contracts(t, f.free) for t in f.terms)]
    large = [f for f in large if f.free == body.free or _largest(f, body)]
    if len(large) != 1:
        return ()
    others = [f for f in body.factors if f is not large[0]]
    padding = all(any(map(_is_window, factors_of(t))) for t in large[0].terms)
    masks = [f for f in others if isinstance(f, Iverson)]
    if any(not padding or accesses(f) for f in masks):
        return ()
    if any(f.free == body.free for f in others if f not in masks):
        return ()
    return tuple(mul(*others, term) for term in large[0].terms)


def _largest(whole: Add, body: Mul) -> bool:
    """Whether the sum has more axes than anything that it is made of, or that stands beside it."""
    parts = [f for term in whole.terms for f in factors_of(term)] + [f for f in body.factors if f is not whole]
    return all(len(part.free) < len(whole.free) for part in parts)


def _contracts(term: Expr, whole: frozenset[Index]) -> bool:
    """Whether the term is a product none of whose factors is as large as the whole."""
    factors = [f for f in factors_of(term) if not scalar(f)]
    if len(factors) < 2 or any(isinstance(f, Iverson) for f in factors):
        return False
    return not any(f.free == whole and not _is_window(f) for f in factors)


def _by_vector(term: Expr, whole: frozenset[Index], bound: tuple[Index, ...]) -> bool:
    """Whether the term is a tensor with all axes times what has summed axes alone: a matrix by a vector."""
    factors = [f for f in factors_of(term) if not scalar(f)]
    large = [f for f in factors if f.free == whole]
    if len(large) != 1 or len(factors) < 2 or any(isinstance(f, Iverson) or _is_window(f) for f in factors):
        return False
    rest = frozenset[Index]().union(*(f.free for f in factors if f is not large[0]))
    return rest < whole and rest <= set(bound)


def _is_window(factor: Expr) -> bool:
    """Whether the factor has more indices than its tensor has axes: it is read at sums of positions."""
    if not isinstance(factor, Access):
        return False
    return any(isinstance(sub, Expr) and len(sub.free) > 1 and not accesses(sub) for sub in factor.subs)
