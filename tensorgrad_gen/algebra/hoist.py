"""Hoisting: every reduction, contraction and matrix function that stands inside something
nonlinear, or beside other tensors, becomes a statement of its own, shared when it recurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import TypeGuard

from tensorgrad_gen.algebra.indices import accesses, by_name, rename_tensors, substitute, walk
from tensorgrad_gen.algebra.keys import abstract_key
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import factors_of, reads_at_position, terms_of, wants_its_mask
from tensorgrad_gen.ir import (
    NOT_HOLOMORPHIC,
    Access,
    Add,
    Apply,
    Const,
    Expr,
    Extent,
    Index,
    Iverson,
    Linalg,
    Logic,
    Mul,
    Param,
    Pow,
    Program,
    Reduce,
    Root,
    Scan,
    Special,
    Statement,
    Sub,
    Sum,
    Where,
    add,
    const,
    mul,
)
from tensorgrad_gen.ir.build import ZERO

# Functions whose derivative does not read their argument.
LINEAR = ("stop_gradient", "scale_gradient", "clip_gradient", "straight_through", "conj", "real", "imag", "complex")
_NORMALISED = ("softmax", "log_softmax", "logsumexp")
_KINDS = {"any": "bool", "all": "bool", "argmax": "label", "argmin": "label"}


@lru_cache(maxsize=100_000)
def scalar(expr: Expr) -> bool:
    """A Python number at run time: built of numbers, parameters and extents alone."""
    if isinstance(expr, Const | Param | Extent | Special):
        return True
    return isinstance(expr, Add | Mul | Pow | Apply) and all(scalar(c) for c in expr.children)


def heavy(expr: Expr) -> bool:
    """Whether the node has a statement of its own: it is not pointwise."""
    return isinstance(expr, Sum | Reduce | Scan | Linalg | Root) or (
        isinstance(expr, Apply) and expr.function == "clip_gradient"
    )


def heavy_or_mixed(expr: Expr) -> bool:
    """Whether a statement to be differentiated is split here: it also is at what has no complex derivative."""
    return heavy(expr) or (isinstance(expr, Apply) and expr.function in NOT_HOLOMORPHIC and bool(accesses(expr)))


def is_extremum(expr: Expr) -> TypeGuard[Reduce]:
    """Whether the node is a maximum or minimum over indices."""
    return isinstance(expr, Reduce) and expr.kind in ("max", "min")


def _sum_of_tensors(expr: Expr) -> bool:
    return isinstance(expr, Add) and sum(1 for term in expr.terms if accesses(term)) > 1


def _compares(expr: Expr) -> TypeGuard[Reduce | Scan]:
    """Whether backward compares the numbers that the node reads: rounded ones would tie, or change places."""
    return isinstance(expr, Reduce | Scan) and expr.kind in ("max", "min", "argmax", "argmin", "argsort")


class Known:
    """Values that have a name already, found up to the names of their indices."""

    def __init__(self, flat: Iterable[Statement] = ()) -> None:
        self._table: dict[str, tuple[str, tuple[Index, ...], tuple[Index, ...]]] = {}
        # Contractions as products of all that they contract, by the tensors they read: few are ever looked up.
        self.flat: list[Statement] = []
        self._flat: dict[tuple[str, ...], Known] = {}
        for statement in flat:
            self.enter_flat(statement)

    def enter(self, statement: Statement) -> None:
        """Remember a statement; one whose target has an index that its value lacks is no use."""
        value = statement.value
        plain = isinstance(value, Const) or (isinstance(value, Access) and not reads_at_position(value))
        if frozenset(statement.indices) == value.free and not plain:
            name, order = abstract_key(value)
            self._table.setdefault(name, (statement.target, statement.indices, order))

    def find(self, expr: Expr) -> Access | None:
        """An access to the tensor that holds this value."""
        name, order = abstract_key(expr)
        found = self._table.get(name)
        if found is None:
            return None
        target, indices, known = found
        back = dict(zip(known, order, strict=True))
        return Access(target, tuple(back[i] for i in indices))

    def enter_flat(self, statement: Statement) -> None:
        """Remember what a tensor holds, written as one contraction of what it was made of step by step."""
        self.flat.append(statement)
        self._flat.setdefault(tensors_of(statement.value), Known()).enter(statement)

    def find_flat(self, expr: Expr) -> Access | None:
        """An access to the tensor that holds this contraction, however it was computed."""
        found = self._flat.get(tensors_of(expr))
        return None if found is None else found.find(expr)


def tensors_of(*expressions: Expr) -> tuple[str, ...]:
    """The tensors that the expressions read, each as often as they do."""
    return tuple(sorted(access.tensor for expr in expressions for access in accesses(expr)))


class Hoister:
    """Splits statements; new ones come before the statement that they were taken from."""

    def __init__(
        self,
        names: Namer,
        known: Known,
        program: Program | None = None,
        splits: Callable[[Expr], bool] = heavy,
    ) -> None:
        self.names = names
        self.known = known
        self.splits = splits
        # In half precision an output is rounded, and backward compares an extremum with its exact value.
        self.rounded = frozenset(program.outputs if program else ())
        self.inputs = frozenset(item.name for item in program.inputs) if program else frozenset[str]()
        self.out: list[Statement] = []

    def run(self, statements: Iterable[Statement]) -> list[Statement]:
        """All statements, split."""
        for statement in statements:
            value = self._root(statement.value, statement)
            done = Statement(statement.target, statement.indices, value, statement.kind)
            self.known.enter(done)
            self.out.append(done)
        return self._unrounded(self.out)

    def within(self, statement: Statement) -> Expr:
        """The statement's value, what is split inside it hoisted."""
        return self._visit(statement.value, statement, statement.indices)

    def _unrounded(self, statements: list[Statement]) -> list[Statement]:
        """What is ordered, or compared with its extremum, is no output, for that is rounded: the output is a copy."""
        nodes = (node for s in statements for node in walk(s.value) if _compares(node))
        taken = {node.body.tensor for node in nodes if isinstance(node.body, Access)}
        names = {tensor: self.names.name(f"exact_{tensor}") for tensor in sorted(self.rounded & taken - self.inputs)}
        if not names:
            return statements

        out: list[Statement] = []
        for s in statements:
            exact = replace(s, target=names.get(s.target, s.target), value=rename_tensors(s.value, names))
            out.append(exact)
            if exact.target != s.target:
                out.append(replace(s, value=Access(exact.target, s.indices)))
        return out

    def _root(self, value: Expr, of: Statement) -> Expr:
        if isinstance(value, Add):
            return add(*(self._term(t, of) for t in value.terms))
        return self._term(value, of)

    def _term(self, term: Expr, of: Statement) -> Expr:
        """A number times a contraction may stay as a term; all else heavy gets a name.

        So does a matrix function and a clipped gradient: the one is a call of its own, the other is not linear.
        """
        given = is_extremum(term) and isinstance(term.body, Access) and term.body.tensor in self.inputs
        if is_extremum(term) and of.target in self.rounded and not given:
            return self._visit(term, of, of.indices)
        if self.splits(term):
            return self._inside(term, of) if len(terms_of(of.value)) == 1 else self._visit(term, of, of.indices)
        if isinstance(term, Mul) and len(terms_of(of.value)) == 1:
            contractions = [f for f in term.factors if self.splits(f)]
            plain = len(contractions) == 1 and isinstance(contractions[0], Sum | Reduce | Scan)
            if plain and all(scalar(f) for f in term.factors if f is not contractions[0]):
                return mul(*(self._inside(f, of) if self.splits(f) else f for f in term.factors))
        return self._visit(term, of, of.indices)

    def _inside(self, expr: Expr, of: Statement) -> Expr:
        """Hoist what is heavy inside a heavy node, not the node itself."""
        order = of.indices + tuple(i for i in expr.bound if i not in of.indices)
        return self._exact(expr.rebuild(tuple(self._visit(c, of, order) for c in expr.children)), order)

    def _exact(self, expr: Expr, order: tuple[Index, ...]) -> Expr:
        """The argument of an extremum gets a name: backward compares the very same numbers with it.

        So do logits that are a sum: what several tensors contribute to gets one cotangent, `s (g - sum g s)`, whose
        terms cancel as exactly as those of the softmax itself.
        """
        if is_extremum(expr) and not isinstance(expr.body, Access):
            return Reduce(expr.kind, expr.indices, self.name(expr.body, order))
        if self.inputs and isinstance(expr, Reduce | Scan) and expr.kind in _NORMALISED and _sum_of_tensors(expr.body):
            return expr.rebuild((self.name(expr.body, order, "logits"),))
        return expr

    def _visit(self, expr: Expr, of: Statement, order: tuple[Index, ...], guards: tuple[Expr, ...] = ()) -> Expr:
        """The expression with names for what is heavy; `guards` are the conditions under which it is read."""
        if expr.children:
            inner = order + tuple(i for i in expr.bound if i not in order)
            guards_here = tuple(g for g in guards if not g.free & frozenset(expr.bound))  # others mean another index
            parts = zip(expr.children, guards_inside(expr), strict=True)
            children = tuple(self._visit(child, of, inner, guards_here + more) for child, more in parts)
            expr = expr.rebuild(children)
            expr = self._exact(_guarded(expr, guards) if self.splits(expr) else expr, inner)
            if isinstance(expr, Apply) and not guards and self._holds_less(expr):
                expr = expr.rebuild((self._argument(expr.args[0], inner, f"pre_{of.target}"), *expr.args[1:]))
        return self.name(expr, order) if self.splits(expr) else expr

    def _argument(self, argument: Expr, order: tuple[Index, ...], wanted: str) -> Expr:
        """The argument by a name, or by that of its negative, which is known: `sigmoid(-z)` beside `sigmoid(z)`."""
        negative = self.known.find(add(*(mul(const(-1), term) for term in terms_of(argument))))
        return self.name(argument, order, wanted) if negative is None else mul(const(-1), negative)

    def _holds_less(self, expr: Apply) -> bool:
        """Whether backward holds less, or as much of what is nearer, if the argument has a name.

        The derivative of `sigmoid(u + v + w)` is one of the sum of several tensors as large as itself; that of
        `relu(u + b)`, `u` a tensor that is computed, one of the sum that a bias was added to.
        """
        if not self.inputs or expr.function in LINEAR or isinstance(expr.args[0], Access):
            return False
        argument = expr.args[0]
        parts = {a.tensor for a in accesses(argument) if a.free == argument.free} - self.inputs
        return len(parts) > 1 or (len(parts) == 1 and _sum_of_tensors(argument))

    def name(self, expr: Expr, order: tuple[Index, ...], wanted: str = "") -> Expr:
        """The value as an access to a named tensor, new or known."""
        found = self.known.find(expr)
        if found is not None:
            return found
        indices = tuple(i for i in order if i in expr.free)
        indices += tuple(i for i in by_name(expr.free) if i not in indices)
        indices = tuple(sorted(indices, key=lambda i: i.extent != "..."))
        kind = _KINDS.get(expr.kind, "real") if isinstance(expr, Reduce) else "real"
        # The leading axes have one name in a statement, whatever they are called where it is read.
        lead = {i: Index("...", "...") for i in indices if i.extent == "..."}
        own = tuple(lead.get(i, i) for i in indices)
        statement = Statement(self.names.name(wanted or describe(expr)), own, substitute(expr, lead), kind)
        self.known.enter(statement)
        self.out.append(statement)
        return Access(statement.target, indices)


def guards_inside(expr: Expr) -> tuple[tuple[Expr, ...], ...]:
    """For each child, the conditions of this node under which the child is read."""
    if isinstance(expr, Mul):
        conditions = [(f, g) for f in expr.factors if isinstance(f, Iverson) for g in conjuncts(f.condition)]
        light = [(f, g) for f, g in conditions if not any(heavy(node) for node in walk(g))]
        return tuple(
            tuple(g for own, g in (light if isinstance(f, Iverson) else conditions) if own is not f)
            for f in expr.factors
        )
    if isinstance(expr, Where):
        return (), conjuncts(expr.condition), conjuncts(Logic("not", (expr.condition,)))
    return tuple(() for _ in expr.children)


def conjuncts(condition: Expr) -> tuple[Expr, ...]:
    """Conditions that all hold where the condition does: `p and q` as p, q; `not (p or q)` as not p, not q."""
    if isinstance(condition, Logic) and condition.op == "and":
        return tuple(part for arg in condition.args for part in conjuncts(arg))
    inner = condition.args[0] if isinstance(condition, Logic) and condition.op == "not" else None
    if isinstance(inner, Logic) and inner.op == "or":
        return tuple(part for arg in inner.args for part in conjuncts(Logic("not", (arg,))))
    return (condition,)


def _guarded(expr: Expr, guards: tuple[Expr, ...]) -> Expr:
    """What a mask keeps inside an axis takes the mask along: `[c] sum_d w[t,d]` -> `[c] sum_d [c] w[t,d]`."""
    # A scan reads all along its own indices if anything there is wanted.
    outer = expr.free - frozenset(expr.indices) if isinstance(expr, Scan) else expr.free
    own = tuple(g for g in dict.fromkeys(guards) if g.free <= outer)
    if not own or not wants_its_mask(expr) or not isinstance(expr, Sum | Reduce | Scan | Apply):
        return expr
    if isinstance(expr, Reduce) and expr.kind in ("any", "all"):
        return Reduce(expr.kind, expr.indices, Logic("and", (*own, expr.body)))
    if isinstance(expr, Sum):
        missing = [Iverson(g) for g in own if Iverson(g) not in factors_of(expr.body)]
        return Sum(expr.indices, mul(*missing, expr.body)) if missing else expr
    condition = own[0] if len(own) == 1 else Logic("and", own)
    return expr.rebuild((Where(condition, expr.children[0], ZERO), *expr.children[1:]))


def renamed(value: Expr, old: tuple[Index, ...], new: tuple[Sub, ...]) -> Expr:
    """A statement's value at other subscripts."""
    return substitute(value, dict(zip(old, new, strict=True)))


__all__ = [
    "LINEAR",
    "Hoister",
    "Known",
    "conjuncts",
    "guards_inside",
    "heavy",
    "heavy_or_mixed",
    "is_extremum",
    "renamed",
    "scalar",
]
