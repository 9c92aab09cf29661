r"""LaTeX, for amsmath and MathJax: `\frac{1}{H} \, \sum_{h} g_{bh} \, \gamma_{h}`."""

from __future__ import annotations

import re

from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Param,
    Pow,
    Root,
    Special,
    Sub,
    Sum,
    Where,
    const,
)
from tensorgrad_gen.notation.levels import AND, ATOM, COMPARE, NOT, OR, POWER, SUM, TERM, Text, show_number
from tensorgrad_gen.notation.math_style import HALF, MathPrinter, without_defaults
from tensorgrad_gen.notation.printer import exponent, floor_division
from tensorgrad_gen.notation.product import split

GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
SYMBOLS = {name: f"\\{name}" for name in GREEK.split()} | {"eps": r"\varepsilon", "epsilon": r"\varepsilon"}
SPECIAL = {"pi": r"\pi", "inf": r"\infty", "nan": r"\mathrm{nan}"}
RELATIONS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
CONNECTIVES = {"and": (r" \land ", AND), "or": (r" \lor ", OR)}
MATRIX_LINALG = {
    "pinv": r"\operatorname{pinv}",
    "cholesky": r"\operatorname{chol}",
    "matrix_sqrt": r"\operatorname{sqrtm}",
    "matrix_exp": r"\exp",
    "singular_values": r"\operatorname{svdvals}",
    "left_vectors": r"\operatorname{leftvecs}",
    "right_vectors": r"\operatorname{rightvecs}",
    "eigenvalues": r"\operatorname{eigvals}",
    "eigenvectors": r"\operatorname{eigvecs}",
}
SCALAR_LINALG = {"det": r"\det", "logdet": r"\log\det", "slogdet_sign": r"\operatorname{sign}\det"}


def symbol(name: str) -> str:
    r"""A name as a symbol: `x`, `\gamma`, `{x_{1}}`, `\mathit{several}`."""
    if name in SYMBOLS:
        return SYMBOLS[name]
    if len(name) == 1:
        return name
    numbered = re.fullmatch(r"([A-Za-z]+?)_?(\d+)", name)
    if numbered and (len(numbered[1]) == 1 or numbered[1] in SYMBOLS):
        return f"{{{symbol(numbered[1])}_{{{numbered[2]}}}}}"
    escaped = name.replace("_", r"\_")
    return rf"\mathit{{{escaped}}}"


def fill(template: str, args: list[str]) -> str:
    """The template with `#1`, `#2` replaced."""
    return re.sub(r"#(\d)", lambda found: args[int(found[1]) - 1], template)


class LatexPrinter(MathPrinter):
    """LaTeX source, without its dollar signs."""

    times = r" \, "

    def parenthesised(self, text: str) -> str:
        return rf"\left({text}\right)"

    def index(self, index: Index) -> str:
        return r"\ldots" if index.extent == "..." else symbol(index.name)

    def letters(self, subs: tuple[Sub, ...]) -> str:
        """Subscripts side by side, with commas where one is longer than a letter."""
        plain = all(isinstance(s, Index) and len(s.name) == 1 for s in subs)
        return ("" if plain else ",").join(self.sub(s) for s in subs)

    def bound(self, indices: tuple[Index, ...]) -> str:
        return f"{{{self.letters(indices)}}}"

    def name(self, tensor: str, subs: tuple[Sub, ...]) -> str:
        below = f"_{{{self.letters(subs)}}}" if subs else ""
        if tensor in self.tensors:
            return self.tensors[tensor] + below
        if tensor == "one":
            return rf"\mathbf{{1}}{below}"
        kind, _, rest = tensor.partition("_")
        if kind == "grad" and rest:
            return rf"\frac{{\partial l}}{{\partial {symbol(rest)}{below}}}"
        if kind == "tangent" and rest:
            return rf"\dot{{{symbol(rest)}}}{below}"
        return symbol(tensor) + below

    def quotient(self, above: tuple[Expr, ...], below: tuple[Expr, ...]) -> str:
        if not below:
            return self.factors(above, last=True)
        over, under = (self.top(part[0]) if len(part) == 1 else self.factors(part) for part in (above, below))
        return rf"\frac{{{over}}}{{{under}}}"

    def call(self, name: str, args: tuple[Expr, ...]) -> Text:
        row = FUNCTIONS.get(name)
        command = row.latex if row else rf"\operatorname{{{name}}}"
        shown = [self.top(a) for a in args]
        if "#" not in command:
            return Text(command + self.parenthesised(", ".join(shown)), ATOM)
        return Text(fill(command, shown), TERM if command.startswith((r"\frac", r"\log", "#")) else ATOM)

    def binder(self, kind: str, indices: tuple[Index, ...], body: Expr) -> Text:
        name = kind.replace("_", r"\,")
        command = rf"\{kind}" if kind in ("max", "min") else rf"\operatorname{{{name}}}"
        return Text(f"{command}_{self.bound(indices)}{self.parenthesised(self.top(body))}", ATOM)

    # One method a node; `show` finds it by the node's name.

    def show_const(self, expr: Const) -> Text:
        text, level = show_number(expr.value)
        sign = "-" if text.startswith("-") else ""
        digits = text.removeprefix("-")
        if "/" in digits:
            above, below = digits.split("/")
            return Text(rf"{sign}\frac{{{above}}}{{{below}}}", level)
        if "e" in digits:
            head, power = digits.split("e")
            scale = f"10^{{{power}}}"
            return Text(sign + (scale if head == "1" else rf"{head} \cdot {scale}"), min(level, TERM))
        return Text(text, level)

    def show_special(self, expr: Special) -> Text:
        return Text(SPECIAL[expr.name], ATOM)

    def show_param(self, expr: Param) -> Text:
        return Text(symbol(expr.name), ATOM)

    def show_extent(self, expr: Extent) -> Text:
        if expr.symbol in self.sizes:
            return Text(symbol(self.sizes[expr.symbol]), ATOM)
        if expr.symbol.isdigit():
            return Text(expr.symbol, ATOM)
        letter = r"\ldots" if expr.symbol == "..." else symbol(expr.symbol)
        return Text(rf"\operatorname{{size}}({letter})", ATOM)

    def show_access(self, expr: Access) -> Text:
        text = self.name(expr.tensor, expr.subs)
        return Text(text, POWER if text.startswith(r"\frac") else ATOM)

    def show_delta(self, expr: Delta) -> Text:
        return Text(rf"\delta_{{{self.letters((expr.left, expr.right))}}}", ATOM)

    def show_levicivita(self, expr: LeviCivita) -> Text:
        return Text(rf"\varepsilon_{{{self.letters(expr.subs)}}}", ATOM)

    def show_apply(self, expr: Apply) -> Text:
        if expr.function in ("pow", "complex_pow"):
            return self.show_pow(Pow(*expr.args))
        if expr.function == "square":
            return self.show_pow(Pow(expr.args[0], const(2)))
        divided = floor_division(expr)
        if divided is not None:
            return Text(rf"\lfloor {self.at(divided[0], ATOM)} / {divided[1]} \rfloor", ATOM)
        return self.call(expr.function, without_defaults(expr))

    def show_pow(self, expr: Pow) -> Text:
        value = exponent(expr)
        if value is not None and value < 0:
            return self.product(split(expr))
        if value == HALF:
            return Text(rf"\sqrt{{{self.top(expr.base)}}}", ATOM)
        return Text(f"{{{self.at(expr.base, ATOM)}}}^{{{self.top(expr.exponent)}}}", POWER)

    def show_where(self, expr: Where) -> Text:
        condition, then, other = map(self.top, expr.children)
        rows = rf"{then} & \text{{if }} {condition} \\ {other} & \text{{otherwise}}"
        return Text(rf"\begin{{cases}} {rows} \end{{cases}}", SUM)

    def show_iverson(self, expr: Iverson) -> Text:
        return Text(rf"\left[{self.top(expr.condition)}\right]", ATOM)

    def show_compare(self, expr: Compare) -> Text:
        return Text(f"{self.at(expr.left, SUM)} {RELATIONS[expr.op]} {self.at(expr.right, SUM)}", COMPARE)

    def show_logic(self, expr: Logic) -> Text:
        if expr.op == "not":
            return Text(rf"\lnot {self.at(expr.args[0], ATOM)}", NOT)
        connective, level = CONNECTIVES[expr.op]
        return Text(connective.join(self.at(a, level + 1) for a in expr.args), level)

    def show_sum(self, expr: Sum) -> Text:
        return Text(rf"\sum_{self.bound(expr.indices)} {self.at(expr.body, TERM)}", TERM)

    def show_linalg(self, expr: Linalg) -> Text:
        matrix = self.parenthesised(self.top(expr.matrix))
        if expr.kind in SCALAR_LINALG:
            return Text(f"{SCALAR_LINALG[expr.kind]}_{self.bound(expr.rows + expr.cols)}{matrix}", TERM)
        if expr.kind in MATRIX_LINALG:
            return Text(f"{MATRIX_LINALG[expr.kind]}{matrix}_{self.bound(expr.axes)}", TERM)
        if expr.kind == "exp_change" and expr.rhs is not None:
            pair = self.parenthesised(f"{self.top(expr.matrix)}, {self.top(expr.rhs)}")
            return Text(rf"L_{{\exp}}{pair}_{self.bound(expr.axes)}", TERM)
        inverse = f"{{{matrix}}}^{{-1}}_{self.bound(expr.cols + expr.rows)}"
        if expr.rhs is None:
            return Text(inverse, POWER)
        return Text(rf"\sum_{self.bound(expr.rows)} {inverse} \, {self.at(expr.rhs, POWER)}", TERM)

    def show_root(self, expr: Root) -> Text:
        problem = expr.problem
        solver = problem.solver.replace("_", r"\,")
        below = f"_{self.bound(problem.residual.indices)}" if problem.residual.indices else ""
        equation = self.parenthesised(f"{self.top(problem.residual.value)} = 0")
        return Text(rf"\operatorname{{{solver}}}{below}{equation}", ATOM)
