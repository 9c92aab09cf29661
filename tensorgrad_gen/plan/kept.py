"""`save: all`: what forward computes inside of a statement, and backward reads too, is named and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TypeAlias

from tensorgrad_gen.algebra import abstract_key, accesses
from tensorgrad_gen.algebra.hoist import LINEAR, Hoister, Known, heavy, scalar
from tensorgrad_gen.algebra.known_derivatives import known_derivative
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.algebra.parts import may_be_infinite
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Delta,
    Expr,
    Index,
    Iverson,
    Linalg,
    Mul,
    Pow,
    Program,
    Root,
    Statement,
    Sum,
    Where,
    add,
    const,
    mul,
    number,
)
from tensorgrad_gen.plan.masked import in_order

# What stands for an expression, given as it was and with its parts read already; None where nothing does.
Read: TypeAlias = Callable[[Expr, Expr], "Expr | None"]


def name_kept(
    forward: list[Statement], backward: Iterable[Statement], names: Namer, program: Program
) -> list[Statement]:
    """The statements of forward, with a name for all that backward computes again."""
    forward = _read_before(forward)
    computed = {key for s in forward for node in _computed(s.value) for key in _keys(node)}
    parts = (node for s in backward for node in _computed(s.value, computed, program))
    again = {key for node in parts for key in _keys(node) if key in computed}
    if not again:
        return forward
    hoister = Hoister(names, Known())

    def read(node: Expr, own: Expr) -> Expr | None:
        if not again & set(_keys(node)):
            return None
        known = _known(hoister.known, own)
        return hoister.name(own, _order(own), _name(own)) if known is None else known

    for s in forward:
        split = replace(s, value=_replaced(s.value, read))
        hoister.known.enter(split)
        hoister.out.append(split)
    return hoister.out


def _read_before(forward: list[Statement]) -> list[Statement]:
    """The statements, with tensors that are there already where they are computed again."""
    known, out = Known(), list[Statement]()

    def read(_: Expr, own: Expr) -> Expr | None:
        return _known(known, own)

    for s in forward:
        out.append(replace(s, value=_replaced(s.value, read)))
        known.enter(out[-1])
    return out


def read_kept(statements: Iterable[Statement], program: Program) -> list[Statement]:
    """The statements of backward, reading what forward has named."""
    known = Known()
    for s in program.statements:
        known.enter(s)

    def read(_: Expr, own: Expr) -> Expr | None:
        return _known(known, own)

    return [replace(s, value=_replaced(s.value, read, program)) for s in statements]


def _order(node: Expr) -> tuple[Index, ...]:
    """The axes as what is read has them; those of a label where it stands."""
    if not isinstance(node, Access):
        return in_order(node)
    return tuple(i for sub in node.subs for i in ((sub,) if isinstance(sub, Index) else in_order(sub)))


def _name(node: Expr) -> str:
    """What is read at a label is called by both."""
    return "_".join(a.tensor for a in accesses(node)) if isinstance(node, Access) else ""


def _known(known: Known, node: Expr) -> Expr | None:
    """The tensor of this value, or that of its negative with the other sign."""
    found = known.find(node)
    if found is None and isinstance(node, Add):
        negative = known.find(_negative(node))
        return None if negative is None else mul(const(-1), negative)
    return found


def _negative(node: Add) -> Expr:
    return add(*(mul(const(-1), term) for term in node.terms))


def _keys(node: Expr) -> tuple[str, ...]:
    """The key of the value, and of a sum that of its negative: they are one tensor."""
    own = abstract_key(node)[0]
    return (own, abstract_key(_negative(node))[0]) if isinstance(node, Add) else (own,)


def _replaced(value: Expr, read: Read, backward: Program | None = None) -> Expr:
    """The value with what is read instead of its parts, the innermost first."""
    places = set(_computed(value, backward=backward))

    def visit(node: Expr, hidden: bool) -> Expr:
        own = node
        inside = _inside(node, backward)
        if inside:
            parts = (visit(child, hidden or _hides(node)) if child in inside else child for child in node.children)
            own = node.rebuild(tuple(parts))
            own = mul(*own.factors) if isinstance(own, Mul) else add(*own.terms) if isinstance(own, Add) else own
        found = read(node, own) if node in places and not (hidden and may_be_infinite(node)) else None
        return own if found is None else found

    return visit(value, hidden=False)


def _computed(value: Expr, keys: AbstractSet[str] = frozenset(), backward: Program | None = None) -> Iterator[Expr]:
    """The parts of a value that a call of its own computes, the outer ones first, nothing inside of those with a key.

    What a mask hides is no part that forward computes for all to read, but `backward`, of a program, may read what is
    finite there.
    """
    stack: list[tuple[Expr, Expr | None, bool]] = [(value, None, False)]
    while stack:
        node, parent, hidden = stack.pop()
        if (
            (parent is not None or backward is not None)
            and _is_call(node, parent)
            and not (hidden and may_be_infinite(node))
        ):
            yield node
            if keys & set(_keys(node)):
                continue
        stack += [(child, node, hidden or _hides(node)) for child in reversed(_inside(node, backward))]


def _hides(node: Expr) -> bool:
    return isinstance(node, Where) or (isinstance(node, Mul) and any(isinstance(f, Iverson) for f in node.factors))


def _inside(node: Expr, backward: Program | None) -> tuple[Expr, ...]:
    """The children that are looked at: they are computed before the node, and read wherever it is."""
    if isinstance(node, Iverson | Delta | Root | Linalg) or (backward is None and _hides(node)):
        return ()
    found = known_derivative(node, backward) if isinstance(node, Mul) and backward is not None else None
    return node.children if found is None else tuple(child for child in node.children if child not in found[2])


def _is_call(node: Expr, parent: Expr | None) -> bool:
    """Whether a call computes this node alone: not the product of a contraction, a number times a term, a divisor."""
    if isinstance(node, Access):
        return any(isinstance(sub, Expr) for sub in node.subs) and not _at_positions(node)
    if not isinstance(node, Add | Apply | Mul | Pow | Where) or heavy(node) or _at_positions(node):
        return False
    if not accesses(node) or (isinstance(node, Apply) and node.function in LINEAR):
        return False
    if isinstance(node, Mul):
        multiple = len([f for f in node.factors if not scalar(f)]) == 1
        return not isinstance(parent, Sum) and not (multiple and (parent is None or isinstance(parent, Add)))
    exponent = number(node.exponent) if isinstance(node, Pow) else None
    return exponent is None or exponent > 0 or exponent.denominator != 1


def _at_positions(node: Expr) -> bool:
    """Whether a tensor is read at computed positions, which are no labels: as a window, or beyond its axis."""
    return any(isinstance(sub, Expr) and not accesses(sub) for access in accesses(node) for sub in access.subs)
