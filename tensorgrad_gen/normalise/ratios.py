"""A weighted sum of exponentials over sums of exponentials that are more than its own, beside a sink say."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.algebra import all_indices, apart, simplify, walk
from tensorgrad_gen.algebra.parts import split_coefficient, terms_of
from tensorgrad_gen.ir import Expr, Mul, Reduce, Sum, add, mul
from tensorgrad_gen.normalise.binomials import analyse
from tensorgrad_gen.normalise.exponential_rules import product
from tensorgrad_gen.normalise.reading import Definitions, named_sum, open_definitions


def weighted_sum_over_sums(expr: Expr, definitions: Definitions) -> Expr | None:
    """(sum_j e^x[j] v[j])/d -> sum_j e^(x[j] - log(d)) v[j], d made of sums of exponentials"""
    if not isinstance(expr, Mul):
        return None
    for d, under in enumerate(expr.factors):
        log = _logarithm_of_share(under)
        for n, over in enumerate(expr.factors):
            inner = named_sum(over, definitions) if log is not None and n != d else over
            if log is None or n == d or not isinstance(inner, Sum):
                continue
            rest = [f for k, f in enumerate(expr.factors) if k not in (n, d)]
            inner = apart(inner, all_indices(mul(log, *rest)))
            assert isinstance(inner, Sum)
            form = analyse(simplify(open_definitions(inner.body, definitions, sums=False)))
            if set(inner.indices) & form.exponent.free:
                within = replace(form, exponent=simplify(add(form.exponent, log)))
                return mul(*rest, Sum(inner.indices, product(within)))
    return None


def _logarithm_of_share(factor: Expr) -> Expr | None:
    """The logarithm of a factor that divides by sums of exponentials."""
    log = None if isinstance(factor, Sum) else analyse(factor, sums=True).logarithm()
    if log is None:
        return None
    below = (rest for coefficient, rest in map(split_coefficient, terms_of(log)) if coefficient < 0)
    sums = (n for rest in below for n in walk(rest))
    return log if any(isinstance(n, Reduce) and n.kind == "logsumexp" for n in sums) else None
