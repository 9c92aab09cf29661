"""Products of exponentials and of `1 + e^z` and `1 - e^z`: what spellings by exponentials have in common.

Law: `Form` stands for `coefficient * e^exponent * prod_k (1 + sign_k e^z_k)^n_k * prod rest`; a sum of such products
along one `z` is one again if its numerator, a polynomial in `e^z`, divides into such binomials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import lcm

from tensorgrad_gen.algebra import key, simplify, walk
from tensorgrad_gen.algebra.parts import has_delta, split_coefficient, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Expr,
    Index,
    Iverson,
    Mul,
    Pow,
    Reduce,
    Scan,
    Special,
    Sum,
    Where,
    add,
    const,
    mul,
    neg,
    number,
    power,
)
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.normalise.multiples import MOST, expanded, positive, ratio, rational_power, scaled
from tensorgrad_gen.normalise.polynomials import factored, over_common

MINUS_INF = neg(Special("inf"))


@dataclass(frozen=True, slots=True)
class Binomial:
    """`(1 + sign e^z)^n`"""

    sign: int
    z: Expr
    n: Fraction


@dataclass(frozen=True, slots=True)
class Form:
    """A product; see the module."""

    coefficient: Fraction = Fraction(1)
    exponent: Expr = ZERO
    binomials: tuple[Binomial, ...] = ()
    rest: tuple[Expr, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether there is no exponential in it."""
        return self.exponent is ZERO and not self.binomials

    def times(self, other: Form) -> Form:
        """The product of both."""
        return Form(
            self.coefficient * other.coefficient,
            simplify(add(self.exponent, other.exponent)),
            self.binomials + other.binomials,
            self.rest + other.rest,
        )

    def logarithm(self) -> Expr | None:
        """The logarithm of what is made of exponentials alone, and is positive."""
        if self.coefficient <= 0 or self.plain or any(b.sign < 0 for b in self.binomials):
            return None
        if not all(positive(f) for f in self.rest):
            return None
        logs: list[Expr] = [Apply("log", (mul(*self.rest),))] if self.rest else []
        logs += [mul(const(b.n), Apply("softplus", (b.z, ONE))) for b in self.binomials]
        if self.coefficient != 1:
            logs.append(Apply("log", (const(self.coefficient),)))
        return simplify(add(self.exponent, *logs))

    def to_power(self, n: Fraction) -> Form | None:
        """The power; None if it is not the power of each part."""
        coefficient = rational_power(self.coefficient, n)
        if coefficient is None or abs(n) > MOST:
            return None
        if n.denominator != 1 and (self.rest or any(b.sign < 0 for b in self.binomials)):
            return None
        return Form(
            coefficient,
            scaled(self.exponent, n),
            tuple(replace(b, n=b.n * n) for b in self.binomials),
            tuple(power(f, n) for f in self.rest),
        )


# -- from expressions to forms ---------------------------------------------------------------


def _exp(z: Expr) -> Form:
    """`e^(f + n log(1 + e^z))` has its logarithms as factors."""
    form = Form()
    left = []
    for term in terms_of(z):
        coefficient, rest = split_coefficient(term)
        found = _exp_of_log(rest, coefficient) if coefficient.denominator == 1 else None
        if found is None:
            left.append(term)
        else:
            form = form.times(found)
    return form.times(Form(exponent=add(*left)))


def _exp_of_log(rest: Expr, n: Fraction) -> Form | None:
    if not isinstance(rest, Apply) or abs(n) > MOST:
        return None
    z = rest.args[0]
    if rest.function == "softplus" and number(rest.args[1]) == 1:
        return Form(binomials=(Binomial(1, z, n),))
    if rest.function == "logsigmoid":
        return Form(binomials=(Binomial(1, scaled(z, Fraction(-1)), -n),))
    if rest.function == "log_cosh":
        return _cosh(z).to_power(n)
    if rest.function == "log1mexp":
        return Form(binomials=(Binomial(-1, z, n),))
    return None


def _cosh(z: Expr) -> Form:
    """`e^z (1 + e^-2z)/2`"""
    return Form(Fraction(1, 2), z, (Binomial(1, scaled(z, Fraction(-2)), Fraction(1)),))


def _sinh(z: Expr) -> Form:
    """`e^z (1 - e^-2z)/2`"""
    return Form(Fraction(1, 2), z, (Binomial(-1, scaled(z, Fraction(-2)), Fraction(1)),))


def _over(one: Form, other: Form) -> Form:
    below = other.to_power(Fraction(-1))
    assert below is not None
    return one.times(below)


_FUNCTIONS: dict[str, Callable[[Expr], Form]] = {
    "exp": _exp,
    "expm1": lambda z: Form(Fraction(-1), ZERO, (Binomial(-1, z, Fraction(1)),)),
    "sigmoid": lambda z: Form(binomials=(Binomial(1, scaled(z, Fraction(-1)), Fraction(-1)),)),
    "cosh": _cosh,
    "sinh": _sinh,
    "tanh": lambda z: _over(_sinh(z), _cosh(z)),
    "sech": lambda z: _over(Form(), _cosh(z)),
    "sech_squared": lambda z: _over(_over(Form(), _cosh(z)), _cosh(z)),
}


@lru_cache(maxsize=20_000)
def analyse(expr: Expr, sums: bool = False) -> Form:
    """The expression as a product; `sums`: sums of exponentials too, as what a logarithm or a divisor has."""
    match expr:
        case Apply(name, args) if name in _FUNCTIONS:
            return _FUNCTIONS[name](args[0])
        case Mul(factors):
            form = Form()
            for factor in factors:
                form = form.times(analyse(factor, sums))
            return form
        case Pow(base, exponent):
            n, constant = number(exponent), number(base)
            if constant is not None and constant > 0 and n is None:  # 2^z = e^(z log 2)
                return Form(exponent=simplify(mul(exponent, Apply("log", (base,)))))
            if n is None:  # (e^f)^b = e^(b f)
                log = (analyse(base, sums=True)).logarithm()
                return Form(rest=(expr,)) if log is None else Form(exponent=simplify(mul(exponent, log)))
            inner = analyse(base, sums or (n is not None and n < 0)) if n is not None else None
            found = None if inner is None or inner.plain or n is None else inner.to_power(n)
            return found or Form(rest=(expr,))
        case Add():
            return combine(expr, sums) or Form(rest=(expr,))
        case Sum() if sums:
            return _total(expr) or Form(rest=(expr,))
        case Scan("softmax", indices, body) if sums:
            return Form(exponent=Scan("log_softmax", indices, body))
        case Reduce("prod", indices, body):
            return _prod(indices, body) or Form(rest=(expr,))
    value = number(expr)
    return Form(rest=(expr,)) if value is None or value == 0 else Form(value)


def _prod(indices: tuple[Index, ...], body: Expr) -> Form | None:
    """`prod_j e^f[j]` is the exponential of the sum."""
    form = analyse(body)
    log = form.logarithm()
    return None if log is None or form.plain else Form(exponent=Sum(indices, log))


def _total(expr: Sum) -> Form | None:
    """`sum_j c e^f[j]` is `c e^L`, L the logarithm of the sum of the exponentials."""
    form, bound = analyse(expr.body, sums=True), set(expr.indices)
    if form.binomials:
        log = replace(form, coefficient=Fraction(1), rest=()).logarithm()
        form = form if log is None else Form(form.coefficient, log, (), form.rest)
    moving = form.exponent
    if form.binomials or form.coefficient <= 0 or not bound <= moving.free:
        return None
    inside = [f for f in form.rest if f.free & bound]
    if any(has_delta(f) or _by_label(f) for f in inside):
        return None  # what is collected by label stays so
    outside = tuple(f for f in form.rest if not f.free & bound)
    conditions = [f.condition for f in inside if isinstance(f, Iverson)]
    for condition in conditions:
        moving = Where(condition, moving, MINUS_INF)
    if len(conditions) == len(inside):
        return Form(form.coefficient, _logsumexp(expr.indices, moving), (), outside)
    if shifted(moving):
        return None
    # Weights of any sign: the largest exponent that has one is taken out, as a constant.
    weights = mul(*(f for f in inside if not isinstance(f, Iverson)))
    weighted = Where(Compare("!=", weights, ZERO), moving, MINUS_INF)
    top = Apply("stop_gradient", (Reduce("max", expr.indices, weighted),))
    left = Sum(expr.indices, mul(*inside, Apply("exp", (add(form.exponent, neg(top)),))))
    return Form(form.coefficient, top, (), (*outside, left))


def _logsumexp(indices: tuple[Index, ...], exponent: Expr) -> Expr:
    """`log sum e^f`, an index alone where fewer letters stand beside it: a chain of sums, and no tensor of them all."""
    terms, left = list(terms_of(exponent)), list(indices)
    while len(left) > 1:
        beside = {i: frozenset[Index]().union(*(t.free for t in terms if i in t.free)) for i in left}
        first = min(left, key=lambda i: len(beside[i]))
        if beside[first] == frozenset().union(*(t.free for t in terms)):
            break
        own = [t for t in terms if first in t.free]
        terms = [t for t in terms if first not in t.free] + [Reduce("logsumexp", (first,), add(*own))]
        left.remove(first)
    own = [t for t in terms if t.free & frozenset(left)]
    rest = [t for t in terms if not t.free & frozenset(left)]
    return simplify(add(*rest, Reduce("logsumexp", tuple(left), add(*own))))


# -- sums of forms ---------------------------------------------------------------------------


def combine(expr: Add, sums: bool = False) -> Form | None:
    """The sum as a product, if it is one."""
    forms = [analyse(term, sums) for term in expr.terms]
    rests = {tuple(sorted(key(f) for f in form.rest)) for form in forms}
    if len(forms) > MOST or all(form.plain for form in forms):
        return None
    if len(rests) != 1:
        return _weighted(forms) if sums else None
    first = forms[0].exponent
    shifts = [simplify(add(form.exponent, scaled(first, Fraction(-1)))) for form in forms]
    directions = [*(s for s in shifts if s is not ZERO), *(b.z for form in forms for b in form.binomials)]
    directions = [d for d in directions if d is not ZERO]
    found = _along_one(forms, shifts, directions) if directions else None
    if found is None and any(form.binomials for form in forms):
        return (_difference(forms) if sums else None) or _by_logarithms(forms, sums)
    if found is None and sums and len(forms) > 1 and all(f.coefficient > 0 and not f.binomials for f in forms):
        found = _nested(forms)
        return None if found is None else replace(found, rest=forms[0].rest)
    return None if found is None else found.times(Form(exponent=first, rest=forms[0].rest))


def _difference(forms: list[Form]) -> Form | None:
    """`sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a))`"""
    if len(forms) != 2 or forms[0].coefficient != -forms[1].coefficient:
        return None
    if any(form.exponent is not ZERO or len(form.binomials) != 1 for form in forms):
        return None
    (first,), (second,) = (form.binomials for form in forms)
    if any(b.sign < 0 or b.n != -1 for b in (first, second)):
        return None
    apart = expanded(add(first.z, neg(second.z)))
    if number(apart) is not None:
        return None  # a number has no function of its own
    both = (first, Binomial(1, scaled(second.z, Fraction(-1)), Fraction(-1)), Binomial(-1, apart, Fraction(1)))
    return Form(forms[0].coefficient, ZERO, both, forms[0].rest)


def _by_label(factor: Expr) -> bool:
    """Whether the factor is a condition that two labels be equal: what deltas of labels make."""
    if not isinstance(factor, Iverson) or not isinstance(factor.condition, Compare):
        return False
    return factor.condition.op == "==" and all(isinstance(a, Access) for a in factor.condition.children)


def shifted(exponent: Expr) -> bool:
    """Whether a constant has been taken out of the exponent."""
    return any(
        isinstance(rest, Apply) and rest.function == "stop_gradient"
        for rest in (split_coefficient(term)[1] for term in terms_of(exponent))
    )


def _weighted(forms: list[Form]) -> Form | None:
    """`w e^a + v e^b`: the larger exponent is taken out, as a constant; not beside a number, which `log1p` wants."""
    if any(form.binomials or form.exponent is ZERO or shifted(form.exponent) for form in forms):
        return None
    top = forms[0].exponent
    for form in forms[1:]:
        top = Apply("max", (top, form.exponent))
    top = Apply("stop_gradient", (top,))
    terms = (
        mul(const(form.coefficient), *form.rest, Apply("exp", (simplify(add(form.exponent, neg(top))),)))
        for form in forms
    )
    return Form(exponent=top, rest=(add(*terms),))


def _by_logarithms(forms: list[Form], sums: bool) -> Form | None:
    """The same with `(1 + e^z)^n` as an exponential of its own: `tanh(softplus(x))` by powers of `1 + e^x`."""
    whole = []
    for form in forms:
        if any(b.sign < 0 for b in form.binomials):
            return None
        logs = [mul(const(b.n), Apply("softplus", (b.z, ONE))) for b in form.binomials]
        whole.append(Form(form.coefficient, simplify(add(form.exponent, *logs)), (), form.rest))
    first = whole[0].exponent
    shifts = [simplify(add(form.exponent, scaled(first, Fraction(-1)))) for form in whole]
    directions = [s for s in shifts if s is not ZERO]
    found = _along_one(whole, shifts, directions) if directions else None
    return None if found is None else found.times(Form(exponent=first, rest=whole[0].rest))


def _nested(forms: list[Form]) -> Form | None:
    """`c e^a + d e^b + ...`, of unlike exponents, as `e^L`: L is `logaddexp` of all of them.

    A number is among them only beside a sum of exponentials: beside one there are forms without its logarithm.
    """
    summed = any(isinstance(node, Reduce) and node.kind == "logsumexp" for f in forms for node in walk(f.exponent))
    if not summed and any(form.exponent is ZERO and form.coefficient != 1 for form in forms):
        return None
    logs = [f.exponent if f.coefficient == 1 else add(f.exponent, Apply("log", (const(f.coefficient),))) for f in forms]
    total = logs[0]
    for one in logs[1:]:
        total = Apply("logaddexp", (total, one))
    return Form(exponent=total)


def _along_one(forms: list[Form], shifts: list[Expr], directions: list[Expr]) -> Form | None:
    unit = directions[0]
    steps = [ratio(d, unit) for d in directions]
    if any(step is None for step in steps) or any(b.n.denominator != 1 for form in forms for b in form.binomials):
        return None
    scale = lcm(*(step.denominator for step in steps if step is not None))
    unit = scaled(unit, Fraction(1, scale))

    def whole(z: Expr) -> int:
        found = ratio(z, unit)
        assert found is not None
        return int(found)

    top, below = over_common(
        [
            (form.coefficient, whole(shift), [(b.sign, whole(b.z), int(b.n)) for b in form.binomials])
            for form, shift in zip(forms, shifts, strict=True)
        ]
    )
    if max(map(abs, top), default=0) > MOST * 4:
        return None
    split = factored(top, set(below))
    if split is None:
        return None
    constant, lowest, powers = split
    for (sign, m), n in below.items():
        powers[sign, m] = powers.get((sign, m), 0) - n
    binomials = tuple(
        Binomial(sign, scaled(unit, Fraction(m)), Fraction(n)) for (sign, m), n in sorted(powers.items()) if n
    )
    return Form(constant, scaled(unit, Fraction(lowest)), binomials)


__all__ = ["Binomial", "Form", "analyse", "combine"]
