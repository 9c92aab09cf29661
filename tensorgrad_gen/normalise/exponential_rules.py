"""Stable forms of products, quotients and logarithms of exponentials.

Law: `e^(a y) (1 - e^y)^q (1 + e^y)^-n`, with `q <= n` and `0 <= a <= n - q`, is a product of `tanh(y/2)`, `sigmoid(y)`
and `sigmoid(-y)`, which are bounded, and accurate at both ends; its logarithm is a sum of `softplus(y)` and
`log(1 - e^y)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from tensorgrad_gen.algebra import key, simplify
from tensorgrad_gen.algebra.parts import split_coefficient, terms_of
from tensorgrad_gen.ir import Add, Apply, Expr, Mul, Pow, Reduce, add, const, mul, neg, number, power
from tensorgrad_gen.ir.build import ONE, ZERO
from tensorgrad_gen.normalise.binomials import Form, analyse, combine
from tensorgrad_gen.normalise.multiples import expanded, ratio, rational_power, scaled, vector
from tensorgrad_gen.normalise.polynomials import conjugates_joined
from tensorgrad_gen.normalise.risks import exponential, risk
from tensorgrad_gen.normalise.scalar_forms import without

HALF, MINUS = Fraction(1, 2), Fraction(-1)
LOG_2 = Apply("log", (const(2),))
_LOGARITHMS = ("logaddexp", "softplus", "logsigmoid", "log_cosh")  # of sums of exponentials


@dataclass(slots=True)
class Direction:
    """The binomials along one `unit`: the power of `1 + sign e^(m unit)`, by sign and `m`."""

    unit: Expr
    powers: dict[tuple[int, Fraction], Fraction]

    def at(self, m: Fraction) -> Expr:
        """`m unit`"""
        return scaled(self.unit, m)


def directions(form: Form) -> tuple[Fraction, Expr, list[Direction]]:
    """Coefficient and exponent, and the binomials by direction, all `m` positive."""
    coefficient, exponent, found = form.coefficient, form.exponent, list[Direction]()
    for binomial in form.binomials:
        sign, z, n = binomial.sign, binomial.z, binomial.n
        for own in found:
            m = ratio(z, own.unit)
            if m is not None:
                break
        else:
            own, m = Direction(z, {}), Fraction(1)
            found.append(own)
        if m < 0 and (n.denominator == 1 or sign > 0):  # 1 + s e^-y = s e^-y (1 + s e^y)
            coefficient *= Fraction(sign) ** int(n) if sign < 0 else 1
            exponent, m = simplify(add(exponent, mul(const(n), z))), -m
        own.powers[sign, m] = own.powers.get((sign, m), Fraction(0)) + n
    return coefficient, exponent, found


def forward(z: Expr) -> tuple[Expr, int]:
    """`z` or `-z`, the one whose first term is positive, and the sign: for odd and even functions."""
    z = simplify(z)
    coefficient, _ = split_coefficient(terms_of(z)[0])
    return (scaled(z, MINUS), -1) if coefficient < 0 else (z, 1)


def even(z: Expr) -> Expr:
    """What an even function may have for `z`: `forward`, without an absolute value round it."""
    z, _ = forward(z)
    coefficient, rest = split_coefficient(z)
    if isinstance(rest, Apply) and rest.function == "abs":
        return simplify(mul(const(coefficient), rest.args[0]))
    return z


def share(exponent: Expr, unit: Expr) -> Fraction:
    """`a` where `exponent - a unit` has nothing of the unit left; 0 if there is none."""
    own, whole = vector(unit), vector(exponent)
    ratios = {whole.get(name, Fraction(0)) / value for name, value in own.items()}
    return ratios.pop() if len(ratios) == 1 else Fraction(0)


# -- products ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Product:
    """What has been written of a form: factors, and what may stand in one exponential instead of them."""

    coefficient: Fraction
    factors: list[Expr]
    sigmoids: list[tuple[Expr, Fraction]]  # sigmoid(z)^n

    def along(self, own: Direction, share: Fraction) -> Fraction:
        """Write the binomials of one direction; the share of the exponent that is left."""
        for m in sorted({m for _, m in own.powers}, reverse=True):
            n, q = -own.powers.get((1, m), Fraction(0)), own.powers.get((-1, m), Fraction(0))
            y = own.at(m)
            both = min(n, q) if n > 0 and q > 0 else max(n, q) if n < 0 and q < 0 else Fraction(0)
            if both.denominator != 1:
                both = Fraction(0)
            if both:
                half, sign = forward(scaled(y, HALF))
                self.coefficient *= Fraction(-sign) ** int(both)
                self.factors.append(power(Apply("tanh", (half,)), both))
            n, q = n - both, q - both
            if q:
                share += self.unbounded(y, q, share / m) * m
            if n < 0:
                share += self.unbounded(y, -n, share / m, "exp") * m
            elif n > 0:
                upper = min(max(share / m, Fraction(0)), n)
                share -= upper * m
                self.between(y, upper, n - upper)
        return share

    def unbounded(self, y: Expr, n: Fraction, share: Fraction, function: str = "expm1") -> Fraction:
        """`(1 - e^y)^n`, or `(1 + e^y)^n`, as a factor; what it takes of the exponent, to be about `-y`."""
        if share == -n / 2 and n.denominator == 1:
            half, sign = forward(scaled(y, HALF))
            self.coefficient *= Fraction(2 if function == "exp" else -2 * sign) ** int(n)
            self.factors.append(power(Apply("cosh" if function == "exp" else "sinh", (half,)), n))
            return n / 2
        taken = Fraction(min(max(share if n < 0 else -share, Fraction(0)), abs(n)) // 1)
        if function == "exp" or n.denominator != 1:
            taken = taken if taken == abs(n) else Fraction(0)
        taken = taken if n > 0 else -taken
        if function == "exp":
            z = scaled(y, MINUS) if taken else y
            self.factors.append(power(add(ONE, Apply("exp", (z,))), n))
            return taken
        for z, own in ((y, n - taken), (scaled(y, MINUS), taken)):
            if own:
                self.factors.append(power(Apply("expm1", (z,)), own))
        self.coefficient *= Fraction(-1) ** int(n - taken)
        return taken

    def between(self, y: Expr, upper: Fraction, lower: Fraction) -> None:
        """`sigmoid(y)^upper sigmoid(-y)^lower`; as many of `sech(y/2)^2` as halves or the coefficient ask for."""
        pairs = min(upper, lower)
        scale = rational_power(Fraction(4), pairs)
        if pairs and scale is not None and (pairs.denominator == 2 or self.coefficient % scale == 0):
            half = even(scaled(y, HALF))
            self.coefficient /= scale
            self.factors.append(power(Apply("sech_squared", (half,)), pairs // 1))
            if pairs.denominator == 2:
                self.factors.append(Apply("sech", (half,)))
            upper, lower = upper - pairs, lower - pairs
        for z, n in ((y, upper), (scaled(y, MINUS), lower)):
            if n:
                self.sigmoids.append((z, n))


def product(form: Form) -> Expr:
    """The form, written with bounded functions where it has them."""
    coefficient, exponent, found = directions(form)
    written = _Product(coefficient, [], [])
    for own in found:
        taken = share(exponent, own.unit)
        exponent = add(exponent, scaled(own.unit, -taken))
        left = written.along(own, taken)
        exponent = simplify(add(exponent, scaled(own.unit, left)))
    sigmoids = [power(Apply("sigmoid", (z,)), n) for z, n in written.sigmoids]
    if exponent is not ZERO:
        # What grows stands in one exponential with what keeps it small.
        logs = [mul(const(-n), Apply("softplus", (scaled(z, MINUS), ONE))) for z, n in written.sigmoids]
        sigmoids = [Apply("exp", (simplify(add(exponent, *logs)),))]
    return simplify(mul(const(written.coefficient), *form.rest, *written.factors, *sigmoids))


@lru_cache(maxsize=20_000)
def exponentials(expr: Expr) -> Expr | None:
    """Quotients, powers and sums of exponentials of one argument, by bounded functions of it."""
    if isinstance(expr, Add):
        return _part_of_sum(expr)
    if not isinstance(expr, Mul | Pow):
        return None
    form = analyse(expr)
    divided = _divided(form.exponent)
    if form.plain or not (form.binomials or divided):
        return None
    new = product(form)
    if divided and risk(new) == risk(expr) and key(new) != key(expr):  # the order of factors alone is no change
        return new
    return _if_better(expr, new)


def _divided(exponent: Expr) -> bool:
    """Whether something was divided by a sum of exponentials: the exponent has its logarithm."""
    logs = (split_coefficient(term)[1] for term in terms_of(exponent))
    return any(isinstance(log, Reduce) or (isinstance(log, Apply) and log.function in _LOGARITHMS) for log in logs)


def _if_better(old: Expr, new: Expr) -> Expr | None:
    return new if risk(new) < risk(old) else None


def _part_of_sum(expr: Add) -> Expr | None:
    """A sum, or those of its terms that are exponentials and numbers, as a product."""
    chosen = [t for t in expr.terms if number(t) is not None or exponential(t)]
    whole = [chosen] if len(chosen) == len(expr.terms) else [list(expr.terms), chosen]
    for terms in whole:
        if len(terms) < 2:
            continue
        form = combine(Add(tuple(terms)))
        if form is None:
            continue
        rest = [t for t in expr.terms if t not in terms]
        better = _if_better(expr, simplify(add(product(form), *rest)))
        if better is not None:
            return better
    return None


# -- logarithms -------------------------------------------------------------------------------


def logarithm(expr: Expr) -> Expr | None:
    """log(1 + e^z) -> softplus(z), log(1 - e^z) -> log1mexp(z), log(c e^z) -> log(c) + z, and products of these"""
    if not isinstance(expr, Apply) or expr.function not in ("log", "log1p", "log2"):
        return None
    argument = expr.args[0]
    if expr.function == "log1p":
        argument = simplify(add(argument, ONE))
    form = analyse(argument, sums=True)
    if form.plain:
        found = _plain_logarithm(expr, argument)
    else:
        found = _sum_of_logarithms(form)
    if found is None or expr.function != "log2":
        return found
    return simplify(mul(power(LOG_2, -1), found))


def _plain_logarithm(expr: Apply, argument: Expr) -> Expr | None:
    """log(1 + u) -> log1p(u), log(1/u) -> -log(u), and the inverse hyperbolic functions"""
    inverse = _inverse_hyperbolic(argument)
    if inverse is not None:
        return inverse
    if isinstance(argument, Pow):
        n = number(argument.exponent)
        if n is not None and (n.numerator % 2 or n.denominator % 2 == 0):
            return mul(const(n), Apply("log", (argument.base,)))
    if expr.function != "log1p" and isinstance(argument, Add) and number(argument.terms[-1]) == 1:
        return Apply("log1p", (add(*argument.terms[:-1]),))
    return None


def _inverse_hyperbolic(argument: Expr) -> Expr | None:
    """log(u + sqrt(u^2 + 1)) -> asinh(u), log(u + sqrt(u^2 - 1)) -> acosh(u), log((1 + u)/(1 - u)) -> 2 atanh(u)"""
    if isinstance(argument, Add) and len(argument.terms) == 2:
        for u, root in (argument.terms, argument.terms[::-1]):
            if isinstance(root, Pow) and number(root.exponent) == Fraction(1, 2):
                rest = number(simplify(add(root.base, neg(power(u, 2)))))
                if rest in (1, -1):
                    return Apply("asinh" if rest == 1 else "acosh", (u,))
    if isinstance(argument, Mul) and len(argument.factors) == 2:
        for top, below in (argument.factors, argument.factors[::-1]):
            inverse = isinstance(below, Pow) and number(below.exponent) == -1
            if not inverse or not isinstance(top, Add) or number(top.terms[-1]) != 1:
                continue
            if number(simplify(add(top, below.children[0]))) == 2:
                return mul(const(2), Apply("atanh", (add(*top.terms[:-1]),)))
    return None


def _sum_of_logarithms(form: Form) -> Expr | None:
    coefficient, exponent, found = directions(form)
    if coefficient < 0:
        flipped = _flipped(found)
        if flipped is None:
            return None
        coefficient, exponent = -coefficient, add(exponent, flipped)
    logs: list[Expr] = []
    for own in found:
        for (sign, m), n in sorted(conjugates_joined(own.powers).items()):
            if n == 0:
                continue
            y = own.at(m)
            if sign < 0:
                logs.append(mul(const(n), Apply("log1mexp", (y,))))
                continue
            term, exponent, twos = _softplus(y, n, exponent)
            coefficient *= Fraction(2) ** twos
            logs.append(term)
    if coefficient != 1:
        logs.append(Apply("log", (const(coefficient),)))
    if form.rest:
        logs.append(Apply("log", (simplify(mul(*form.rest)),)))
    return simplify(add(*logs, exponent))


def _flipped(found: list[Direction]) -> Expr | None:
    """Turn `-(1 - e^y)^n` into `(1 - e^-y)^n`; what that adds to the exponent."""
    for own in found:
        for (sign, m), n in own.powers.items():
            if sign < 0 and n.numerator % 2 and n.denominator == 1:
                del own.powers[sign, m]
                own.powers[sign, -m] = n
                return mul(const(n * m), own.unit)
    return None


def _softplus(y: Expr, n: Fraction, exponent: Expr) -> tuple[Expr, Expr, int]:
    """`n log(1 + e^y)` with what it can take of the exponent; the exponent left, and a power of 2 that goes out."""
    taken = share(exponent, y) / n
    left = expanded(add(exponent, scaled(y, -taken * n)))
    if taken == -1:  # softplus(y) - y
        return softplus(scaled(y, MINUS), n), left, 0
    if taken == Fraction(-1, 2) and n.denominator == 1:
        return mul(const(n), Apply("log_cosh", (even(scaled(y, HALF)),))), left, int(n)
    if exponent is not ZERO and taken == 0 and n.denominator == 1 and vector(exponent).keys() & vector(y).keys():
        first = simplify(mul(const(1 / n), exponent))
        return mul(const(n), Apply("logaddexp", (first, simplify(add(first, y))))), ZERO, 0
    return softplus(y, n), exponent, 0


def softplus(y: Expr, n: Fraction) -> Expr:
    """`n log(1 + e^y)`; a negative one is the logarithm of a sigmoid."""
    if n < 0:
        return mul(const(-n), Apply("logsigmoid", (scaled(y, MINUS),)))
    return mul(const(n), Apply("softplus", (y, ONE)))


def logarithms_of_exponentials(expr: Expr) -> Expr | None:
    """softplus(z) - z -> softplus(-z), softplus(z) - softplus(-z) -> z, and `log_cosh` where half of `z` is taken"""
    if not isinstance(expr, Add):
        return None
    for place, term in enumerate(expr.terms):
        coefficient, rest = split_coefficient(term)
        if isinstance(rest, Apply) and rest.function == "logaddexp":
            found = _less_a_part(coefficient, rest, [t for k, t in enumerate(expr.terms) if k != place])
            if found is not None:
                return found
        if not isinstance(rest, Apply) or coefficient.denominator > 2:
            continue
        if rest.function == "softplus" and number(rest.args[1]) == 1:
            z = rest.args[0]
        elif rest.function == "logsigmoid":
            z, coefficient = scaled(rest.args[0], MINUS), -coefficient
        else:
            continue
        others = [t for k, t in enumerate(expr.terms) if k != place]
        for share in (Fraction(1), Fraction(1, 2)):
            left = without(others, scaled(z, -coefficient * share))
            if left is None:
                continue
            if share == 1:
                new = softplus(scaled(z, MINUS), coefficient)
            else:
                left = [*left, mul(const(coefficient), LOG_2)]
                new = mul(const(coefficient), Apply("log_cosh", (even(scaled(z, HALF)),)))
            return simplify(add(*left, new))
        for partner, new in _partners(z, coefficient):
            left = without(others, simplify(partner))
            if left is not None:
                return simplify(add(*left, new))
    return None


def _less_a_part(n: Fraction, log: Apply, others: list[Expr]) -> Expr | None:
    """n logaddexp(a, b) - n a -> n softplus(b - a), which is small where `a` is the larger"""
    for part, other in (log.args, log.args[::-1]):
        left = without(others, scaled(part, -n))
        if left is not None:
            return simplify(add(*left, softplus(simplify(add(other, scaled(part, MINUS))), n)))
    return None


def _partners(z: Expr, n: Fraction) -> Iterator[tuple[Expr, Expr]]:
    """What may stand beside `n softplus(z)`, and what both make: z, log(1 - e^2z), logaddexp(a, b) if z = a - b"""
    yield softplus(scaled(z, MINUS), -n), mul(const(n), z)
    yield mul(const(n), Apply("log1mexp", (z,))), mul(const(n), Apply("log1mexp", (scaled(z, Fraction(2)),)))
    if isinstance(z, Add) and len(z.terms) == 2:
        for term, other in (z.terms, z.terms[::-1]):
            if number(term) is None and number(other) is None:
                yield scaled(term, -n), mul(const(n), Apply("logaddexp", (other, scaled(term, MINUS))))


__all__ = ["directions", "exponentials", "logarithm", "logarithms_of_exponentials", "product", "share"]
