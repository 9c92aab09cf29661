"""What the three styles share: dispatch over nodes, and everything but products, sums and names."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from tensorgrad_gen.functions import plain_name
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    IRError,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Reduce,
    Root,
    Scan,
    Special,
    Sub,
    Sum,
    Where,
    mul,
)
from tensorgrad_gen.notation.levels import AND, ATOM, COMPARE, NOT, OR, SUM, Text, show_number


class Printer:
    """Prints an expression; a style overrides what it writes its own way.

    `sizes` maps extent symbols to the user's names for them, `tensors` tensor names to what to print.
    """

    def __init__(self, sizes: Mapping[str, str] | None = None, tensors: Mapping[str, str] | None = None) -> None:
        self.sizes = sizes or {}
        self.tensors = tensors or {}

    def show(self, expr: Expr) -> Text:
        """The expression as text with its level."""
        method = getattr(self, f"show_{type(expr).__name__.lower()}", None)
        if method is None:
            raise IRError(f"no notation for {type(expr).__name__}")
        shown: Text = method(expr)
        return shown

    def at(self, expr: Expr, level: int) -> str:
        """The expression where something binding at least as tightly as `level` must stand."""
        return self.wrap(self.show(expr), level)

    def wrap(self, text: Text, level: int) -> str:
        """The text, in parentheses if it binds less tightly than `level`."""
        return text.text if text.level >= level else self.parenthesised(text.text)

    def parenthesised(self, text: str) -> str:
        return f"({text})"

    def top(self, expr: Expr) -> str:
        """The expression where anything may stand."""
        return self.show(expr).text

    def sub(self, sub: Sub) -> str:
        """A subscript: an index or a label."""
        return self.index(sub) if isinstance(sub, Index) else self.top(sub)

    def index(self, index: Index) -> str:
        """The index by its name; the batch axes are `...`, however they were renamed apart."""
        return "..." if index.extent == "..." else index.name

    def call(self, name: str, args: tuple[Expr, ...]) -> Text:
        return Text(f"{plain_name(name)}({', '.join(self.top(a) for a in args)})", ATOM)

    def name(self, tensor: str, subs: tuple[Sub, ...]) -> str:
        """A tensor with its subscripts."""
        shown = self.tensors.get(tensor, tensor)
        return f"{shown}[{','.join(self.sub(s) for s in subs)}]" if subs else shown

    def binder(self, kind: str, indices: tuple[Index, ...], body: Expr) -> Text:
        """A reduction or scan."""
        raise NotImplementedError

    def negated(self, expr: Expr) -> tuple[bool, Expr]:
        """Whether the term has a minus sign in front, and the term without it."""
        if isinstance(expr, Const) and expr.value < 0:
            return True, Const(-expr.value)
        if isinstance(expr, Mul) and isinstance(expr.factors[0], Const) and expr.factors[0].value < 0:
            first = -expr.factors[0].value
            rest = expr.factors[1:] if first == 1 and len(expr.factors) > 1 else (Const(first), *expr.factors[1:])
            return True, rest[0] if len(rest) == 1 else Mul(rest)
        return False, expr

    # One method a node; `show` finds it by the node's name.

    def show_const(self, expr: Const) -> Text:
        return show_number(expr.value)

    def show_special(self, expr: Special) -> Text:
        return Text(expr.name, ATOM)

    def show_param(self, expr: Param) -> Text:
        return Text(expr.name, ATOM)

    def show_extent(self, expr: Extent) -> Text:
        if expr.symbol.isdigit():
            return Text(expr.symbol, ATOM)
        return Text(self.sizes.get(expr.symbol, f"size({expr.symbol})"), ATOM)

    def show_position(self, expr: Position) -> Text:
        return Text(self.index(expr.index), ATOM)

    def show_access(self, expr: Access) -> Text:
        return Text(self.name(expr.tensor, expr.subs), ATOM)

    def show_delta(self, expr: Delta) -> Text:
        return Text(f"delta[{self.sub(expr.left)},{self.sub(expr.right)}]", ATOM)

    def show_levicivita(self, expr: LeviCivita) -> Text:
        return Text(f"levi_civita[{','.join(self.index(i) for i in expr.subs)}]", ATOM)

    def show_apply(self, expr: Apply) -> Text:
        return self.call(expr.function, expr.args)

    def show_where(self, expr: Where) -> Text:
        return self.call("where", expr.children)

    def show_iverson(self, expr: Iverson) -> Text:
        return Text(f"[{self.top(expr.condition)}]", ATOM)

    def show_compare(self, expr: Compare) -> Text:
        return Text(f"{self.at(expr.left, SUM)} {expr.op} {self.at(expr.right, SUM)}", COMPARE)

    def show_logic(self, expr: Logic) -> Text:
        if expr.op == "not":
            return Text(f"not {self.at(expr.args[0], NOT)}", NOT)
        level = AND if expr.op == "and" else OR
        return Text(f" {expr.op} ".join(self.at(a, level + 1) for a in expr.args), level)

    def terms(self, expr: Add) -> tuple[Expr, ...]:
        """The terms in the order they are printed."""
        return expr.terms

    def term(self, expr: Expr) -> str:
        """A term without its sign."""
        raise NotImplementedError

    def show_add(self, expr: Add) -> Text:
        out = ""
        for term in self.terms(expr):
            minus, rest = self.negated(term)
            sign = (" - " if minus else " + ") if out else ("-" if minus else "")
            out += sign + self.term(rest)
        return Text(out, SUM)

    def show_mul(self, expr: Mul) -> Text:
        raise NotImplementedError

    def show_pow(self, expr: Pow) -> Text:
        raise NotImplementedError

    def show_sum(self, expr: Sum) -> Text:
        return self.binder("sum", expr.indices, expr.body)

    def show_reduce(self, expr: Reduce) -> Text:
        return self.binder(expr.kind, expr.indices, expr.body)

    def show_scan(self, expr: Scan) -> Text:
        return self.binder(expr.kind, expr.indices, expr.body)

    def show_linalg(self, expr: Linalg) -> Text:
        raise NotImplementedError

    def show_root(self, expr: Root) -> Text:
        """A form for reading only: the language defines an unknown by its equation."""
        problem = expr.problem
        indices = ",".join(self.index(i) for i in problem.residual.indices)
        head = f"{problem.solver}[{indices}]" if indices else problem.solver
        return Text(f"{head}({self.top(problem.residual.value)} = 0)", ATOM)


def floor_division(expr: Expr) -> tuple[Expr, int] | None:
    """`i` and 2, if the expression is `i//2`: the floor of `i/2 + 1/4`, as elaboration makes it."""
    if not (isinstance(expr, Apply) and expr.function == "floor" and isinstance(expr.args[0], Add)):
        return None
    *terms, half = expr.args[0].terms
    if len(terms) == 1 and isinstance(terms[0], Mul):
        factor, whole = terms[0].factors[0], mul(*terms[0].factors[1:])
        if isinstance(half, Const) and isinstance(factor, Const) and half.value * 2 == factor.value:
            return whole, factor.value.denominator
    return None


def exponent(expr: Expr) -> Fraction | None:
    """The constant exponent of a power, 1 of anything else, `None` of a power with a variable exponent."""
    if not isinstance(expr, Pow):
        return Fraction(1)
    return expr.exponent.value if isinstance(expr.exponent, Const) else None
