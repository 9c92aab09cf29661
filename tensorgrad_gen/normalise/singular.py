"""Warning W405: a root of what is never negative and vanishes inside its domain has no derivative there."""

from __future__ import annotations

import re

from tensorgrad_gen.algebra import walk
from tensorgrad_gen.errors import Report, Span, quote
from tensorgrad_gen.ir import Access, Add, Apply, Const, Expr, Extent, Mul, Pow, Program, Sum
from tensorgrad_gen.spec.model import OpSpec


def warn_singular(program: Program, spec: OpSpec, report: Report) -> None:
    """Warn of each `sqrt(a[i]^2 + b[i]^2)` and the like: at 0 its derivative is 0 times infinity.

    A norm is none of these: it is known as such, and its derivative at 0 is 0 by convention.
    """
    if not any(item.grad for item in program.inputs):
        return
    vanishing: set[str] = set()
    for statement in program.statements:
        for node in walk(statement.value):
            if isinstance(node, Pow) and _root(node.exponent) and _vanishes(node.base, vanishing):
                text = quote(_equation(spec, statement.target) or statement.target)
                message = f"the derivative of {text} is NaN where what is under the root is 0"
                remedy = "add a small positive param under the root, or write a norm: `norm[i](x[i])`"
                report.warn("W405", message, _place(spec, statement.target), remedy)
                break
        if _vanishes(statement.value, vanishing):
            vanishing.add(statement.target)


def _root(exponent: Expr) -> bool:
    return isinstance(exponent, Const) and 0 < exponent.value < 1


def _vanishes(expr: Expr, known: set[str]) -> bool:
    """Whether the value is a sum of squares: never negative, and flat where it is 0."""
    match expr:
        case Access(tensor):
            return tensor in known
        case Pow(_, Const(power)):
            return power > 0 and power.denominator == 1 and power.numerator % 2 == 0
        case Apply("abs", _):
            return True
        case Sum(_, body):
            return _vanishes(body, known)
        case Add(terms):
            return all(_vanishes(term, known) for term in terms)
        case Mul(factors):
            rest = [f for f in factors if not _positive(f)]
            return bool(rest) and all(_vanishes(f, known) for f in rest)
    return False


def _positive(expr: Expr) -> bool:
    match expr:
        case Const(value):
            return value > 0
        case Extent():
            return True
        case Pow(base, _):
            return _positive(base)
    return False


def _equation(spec: OpSpec, target: str) -> str | None:
    found = [f.text for f in spec.equations if re.match(rf"\s*{re.escape(target)}\b", f.text)]
    return found[0].split("=", 1)[-1].strip() if found else None


def _place(spec: OpSpec, target: str) -> Span | None:
    """The root in the equation of the tensor, if it stands there; else the tensor's name."""
    for fragment in spec.equations:
        if named := re.match(rf"\s*({re.escape(target)})\b", fragment.text):
            root = re.search(r"\b(sqrt|pow|std|norm)\b|\^|\*\*", fragment.text)
            start, end = root.span() if root else named.span(1)
            return fragment.span(start, end)
    return None
