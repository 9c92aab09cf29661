"""Index notation for a reader: `1/H sum_h g[b,h] gamma[h]/sigma[b]`."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.ir import Add, Apply, Const, Expr, Index, Linalg, Mul, Pow, Sum
from tensorgrad_gen.notation.levels import ATOM, POWER, SUM, TERM, Text
from tensorgrad_gen.notation.printer import Printer, exponent
from tensorgrad_gen.notation.product import Product, split

HALF = Fraction(1, 2)


def leading(terms: tuple[Expr, ...], negative: list[bool]) -> tuple[Expr, ...]:
    """The terms, one without a minus sign brought to the front if there is one: `1 - x`, not `-x + 1`."""
    if not negative[0] or all(negative):
        return terms
    first = negative.index(False)
    return (terms[first], *terms[:first], *terms[first + 1 :])


class MathPrinter(Printer):
    """Text for docstrings, comments and explanations."""

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
        return self.product(split(expr)).at(TERM) if isinstance(expr, Mul | Const) else self.at(expr, TERM)

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
        if expr.function == "pow":
            return self.show_pow(Pow(*expr.args))
        return super().show_apply(expr)

    def show_mul(self, expr: Mul) -> Text:
        product = split(expr)
        text = self.product(product)
        return Text(f"-{text.at(TERM)}", SUM) if product.minus else text

    def product(self, product: Product) -> Text:
        """The product without its sign."""
        above = [self.at(f, POWER) for f in product.above]
        # A sum reaches to the end of its term: only the last one, with nothing below, needs no parentheses.
        bare = len(product.sums) - (0 if product.below else 1)
        above += [self.at(f, POWER if k < bare else TERM) for k, f in enumerate(product.sums)]
        if above:
            head = [self.ratio(list(map(self.factor, product.over)), list(map(self.factor, product.under)))]
            head = [] if head == ["1"] else head
            return self.joined(head, above, list(map(self.factor, product.below)))
        below = list(map(self.factor, product.under + product.below))
        text = self.ratio(list(map(self.factor, product.over)), below)
        lone = not below and len(product.over) == 1
        return self.show(product.over[0]) if lone else Text(text, ATOM if text == "1" else TERM)

    def joined(self, head: list[str], above: list[str], below: list[str]) -> Text:
        if not head and not below and len(above) == 1:
            return Text(above[0], TERM)
        return Text(" ".join((*head, self.ratio(above, below))), TERM)

    def factor(self, expr: Expr) -> str:
        return self.at(expr, TERM if isinstance(expr, Const) else POWER)

    def ratio(self, above: list[str], below: list[str]) -> str:
        top = " ".join(above) or "1"
        if not below:
            return top
        return f"{top}/{below[0]}" if len(below) == 1 else f"{top}/({' '.join(below)})"

    def show_linalg(self, expr: Linalg) -> Text:
        name = {"inverse": "inv"}.get(expr.kind, expr.kind)
        indices = f"{{{','.join(map(self.index, expr.cols))};{','.join(map(self.index, expr.rows))}}}"
        return Text(f"{name}_{indices}({', '.join(self.top(c) for c in expr.children)})", ATOM)
