"""The differential of an expression: the laws of its nodes, applied.

`d(e)` is the differential of `e`: linear in the differentials of the tensors it reads.  What
stands for the differential of a tensor is the caller's choice (`leaf`): a product of deltas for
the derivative by a tensor, `dA[s]/dA[p] = delta[s1,p1] delta[s2,p2] ...`, or a tangent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tensorgrad_gen.algebra import all_indices, apart, fresh
from tensorgrad_gen.derive.conjugate import conjugate
from tensorgrad_gen.ir import (
    Access,
    Expr,
    Index,
    Sub,
)
from tensorgrad_gen.ir.budget import spend
from tensorgrad_gen.ir.build import ZERO

Leaf = Callable[[Access], Expr]


class Differential:
    """The differential of expressions, given that of the tensors; `avoid` are index names in use outside.

    `complex` are the complex tensors: a law that has a conjugate asks for it by `conj`.
    """

    def __init__(self, leaf: Leaf, avoid: frozenset[Index] = frozenset(), complex_: Collection[str] = ()) -> None:
        self.leaf = leaf
        self.avoid = avoid
        self.complex = complex_

    def __call__(self, expr: Expr) -> Expr:
        """The differential of the expression: 0 where it depends on no active tensor."""
        spend()
        if isinstance(expr, Access):
            return self.leaf(expr)
        law = LAWS.get(type(expr))
        return ZERO if law is None else law(self, expr)

    def conj(self, expr: Expr) -> Expr:
        """The complex conjugate; of what is real, the thing itself."""
        return conjugate(expr, self.complex)

    def copy(self, expr: Expr, of: Expr) -> Expr:
        """The expression with bound indices renamed apart from all that `of` has."""
        return apart(expr, all_indices(of) | self.avoid)

    def fresh(self, indices: tuple[Index, ...], of: Expr) -> dict[Index, Sub]:
        """New indices for old ones."""
        names = {i.name for i in all_indices(of) | self.avoid}
        renaming: dict[Index, Sub] = {}
        for index in indices:
            new = fresh(index, names)
            names.add(new.name)
            renaming[index] = new
        return renaming


Law = Callable[[Differential, "Expr"], Expr]
LAWS: dict[type[Expr], Law] = {}
LAW_NAMES: dict[type[Expr], str] = {}


def law(node: type[Expr], name: str) -> Callable[[Law], Law]:
    """Enter the law of a node under the name that `explain` prints."""

    def enter(function: Law) -> Law:
        LAWS[node] = function
        LAW_NAMES[node] = name
        return function

    return enter
