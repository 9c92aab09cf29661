"""Polynomials in extents and int params, with integer coefficients: how far a position reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from tensorgrad_gen.ir import Size

Monomial = tuple[Size, ...]
MOST_LEAVES = 16  # of a size that is multiplied out: at most 3^(16/3) terms


@dataclass(frozen=True, slots=True)
class Poly:
    """A sum of integers times products of atoms, sorted; an atom is an extent, a param or a floor of a quotient."""

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Poly) -> Poly:
        total = dict(self.terms)
        for monomial, count in other.terms:
            total[monomial] = total.get(monomial, 0) + count
        return _poly(total)

    def __neg__(self) -> Poly:
        return Poly(tuple((monomial, -count) for monomial, count in self.terms))

    def __sub__(self, other: Poly) -> Poly:
        return self + -other

    def __mul__(self, other: Poly) -> Poly:
        total: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in other.terms:
                monomial = tuple(sorted(left + right, key=repr))
                total[monomial] = total.get(monomial, 0) + a * b
        return _poly(total)

    def __floordiv__(self, other: Poly) -> Poly:
        if other.number == 1:
            return self
        if self.number is not None and other.number:
            return integer(self.number // other.number)
        return atom(Size("//", (self.size(), other.size())))

    @property
    def number(self) -> int | None:
        """The integer that it is, if it is one."""
        if not self.terms:
            return 0
        (monomial, count) = self.terms[0]
        return count if len(self.terms) == 1 and not monomial else None

    @property
    def sign(self) -> int | None:
        """1 or -1 if all coefficients have that sign (0 for none): atoms are not negative."""
        signs = {1 if count > 0 else -1 for _, count in self.terms}
        return 0 if not signs else signs.pop() if len(signs) == 1 else None

    def at_least_zero(self) -> bool:
        """Whether it is certainly not negative, extents being at least 1 and other atoms at least 0."""
        shifted = _poly({})
        for monomial, count in self.terms:
            extents = [a for a in monomial if a.op == "size"]
            others = tuple(a for a in monomial if a.op != "size")
            shifted += integer(count) * prod((atom(a) + integer(1) for a in extents), start=Poly(((others, 1),)))
        return all(count >= 0 for _, count in shifted.terms)

    def mapped(self, change: Callable[[Size], Poly]) -> Poly:
        """The polynomial with each atom replaced."""
        out = integer(0)
        for monomial, count in self.terms:
            out += prod((change(a) for a in monomial), start=integer(count))
        return out

    def size(self) -> Size:
        """As integer arithmetic."""
        found: Size | None = None
        for monomial, count in sorted(self.terms, key=lambda term: term[1] < 0):
            part = _product(monomial, abs(count))
            if found is None:
                found = part if count > 0 else Size("-", (part,))
            else:
                found = Size("+" if count > 0 else "-", (found, part))
        return Size("int", (0,)) if found is None else found


def _product(monomial: Monomial, count: int) -> Size:
    parts = list(monomial) if count == 1 and monomial else [Size("int", (count,)), *monomial]
    whole = parts[0]
    for part in parts[1:]:
        whole = Size("*", (whole, part))
    return whole


def _poly(terms: dict[Monomial, int]) -> Poly:
    kept = ((monomial, count) for monomial, count in terms.items() if count)
    return Poly(tuple(sorted(kept, key=lambda term: (-len(term[0]), repr(term[0])))))


def integer(value: int) -> Poly:
    """A constant."""
    return _poly({(): value})


def atom(size: Size) -> Poly:
    """An extent, a param, or a floor of a quotient."""
    return _poly({(size,): 1})


def same(left: Size, right: Size) -> bool:
    """Whether two sizes surely are equal."""
    if left == right:
        return True
    return max(_leaves(left), _leaves(right)) <= MOST_LEAVES and polynomial(left) == polynomial(right)


def _leaves(size: Size) -> int:
    return sum(_leaves(arg) if isinstance(arg, Size) else 1 for arg in size.args)


def polynomial(size: Size) -> Poly:
    """The polynomial that a size is: two sizes with one polynomial are equal."""
    if size.op == "int":
        return integer(size.args[0])
    if size.op in ("size", "param"):
        return atom(size)
    parts = [polynomial(arg) for arg in size.args]
    if size.op == "-":
        return -parts[0] if len(parts) == 1 else parts[0] - parts[1]
    if size.op in ("+", "*"):
        return parts[0] + parts[1] if size.op == "+" else parts[0] * parts[1]
    if size.op == "//":
        return parts[0] // parts[1]
    if size.op == "ceil":
        return -(-parts[0] // parts[1])
    return atom(Size(size.op, tuple(part.size() for part in parts)))


def renamed(size: Size, change: Callable[[Any], str | int | Any]) -> Size:
    """A size with the name of each extent replaced; one that becomes an integer is that integer."""
    if size.op == "size":
        new = change(size.args[0])
        return Size("int", (new,)) if isinstance(new, int) else Size("size", (new,))
    if size.op in ("int", "param"):
        return size
    args = tuple(renamed(arg, change) for arg in size.args)
    return args[0] if size.op == "min" and args[0] == args[1] else Size(size.op, args)
