"""Rules and laws in words."""

from __future__ import annotations

from tensorgrad_gen.algebra import Rule
from tensorgrad_gen.algebra.parts import factors_of
from tensorgrad_gen.derive.laws import LAW_NAMES
from tensorgrad_gen.ir import Apply, Delta, Expr, Index, Mul, Sum, number, sub_free
from tensorgrad_gen.notation import print_expr

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
    """The law that differentiates the root of an expression, and what it takes as constant."""
    name = LAW_NAMES.get(type(value), "")
    if isinstance(value, Mul) and any(number(f) == -1 or (type(f).__name__ == "Pow") for f in value.factors):
        name = "product and quotient rules"
    if isinstance(value, Sum) and isinstance(value.body, Mul):
        name = "product rule"
    if isinstance(value, Apply):
        name = f"chain rule: derivative of {value.function}"
    if not constants:
        return name
    verb = "is" if len(constants) == 1 else "are"
    return f"{name}; {', '.join(constants)} {verb} constant in {tensor}"


def rule_reason(row: Rule, before: Expr, after: Expr) -> str:
    """The rule's name, with the indices it acted on; empty for mere tidying."""
    if row.name in _TIDYING:
        return ""
    if row.name == "delta contracted" and isinstance(before, Sum):
        return _contracted(before, after) or row.name
    if row.name == "delta renames":
        return _renamed(before) or row.name
    return row.name


def _sub_text(sub: Index | Expr) -> str:
    return sub.name if isinstance(sub, Index) else print_expr(sub)


def _contracted(before: Sum, after: Expr) -> str | None:
    left = set(after.indices) if isinstance(after, Sum) else set()
    gone = [i for i in before.indices if i not in left]
    for factor in factors_of(before.body):
        if not isinstance(factor, Delta) or len(gone) != 1:
            continue
        for old, new in ((factor.left, factor.right), (factor.right, factor.left)):
            if old is gone[0] and old not in sub_free(new):
                return f"{print_expr(factor)} renames {_sub_text(old)} to {_sub_text(new)}"
    return None


def _renamed(before: Expr) -> str | None:
    for factor in factors_of(before):
        if isinstance(factor, Delta):
            old, new = factor.right, factor.left
            if not isinstance(old, Index):
                old, new = new, old
            return f"{print_expr(factor)} lets {_sub_text(old)} be written {_sub_text(new)}"
    return None
