"""Stable forms: spellings that overflow or cancel, rewritten before differentiation.

Each row works on simplified expressions, so that a user's own spelling is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from itertools import permutations

from tensorgrad_gen.algebra import all_indices, apart, key, map_nodes, simplify, substitute
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Expr,
    Iverson,
    Mul,
    Pow,
    Reduce,
    Scan,
    Sum,
    Where,
    add,
    const,
    mul,
    number,
    power,
    sub,
)
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.normalise import scalar_forms as forms
from tensorgrad_gen.normalise.binomials import MINUS_INF, Form, analyse
from tensorgrad_gen.normalise.denominators import over_one_denominator
from tensorgrad_gen.normalise.exponential_rules import exponentials, logarithm, logarithms_of_exponentials, product
from tensorgrad_gen.normalise.multiples import positive, rational_power
from tensorgrad_gen.normalise.odds import log_beside_a_number, log_of_the_rest, odds_beside_a_number, small_exponent
from tensorgrad_gen.normalise.ratios import weighted_sum_over_sums
from tensorgrad_gen.normalise.reading import Definitions, log_of_softmax, named, named_sum, open_definitions, opened


@dataclass(frozen=True, slots=True)
class StableRule:
    """A row: `law` says before -> after."""

    name: str
    law: str
    apply: Callable[[Expr, Definitions], Expr | None]


def stabilise(expr: Expr, definitions: Definitions, rules: Sequence[StableRule] | None = None) -> Expr:
    """The expression with every row applied, innermost first, until none applies."""

    def visit(node: Expr) -> Expr:
        node = simplify(node)
        for trial in dict.fromkeys((node, opened(node, definitions))):
            for row in STABLE_RULES if rules is None else rules:
                result = row.apply(trial, definitions)
                if result is not None and result is not trial:
                    return map_nodes(simplify(result), visit)
        return node

    return map_nodes(expr, visit)


def _scalar(rule: Callable[[Expr], Expr | None]) -> Callable[[Expr, Definitions], Expr | None]:
    return lambda expr, definitions: rule(expr)


def _quotient(expr: Expr, definitions: Definitions) -> Expr | None:
    return forms.quotient(expr, definitions.ranges)


def _is_exp(expr: Expr) -> bool:
    return isinstance(expr, Apply) and expr.function == "exp"


def _softmax(expr: Expr, definitions: Definitions) -> Expr | None:
    if not isinstance(expr, Mul):
        return None
    for n, numerator in enumerate(expr.factors):
        if not isinstance(numerator, Apply) or numerator.function != "exp":
            continue
        for d, denominator in enumerate(expr.factors):
            total = _divided_sum(denominator, definitions) if n != d else None
            if total is None:
                continue
            rest = [f for k, f in enumerate(expr.factors) if k not in (n, d)]
            return mul(*rest, _over_sum(numerator.args[0], total))
    return None


def _divided_sum(factor: Expr, definitions: Definitions) -> Sum | None:
    """The sum of exponentials that a factor divides by, looked up if it has a name, or known by its logarithm."""
    if _is_exp(factor):
        return next((total for rest, total in _less_logarithms(factor.children[0]) if rest is ZERO), None)
    if not isinstance(factor, Pow) or number(factor.exponent) != -1:
        return None
    base = named_sum(factor.base, definitions)
    if isinstance(base, Sum):
        base = Sum(base.indices, simplify(open_definitions(base.body, definitions, sums=False)))
    if not isinstance(base, Sum):
        return None
    logit, rest = _exponent_of(base.body)
    return Sum(base.indices, Apply("exp", (logit,))) if logit is not None and not rest else None


def _divided(factor: Expr, definitions: Definitions) -> tuple[Sum | None, Expr]:
    """The sum of exponentials that a factor divides by, or that and 1: then also the sum's share of both."""
    if (total := _divided_sum(factor, definitions)) is not None:
        return total, ONE
    form = analyse(factor, sums=True)
    if form.exponent is ZERO and len(form.binomials) == 1 and form.coefficient == 1 and not form.rest:
        (one,) = form.binomials
        if one.sign > 0 and one.n == -1 and isinstance(one.z, Reduce) and one.z.kind == "logsumexp":
            return Sum(one.z.indices, Apply("exp", (one.z.body,))), Apply("sigmoid", (one.z,))
    return None, ONE


def _exponent_of(body: Expr) -> tuple[Expr | None, list[Expr]]:
    """What a factor is the exponential of, -inf where conditions beside it are false; and the other factors."""
    form = analyse(body)
    if form.binomials or form.exponent is ZERO:
        return None, list(factors_of(body))
    logit = form.exponent
    for condition in (f.condition for f in form.rest if isinstance(f, Iverson)):
        logit = Where(condition, logit, MINUS_INF)
    rest = [f for f in form.rest if not isinstance(f, Iverson)]
    return logit, rest if form.coefficient == 1 else [const(form.coefficient), *rest]


def _over_sum(logit: Expr, total: Sum) -> Expr:
    """exp(a) / sum exp(a'): a softmax if `a` is `a'` on other indices, else one exponential of a difference."""
    assert isinstance(total.body, Apply)
    inner = total.body.args[0]
    candidates = [i for i in sorted(logit.free, key=lambda i: i.name) if i not in total.free]
    for chosen in permutations(candidates, len(total.indices)):
        if any(a.extent != b.extent for a, b in zip(chosen, total.indices, strict=True)):
            continue
        if key(substitute(inner, dict(zip(total.indices, chosen, strict=True)))) == key(logit):
            return Scan("softmax", chosen, logit)
    return Apply("exp", (sub(logit, Reduce("logsumexp", total.indices, inner)),))


def _prod_by_logarithms(expr: Expr, definitions: Definitions) -> Expr | None:
    """log(prod_j x[j]) -> sum_j log(x[j]), prod_j x[j]^a -> exp(a sum_j log(x[j])), `x` nowhere negative"""
    if isinstance(expr, Apply) and expr.function == "log":
        whole, exponent = expr.args[0], None
    elif isinstance(expr, Pow) and (number(expr.exponent) or Fraction(1, 2)).denominator != 1:
        whole, exponent = expr.base, expr.exponent
    else:
        return None
    whole = named_sum(whole, definitions)
    if not isinstance(whole, Reduce) or whole.kind != "prod" or definitions.ranges is None:
        return None
    if definitions.ranges.of(whole.body)[0] < 0:
        return None
    log = Sum(whole.indices, Apply("log", (whole.body,)))
    return log if exponent is None else Apply("exp", (mul(exponent, log),))


def _log_of_softmaxes(expr: Expr, definitions: Definitions) -> Expr | None:
    if not (isinstance(expr, Apply) and expr.function == "log"):
        return None
    body = expr.args[0]
    if isinstance(body, Access) and body.tensor in definitions:
        statement = definitions[body.tensor]
        if isinstance(statement.value, Scan):
            return log_of_softmax(statement.value, statement, body)
    if isinstance(body, Scan) and body.kind == "softmax":
        return Scan("log_softmax", body.indices, body.body)
    return None


def _mean_by_exponentials(expr: Expr, definitions: Definitions) -> Expr | None:
    """(sum_j e^x[j] v[j]) / sum_j e^x[j] -> sum_j softmax[j](x[j]) v[j], and with one more logit, 0"""
    if not isinstance(expr, Mul):
        return None
    for n, over in enumerate(expr.factors):
        for d, under in enumerate(expr.factors):
            total, part = _divided(under, definitions) if n != d else (None, ONE)
            inner = named_sum(over, definitions) if total is not None else over
            if total is None or not isinstance(inner, Sum):
                continue
            inner = apart(inner, all_indices(mul(*(f for k, f in enumerate(expr.factors) if k != n))))
            assert isinstance(inner, Sum)
            body = simplify(open_definitions(inner.body, definitions, sums=False))
            logit, weights = _exponent_of(body)
            if part is not ONE and any(isinstance(f, Iverson) for f in factors_of(body)):
                continue  # a row that is masked whole is 0, where the softmax has no value
            soft = _over_sum(logit, total) if logit is not None else None
            if isinstance(soft, Scan):
                rest = [part, *(f for m, f in enumerate(expr.factors) if m not in (n, d))]
                return mul(*rest, Sum(inner.indices, mul(*weights, soft)))
    return None


def _sums_over_sums(expr: Expr, definitions: Definitions) -> Expr | None:
    """(sum_j e^x[j])^n exp(f - logsumexp[j](z[j])) -> exp(n logsumexp[j](x[j]) + f - ...), and of a softmax the same"""
    below = next((f for f in factors_of(expr) if _is_exp(f) and any(_less_logarithms(f.children[0]))), None)
    if not isinstance(expr, Mul) or below is None:
        return None
    logs = {f: log for f in expr.factors if f is not below and (log := _log_of_sum(f, definitions)) is not None}
    if not logs:
        return None
    whole = simplify(add(below.children[0], *logs.values()))
    found = _share(whole) or Apply("exp", (whole,))
    return mul(*(f for f in expr.factors if f is not below and f not in logs), found)


def _log_of_sum(factor: Expr, definitions: Definitions) -> Expr | None:
    """The logarithm of a power of a sum of exponentials, or of a softmax, that may have a name."""
    base, n = (factor.base, number(factor.exponent)) if isinstance(factor, Pow) else (factor, Fraction(1))
    whole = named(base, definitions, (Sum, Scan))
    if n is None or n <= 0 or not isinstance(whole, Sum | Scan):
        return None
    form = analyse(simplify(open_definitions(whole, definitions, sums=True)), sums=True)
    log = form.logarithm()
    return None if log is None or form.plain else simplify(mul(const(n), log))


def _masked_softmax(expr: Expr, definitions: Definitions) -> Expr | None:
    """[c[i]] exp(x[i] - logsumexp[j](where(c[j], x[j], -inf))) -> [c[i]] softmax[i](where(c[i], x[i], -inf))"""
    if not isinstance(expr, Mul):
        return None
    for mask in expr.factors:
        for place, factor in enumerate(expr.factors):
            if not isinstance(mask, Iverson) or not _is_exp(factor):
                continue
            for logit, total in _less_logarithms(factor.children[0]):
                found = _over_sum(Where(mask.condition, logit, MINUS_INF), total)
                if isinstance(found, Scan):
                    # The mask stays: where it lets nothing through the softmax has no value.
                    return mul(*(f for k, f in enumerate(expr.factors) if k != place), found)
    return None


def _exp_of_difference(expr: Expr, definitions: Definitions) -> Expr | None:
    """exp(x[i] - logsumexp[j](x[j])) -> softmax[i](x[i]), exp(log_softmax[i](x[i])) -> softmax[i](x[i])"""
    if not _is_exp(expr):
        return None
    argument = expr.children[0]
    if isinstance(argument, Scan) and argument.kind == "log_softmax":
        return Scan("softmax", argument.indices, argument.body)
    return _share(argument)


def _softmax_beside_one(expr: Expr, definitions: Definitions) -> Expr | None:
    """e^x[i]/(1 + sum_j e^x[j]) -> softmax[i](x[i]) sigmoid(logsumexp[j](x[j])): one more logit is 0"""
    form = analyse(expr) if isinstance(expr, Mul) or _is_exp(expr) else Form()
    for one in form.binomials:
        if one.sign < 0 or one.n != -1 or not isinstance(one.z, Reduce) or one.z.kind != "logsumexp":
            continue
        found = _over_sum(form.exponent, Sum(one.z.indices, Apply("exp", (one.z.body,))))
        if isinstance(found, Scan) and not isinstance(found.body, Where):  # a masked row may have no softmax
            rest = replace(form, exponent=ZERO, binomials=tuple(b for b in form.binomials if b is not one))
            return mul(found, Apply("sigmoid", (one.z,)), product(rest))
    return None


def _share(log: Expr) -> Scan | None:
    """The softmax of which the expression, `a - logsumexp`, is the logarithm."""
    shares = (_over_sum(logit, total) for logit, total in _less_logarithms(log))
    return next((found for found in shares if isinstance(found, Scan)), None)


def _less_logarithms(expr: Expr) -> Iterator[tuple[Expr, Sum]]:
    """`a` and the sum, for each `logsumexp` of which the expression is `a - logsumexp`."""
    for term in terms_of(expr):
        coefficient, log = split_coefficient(term)
        if coefficient == -1 and isinstance(log, Reduce) and log.kind == "logsumexp":
            yield simplify(add(expr, log)), Sum(log.indices, Apply("exp", (log.body,)))


def _logaddexp(expr: Expr) -> Expr | None:
    """logaddexp(x, 0) -> softplus(x)"""
    if isinstance(expr, Apply) and expr.function == "logaddexp":
        for one, other in (expr.args, expr.args[::-1]):
            if number(other) == 0:
                return Apply("softplus", (one, ONE))
    return None


def _log_of_share(expr: Expr, definitions: Definitions) -> Expr | None:
    """x[i] - logsumexp[j](x[j]) -> log_softmax[i](x[i]), which does not round the logarithm first"""
    found = _share(expr) if isinstance(expr, Add) else None
    return None if found is None else Scan("log_softmax", found.indices, found.body)


def _shift(expr: Expr, definitions: Definitions) -> Expr | None:
    """softmax[j](x[j] + m) -> softmax[j](x[j]), and the same of its logarithm"""
    if not isinstance(expr, Scan) or expr.kind not in ("softmax", "log_softmax"):
        return None
    indices = frozenset(expr.indices)
    fixed = [t for t in terms_of(expr.body) if not t.free & indices]
    if not fixed or not isinstance(expr.body, Add) or len(fixed) == len(expr.body.terms):
        return None
    moving = simplify(add(*(t for t in expr.body.terms if t not in fixed)))
    return expr.rebuild((moving,)) if expr.free == moving.free else None


def _norm(expr: Expr, definitions: Definitions) -> Expr | None:
    exponent = number(expr.exponent) if isinstance(expr, Pow) else None
    if not isinstance(expr, Pow) or exponent is None or exponent.denominator != 2:
        return None
    # A scale that is positive whatever the extents leaves the root, as in a standard deviation.
    scale = [f for f in factors_of(expr.base) if positive(f)]
    sums = [named_sum(f, definitions) for f in factors_of(expr.base) if not positive(f)]
    total = sums[0] if len(sums) == 1 else None
    if not isinstance(total, Sum):
        return None
    root = _root(total.body)
    if root is None:
        return None
    norm = power(Reduce("norm", total.indices, root), exponent * 2)
    return mul(power(mul(*scale), exponent), norm) if scale else norm


def _root(square: Expr) -> Expr | None:
    """What the expression is the square of, factor by factor."""
    roots = []
    for factor in factors_of(square):
        inner = number(factor.exponent) if isinstance(factor, Pow) else None
        if not isinstance(factor, Pow) or inner is None or inner.denominator != 1 or inner % 2:
            return None
        roots.append(power(factor.base, inner / 2))
    return mul(*roots)


def _hypot(expr: Expr, definitions: Definitions) -> Expr | None:
    """sqrt(a^2 + b^2 + ...) -> hypot(hypot(a, b), ...), which has a derivative at 0"""
    exponent = number(expr.exponent) if isinstance(expr, Pow) else None
    base = named(expr.base, definitions, (Add,)) if isinstance(expr, Pow) else expr
    if not isinstance(base, Add) or exponent is None or exponent.denominator != 2:
        return None
    sides: list[Expr] = []
    for coefficient, square in map(split_coefficient, base.terms):
        scale = rational_power(coefficient, Fraction(1, 2)) if coefficient > 0 else None
        root = _root(named(square, definitions, (Pow, Mul)))
        if scale is None or root is None or scalar(root):
            return None
        sides.append(mul(const(scale), root))
    return power(reduce(lambda a, b: Apply("hypot", (a, b)), sides), exponent * 2)


def _square_of_norm(expr: Expr, definitions: Definitions) -> Expr | None:
    exponent = number(expr.exponent) if isinstance(expr, Pow) else None
    if not isinstance(expr, Pow) or exponent is None or exponent.denominator != 1 or exponent <= 0 or exponent % 2:
        return None
    if not isinstance(expr.base, Reduce) or expr.base.kind != "norm":
        return None
    return power(Sum(expr.base.indices, power(expr.base.body, 2)), exponent / 2)


# What holds of scalars, and what a derivative may have anew.
DERIVATIVE_RULES = (
    StableRule("sums of logarithms", "softplus(x) - x -> softplus(-x)", _scalar(logarithms_of_exponentials)),
    StableRule("exponentials", "e^(a x) (1 - e^x)^q/(1 + e^x)^n by tanh, sigmoid, expm1", _scalar(exponentials)),
    StableRule("tail of exp", "exp(x) - 1 - x -> exp_tail(x)", _scalar(forms.tail_of_exponential)),
    StableRule("complements", "1 - cos(x), 1 - erf(x), sqrt(1 + x) - 1", _scalar(forms.complements)),
    StableRule("one denominator", "1/(1 + x) - x/(1 + x)^2 -> 1/(1 + x)^2", _scalar(over_one_denominator)),
)

STABLE_RULES = (
    StableRule("softmax", "exp(x[i]) / sum_j exp(x[j]) -> softmax[i](x[i])", _softmax),
    StableRule("mean by exponentials", "sum_j e^x[j] v[j]/sum_j e^x[j] by a softmax", _mean_by_exponentials),
    StableRule("weighted sum over sums", "(sum_j e^x[j] v[j])/d by log(d)", weighted_sum_over_sums),
    StableRule("softmax with a one", "e^x[i]/(1 + sum_j e^x[j]) -> softmax[i](x[i]) sigmoid(...)", _softmax_beside_one),
    StableRule("sums over sums", "(sum_j e^x[j])^n exp(-logsumexp[j](z[j])) as one exponential", _sums_over_sums),
    StableRule("log of the rest", "log(1 - p[b,t[b]]) -> log(sum_v [v != t[b]] p[b,v])", log_of_the_rest),
    StableRule("log of a softmax", "log(softmax[i](x[i])) -> log_softmax[i](x[i])", _log_of_softmaxes),
    *DERIVATIVE_RULES,
    StableRule("log beside a number", "log(1 + r e^f) -> f + log(r + e^-f) where r e^f > 1", log_beside_a_number),
    StableRule("odds beside a number", "o/(1 + o) -> sigmoid(log(o)), o a product, > 0", odds_beside_a_number),
    StableRule("logarithms of exponentials", "log(c e^x prod (1 +- e^z)^n) -> log(c) + x + ...", _scalar(logarithm)),
    StableRule("stable by hand", "max(x, 0) + softplus(-|x|) -> softplus(x)", _scalar(forms.stabilised_by_hand)),
    StableRule("prod by logarithms", "log(prod_j x[j]) -> sum_j log(x[j]), x[j] >= 0", _prod_by_logarithms),
    StableRule("logaddexp with 0", "logaddexp(x, 0) -> softplus(x)", _scalar(_logaddexp)),
    StableRule("log of a share", "x[i] - logsumexp[j](x[j]) -> log_softmax[i](x[i])", _log_of_share),
    StableRule("shift of a softmax", "softmax[j](x[j] - m) -> softmax[j](x[j])", _shift),
    StableRule("masked softmax", "a softmax of what is not masked, 0 elsewhere", _masked_softmax),
    StableRule("exp of a logarithm", "exp(x[i] - logsumexp[j](x[j])) -> softmax[i](x[i])", _exp_of_difference),
    StableRule("shifted elu", "elu(z) + 1 -> where(z > 0, z + 1, exp(z))", _scalar(forms.elu_shifted)),
    StableRule(
        "log of a quotient", "log(1 - e^-x) - log(x) -> log((1 - e^-x)/x)", _scalar(forms.logarithm_of_quotient)
    ),
    StableRule("small exponents", "log1mexp(-e^f) -> f + log((1 - e^-e^f)/e^f) where e^f < 1", _scalar(small_exponent)),
    StableRule("quotients at 0", "sin(x)/x, expm1(x)/x, x/|x|, p log(p)", _quotient),
    StableRule("log of a determinant", "log(det(x)) -> logdet(x)", _scalar(forms.log_of_determinant)),
    StableRule("norm", "sqrt(c sum_i x[i]^2) -> sqrt(c) norm[i](x[i]), c a positive number", _norm),
    StableRule("length", "sqrt(a^2 + b^2) -> hypot(a, b)", _hypot),
    StableRule("square of a norm", "norm[i](x[i])^2 -> sum_i x[i]^2, smooth at 0", _square_of_norm),
)
