"""Tensors read through their definitions, where these are made of exponentials: a spelling split over equations."""

from __future__ import annotations

from collections.abc import Mapping

from tensorgrad_gen.algebra import all_indices, apart, simplify, substitute, walk
from tensorgrad_gen.algebra.hoist import renamed
from tensorgrad_gen.algebra.parts import factors_of, split_coefficient, terms_of
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Const,
    Delta,
    Expr,
    Index,
    IRError,
    Linalg,
    Mul,
    Pow,
    Reduce,
    Root,
    Scan,
    Statement,
    Sum,
    mul,
    number,
    sub,
    total,
)
from tensorgrad_gen.normalise.ranges import Ranges
from tensorgrad_gen.normalise.risks import RISKS


class Definitions(dict[str, Statement]):
    """The statements before, by target, and what has been found of how to read through them."""

    def __init__(self, statements: Mapping[str, Statement] | None = None, ranges: Ranges | None = None) -> None:
        super().__init__(statements or {})
        self.ranges = ranges
        self.opened: dict[tuple[str, bool], Expr | None] = {}


def opened(node: Expr, definitions: Definitions) -> Expr:
    """The node with tensors that are exponentials and the like, or made of such, read through their definitions."""
    if not isinstance(node, Add | Mul | Pow | Apply) or not definitions:
        return node
    found = open_definitions(node, definitions, isinstance(node, Apply) and node.function in LOGARITHMS)
    return node if found is node else simplify(found)


LOGARITHMS = ("log", "log1p", "log2", "xlogy")
# An expression with more nodes than this is not read into another.
LARGEST = 150


def open_definitions(expr: Expr, definitions: Definitions, sums: bool) -> Expr:
    """Read through definitions; `sums`: those of sums of exponentials too, as under a logarithm or in a divisor."""
    if isinstance(expr, Access):
        return _definition(expr, definitions, sums) or expr
    if isinstance(expr, Pow):
        exponent = number(expr.exponent)
        sums = sums or exponent is None or exponent < 0 or exponent.denominator != 1
    children = tuple(open_definitions(child, definitions, sums) for child in expr.children)
    same = all(one is two for one, two in zip(children, expr.children, strict=True))
    return expr if same else expr.rebuild(children)


def _definition(access: Access, definitions: Definitions, sums: bool) -> Expr | None:
    """What the tensor stands for, if that is made of exponentials or their like by pointwise functions."""
    statement = definitions.get(access.tensor)
    if statement is None:
        return None
    if sums and isinstance(statement.value, Scan) and statement.value.kind == "softmax":
        log = log_of_softmax(statement.value, statement, access)
        return None if log is None else Apply("exp", (log,))
    found = _whole(access.tensor, definitions, sums)
    if found is None or (_sums_exponentials(found) and any(isinstance(s, Expr) for s in access.subs)):
        return None  # what is collected by label is collected once
    try:
        return renamed(apart(found, all_indices(access)), statement.indices, access.subs)
    except IRError:
        return None  # it is read at a label where only an index can stand


def _whole(name: str, definitions: Definitions, sums: bool) -> Expr | None:
    """The value of a statement read through those before it, if it is worth opening."""
    key = (name, sums)
    if key not in definitions.opened:
        value = definitions[name].value
        whole = open_definitions(value, definitions, sums)
        whole = whole if whole is value else simplify(whole)
        summed = sums and _sums_exponentials(whole) and not _by_hand(whole, definitions)
        worth = _by_exponentials(whole) or _multiple(whole) or summed or (sums and _with_one(whole))
        definitions.opened[key] = whole if worth and total(whole) <= LARGEST else None
    return definitions.opened[key]


def open_all(definitions: Definitions) -> Definitions:
    """Every definition read through those before it, in their order: a chain of them makes no deep recursion."""
    for name in definitions:
        for sums in (False, True):
            _whole(name, definitions, sums)
    return definitions


def _sums_exponentials(expr: Expr) -> bool:
    """Whether the value is a sum or product of what exponentials make, times what does not matter, or more of such."""
    if isinstance(expr, Add):
        others = [term for term in expr.terms if not _sums_exponentials(term)]
        known = all(number(term) is not None or _by_exponentials(term) for term in others)
        return known and len(others) < len(expr.terms)
    sums = [f for f in factors_of(expr) if isinstance(f, Sum) or (isinstance(f, Reduce) and f.kind == "prod")]
    return len(sums) == 1 and (_by_exponentials(sums[0].body) or _sums_exponentials(sums[0].body))


def _by_hand(expr: Expr, definitions: Definitions) -> bool:
    """Whether unlike exponentials are added with the largest exponent taken out: then no logarithm is wanted."""
    if not isinstance(expr, Add) or sum(number(term) is None for term in expr.terms) < 2:
        return False
    exps = [node for node in walk(expr) if isinstance(node, Apply) and node.function == "exp"]
    exponents = (split_coefficient(term) for node in exps for term in terms_of(node.args[0]))
    return any(_is_maximum(n, definitions) for c, rest in exponents if c < 0 for n in walk(rest))


def _is_maximum(node: Expr, definitions: Definitions) -> bool:
    """Whether it is a maximum, or a tensor that is one."""
    if isinstance(node, Access) and node.tensor in definitions:
        node = definitions[node.tensor].value
    return (isinstance(node, Reduce) and node.kind == "max") or (isinstance(node, Apply) and node.function == "max")


def _multiple(expr: Expr) -> bool:
    """Whether it is a power of one tensor, times a number: what a quotient may be divided by."""
    tensors = [f for f in factors_of(expr) if not isinstance(f, Const)]
    base = tensors[0].base if len(tensors) == 1 and isinstance(tensors[0], Pow) else mul(*tensors)
    return len(tensors) == 1 and isinstance(base, Access)


def _with_one(expr: Expr) -> bool:
    """Whether 1 is added to something pointwise: `log1p` wants to know."""
    return isinstance(expr, Add) and number(expr.terms[-1]) == 1 and not _collected(expr)


def _collected(expr: Expr) -> bool:
    """Whether something in it is no matter of one point."""
    return any(isinstance(n, Sum | Reduce | Scan | Linalg | Root | Delta) for n in _pointwise(expr))


_WORTH_OPENING = {"log", "log2", "sin", "cos", "abs", "erf", "erfc", "relu", "max"}
_WORTH_OPENING |= {"exp_moment", "exp_tail", "log1mexp", "log1p"}


def _by_exponentials(expr: Expr) -> bool:
    """Whether a definition is worth opening: it is pointwise and made of exponentials or their like."""
    if isinstance(expr, Linalg):
        return expr.kind == "det"
    nodes = _pointwise(expr)
    inside = any(
        (isinstance(n, Apply) and (n.function in RISKS or n.function in _WORTH_OPENING))
        or (isinstance(n, Pow) and number(n.exponent) is None)
        for n in nodes
    )
    return inside and not any(isinstance(n, Sum | Linalg | Root | Delta) for n in nodes)


def _pointwise(expr: Expr) -> list[Expr]:
    found = [expr]
    for child in () if isinstance(expr, Reduce | Scan) else expr.children:
        found += _pointwise(child)
    return found


def named_sum(factor: Expr, definitions: Definitions) -> Expr:
    """A sum or other reduction that has a name, for the name."""
    return named(factor, definitions, (Sum, Reduce))


def named(factor: Expr, definitions: Definitions, kinds: tuple[type[Expr], ...]) -> Expr:
    """What has a name and is of one of these kinds, for the name."""
    statement = definitions.get(factor.tensor) if isinstance(factor, Access) else None
    if statement is None or not isinstance(factor, Access) or not isinstance(statement.value, kinds):
        return factor
    if any(isinstance(sub, Expr) for sub in factor.subs):
        return factor  # what is collected by label is collected once
    return renamed(apart(statement.value, all_indices(factor)), statement.indices, factor.subs)


def log_of_softmax(scan: Scan, statement: Statement, access: Expr) -> Expr | None:
    """log of a softmax that has a name, at any subscripts (labels too): the logit less the logsumexp."""
    if scan.kind != "softmax" or not isinstance(access, Access):
        return None
    if all(isinstance(s, Index) for s in access.subs) and len(set(access.subs)) == len(access.subs):
        return renamed(Scan("log_softmax", scan.indices, scan.body), statement.indices, access.subs)
    logit = renamed(scan.body, statement.indices, access.subs)
    inside = {i: s for i, s in zip(statement.indices, access.subs, strict=True) if i not in scan.indices}
    return sub(logit, substitute(Reduce("logsumexp", scan.indices, scan.body), inside))
