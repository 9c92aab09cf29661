"""The rule table of the normal form: sums of products of factors, deltas contracted, ones absorbed.

Forbidden moves, on purpose: nothing is substituted into a contraction, no function is
distributed over one, a sum is split over its terms only where a delta needs it, and what stands
under a mask keeps its mask.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tensorgrad_gen.algebra.complements import complementary
from tensorgrad_gen.algebra.indices import substitute
from tensorgrad_gen.algebra.keys import key
from tensorgrad_gen.algebra.parts import has_delta, split_coefficient
from tensorgrad_gen.algebra.rewrite import rule
from tensorgrad_gen.ir import (
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Index,
    IRError,
    Iverson,
    Logic,
    Mul,
    Position,
    Pow,
    Where,
    add,
    const,
    mul,
    neg,
    number,
    power,
    sub_free,
)
from tensorgrad_gen.ir.build import ONE, ZERO

# -- sums of terms ------------------------------------------------------------------------


@rule(Add, "flatten a sum", "a + (b + c) -> a + b + c; numbers added, zeros dropped")
def _flatten_add(expr: Add) -> Expr:
    return add(*expr.terms)


@rule(Add, "collect like terms", "2 a + 3 a -> 5 a, up to the names of dummies")
def _collect_terms(expr: Add) -> Expr | None:
    groups: dict[str, list[tuple[Fraction, Expr]]] = {}
    for term in expr.terms:
        coefficient, rest = split_coefficient(term)
        groups.setdefault(key(rest), []).append((coefficient, rest))
    if len(groups) == len(expr.terms):
        return None
    return add(*(mul(const(sum(c for c, _ in group)), group[0][1]) for group in groups.values()))


@rule(Add, "complementary conditions", "[c] a + [not c] a -> a")
def _complementary(expr: Add) -> Expr | None:
    for pair in complementary(expr.terms):
        if key(pair.then) == key(pair.other):
            return add(pair.then, *(term for k, term in enumerate(expr.terms) if k not in pair.places))
    return None


# -- products -----------------------------------------------------------------------------


@rule(Mul, "flatten a product", "a (b c) -> a b c; numbers multiplied, 0 a -> 0")
def _flatten_mul(expr: Mul) -> Expr:
    return mul(*expr.factors)


@rule(Mul, "collect powers", "a^m a^n -> a^(m+n); delta^2 -> delta; [c]^2 -> [c]")
def _collect_powers(expr: Mul) -> Expr | None:
    groups: dict[str, list[tuple[Expr, Fraction]]] = {}
    order: list[tuple[str, Expr]] = []
    for factor in expr.factors:
        base, exponent = factor, Fraction(1)
        if isinstance(factor, Pow):
            value = number(factor.exponent)
            if value is not None:
                base, exponent = factor.base, value
        name = key(base)
        if name not in groups:
            order.append((name, base))
        groups.setdefault(name, []).append((base, exponent))
    if len(groups) == len(expr.factors):
        return None
    result = []
    for name, base in order:
        exponents = [e for _, e in groups[name]]
        idempotent = isinstance(base, Delta | Iverson) and all(e > 0 for e in exponents)
        result.append(base if idempotent else power(base, sum(exponents, Fraction(0))))
    return mul(*result)


@rule(Mul, "size and sign", "x sign(x) -> |x|")
def _size_and_sign(expr: Mul) -> Expr | None:
    for position, factor in enumerate(expr.factors):
        if isinstance(factor, Apply) and factor.function == "sign" and factor.args[0] in expr.factors:
            rest = [f for k, f in enumerate(expr.factors) if k != position]
            rest.remove(factor.args[0])
            return mul(*rest, Apply("abs", factor.args))
    return None


@rule(Mul, "distribute over deltas", "a (delta b + c) -> a delta b + a c")
def _distribute(expr: Mul) -> Expr | None:
    for position, factor in enumerate(expr.factors):
        if isinstance(factor, Add) and any(has_delta(t) for t in factor.terms):
            rest = expr.factors[:position] + expr.factors[position + 1 :]
            deltas = [t for t in factor.terms if has_delta(t)]
            others = [t for t in factor.terms if not has_delta(t)]
            parts = [*deltas, add(*others)] if others else deltas
            return add(*(mul(*rest, part) for part in parts))
    return None


@rule(Mul, "delta renames", "delta[i,j] f[j] -> delta[i,j] f[i]; delta[v,t[b]] f[v] -> delta[v,t[b]] f[t[b]]")
def _delta_renames(expr: Mul) -> Expr | None:
    for position, delta in enumerate(expr.factors):
        if not isinstance(delta, Delta):
            continue
        for old, new in ((delta.right, delta.left), (delta.left, delta.right)):
            if not isinstance(old, Index) or old in sub_free(new):
                continue
            result = _rename_others(expr.factors, position, old, new)
            if result is not None:
                return result
            if isinstance(new, Index):
                break  # one direction only between two indices, or it would go to and fro
    return None


def _rename_others(factors: tuple[Expr, ...], position: int, old: Index, new: Index | Expr) -> Expr | None:
    others = []
    changed = False
    for at, factor in enumerate(factors):
        if at != position and old in factor.free:
            try:
                factor = substitute(factor, {old: new})
                changed = True
            except IRError:
                pass  # a scan's own index cannot become a label: the factor keeps its index
        others.append(factor)
    return mul(*others) if changed else None


# -- deltas, conditions ---------------------------------------------------------------------


@rule(Delta, "delta of itself", "delta[i,i] -> 1; delta[s,t] of two labels -> [s == t]")
def _delta_trivial(expr: Delta) -> Expr | None:
    if expr.left is expr.right:
        return ONE
    if not isinstance(expr.left, Index) and not isinstance(expr.right, Index):
        return Iverson(Compare("==", expr.left, expr.right))
    return None


@rule(Compare, "decide a comparison", "1 < 2 -> true; i == i -> true")
def _decide(expr: Compare) -> Expr | None:
    left, right = number(expr.left), number(expr.right)
    same_position = isinstance(expr.left, Position) and expr.left is expr.right
    if same_position:
        left = right = Fraction(0)
    if left is None or right is None or (expr.op == "==" and isinstance(expr.left, Const) and left == 1 and right == 1):
        return None
    truth = {
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
        "==": left == right,
        "!=": left != right,
    }[expr.op]
    return TRUE if truth else FALSE


TRUE = Compare("==", ONE, ONE)
FALSE = Logic("not", (TRUE,))


@rule(Logic, "fold conditions", "not not c -> c; c and true -> c; c or false -> c")
def _fold_logic(expr: Logic) -> Expr | None:
    if expr.op == "not":
        inner = expr.args[0]
        return inner.args[0] if isinstance(inner, Logic) and inner.op == "not" else None
    absorbing, neutral = (FALSE, TRUE) if expr.op == "and" else (TRUE, FALSE)
    if absorbing in expr.args:
        return absorbing
    args = tuple(a for a in dict.fromkeys(expr.args) if a is not neutral)
    if len(args) == len(expr.args):
        return None
    return neutral if not args else args[0] if len(args) == 1 else Logic(expr.op, args)


# A comparison, and those of the same two sides that hold wherever it does.
_IMPLIED = {"<": ("<=", "!="), ">": (">=", "!="), "==": ("<=", ">=")}


@rule(Logic, "absorb a condition", "a > b and a != b -> a > b; a > b or a != b -> a != b")
def _absorb(expr: Logic) -> Expr | None:
    if expr.op == "not":
        return None

    def implies(one: Expr, other: Expr) -> bool:
        if not isinstance(one, Compare) or not isinstance(other, Compare):
            return False
        return other.op in _IMPLIED.get(one.op, ()) and (one.left, one.right) == (other.left, other.right)

    spare = {c for c in expr.args for d in expr.args if (implies(d, c) if expr.op == "and" else implies(c, d))}
    args = tuple(a for a in expr.args if a not in spare)
    if not spare:
        return None
    return args[0] if len(args) == 1 else Logic(expr.op, args)


@rule(Iverson, "constant condition", "[true] -> 1; [false] -> 0")
def _constant_bracket(expr: Iverson) -> Expr | None:
    return ONE if expr.condition is TRUE else ZERO if expr.condition is FALSE else None


@rule(Where, "where as a mask", "where(c, a, 0) -> [c] a; where(c, 0, b) -> [not c] b; where(c, a, a) -> a")
def _where(expr: Where) -> Expr | None:
    if expr.condition is TRUE or expr.then is expr.other:
        return expr.then
    if expr.condition is FALSE:
        return expr.other
    if expr.other is ZERO:
        return mul(Iverson(expr.condition), expr.then)
    if expr.then is ZERO:
        return mul(Iverson(Logic("not", (expr.condition,))), expr.other)
    return None


# -- powers ---------------------------------------------------------------------------------


@rule(Pow, "fold a power", "a^0 -> 1; a^1 -> a; (2/3)^2 -> 4/9")
def _fold_power(expr: Pow) -> Expr:
    return power(expr.base, expr.exponent)


@rule(Pow, "power of a power", "(a^m)^n -> a^(m n), n an integer")
def _power_of_power(expr: Pow) -> Expr | None:
    outer = number(expr.exponent)
    if not isinstance(expr.base, Pow) or outer is None or outer.denominator != 1:
        return None
    inner = number(expr.base.exponent)
    return None if inner is None else power(expr.base.base, inner * outer)


@rule(Pow, "root of a square", "(a^2)^(1/2) -> |a|")
def _root_of_square(expr: Pow) -> Expr | None:
    outer = number(expr.exponent)
    inner = number(expr.base.exponent) if isinstance(expr.base, Pow) else None
    if not isinstance(expr.base, Pow) or inner is None or outer is None or outer.denominator != 2:
        return None
    even = inner.denominator == 1 and inner % 2 == 0
    return power(Apply("abs", (expr.base.base,)), inner * outer) if even else None


@rule(Pow, "power of a product", "(a b)^n -> a^n b^n, n an integer")
def _power_of_product(expr: Pow) -> Expr | None:
    exponent = number(expr.exponent)
    if not isinstance(expr.base, Mul) or exponent is None or exponent.denominator != 1:
        return None
    if any(isinstance(f, Iverson | Delta) for f in expr.base.factors):
        return None
    return mul(*(power(f, exponent) for f in expr.base.factors))


@rule(Apply, "parts of complex numbers", "conj(conj(a)) -> a; Re(a + i b) -> a; Im(a + i b) -> b; Re(conj(a)) -> Re(a)")
def _complex_parts(expr: Apply) -> Expr | None:
    if expr.function == "complex":
        return ZERO if expr.args == (ZERO, ZERO) else None
    if expr.function not in ("conj", "real", "imag"):
        return None
    (z,) = expr.args
    if isinstance(z, Const):
        return ZERO if expr.function == "imag" else z
    if not isinstance(z, Apply) or z.function not in ("conj", "complex"):
        return None
    if z.function == "conj":
        return _OF_CONJUGATE[expr.function](z.args[0])
    re, im = z.args
    return {"conj": Apply("complex", (re, neg(im))), "real": re, "imag": im}[expr.function]


_OF_CONJUGATE: dict[str, Callable[[Expr], Expr]] = {
    "conj": lambda z: z,
    "real": lambda z: Apply("real", (z,)),
    "imag": lambda z: neg(Apply("imag", (z,))),
}

_AS_POWER = {"sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2), "square": Fraction(2), "reciprocal": Fraction(-1)}


@rule(Apply, "roots are powers", "sqrt(a) -> a^(1/2); rsqrt(a) -> a^(-1/2); reciprocal(a) -> a^-1; pow(a, b) -> a^b")
def _as_power(expr: Apply) -> Expr | None:
    if expr.function in _AS_POWER:
        return power(expr.args[0], _AS_POWER[expr.function])
    if expr.function == "pow":
        return power(expr.args[0], expr.args[1])
    return None
