"""Index notation for a reader: `1/H sum_h g[b,h] gamma[h]/sigma[b]`."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import Add, Apply, Const, Expr, Index, Linalg, Mul, Pow, Sum, const, number
from tensorgrad_gen.notation.levels import ATOM, POWER, SUM, TERM, Text
from tensorgrad_gen.notation.printer import Printer, exponent, floor_division
from tensorgrad_gen.notation.product import Product, split

HALF = Fraction(1, 2)
ONE = const(1)


def leading(terms: tuple[Expr, ...], negative: list[bool]) -> tuple[Expr, ...]:
    """The terms, one without a minus sign brought to the front if there is one: `1 - x`, not `-x + 1`."""
    if not negative[0] or all(negative):
        return terms
    first = negative.index(False)
    return (terms[first], *terms[:first], *terms[first + 1 :])


def without_defaults(expr: Apply) -> tuple[Expr, ...]:
    """The arguments, but for last ones that are what they would be if left out."""
    row = FUNCTIONS.get(expr.function)
    args = expr.args
    if row is None:
        return args
    for value in reversed(row.defaults):
        if number(args[-1]) != value:
            break
        args = args[:-1]
    return args


class MathPrinter(Printer):
    """Text for docstrings, comments and explanations."""

    times = " "

    def binder(self, kind: str, indices: tuple[Index, ...], body: Expr) -> Text:
        return Text(f"{kind}_{self.bound(indices)}({self.top(body)})", ATOM)

    def bound(self, indices: tuple[Index, ...]) -> str:
        names = ",".join(self.index(i) for i in indices)
        return f"{{{names}}}" if len(indices) > 1 else names

    def negated(self, expr: Expr) -> tuple[bool, Expr]:
        # The sign of a product is found among all its factors, by `split`.
        if isinstance(expr, Mul | Const):
            return split(expr).minus, expr
        return False, expr

    def terms(self, expr: Add) -> tuple[Expr, ...]:
        return leading(expr.terms, [self.negated(t)[0] for t in expr.terms])

    def term(self, expr: Expr) -> str:
        return self.wrap(self.product(split(expr)), TERM) if isinstance(expr, Mul | Const) else self.at(expr, TERM)

    def show_sum(self, expr: Sum) -> Text:
        return Text(f"sum_{self.bound(expr.indices)} {self.at(expr.body, TERM)}", TERM)

    def show_pow(self, expr: Pow) -> Text:
        value = exponent(expr)
        if value is not None and value < 0:
            return self.product(split(expr))
        if value == HALF:
            return Text(f"sqrt({self.top(expr.base)})", ATOM)
        return Text(f"{self.at(expr.base, ATOM)}^{self.at(expr.exponent, ATOM)}", POWER)

    def show_apply(self, expr: Apply) -> Text:
        if expr.function in ("pow", "complex_pow"):
            return self.show_pow(Pow(*expr.args))
        divided = floor_division(expr)
        if divided is not None:
            return Text(f"{self.at(divided[0], ATOM)}//{divided[1]}", TERM)
        return self.call(expr.function, without_defaults(expr))

    def show_mul(self, expr: Mul) -> Text:
        product = split(expr)
        text = self.product(product)
        return Text(f"-{self.wrap(text, TERM)}", SUM) if product.minus else text

    def product(self, product: Product) -> Text:
        """The product without its sign."""
        above = product.above + product.sums
        if not above:
            below = product.under + product.below
            if not below and len(product.over) < 2:
                return self.show(product.over[0] if product.over else ONE)
            return Text(self.quotient(product.over, below), TERM)
        parts = [self.quotient(product.over, product.under)] if product.over or product.under else []
        if not parts and not product.below and len(above) == 1:
            return self.show(above[0])
        return Text(self.times.join((*parts, self.quotient(above, product.below))), TERM)

    def quotient(self, above: tuple[Expr, ...], below: tuple[Expr, ...]) -> str:
        """Factors above and below a bar, or no bar."""
        top = self.factors(above, last=not below)
        if not below:
            return top
        return f"{top}/{self.factors(below)}" if len(below) == 1 else f"{top}/({self.factors(below)})"

    def factors(self, exprs: tuple[Expr, ...], last: bool = False) -> str:
        """Factors side by side; a sum reaches to the end of its term, so only the `last` factor of one is bare."""
        shown = [self.at(f, TERM if isinstance(f, Const) else POWER) for f in exprs]
        if last and exprs and isinstance(exprs[-1], Sum):
            shown[-1] = self.at(exprs[-1], TERM)
        return self.times.join(shown) or "1"

    def show_linalg(self, expr: Linalg) -> Text:
        name = {"inverse": "inv"}.get(expr.kind, expr.kind)
        first, second = (expr.rows, expr.cols) if expr.axes[:1] == expr.rows[:1] else (expr.cols, expr.rows)
        indices = f"{{{','.join(map(self.index, first))};{','.join(map(self.index, second))}}}"
        # The conjugate beside a complex matrix is for derivatives alone.
        shown = (expr.matrix,) if expr.kind == "pinv" else expr.children
        return Text(f"{name}_{indices}({', '.join(map(self.top, shown))})", ATOM)
