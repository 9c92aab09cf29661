"""Rules and laws in words."""

from __future__ import annotations

from fractions import Fraction

from tensorgrad_gen.algebra import Rule, accesses
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.derive.differential import LAW_NAMES
from tensorgrad_gen.functions import FUNCTIONS, plain_name
from tensorgrad_gen.ir import (
    NOT_HOLOMORPHIC,
    Access,
    Add,
    Apply,
    Delta,
    Expr,
    Index,
    Linalg,
    Mul,
    Pow,
    Program,
    Reduce,
    Scan,
    Sum,
    number,
    sub_free,
    total,
)
from tensorgrad_gen.notation import print_expr
from tensorgrad_gen.notation.math_style import without_defaults

_RECIPROCAL = "d (1/u) = -1/u^2"
_SHORT = 14  # nodes of a derivative that still fits a remark
# Rules that only tidy: they get no line of their own.
_TIDYING = {
    "flatten a sum",
    "flatten a product",
    "fold a power",
    "one sum",
    "roots are powers",
    "constant factor out of a sum",
    "delta of itself",
    "constant condition",
    "fold conditions",
    "decide a comparison",
}


def law_reason(value: Expr, constants: list[str], tensor: str) -> str:
    """The laws that differentiate an expression, from its root to the tensor, and what they take as constant."""
    words = list(dict.fromkeys(_laws(value, tensor)))
    if "quotient rule" in words:
        words = [w for w in words if w != _RECIPROCAL]
    head = ", ".join(words) or "linearity"
    if not constants:
        return head
    verb = "is" if len(constants) == 1 else "are"
    shown = " and ".join(", ".join(constants).rsplit(", ", 1))
    return f"{head}; {shown} {verb} constant in {tensor}"


def _laws(expr: Expr, tensor: str) -> list[str]:
    """The law of every node above the tensor."""
    words = _law(expr, tensor)
    for child in expr.children:
        if _reads(child, tensor) and not isinstance(child, Access):
            words += _laws(child, tensor)
    return words


def _reads(expr: Expr, tensor: str) -> bool:
    return any(a.tensor == tensor for a in accesses(expr))


def _law(expr: Expr, tensor: str) -> list[str]:
    if isinstance(expr, Sum):
        return []  # a sum is linear: its derivative is the sum of derivatives
    if isinstance(expr, Add):
        return ["sum rule"] if sum(not scalar(t) for t in expr.terms) > 1 else []
    if isinstance(expr, Mul):
        return _product_law(expr, tensor)
    if isinstance(expr, Pow):
        return _power_law(expr)
    if isinstance(expr, Apply):
        formula = function_law(expr)
        return [f"chain rule with {formula}" if formula else f"chain rule: derivative of {plain_name(expr.function)}"]
    name = LAW_NAMES.get(type(expr))
    if isinstance(expr, Linalg | Reduce | Scan):
        return [f"derivative of {expr.kind}"]
    return [name] if name else []


def _product_law(expr: Mul, tensor: str) -> list[str]:
    mine = [f for f in expr.factors if _reads(f, tensor)]
    if all(isinstance(f, Pow) and (number(f.exponent) or 0) < 0 for f in mine):
        return ["quotient rule"]
    others = [f for f in expr.factors if f not in mine and not scalar(f)]
    return ["product rule"] if others or len(mine) > 1 else []


def _power_law(expr: Pow) -> list[str]:
    exponent = number(expr.exponent)
    if exponent == Fraction(1, 2):
        return ["d sqrt(u) = 1/(2 sqrt(u))"]
    if exponent == -1:
        return [_RECIPROCAL]
    return ["power rule"]


def function_law(expr: Apply) -> str:
    """The derivative of a function of one argument as its row in the table has it: `d exp(u) = exp(u)`."""
    row = FUNCTIONS.get(expr.function)
    if row is None or row.name in NOT_HOLOMORPHIC or len(without_defaults(expr)) != 1:
        return ""
    args = (Access("u", ()), *expr.args[1:])
    (partial, *_) = row.partials(args)
    if partial is None or total(partial) > _SHORT:
        return ""
    return f"d {print_expr(Apply(expr.function, args), 'math')} = {print_expr(partial, 'math')}"


def through_reason(before: Expr, after: Expr, program: Program) -> str:
    """Which values a derivative is read off, with the law if it is a function's."""
    read = {a.tensor for a in accesses(before)}
    new = [t for t in dict.fromkeys(a.tensor for a in accesses(after)) if t not in read]
    laws = []
    for name in new:
        value = program.statement(name).value if name in {s.target for s in program.statements} else None
        if isinstance(value, Pow):
            laws += _power_law(value)
        elif isinstance(value, Apply):
            laws.append(function_law(value))
    known = [law for law in dict.fromkeys(laws) if law.startswith("d ")]
    return f"derivative through the value {' and '.join(new)}{': ' if known else ''}{', '.join(known)}"


def rule_reason(row: Rule, before: Expr, after: Expr) -> str:
    """The rule's name, with the indices it acted on; empty for mere tidying."""
    if row.name in _TIDYING:
        return ""
    if row.name == "delta contracted" and isinstance(before, Sum):
        return _contracted(before, after) or row.name
    if row.name == "delta renames":
        return _renamed(before) or row.name
    return row.name


def index_text(index: Index) -> str:
    """The index by its name; the batch axes are `...`, those of a tensor differentiated by `...'`."""
    return index.name if index.extent != "..." else "..." if index.name == "..." else "...'"


def _sub_text(sub: Index | Expr) -> str:
    return index_text(sub) if isinstance(sub, Index) else print_expr(sub, "math")


def _delta_text(delta: Delta) -> str:
    return f"delta[{_sub_text(delta.left)},{_sub_text(delta.right)}]"


def _contracted(before: Sum, after: Expr) -> str | None:
    left = set(after.indices) if isinstance(after, Sum) else set()
    gone = [i for i in before.indices if i not in left]
    for factor in factors_of(before.body):
        if not isinstance(factor, Delta) or len(gone) != 1:
            continue
        for old, new in ((factor.left, factor.right), (factor.right, factor.left)):
            if old is gone[0] and old not in sub_free(new):
                return f"{_delta_text(factor)} renames {_sub_text(old)} to {_sub_text(new)}"
    return None


def _renamed(before: Expr) -> str | None:
    for factor in factors_of(before):
        if isinstance(factor, Delta):
            old, new = factor.right, factor.left
            if not isinstance(old, Index):
                old, new = new, old
            return f"{_delta_text(factor)} lets {_sub_text(old)} be written {_sub_text(new)}"
    return None
