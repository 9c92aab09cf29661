"""Which expressions have complex values: told by their functions and by the tensors they read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from tensorgrad_gen.ir.base import Expr
from tensorgrad_gen.ir.binders import Linalg, Reduce, Scan, Sum
from tensorgrad_gen.ir.nodes import Access, Add, Apply, Mul, Pow, Where
from tensorgrad_gen.ir.program import Program

# Functions of complex numbers that have no complex derivative: linear over the reals, or of the magnitude.
REAL_VALUED = frozenset({"real", "imag", "complex_abs", "angle"})
# Matrix functions of complex matrices that have real values.
REAL_LINALG = frozenset({"eigenvalues", "singular_values"})
_PRODUCTS = ("prod", "prod_others")  # the reductions and scans that may be complex
NOT_HOLOMORPHIC = REAL_VALUED | {"conj", "complex"}


class Defining(Protocol):
    """A statement of a program, or a step of a plan."""

    @property
    def target(self) -> str: ...
    @property
    def value(self) -> Expr: ...
    @property
    def kind(self) -> str: ...


def is_complex(expr: Expr, tensors: Collection[str]) -> bool:
    """Whether the value is complex, `tensors` being the complex ones."""
    stack, seen = [expr], set[Expr]()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Access):
            if node.tensor in tensors:
                return True
        elif isinstance(node, Apply):
            if node.function == "complex":
                return True
            stack += () if node.function in REAL_VALUED else node.args
        elif isinstance(node, Where):
            stack += (node.then, node.other)
        elif isinstance(node, Linalg):
            stack += () if node.kind in REAL_LINALG else node.children
        elif isinstance(node, Add | Mul | Pow | Sum | Reduce | Scan) and getattr(node, "kind", "prod") in _PRODUCTS:
            stack += node.children
    return False


def complex_tensors(statements: Iterable[Defining], known: Iterable[str]) -> frozenset[str]:
    """The complex tensors: those `known`, and those that the statements define from them, in order."""
    found = set(known)
    for statement in statements:
        if statement.kind not in ("bool", "label") and is_complex(statement.value, found):
            found.add(statement.target)
    return frozenset(found)


def complex_of(program: Program) -> frozenset[str]:
    """The complex tensors of a program."""
    return complex_tensors(program.statements, (item.name for item in program.inputs if item.kind == "complex"))
