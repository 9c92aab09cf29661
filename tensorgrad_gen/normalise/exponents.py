"""Contractions in the argument of an exponential, or of what is made of one, get a name: `exp(sum_d q[i,d] k[j,d])`.

What has a name is a tensor like any other: a spelling that is split over equations is read through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tensorgrad_gen.algebra import walk
from tensorgrad_gen.algebra.hoist import Hoister, Known
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.ir import Apply, Expr, Pow, Reduce, Root, Scan, Statement, Sum, number
from tensorgrad_gen.normalise.risks import RISKS


def named_exponents(statements: Iterable[Statement], names: Namer) -> list[Statement]:
    """The statements with a name for each contraction of plain tensors that stands in an exponent."""
    known, out = Known(), list[Statement]()
    for statement in statements:
        inside = frozenset(_contractions(statement.value))
        if inside:
            hoister = Hoister(names, known, splits=inside.__contains__)
            value = hoister.within(statement)
            out += hoister.out
            statement = replace(statement, value=value)
        out.append(statement)
    return out


def _contractions(value: Expr) -> Iterator[Expr]:
    """Sums of products of tensors in the exponents of an expression; what sums exponentials is no such thing."""
    for node in walk(value):
        exponent: Expr | None = None
        if isinstance(node, Apply) and node.function in RISKS:
            exponent = node.args[0]
        elif isinstance(node, Pow) and number(node.exponent) is None:
            exponent = node.exponent
        for part in walk(exponent) if exponent is not None else ():
            if isinstance(part, Sum) and not any(_transcendental(inner) for inner in walk(part.body)):
                yield part


def _transcendental(node: Expr) -> bool:
    return isinstance(node, Apply | Reduce | Scan | Root) or (isinstance(node, Pow) and number(node.exponent) is None)
