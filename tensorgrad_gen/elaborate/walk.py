"""The surface tree as terms, factors and boxes: what section 3 of the language speaks of.

Chains of `+` and `*` are walked with a stack, not by recursion: they may be thousands long,
while parentheses nest at most 32 deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tensorgrad_gen.syntax.tree import (
    Access,
    Binary,
    Bound,
    Call,
    Comparison,
    Iverson,
    MatrixCall,
    Name,
    Paren,
    Subscript,
    Tree,
    Unary,
)


@dataclass(frozen=True, slots=True)
class Term:
    """An additive term with its sign."""

    tree: Tree
    negative: bool


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of a term; `inverted` if it divides.  One that is a `Paren` is a box."""

    tree: Tree
    inverted: bool


def terms(tree: Tree) -> list[Term]:
    """The additive terms of an expression, in order; parentheses are not opened."""
    out: list[Term] = []
    stack = [(tree, False)]
    while stack:
        node, negative = stack.pop()
        if isinstance(node, Binary) and node.op in ("+", "-"):
            stack.append((node.right, negative ^ (node.op == "-")))
            stack.append((node.left, negative))
        else:
            out.append(Term(node, negative))
    return out


def is_product(tree: Tree) -> bool:
    """Whether parentheses round the tree are no box: anything but a sum or a condition."""
    if isinstance(tree, Binary):
        return tree.op in ("*", "/", "^")
    return not isinstance(tree, Comparison) and not (isinstance(tree, Unary) and tree.op == "not")


def strip(tree: Tree) -> Tree:
    """The tree without the parentheses round it."""
    while isinstance(tree, Paren):
        tree = tree.inner
    return tree


def factors(tree: Tree) -> tuple[list[Factor], bool]:
    """The factors of a term, in order, and whether the term is negative.

    Found through `*`, `/`, unary minus, and parentheses round a product; a divisor in
    parentheses stays whole.
    """
    out: list[Factor] = []
    negative = False
    stack = [(tree, False)]
    while stack:
        node, inverted = stack.pop()
        if isinstance(node, Binary) and node.op in ("*", "/"):
            stack.append((node.right, inverted ^ (node.op == "/")))
            stack.append((node.left, inverted))
        elif isinstance(node, Unary) and node.op in ("+", "-"):
            negative ^= node.op == "-"
            stack.append((node.operand, inverted))
        elif isinstance(node, Paren) and is_product(node.inner) and not inverted:
            stack.append((node.inner, inverted))
        else:
            out.append(Factor(node, inverted))
    return out, negative


def condition_parts(tree: Tree) -> list[Tree]:
    """The expressions inside a condition: the sides of its comparisons, and its bool tensors."""
    out: list[Tree] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Comparison):
            out += [node.left, node.right]
        elif isinstance(node, Binary) and node.op in ("and", "or"):
            stack += [node.right, node.left]
        elif isinstance(node, Unary) and node.op == "not":
            stack.append(node.operand)
        elif isinstance(node, Paren):
            stack.append(node.inner)
        else:
            out.append(node)
    return out


def power_of_access(tree: Tree) -> tuple[Access | MatrixCall, Tree] | None:
    """Base and exponent, if the tree is a power of a single access."""
    if isinstance(tree, Binary) and tree.op == "^":
        base = strip(tree.left)
        if isinstance(base, Access | MatrixCall):
            return base, tree.right
    return None


def inside(tree: Tree) -> list[Tree]:
    """The expressions inside a box, each a sum of terms; none if the tree is no box."""
    if isinstance(tree, Paren | Iverson):
        return condition_parts(tree.inner if isinstance(tree, Paren) else tree.condition)
    if isinstance(tree, Comparison) or (isinstance(tree, Binary) and tree.op in ("and", "or")):
        return condition_parts(tree)
    if isinstance(tree, Unary) and tree.op == "not":
        return condition_parts(tree)
    if isinstance(tree, Binary) and tree.op == "^":
        return [tree.left, tree.right]
    if isinstance(tree, Call | Bound):
        return [part for arg in tree.args for part in condition_parts(arg)]
    return []


def children(tree: Tree) -> list[Tree]:
    """The parts of a tree, in the order they are written; subscripts are not among them."""
    if isinstance(tree, Binary | Comparison):
        return [tree.left, tree.right]
    if isinstance(tree, Unary):
        return [tree.operand]
    if isinstance(tree, Paren):
        return [tree.inner]
    if isinstance(tree, Iverson):
        return [tree.condition]
    if isinstance(tree, Call | Bound | MatrixCall):
        return list(tree.args)
    return []


def subscripts(tree: Tree) -> tuple[Subscript, ...]:
    """The subscripts of an access, a reduction or a matrix function."""
    return tree.subs if isinstance(tree, Access | Bound | MatrixCall) else ()


def is_position(sub: Subscript) -> bool:
    """Whether a subscript is arithmetic, or a bare name: an index or a position, unless the name is a label's."""
    if sub.value is None:
        return False
    return sub.divisor is not None or not isinstance(
        strip(sub.value), Access | Bound | MatrixCall | Iverson | Comparison
    )


def position_names(sub: Subscript) -> list[Name]:
    """The bare names in a subscript that is a position, those of extents left out."""
    found: list[Name] = []
    stack = [] if sub.value is None or not is_position(sub) else [sub.value]
    while stack:
        node = stack.pop()
        if isinstance(node, Name):
            found.append(node)
        elif not (isinstance(node, Call) and node.name == "size"):
            stack += reversed(children(node))
    return found


def nodes(tree: Tree) -> Iterator[Tree]:
    """Every node of the tree, in the order they are written, those in subscripts included."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(children(node))
        stack += [sub.value for sub in reversed(subscripts(node)) if sub.value is not None]
