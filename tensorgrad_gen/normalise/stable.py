"""Stable forms: spellings that overflow or cancel, rewritten before differentiation.

Each row works on simplified expressions, so that a user's own spelling is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

from tensorgrad_gen.algebra import all_indices, apart, key, map_nodes, simplify, substitute
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Expr,
    Extent,
    Index,
    Mul,
    Pow,
    Reduce,
    Scan,
    Statement,
    Sum,
    mul,
    number,
    power,
    sub,
)
from tensorgrad_gen.normalise import scalar_forms as forms
from tensorgrad_gen.normalise.scalar_forms import exponential_over_definition

Definitions = dict[str, Statement]


@dataclass(frozen=True, slots=True)
class StableRule:
    """A row: `law` says before -> after."""

    name: str
    law: str
    apply: Callable[[Expr, Definitions], Expr | None]


def stabilise(expr: Expr, definitions: Definitions) -> Expr:
    """The expression with every row applied, innermost first, until none applies."""

    def visit(node: Expr) -> Expr:
        node = simplify(node)
        for trial in dict.fromkeys((node, _opened(node, definitions))):
            for row in STABLE_RULES:
                result = row.apply(trial, definitions)
                if result is not None and result is not trial:
                    return map_nodes(simplify(result), visit)
        return node

    return map_nodes(expr, visit)


def _opened(node: Expr, definitions: Definitions) -> Expr:
    """The node with tensors that are mere exponentials, logarithms and the like read through their definitions."""
    if not isinstance(node, Add | Mul | Pow | Apply):
        return node
    opened = _open_accesses(node, definitions)
    return node if opened is node else simplify(opened)


def _open_accesses(expr: Expr, definitions: Definitions) -> Expr:
    def visit(node: Expr) -> Expr:
        if isinstance(node, Access) and node.tensor in definitions:
            statement = definitions[node.tensor]
            if exponential_over_definition(statement.value):
                return renamed(apart(statement.value, all_indices(node)), statement.indices, node.subs)
        return node

    return map_nodes(expr, visit)


def _scalar(rule: Callable[[Expr], Expr | None]) -> Callable[[Expr, Definitions], Expr | None]:
    return lambda expr, definitions: rule(expr)


def _is_exp(expr: Expr) -> bool:
    return isinstance(expr, Apply) and expr.function == "exp"


def _softmax(expr: Expr, definitions: Definitions) -> Expr | None:
    if not isinstance(expr, Mul):
        return None
    for n, numerator in enumerate(expr.factors):
        if not isinstance(numerator, Apply) or numerator.function != "exp":
            continue
        for d, denominator in enumerate(expr.factors):
            total = _divided_sum(denominator, definitions)
            if total is None:
                continue
            rest = [f for k, f in enumerate(expr.factors) if k not in (n, d)]
            return mul(*rest, _over_sum(numerator.args[0], total))
    return None


def _divided_sum(factor: Expr, definitions: Definitions) -> Sum | None:
    """The sum of exponentials that a factor divides by, looked up if it has a name."""
    if not isinstance(factor, Pow) or number(factor.exponent) != -1:
        return None
    base = factor.base
    if isinstance(base, Access) and base.tensor in definitions:
        statement = definitions[base.tensor]
        base = renamed(apart(statement.value, all_indices(base)), statement.indices, base.subs)
    if isinstance(base, Sum):
        base = Sum(base.indices, _open_accesses(base.body, definitions))
    return base if isinstance(base, Sum) and _is_exp(base.body) else None


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


def _log_of_sum(expr: Expr, definitions: Definitions) -> Expr | None:
    if not (isinstance(expr, Apply) and expr.function == "log"):
        return None
    body = expr.args[0]
    if isinstance(body, Access) and body.tensor in definitions:
        statement = definitions[body.tensor]
        if isinstance(statement.value, Sum | Scan):
            body = statement.value
            if isinstance(body, Scan):
                return _log_of_softmax(body, statement, expr.args[0])
            body = renamed(body, statement.indices, expr.args[0].subs) if isinstance(expr.args[0], Access) else body
    if isinstance(body, Sum):
        body = Sum(body.indices, _open_accesses(body.body, definitions))
    if isinstance(body, Sum) and _is_exp(body.body):
        return Reduce("logsumexp", body.indices, body.body.children[0])
    if isinstance(body, Scan) and body.kind == "softmax":
        return Scan("log_softmax", body.indices, body.body)
    return None


def _log_of_softmax(scan: Scan, statement: Statement, access: Expr) -> Expr | None:
    """log of a softmax that has a name, at any subscripts (labels too): the logit less the logsumexp."""
    if scan.kind != "softmax" or not isinstance(access, Access):
        return None
    if all(isinstance(s, Index) for s in access.subs) and len(set(access.subs)) == len(access.subs):
        return renamed(Scan("log_softmax", scan.indices, scan.body), statement.indices, access.subs)
    logit = renamed(scan.body, statement.indices, access.subs)
    inside = {i: s for i, s in zip(statement.indices, access.subs, strict=True) if i not in scan.indices}
    return sub(logit, substitute(Reduce("logsumexp", scan.indices, scan.body), inside))


def _log_of_exp(expr: Expr, definitions: Definitions) -> Expr | None:
    if isinstance(expr, Apply) and expr.function == "log" and _is_exp(expr.args[0]):
        return expr.args[0].children[0]
    return None


def _norm(expr: Expr, definitions: Definitions) -> Expr | None:
    exponent = number(expr.exponent) if isinstance(expr, Pow) else None
    if not isinstance(expr, Pow) or exponent is None or exponent.denominator != 2:
        return None
    # A scale that is positive whatever the extents leaves the root, as in a standard deviation.
    scale = [f for f in factors_of(expr.base) if _positive(f)]
    sums = [f for f in factors_of(expr.base) if not _positive(f)]
    total = sums[0] if len(sums) == 1 else None
    if not isinstance(total, Sum):
        return None
    roots = []
    for factor in factors_of(total.body):
        inner = number(factor.exponent) if isinstance(factor, Pow) else None
        if not isinstance(factor, Pow) or inner is None or inner.denominator != 1 or inner % 2:
            return None
        roots.append(power(factor.base, inner / 2))
    norm = power(Reduce("norm", total.indices, mul(*roots)), exponent * 2)
    return mul(power(mul(*scale), exponent), norm) if scale else norm


def _positive(expr: Expr) -> bool:
    """A positive number, an extent, or a power of one."""
    if isinstance(expr, Pow):
        return _positive(expr.base) and number(expr.exponent) is not None
    value = number(expr)
    return isinstance(expr, Extent) or (value is not None and value > 0)


def _square_of_norm(expr: Expr, definitions: Definitions) -> Expr | None:
    exponent = number(expr.exponent) if isinstance(expr, Pow) else None
    if not isinstance(expr, Pow) or exponent is None or exponent.denominator != 1 or exponent <= 0 or exponent % 2:
        return None
    if not isinstance(expr.base, Reduce) or expr.base.kind != "norm":
        return None
    return power(Sum(expr.base.indices, power(expr.base.body, 2)), exponent / 2)


STABLE_RULES = (
    StableRule("softmax", "exp(x[i]) / sum_j exp(x[j]) -> softmax[i](x[i])", _softmax),
    StableRule("log of a sum of exponentials", "log(sum_j exp(x[j])) -> logsumexp[j](x[j])", _log_of_sum),
    StableRule("log of an exponential", "log(exp(x)) -> x", _log_of_exp),
    StableRule("sigmoid", "1/(1 + exp(-x)) -> sigmoid(x)", _scalar(forms.sigmoid)),
    StableRule("sigmoid as a ratio", "exp(x)/(1 + exp(x)) -> sigmoid(x)", _scalar(forms.sigmoid_of_ratio)),
    StableRule("tanh", "(e^x - e^-x)/(e^x + e^-x) -> tanh(x)", _scalar(forms.tanh)),
    StableRule("softplus, logaddexp, log_cosh", "log(1 + exp(x)) -> softplus(x)", _scalar(forms.logarithm)),
    StableRule("expm1", "exp(x) - 1 -> expm1(x)", _scalar(forms.expm1)),
    StableRule("shifted elu", "elu(z) + 1 -> where(z > 0, z + 1, exp(z))", _scalar(forms.elu_shifted)),
    StableRule("quotients at 0", "sin(x)/x, expm1(x)/x, x/|x|, p log(p)", _scalar(forms.quotient)),
    StableRule("log of a determinant", "log(det(x)) -> logdet(x)", _scalar(forms.log_of_determinant)),
    StableRule("norm", "sqrt(c sum_i x[i]^2) -> sqrt(c) norm[i](x[i]), c a positive number", _norm),
    StableRule("square of a norm", "norm[i](x[i])^2 -> sum_i x[i]^2, smooth at 0", _square_of_norm),
)
