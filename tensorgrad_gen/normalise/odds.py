"""What may overflow beside a number: exponentials that are weighted, products, under a logarithm or in a quotient."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from tensorgrad_gen.algebra import fresh, key, simplify
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Expr,
    Index,
    Iverson,
    Mul,
    Position,
    Pow,
    Reduce,
    Scan,
    Sum,
    Where,
    add,
    const,
    mul,
    neg,
    number,
    power,
    sub,
)
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.normalise.binomials import Binomial, Form, analyse
from tensorgrad_gen.normalise.exponential_rules import directions, logarithm, product, share
from tensorgrad_gen.normalise.multiples import expanded, vector
from tensorgrad_gen.normalise.ranges import Ranges
from tensorgrad_gen.normalise.reading import Definitions, named, named_sum, open_definitions

MINUS = const(-1)
# e^HIGHEST is finite in float32, and nothing is the product of a larger exponential and a number, unless that is 0.
HIGHEST = const(88)


def log_of_the_rest(expr: Expr, definitions: Definitions) -> Expr | None:
    """log(1 - p[b,t[b]]) -> log(sum_v [v != t[b]] p[b,v]) for a softmax `p`: what a label leaves of it"""
    if not isinstance(expr, Apply) or expr.function not in ("log", "log1p"):
        return None
    argument = expr.args[0] if expr.function == "log" else simplify(add(expr.args[0], ONE))
    taken = expanded(sub(ONE, named(argument, definitions, (Add,))))
    statement = definitions.get(taken.tensor) if isinstance(taken, Access) else None
    if not isinstance(taken, Access) or statement is None:
        return None
    whole = statement.value
    if not isinstance(whole, Scan) or whole.kind != "softmax" or len(whole.indices) != 1:
        return None
    place = statement.indices.index(whole.indices[0])
    at, others = taken.subs[place], (*taken.subs[:place], *taken.subs[place + 1 :])
    if isinstance(at, Index) and at not in others:
        return None  # for each of the row, it would read all of it
    own = fresh(whole.indices[0], {i.name for i in taken.free})
    rest = Iverson(Compare("!=", Position(own), Position(at) if isinstance(at, Index) else at))
    subs = (*taken.subs[:place], own, *taken.subs[place + 1 :])
    return Apply("log", (Sum((own,), mul(rest, Access(taken.tensor, subs))),))


def log_beside_a_number(expr: Expr, definitions: Definitions) -> Expr | None:
    """log(c + r e^f) -> where(r e^f > c, f + log(r + c e^-f), log(c + r e^f)), c a number or param"""
    if not isinstance(expr, Apply) or expr.function not in ("log", "log1p"):
        return None
    argument = expr.args[0] if expr.function == "log" else simplify(add(expr.args[0], ONE))
    if isinstance(argument, Mul):
        inverse = _inverse_of_share(argument)
        return None if inverse is None else neg(Apply("log", (inverse,)))
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


def _inverse_of_share(share: Mul) -> Expr | None:
    """`1 + c/u` for `u/(c + u)`, `u` a weighted exponential, whose logarithm alone does not overflow"""
    for factor in share.factors:
        if not isinstance(factor, Pow) or number(factor.exponent) != -1 or not isinstance(factor.base, Add):
            continue
        others = [power(f, -1) for f in share.factors if f is not factor]
        terms = [simplify(mul(term, *others)) for term in factor.base.terms]
        if len(terms) == 2 and number(terms[0]) == 1 and analyse(terms[1]).rest:
            return add(*terms)
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


def odds_beside_a_number(expr: Expr, definitions: Definitions) -> Expr | None:
    """o/(1 + o) -> sigmoid(log(o)), log(1 + o) -> softplus(log(o)), o a product of what is positive"""
    if isinstance(expr, Apply) and expr.function in ("log", "log1p"):
        argument = expr.args[0] if expr.function == "log" else simplify(add(expr.args[0], ONE))
        found = _beside(argument, definitions)
        worse = found is not None and (
            _powers(found[1], definitions) or any(b.n < 0 > b.sign for b in found[1].binomials)
        )
        return found[0].logarithm() if found is not None and worse else None
    if not isinstance(expr, Mul | Pow):
        return None
    form, grows = Form(), False
    for factor in factors_of(expr):
        n = number(factor.exponent) if isinstance(factor, Pow) else None
        found = _beside(factor.base, definitions) if isinstance(factor, Pow) and n is not None and n < 0 else None
        below = found[0].to_power(n) if found is not None and n is not None else None
        form = form.times(analyse(factor) if below is None else below)
        grows = grows or (found is not None and bool(found[1].rest))
    new = _quotient(form, definitions) or (product(form) if grows else None)
    return None if new is None or key(new) == key(expr) else new


def _quotient(form: Form, definitions: Definitions) -> Expr | None:
    """The form with what is positive in one exponential with `(1 + e^z)^-n`, if that bounds it."""
    for binomial in form.binomials:
        unit = vector(binomial.z)
        logs = {f: log for f in form.rest if (log := positive_logarithm(f, definitions)) is not None}
        logs = {f: log for f, log in logs.items() if vector(log) and vector(log).keys() <= unit.keys()}
        whole = simplify(add(form.exponent, *logs.values()))
        bounded = binomial.sign > 0 and 0 < share(whole, binomial.z) <= -binomial.n
        if logs and (bounded or vector(form.exponent).keys() & unit.keys()):
            return product(replace(form, exponent=whole, rest=tuple(f for f in form.rest if f not in logs)))
    return None


def _beside(expr: Expr, definitions: Definitions) -> tuple[Form, Form] | None:
    """`c + o` as `c (1 + e^z)`, and `o` as it is written."""
    if not isinstance(expr, Add) or len(expr.terms) != 2:
        return None
    value = number(expr.terms[1])
    if value is None or value <= 0:
        return None
    odds = analyse(read_factors(expr.terms[0], definitions))
    log = positive_logarithm(expr.terms[0], definitions)
    if log is None or (odds.rest and not _powers(odds, definitions)):
        return None
    z = log if value == 1 else add(log, neg(Apply("log", (const(value),))))
    return Form(value, binomials=(Binomial(1, simplify(z), Fraction(1)),)), odds


def _powers(form: Form, definitions: Definitions) -> bool:
    """Whether a factor is a product over an index or a power that is no number, or all are powers: squares overflow."""
    wholes = [named_sum(f, definitions) for f in form.rest]
    exponents = [number(w.exponent) if isinstance(w, Pow) else Fraction(1) for w in wholes]
    large = all(n is None or abs(n) > 1 for n in exponents)
    return bool(wholes) and (large or None in exponents or any(isinstance(w, Reduce) for w in wholes))


def read_factors(expr: Expr, definitions: Definitions) -> Expr:
    """The product with the tensors that are products, powers or exponentials for their names."""
    whole = mul(*(named(f, definitions, (Mul, Pow)) for f in factors_of(expr)))
    return simplify(open_definitions(whole, definitions, sums=False))


def positive_logarithm(expr: Expr, definitions: Definitions) -> Expr | None:
    """The logarithm of a product of what is positive, whatever the inputs of these domains, factor by factor."""
    ranges = definitions.ranges
    if ranges is None:
        return None
    coefficient, exponent, found = directions(analyse(read_factors(expr, definitions)))
    logs = [exponent]
    for own in found:
        for (sign, m), n in own.powers.items():
            z = own.at(m)
            if n.denominator != 1:
                return None
            if sign < 0 and not _positive(simplify(neg(z)), ranges):  # 1 - e^z = -e^z (1 - e^-z)
                coefficient, z = coefficient * (-1) ** int(n), simplify(neg(z))
                logs.append(mul(const(-n), z))
                if not _positive(simplify(neg(z)), ranges):
                    return None
            logs.append(mul(const(n), Apply("log1mexp", (z,)) if sign < 0 else Apply("softplus", (z, ONE))))
    if coefficient <= 0:
        return None
    rest = [_logarithm(f, definitions, ranges) for f in analyse(read_factors(expr, definitions)).rest]
    numbers = [] if coefficient == 1 else [Apply("log", (const(coefficient),))]
    known = [log for log in rest if log is not None]
    return simplify(add(*logs, *numbers, *known)) if len(known) == len(rest) else None


def _logarithm(factor: Expr, definitions: Definitions, ranges: Ranges) -> Expr | None:
    """Of one factor: a power, a product over an index, or a tensor of a domain without 0."""
    whole = named_sum(factor, definitions)
    if isinstance(whole, Pow):
        log = positive_logarithm(whole.base, definitions)
        return None if log is None else simplify(mul(whole.exponent, log))
    if isinstance(whole, Reduce) and whole.kind == "prod":
        log = positive_logarithm(whole.body, definitions)
        return None if log is None else simplify(Sum(whole.indices, log))
    whole = read_factors(factor, definitions)
    if key(whole) != key(factor):
        return positive_logarithm(whole, definitions)
    log = Apply("log", (factor,))
    return (logarithm(log) or log) if _positive(factor, ranges) else None


def _positive(expr: Expr, ranges: Ranges) -> bool:
    """Whether it is nowhere 0: a named domain that begins or ends at 0 or 1 does not have these."""
    low = ranges.of(expr)[0]
    tensors = [rest for _, rest in map(split_coefficient, terms_of(expr)) if number(rest) is None]
    is_open = len(tensors) == 1 and isinstance(tensors[0], Access) and tensors[0].tensor in ranges.open
    return low > 0 or (low == 0 and is_open)
