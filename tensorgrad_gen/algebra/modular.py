"""The value of an expression modulo a prime, at one position of its free indices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from math import floor
from typing import Any, TypeAlias

from tensorgrad_gen.algebra.field import (
    PRIME,
    NoValueError,
    atom,
    integer_power,
    reciprocal,
    sign,
)
from tensorgrad_gen.algebra.indices import by_name
from tensorgrad_gen.algebra.parts import split_coefficient
from tensorgrad_gen.algebra.rewrite import simplify
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Expr,
    Extent,
    Index,
    Iverson,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Program,
    Reduce,
    Scan,
    Sub,
    number,
)

At: TypeAlias = Mapping[Index, int]
_SMALL = 1 << 20  # a residue this near 0 is the integer it looks like
INT_PARAM = 2


class Modular:
    """One sample: every input, parameter and transcendental value is an atom of the seed."""

    def __init__(self, program: Program, lengths: Mapping[str, int], seed: int) -> None:
        self.program = program
        self.lengths = lengths
        self.seed = seed
        self.inputs = {item.name: item for item in program.inputs}
        self.constants = {item.name: item for item in program.constants}
        self.statements = {s.target: s for s in program.statements}
        self.known: dict[tuple[Expr, tuple[int, ...]], int] = {}
        self.order: dict[Expr, list[Index]] = {}
        self.logs: dict[int, int] = {}  # a logarithm -> what it is the logarithm of

    def length(self, index: Index) -> int:
        """How long the index is."""
        return index.extent if isinstance(index.extent, int) else self.lengths[index.extent]

    def value(self, expr: Expr, at: At) -> int:
        """The residue; `NoValueError` where there is none."""
        if expr not in self.order:
            self.order[expr] = by_name(expr.free)
        key = (expr, tuple(at[i] for i in self.order[expr]))
        if key not in self.known:
            self.known[key] = RULES[type(expr)](self, expr, at) % PRIME
        return self.known[key]

    def places(self, indices: tuple[Index, ...], at: At) -> Iterator[At]:
        """Every position of some indices, the others where they are."""
        for place in product(*(range(self.length(i)) for i in indices)):
            yield {**at, **dict(zip(indices, place, strict=True))}

    def position(self, sub: Sub, at: At) -> int:
        """The position that a subscript reads."""
        if isinstance(sub, Index):
            return at[sub]
        found = self.exact(sub, at)
        if found is None or found.denominator != 1:
            raise NoValueError("a subscript that is no integer")
        return int(found)

    def exact(self, expr: Expr, at: At) -> Fraction | None:
        """The rational value of what is made of numbers, extents, positions and labels."""
        if isinstance(expr, Const):
            return expr.value
        if isinstance(expr, Position):
            return Fraction(at[expr.index])
        if isinstance(expr, Extent):
            return Fraction(int(expr.symbol) if expr.symbol.isdigit() else self.lengths[expr.symbol])
        if isinstance(expr, Param) and expr.kind == "int":
            return Fraction(INT_PARAM)
        if isinstance(expr, Access) and self.program.tensors.get(expr.tensor) is not None:
            return self.label(expr, at) if self.program.tensors[expr.tensor].kind == "label" else None
        if not isinstance(expr, Add | Mul) and not (isinstance(expr, Apply) and expr.function in _WHOLE):
            return None
        parts = [self.exact(child, at) for child in expr.children]
        if isinstance(expr, Apply):
            known = [part for part in parts if part is not None]
            return _WHOLE[expr.function](*known) if len(known) == len(parts) else None
        total = Fraction(0) if isinstance(expr, Add) else Fraction(1)
        for part in parts:
            if part is None:
                return None
            total = total + part if isinstance(expr, Add) else total * part
        return total

    def label(self, expr: Access, at: At) -> Fraction | None:
        """A label, below its bound."""
        item = self.inputs.get(expr.tensor)
        if item is None:
            return None
        bound = self.lengths.get(item.labels, 2) if isinstance(item.labels, str) else item.labels or 2
        return Fraction(atom(self.seed, expr.tensor, *(self.position(s, at) for s in expr.subs)) % bound)

    def holds(self, condition: Expr, at: At) -> bool:
        """Whether a condition holds; one between real values depends on the sign of their difference alone."""
        if isinstance(condition, Compare):
            left, right = self.exact(condition.left, at), self.exact(condition.right, at)
            if left is None or right is None:
                left, right = Fraction(self.sign_of_difference(condition, at)), Fraction(0)
            return _COMPARE[condition.op](left, right)
        if isinstance(condition, Logic):
            found = (self.holds(arg, at) for arg in condition.args)
            return not next(found) if condition.op == "not" else all(found) if condition.op == "and" else any(found)
        if isinstance(condition, Reduce):
            inside = (self.holds(condition.body, place) for place in self.places(condition.indices, at))
            return any(inside) if condition.kind == "any" else all(inside)
        if isinstance(condition, Iverson):
            return self.holds(condition.condition, at)
        if isinstance(condition, Access) and condition.tensor in self.statements:
            statement = self.statements[condition.tensor]
            places = (self.position(s, at) for s in condition.subs)
            return self.holds(statement.value, dict(zip(statement.indices, places, strict=True)))
        return bool(self.value(condition, at) % 2)

    def sign_of_difference(self, condition: Compare, at: At) -> int:
        """The sign of left - right; that of a small integer is its own."""
        difference = (self.value(condition.left, at) - self.value(condition.right, at)) % PRIME
        if difference < _SMALL:
            return int(difference > 0)
        return -1 if difference > PRIME - _SMALL else sign(difference)

    def atom(self, name: str, *args: int) -> int:
        """The value of an opaque function at residues."""
        return atom(self.seed, name, *args)

    def exponential(self, expr: Expr, at: At, scale: Fraction = Fraction(1)) -> int:
        """exp of `scale` times the expression, term by term, so that exp(a + b) = exp(a) exp(b) and exp(log(a)) = a."""
        expr = simplify(expr)  # brings coefficients to the front
        if isinstance(expr, Add):
            result = 1
            for term in expr.terms:
                result = result * self.exponential(term, at, scale) % PRIME
            return result
        coefficient, rest = split_coefficient(expr)
        if coefficient != 1 and rest is not expr:
            return self.exponential(rest, at, scale * coefficient)
        if isinstance(expr, Access) and expr.tensor in self.statements and all(isinstance(s, Index) for s in expr.subs):
            statement = self.statements[expr.tensor]
            inner = dict(zip(statement.indices, (self.position(s, at) for s in expr.subs), strict=True))
            return self.exponential(statement.value, inner, scale)
        if isinstance(expr, Scan) and expr.kind == "log_softmax":
            row = self.exponential_of(-self.row_logarithm(expr, at), scale)
            return self.exponential(expr.body, at, scale) * row % PRIME
        return self.exponential_of(self.value(expr, at), scale)

    def exponential_of(self, value: int, scale: Fraction) -> int:
        """exp of `scale` times a residue."""
        value %= PRIME
        if scale.denominator != 1:
            return self.atom("exp", value * rational(scale) % PRIME)
        if value == 0:
            return 1
        for power, known in ((int(scale), value), (-int(scale), PRIME - value)):
            if known in self.logs:
                return integer_power(self.logs[known], power)
        low = min(value, PRIME - value)
        base = self.atom("exp", low)
        return integer_power(base, int(scale) if low == value else -int(scale))

    def row_logarithm(self, scan: Scan, at: At) -> int:
        """What a log_softmax takes from each entry: the logarithm of the sum of the exponentials of its row."""
        places = self.places(scan.indices, at)
        return self.logarithm(sum(self.exponential(scan.body, place) for place in places) % PRIME)

    def log_of(self, expr: Expr, at: At) -> int:
        """The logarithm of an expression, factor by factor, so that log(a b) = log(a) + log(b) and log(exp(a)) = a."""
        if isinstance(expr, Apply) and expr.function == "exp":
            return self.value(expr.args[0], at)
        if isinstance(expr, Mul) and not any((number(f) or 1) < 0 for f in expr.factors):
            return sum(self.log_of(f, at) for f in expr.factors) % PRIME
        if isinstance(expr, Pow) and (exponent := number(expr.exponent)) is not None:
            return self.log_of(expr.base, at) * rational(exponent) % PRIME
        if isinstance(expr, Access) and expr.tensor in self.statements:
            statement = self.statements[expr.tensor]
            inner = dict(zip(statement.indices, (self.position(s, at) for s in expr.subs), strict=True))
            return self.log_of(statement.value, inner)
        return self.logarithm(self.value(expr, at))

    def logarithm(self, value: int) -> int:
        """An atom that remembers what it is the logarithm of."""
        if value == 0:
            raise NoValueError("logarithm of 0")
        found = 0 if value == 1 else self.atom("log", value)
        self.logs[found] = value
        return found


def rational(value: Fraction) -> int:
    """A fraction as a residue."""
    return value.numerator * reciprocal(value.denominator) % PRIME


RULES: dict[type[Expr], Callable[[Modular, Any, At], int]] = {}  # filled by `modular_rules`

# What positions are made with beside sums and products.
_WHOLE: dict[str, Callable[..., Fraction]] = {
    "floor": lambda z: Fraction(floor(z)),
    "mod": lambda z, m: z - m * floor(z / m),
    "max": max,
    "min": min,
}

_COMPARE: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
