"""The spec language itself: what is printed parses and elaborates to the same IR.

Every sum is written out (`sum[i](...)`), so nothing depends on which indices are summed
implicitly; an index that a body lacks is written with its one-tensor.
"""

from __future__ import annotations

from tensorgrad_gen.ir import Access, Add, Apply, Const, Expr, Extent, Index, Linalg, Mul, Pow, Sub, Sum, inverse
from tensorgrad_gen.notation.levels import ATOM, POWER, SUM, TERM, Text
from tensorgrad_gen.notation.printer import Printer, exponent, floor_division

BATCH_INVERSE = inverse(Extent("..."))
MATRIX_FUNCTIONS = {"inverse": "inv", "eigenvalues": "eigvalsh", "singular_values": "svdvals"}


def with_ones(expr: Expr, indices: tuple[Index, ...]) -> Expr:
    """The expression times the one-tensor of those of `indices` that it lacks."""
    missing: tuple[Sub, ...] = tuple(i for i in indices if i not in expr.free)
    if not missing:
        return expr
    one = Access("one", missing)
    if isinstance(expr, Const) and expr.value == 1:
        return one
    factors = expr.factors if isinstance(expr, Mul) else (expr,)
    if isinstance(factors[0], Const):
        return Mul((factors[0], one, *factors[1:]))
    return Mul((one, *factors))


def means(factors: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The factors, a sum over the batch axes divided by their extent written as the mean it was."""
    out: list[Expr] = []
    for factor in factors:
        if isinstance(factor, Sum) and [i.extent for i in factor.indices] == ["..."] and out[-1:] == [BATCH_INVERSE]:
            out[-1] = Apply("mean[...]", (with_ones(factor.body, factor.indices),))
        else:
            out.append(factor)
    return tuple(out)


def matrix_call(expr: Linalg) -> tuple[str, tuple[Sub, ...]] | None:
    """The arguments and subscripts of `inv(x)[b,k,i]`, if the node is a matrix function of named tensors."""
    matrix, rhs = expr.matrix, expr.rhs
    last = (*expr.rows, *expr.cols)
    matrix = _symmetric_of(matrix)
    if not isinstance(matrix, Access) or matrix.subs[-2:] != last or len(set(matrix.subs)) != len(matrix.subs):
        return None
    batch = matrix.subs[:-2]
    if rhs is None or expr.number or expr.kind == "pinv":
        return matrix.tensor, batch + expr.axes
    order = len(batch) + 1
    if not isinstance(rhs, Access) or rhs.subs[:order] != (*batch, *expr.rows):
        return None
    return f"{matrix.tensor}, {rhs.tensor}", (*batch, *expr.cols, *rhs.subs[order:])


def _symmetric_of(matrix: Expr) -> Expr:
    """`x[i,j]` of its symmetric part, as elaboration makes it; any other matrix as it is."""
    if isinstance(matrix, Mul) and len(matrix.factors) == 2 and isinstance(matrix.factors[1], Add):
        return matrix.factors[1].terms[0]
    return matrix


class SpecPrinter(Printer):
    """Text that reads back."""

    def sub(self, sub: Sub) -> str:
        """A subscript: an index, a label, or a position as the language writes it."""
        if isinstance(sub, Apply) and sub.function in ("clamp", "mod"):
            return f"{sub.function}({self.sub(sub.args[0])})"
        divided = None if isinstance(sub, Index) else floor_division(sub)
        if divided is not None:
            whole, divisor = divided
            return f"{self.at(whole, ATOM)}//{divisor}"
        return super().sub(sub)

    def binder(self, kind: str, indices: tuple[Index, ...], body: Expr) -> Text:
        names = ",".join(self.index(i) for i in indices)
        return Text(f"{kind}[{names}]({self.top(with_ones(body, indices))})", ATOM)

    def term(self, expr: Expr) -> str:
        return self.at(expr, TERM)

    def show_extent(self, expr: Extent) -> Text:
        # `size(...)` is not in the grammar; the sum of ones over the batch axes is the same number.
        return Text("sum[...](one[...])", ATOM) if expr.symbol == "..." else super().show_extent(expr)

    def show_pow(self, expr: Pow) -> Text:
        if exponent(expr) == -1:
            return Text(f"1/{self.at(expr.base, POWER)}", TERM)
        return Text(f"{self.at(expr.base, ATOM)}^{self.at(expr.exponent, ATOM)}", POWER)

    def show_mul(self, expr: Mul) -> Text:
        minus, rest = self.negated(expr)
        if minus:
            return Text(f"-{self.at(rest, TERM)}", SUM)
        factors = means(expr.factors)
        if len(factors) == 1:
            return self.show(factors[0])
        first = factors[0]
        out = self.at(first, TERM if isinstance(first, Const | Pow) else POWER)
        for factor in factors[1:]:
            if isinstance(factor, Pow) and exponent(factor) == -1:
                out += f"/{self.at(factor.base, POWER)}"
            else:
                out += f"*{self.at(factor, POWER)}"
        return Text(out, TERM)

    def show_linalg(self, expr: Linalg) -> Text:
        name = MATRIX_FUNCTIONS.get(expr.kind, expr.kind)
        named = matrix_call(expr)
        if named is not None:
            args, subs = named
            return Text(self.name(f"{name}({args})", subs), ATOM)
        # A form for reading only: the language names the matrices it inverts.
        indices = ",".join(self.index(i) for i in (*expr.cols, *expr.rows))
        return Text(f"{name}[{indices}]({', '.join(self.top(c) for c in expr.children)})", ATOM)
