"""What a condition hides is not read by second derivatives: under it, what is not linear reads masked numbers.

`[p[b]] (u[b] - v[b])^2` -> `shown_u_v[b] = [p[b]] (u[b] - v[b])`, `shown_u_v[b]^2`: gradients are products under the
mask, and autograd, which differentiates them once more, multiplies what it hides by 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, map_nodes, simplify, walk
from tensorgrad_gen.algebra.guards import (
    conjuncts_of,
    decides,
    hiding_inside,
    in_terms_of,
    is_masked,
    known_inside,
    read_by,
)
from tensorgrad_gen.algebra.hoist import LINEAR, Hoister, Known, scalar
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import factors_of, may_be_undefined, reads_at_position, split_power
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    NOT_HOLOMORPHIC,
    Access,
    Apply,
    Compare,
    Expr,
    Index,
    Iverson,
    Mul,
    Pow,
    Program,
    Reduce,
    Root,
    Statement,
    Where,
    mul,
    number,
)

Guards = tuple[Expr, ...]


def shown(program: Program, statements: Sequence[Statement], names: Namer) -> list[Statement]:
    """The statements, what is multiplied, raised or put into a function under conditions masked by them before.

    Conditions that compare the very numbers that they hide are left alone, but for the test of NaN, `x == x`.
    """
    if not any(isinstance(node, Iverson | Where) for s in statements for node in walk(s.value)):
        return list(statements)
    return _Shown(program, statements, names).run(statements)


class _Shown:
    def __init__(self, program: Program, statements: Sequence[Statement], names: Namer) -> None:
        self.names, self.known = names, Known()
        self.chunked = program.chunk is not None
        self.table = {s.target: s for s in statements}
        # What holds numbers that conditions may hide: labels and truth values are never multiplied.
        self.numbers = {i.name for i in program.inputs if i.kind in ("real", "complex")}
        self.numbers |= {s.target for s in statements if s.kind == "real"}
        self.new: list[Statement] = []

    def run(self, statements: Sequence[Statement]) -> list[Statement]:
        """All statements; what is masked has a statement of its own before its first reader."""
        out: list[Statement] = []
        for statement in statements:
            value, self.new = statement.value, []
            if statement.kind == "real":
                value = self._visit(value, (), statement.indices)
            if value is not statement.value:
                statement = replace(statement, value=map_nodes(simplify(value), self._plain))
                self.table[statement.target] = statement
            out += [*self.new, statement]
        return out

    def _visit(self, expr: Expr, guards: Guards, order: tuple[Index, ...]) -> Expr:
        """The expression, read under these conditions, with masked numbers where it is not linear in them."""
        if isinstance(expr, Root) or not expr.children:
            return expr
        guards, own = known_inside(expr, guards), hiding_inside(expr)
        order += tuple(i for i in expr.bound if i not in order)
        multiplies = _multiplies(expr)
        children = []
        for place, child in enumerate(expr.children):
            if not decides(expr, place):
                under = (*guards, *own[place])
                child = self._visit(child, under, order)
                child = self._masked(child, under, order) if multiplies else child
            children.append(child)
        return expr if tuple(children) == expr.children else expr.rebuild(tuple(children))

    def _masked(self, expr: Expr, guards: Guards, order: tuple[Index, ...]) -> Expr:
        """The expression under those of the conditions that hide something that it reads, by a name."""
        if scalar(expr) or isinstance(expr, Iverson):
            return expr
        wanted = [g for g in dict.fromkeys(conjuncts_of(guards)) if g.free <= expr.free and self._hides(g, expr)]
        if not wanted:
            return expr
        whole = [a.subs for a in accesses(expr) if a.free == expr.free and all(isinstance(s, Index) for s in a.subs)]
        order = tuple(i for subs in whole[:1] for i in subs if isinstance(i, Index)) or order
        # In blocks each letter of an axis that is cut has a tensor of its own.
        hoister = Hoister(self.names, Known() if self.chunked else self.known)
        found = hoister.name(simplify(mul(*map(Iverson, wanted), expr)), order, f"shown_{describe(expr)}")
        for statement in hoister.out:
            self.table[statement.target] = statement
            self.numbers.add(statement.target)
            self.new.append(statement)
        return found

    def _hides(self, guard: Expr, expr: Expr) -> bool:
        """Whether the expression reads something, not masked yet, that differs with what the condition reads."""
        if not accesses(guard):  # a place in a triangle or window: what is there is seldom NaN
            return False
        found = [a for a in _open(expr) if a.tensor in self.numbers and a.free & guard.free]
        if all(self._safe(a, guard) for a in found):
            return False
        tests_for_nan = isinstance(guard, Compare) and guard.left is guard.right
        return tests_for_nan or not self._sources(guard) & self._sources(expr)

    def _sources(self, expr: Expr) -> set[str]:
        """The tensors of numbers that the value is made of."""
        found: set[str] = set()
        left = [expr]
        while left:
            for name in read_by(left.pop()) - found:
                found.add(name)
                if name in self.table:
                    left.append(self.table[name].value)
        return found & self.numbers

    def _safe(self, access: Access, guard: Expr) -> bool:
        """Whether the tensor is finite where the condition is false: masked, or made of what is."""
        if is_masked(access, guard, self.table, shares=True):
            return True
        statement = self.table.get(access.tensor)
        own = in_terms_of(statement.indices, access, (guard,)) if statement is not None else {}
        if statement is None or len(own) != 1:
            return False
        [inner] = own.values()
        found = [a for a in _open(statement.value) if a.tensor in self.numbers and a.free & inner.free]
        return all(self._safe(a, inner) for a in found)

    def _plain(self, node: Expr) -> Expr:
        """`[c] u^2` is `u^2` where `u` is masked by `c`."""
        masks = [f for f in factors_of(node) if isinstance(f, Iverson)]
        rest = [f for f in factors_of(node) if f not in masks and not scalar(f)]
        base, exponent = split_power(rest[0]) if len(rest) == 1 else (node, 0)
        if not isinstance(base, Access) or exponent < 1:
            return node
        spare = [m for m in masks if is_masked(base, m.condition, self.table)]
        return mul(*(f for f in factors_of(node) if f not in spare))


def _open(expr: Expr) -> Iterator[Access]:
    """What is read, but for what has its masks already: arguments of singular functions, chosen places, shares."""
    if isinstance(expr, Access):
        if not reads_at_position(expr):
            yield expr
    elif not _is_guarded(expr):
        for place, child in enumerate(expr.children):
            if not decides(expr, place):
                yield from _open(child)


def _multiplies(expr: Expr) -> bool:
    """Whether a derivative of the node reads what the node reads."""
    if isinstance(expr, Mul):
        return sum(not scalar(f) and not isinstance(f, Iverson) for f in expr.factors) > 1
    if _is_guarded(expr):
        return False
    if isinstance(expr, Apply) and expr.function in LINEAR:
        return False
    if isinstance(expr, Apply) and expr.function not in NOT_HOLOMORPHIC:
        return any(p is not None and any(_open(p)) for p in FUNCTIONS[expr.function].partials(expr.args))
    return isinstance(expr, Apply | Pow)


def _is_guarded(expr: Expr) -> bool:
    """Whether the argument is masked where the function is called, or in the total that it is a share of."""
    power_of_number = isinstance(expr, Pow) and number(expr.base) is not None
    return (may_be_undefined(expr) and not power_of_number) or _is_share(expr)


def _is_share(expr: Expr) -> bool:
    """Whether the node is the exponential of a logarithm of a share: `exp(x - logsumexp(..))`."""
    totals = (node for node in walk(expr) if isinstance(node, Reduce | Apply))
    return isinstance(expr, Apply) and expr.function == "exp" and any(map(_is_total, totals))


def _is_total(node: Reduce | Apply) -> bool:
    return (node.kind == "logsumexp") if isinstance(node, Reduce) else (node.function == "logaddexp")
