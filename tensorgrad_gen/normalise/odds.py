"""What may overflow beside a number: exponentials that are weighted, products, under a logarithm or in a quotient."""

from __future__ import annotations

from tensorgrad_gen.algebra import key, map_nodes, simplify, walk
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Expr,
    Iverson,
    Mul,
    Pow,
    Reduce,
    Sum,
    Where,
    add,
    const,
    mul,
    neg,
    number,
)
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.normalise.binomials import Form, analyse
from tensorgrad_gen.normalise.exponential_rules import exponentials, logarithm
from tensorgrad_gen.normalise.ranges import Ranges
from tensorgrad_gen.normalise.reading import Definitions, named_sum, open_definitions

MINUS = const(-1)
# e^HIGHEST is finite in float32, and nothing is the product of a larger exponential and a number, unless that is 0.
HIGHEST = const(88)


def log_beside_a_number(expr: Expr, definitions: Definitions) -> Expr | None:
    """log(c + r e^f) -> where(r e^f > c, f + log(r + c e^-f), log(c + r e^f)), c a number or param"""
    if not isinstance(expr, Apply) or expr.function not in ("log", "log1p"):
        return None
    argument = expr.args[0] if expr.function == "log" else simplify(add(expr.args[0], ONE))
    if not isinstance(argument, Add) or len(argument.terms) != 2:
        return None
    for c, u in (argument.terms, argument.terms[::-1]):
        form = analyse(simplify(open_definitions(u, definitions, sums=False))) if scalar(c) else None
        if form is None or not _weighted(form, definitions):
            continue
        f, r = form.exponent, mul(const(form.coefficient), *form.rest)
        if analyse(u).exponent is not ZERO:
            u = mul(r, Apply("exp", (Apply("min", (f, HIGHEST)),)))
        large = Compare(">", u, c)
        above = add(f, Apply("log", (add(r, mul(c, Apply("exp", (neg(f),)))),)))
        below = Where(large, ZERO, u)
        return Where(large, above, Apply("log1p", (below,)) if number(c) == 1 else Apply("log", (add(c, below),)))
    return None


def _weighted(form: Form, definitions: Definitions) -> bool:
    """Whether it is an exponential that may overflow, times what is no number and no mask."""
    if form.coefficient <= 0 or form.binomials or form.exponent is ZERO or all(map(scalar, form.rest)):
        return False
    if any(isinstance(factor, Iverson) for factor in form.rest):
        return False
    return definitions.ranges is None or definitions.ranges.of(form.exponent)[1] > 0


def small_exponent(expr: Expr) -> Expr | None:
    """log(1 - e^z) -> where(z > -1, log(-z) + log((e^z - 1)/z), log(1 - e^z)), z = -r e^f, which may vanish"""
    if not isinstance(expr, Apply) or expr.function != "log1mexp":
        return None
    (z,) = expr.args
    if analyse(z).plain:
        return None
    small = Compare(">", z, MINUS)
    smooth = Apply("exp_moment", (ZERO, Where(small, z, MINUS)))
    near = add(Apply("log", (simplify(neg(z)),)), Apply("log", (smooth,)))
    return Where(small, near, Apply("log1mexp", (Where(small, MINUS, z),)))


def prod_beside_a_number(expr: Expr, definitions: Definitions) -> Expr | None:
    """o/(1 + o) -> sigmoid(sum_j log(x[j])), log(1 + o) -> softplus(sum_j log(x[j])), o = prod_j x[j], x positive"""
    if isinstance(expr, Apply) and expr.function in ("log", "log1p"):
        sums = [simplify(add(expr.args[0], ONE)) if expr.function == "log1p" else expr.args[0]]
    else:
        sums = [f.base for f in factors_of(expr) if isinstance(f, Pow) and (number(f.exponent) or 0) < 0]
    terms = [term for s in sums if isinstance(s, Add) for term in terms_of(s)]
    logs = {f: log for term in terms for f in factors_of(term) if (log := _logarithm(f, definitions)) is not None}
    if isinstance(expr, Mul):  # one factor may have been rewritten already
        known = {key(node) for node in walk(expr) if isinstance(node, Sum)}
        own = {f: log for f in expr.factors if (log := _logarithm(f, definitions)) is not None}
        logs |= {f: log for f, log in own.items() if any(key(part) in known for part in factors_of(log))}
    if not logs:
        return None
    new = simplify(map_nodes(expr, lambda node: Apply("exp", (logs[node],)) if node in logs else node))
    return logarithm(new) if isinstance(expr, Apply) else exponentials(new)


def _logarithm(factor: Expr, definitions: Definitions) -> Expr | None:
    """Of a product of positive numbers, as a sum."""
    whole = named_sum(factor, definitions)
    if not isinstance(whole, Reduce) or whole.kind != "prod" or definitions.ranges is None:
        return None
    body, exponent = (whole.body.base, whole.body.exponent) if isinstance(whole.body, Pow) else (whole.body, ONE)
    if not _positive(body, definitions.ranges):
        return None
    return simplify(Sum(whole.indices, mul(exponent, Apply("log", (body,)))))


def _positive(expr: Expr, ranges: Ranges) -> bool:
    """Whether it is nowhere 0: an input's domain that begins at 0 does not have it."""
    if isinstance(expr, Mul):
        return all(_positive(factor, ranges) for factor in expr.factors)
    if isinstance(expr, Pow):
        return _positive(expr.base, ranges)
    low = ranges.of(expr)[0]
    return low > 0 or (low == 0 and isinstance(expr, Access) and expr.tensor in ranges.real)
