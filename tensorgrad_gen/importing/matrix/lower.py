"""Matrix formulas -> equations in index notation: an entry of every part, with a new letter for every sum.

Law: all sums of an equation have letters of their own, and a sum of products has nothing in it but tensors: what has
an inside (a sum, a function, a power) and is contracted gets an equation of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tensorgrad_gen.importing.matrix.shapes import NORMS, REDUCTIONS, SPELLINGS, Extent, Shaped
from tensorgrad_gen.importing.naming import allowed, fresh, numbered
from tensorgrad_gen.importing.source import Node, Source, Traced, joined, plain, said
from tensorgrad_gen.notation.levels import ATOM, POWER, SUM, TERM

DOMAINS = {"inv": "well_conditioned", "det": "well_conditioned", "solved": "well_conditioned", "logdet": "spd"}


class Factor(NamedTuple):
    """A factor of a product; `letters` are those of a tensor, nothing of what has an inside."""

    text: Traced
    level: int
    letters: tuple[str, ...] | None = None
    operator: str = "*"


class Product(NamedTuple):
    factors: list[Factor]
    minus: bool = False


@dataclass(slots=True)
class Scope:
    """The letters of one equation: those on its left, those that products sum, all that it has."""

    left: list[str] = field(default_factory=list)
    dummies: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Lowering:
    """The equations made so far; `taken` are the names and letters of the user's."""

    source: Source
    taken: set[str]
    equations: list[tuple[Traced, Traced]] = field(default_factory=list)
    named: dict[tuple[str, ...], str] = field(default_factory=dict)  # what an equation says -> its tensor
    domains: dict[str, str] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)

    # equations and letters

    def define(self, of: Shaped, name: str) -> str:
        """An equation for the part, under this name or one that has it already; the tensor's name."""
        outer, self.scope = self.scope, Scope()
        letters = [self.letter(side) if not side.one else "" for side in (of.rows, of.cols)]
        self.scope.left = [letter for letter in letters if letter]
        right = self.value(of, *letters)[0]
        left = list(self.scope.left)
        self.scope = outer
        key = (plain(right), *letters)
        if not name:
            if key in self.named:
                return self.named[key]
            name = numbered("r", self.taken)
        self.named[key] = name
        self.taken.add(name)
        target = f"{name}[{','.join(left)}]" if left else name
        self.equations.append((said(target, of.node), right))
        return name

    def letter(self, side: Extent) -> str:
        """The index of the side where this equation has not got it yet, else one that nothing has."""
        name = side.known.name
        if not name or name in self.scope.used:
            name = fresh({*self.taken, *self.scope.used})
        self.scope.used.add(name)
        return name

    def dummy(self, side: Extent) -> str:
        """A letter that a product sums."""
        letter = self.letter(side)
        self.scope.dummies.add(letter)
        return letter

    # an entry of a part, as text

    def value(self, of: Shaped, row: str, col: str) -> tuple[Traced, int]:
        """The entry at these letters, and how tightly its text binds."""
        terms = self.terms(of, row, col)
        if len(terms) == 1 and not terms[0].minus:
            return self.product(terms[0], of.node)
        out: Traced = ()
        for term in terms:
            sign = (" - " if term.minus else " + ") if out else ("-" if term.minus else "")
            text, level = self.product(term, of.node)
            out += (said(sign, of.node) if sign else ()) + wrapped(text, level, TERM, of.node)
        return out, SUM

    def terms(self, of: Shaped, row: str, col: str) -> list[Product]:
        """The additive terms of an entry."""
        if of.kind in ("plus", "minus", "negative"):
            out = [self.terms(part, *entry(part, row, col)) for part in of.parts]
            if of.kind != "plus":
                out[-1] = [Product(term.factors, not term.minus) for term in out[-1]]
            return [term for terms in out for term in terms]
        return [self.factors(of, row, col)]

    def product(self, product: Product, of: Node) -> tuple[Traced, int]:
        """The factors as text; a tensor that stands twice with free letters is a power, which never looks summed."""
        counted: dict[tuple[str, str, int], tuple[Factor, int]] = {}
        for k, factor in enumerate(product.factors):
            free = bool(factor.letters) and set(factor.letters or ()) <= set(self.scope.left)
            key = (factor.operator, plain(factor.text), 0 if free else k)
            counted[key] = (factor, counted[key][1] + 1 if key in counted else 1)
        out: Traced = ()
        level = ATOM
        for factor, count in counted.values():
            text = wrapped(factor.text, factor.level, POWER if out or factor.operator == "/" else TERM, of)
            text, own = (text + said(f"^{count}", of), POWER) if count > 1 else (text, factor.level)
            if factor.operator == "/" and not out:
                out, level = said("1", of), TERM
            level = TERM if out else own
            out += (said(factor.operator, of) if out else ()) + text
        return (out, level) if out else (said("1", of), ATOM)

    # an entry of a part, as factors

    def factors(self, of: Shaped, row: str, col: str) -> Product:
        """The entry as a product; what has an inside and a letter that is summed becomes a tensor."""
        method: Callable[[Shaped, str, str], Product] | None = getattr(self, f"of_{of.kind}", None)
        if method is not None:
            return method(of, row, col)
        if {row, col} & self.scope.dummies:
            return self.tensor(self.define(of, ""), of, row, col)
        text, level = self.inside(of, row, col)
        return Product([Factor(text, level)])

    def tensor(self, name: str, of: Shaped, row: str, col: str) -> Product:
        letters = tuple(letter for letter in (row, col) if letter)
        text = f"{name}[{','.join(letters)}]" if letters else name
        return Product([Factor(said(text, of.node), ATOM, letters)])

    def of_name(self, of: Shaped, row: str, col: str) -> Product:
        return self.tensor(allowed(of.text), of, row, col)

    def of_number(self, of: Shaped, row: str, col: str) -> Product:
        return Product([Factor(said(of.text, of.node), ATOM)])

    def of_eye(self, of: Shaped, row: str, col: str) -> Product:
        return self.tensor("delta", of, row, col)

    def of_filled(self, of: Shaped, row: str, col: str) -> Product:
        ones = self.tensor("one", of, row, col)
        if of.parts[0].text == "1":
            return ones
        return together([self.factors(of.parts[0], "", ""), ones])

    def of_transposed(self, of: Shaped, row: str, col: str) -> Product:
        return self.factors(of.parts[0], col, row)

    def of_negative(self, of: Shaped, row: str, col: str) -> Product:
        inside = self.factors(of.parts[0], row, col)
        return Product(inside.factors, not inside.minus)

    def of_product(self, of: Shaped, row: str, col: str) -> Product:
        left, right = of.parts
        between = "" if left.cols.one else self.dummy(left.cols)
        return together([self.factors(left, row, between), self.factors(right, between, col)])

    def of_each_product(self, of: Shaped, row: str, col: str) -> Product:
        return together([self.factors(part, *entry(part, row, col)) for part in of.parts])

    def of_each_quotient(self, of: Shaped, row: str, col: str) -> Product:
        above, below = of.parts
        over = self.factors(above, *entry(above, row, col))
        at = entry(below, row, col)
        if set(at) & self.scope.dummies and below.kind != "name":
            under = self.tensor(self.define(below, ""), below, *at).factors[0]
        elif below.kind == "name":
            under = self.factors(below, *at).factors[0]
        else:
            under = Factor(*self.value(below, *at))
        return Product([*over.factors, under._replace(operator="/")], over.minus)

    def of_each_power(self, of: Shaped, row: str, col: str) -> Product:
        base, exponent = of.parts
        if base.kind == "norm2" and exponent.text == "2":
            return self.squared(base.parts[0])
        if base.kind == "name" and exponent.kind == "number":
            tensor = self.factors(base, *entry(base, row, col)).factors[0]
            text = (*tensor.text, *said(f"^{exponent.text}", of.node))
            return Product([Factor(text, POWER)])
        if {row, col} & self.scope.dummies:
            return self.tensor(self.define(of, ""), of, row, col)
        text = wrapped(*self.value(base, *entry(base, row, col)), ATOM, of.node)
        power = wrapped(*self.value(exponent, *entry(exponent, row, col)), ATOM, of.node)
        return Product([Factor((*text, *said("^", of.node), *power), POWER)])

    def squared(self, of: Shaped) -> Product:
        """`norm2(v)^2` without the root: a product of a tensor with itself."""
        name = allowed(of.text) if of.kind == "name" else self.define(of, "")
        letters = [self.dummy(side) if not side.one else "" for side in (of.rows, of.cols)]
        return together([self.tensor(name, of, *letters)] * 2)

    def of_tr(self, of: Shaped, row: str, col: str) -> Product:
        [matrix] = of.parts
        if matrix.scalar:
            return self.factors(matrix, "", "")
        letter = self.dummy(matrix.rows)
        return self.factors(matrix, letter, letter)

    def of_diagonal(self, of: Shaped, row: str, col: str) -> Product:
        other = self.dummy(of.parts[0].cols)
        delta = Factor(said(f"delta[{row},{other}]", of.node), ATOM, (row, other))
        return together([self.factors(of.parts[0], row, other), Product([delta])])

    def of_spread(self, of: Shaped, row: str, col: str) -> Product:
        [vector] = of.parts
        at = ("", row) if vector.rows.one else (row, "")
        return together([self.tensor("delta", of, row, col), self.factors(vector, *at)])

    def of_inv(self, of: Shaped, row: str, col: str) -> Product:
        if of.parts[0].scalar:
            return Product([Factor(*self.value(of.parts[0], "", ""), None, "/")])
        return self.matrix_function(of, "inv", row, col)

    def of_solved(self, of: Shaped, row: str, col: str) -> Product:
        return self.matrix_function(of, "solve", row, col)

    def of_det(self, of: Shaped, row: str, col: str) -> Product:
        return self.matrix_function(of, "det", "", "")

    def of_logdet(self, of: Shaped, row: str, col: str) -> Product:
        return self.matrix_function(of, "logdet", "", "")

    def matrix_function(self, of: Shaped, function: str, row: str, col: str) -> Product:
        """`inv(A)[i,j]`: matrix functions are of tensors with a name."""
        names = []
        for k, part in enumerate(of.parts):
            named = part.kind == "name" and not (k == 0 and part.scalar)
            names.append(allowed(part.text) if named else self.define(part, ""))
            if k == 0 and named:
                self.domains.setdefault(part.text, DOMAINS[of.kind])
        return self.tensor(f"{function}({', '.join(names)})", of, row, col)

    # what has an inside

    def inside(self, of: Shaped, row: str, col: str) -> tuple[Traced, int]:
        """A function of an entry, or of all entries."""
        if of.kind in ("plus", "minus"):
            return self.value(of, row, col)
        [part] = of.parts
        if of.kind == "each":
            return self.called(SPELLINGS.get(of.text, of.text), self.value(part, row, col)[0], of)
        assert of.kind in (*REDUCTIONS, *NORMS)
        at = [self.letter(side) if not side.one else "" for side in (part.rows, part.cols)]
        text = self.value(part, *at)[0]
        letters = ",".join(letter for letter in at if letter)
        if of.kind in NORMS:
            text = self.called("abs", text, of)[0] if of.kind == "norm1" or not letters else text
            kind = "sum" if of.kind == "norm1" else "norm"
        else:
            kind = of.kind
        return self.called(f"{kind}[{letters}]", text, of) if letters else (text, SUM)

    def called(self, function: str, inside: Traced, of: Shaped) -> tuple[Traced, int]:
        return (*said(f"{function}(", of.node), *inside, *said(")", of.node)), ATOM


def entry(part: Shaped, row: str, col: str) -> tuple[str, str]:
    """The letters at which a part is read beside others of this entry: a scalar has none."""
    return ("", "") if part.scalar else (row, col)


def together(products: Iterable[Product]) -> Product:
    """The product of products."""
    products = list(products)
    minus = sum(product.minus for product in products) % 2 == 1
    return Product([factor for product in products for factor in product.factors], minus)


def wrapped(text: Traced, level: int, wanted: int, of: Node) -> Traced:
    """The text, in parentheses if it binds less tightly."""
    return text if level >= wanted else joined("", [said("(", of), text, said(")", of)], of)
