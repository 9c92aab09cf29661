"""What a condition hides is not read by derivatives either: what a contraction reads under a condition has it itself.

`where(p[b], w[o,i]*x[b,i], 0)` -> `shown_x[b,i] = [p[b]] x[b,i]`, `where(p[b], w[o,i]*shown_x[b,i], 0)`:
a cotangent that is 0 times an `x` that is NaN would be NaN in the gradient of `w`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import key, simplify, substitute, walk
from tensorgrad_gen.algebra.guards import (
    Conditions,
    conjuncts_of,
    decides,
    hiding_inside,
    in_terms_of,
    known_inside,
    read_by,
    read_under,
)
from tensorgrad_gen.algebra.hoist import heavy, scalar
from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.algebra.parts import factors_of, terms_of, wants_its_mask
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Delta,
    Expr,
    Index,
    Iverson,
    Linalg,
    Logic,
    Mul,
    Position,
    Program,
    Reduce,
    Root,
    Scan,
    Statement,
    Sum,
    Where,
    add,
    mul,
)
from tensorgrad_gen.ir.build import ONE, ZERO

_APART = ("eigenvalues", "eigenvectors", "singular_values", "left_vectors", "right_vectors")
Guards = tuple[Expr, ...]


def shielded(program: Program, statements: Sequence[Statement], names: Namer) -> list[Statement]:
    """The statements, each tensor that something not linear reads under conditions of its axes masked by them."""
    if not any(isinstance(node, Iverson | Where) for s in statements for node in walk(s.value)):
        return list(statements)
    return _Shield(program, statements, names).run(statements)


@dataclass(frozen=True, slots=True)
class _Known:
    """The conditions under which a node is read.

    `here` are those that its derivatives have, too, as they stand in the same pointwise expression.
    """

    here: Guards
    beyond: Guards

    def into(self, node: Expr) -> _Known:
        """Those that hold for what the node reads."""
        here, beyond = known_inside(node, self.here), known_inside(node, self.beyond)
        if not heavy(node) or _linear(node):
            return _Known(here, beyond)
        kept = tuple(g for g in here if g.free <= _outer(node)) if _takes_masks(node) else ()
        return _Known(kept, (*(g for g in here if g not in kept), *beyond))


class _Shield:
    """One walk over the statements, in order; what is masked gets a statement of its own before its first reader."""

    def __init__(self, program: Program, statements: Sequence[Statement], names: Namer) -> None:
        self.names = names
        self.kinds = {item.name: item.kind for item in program.inputs}
        self.axes = {item.name: item.indices for item in program.inputs}
        self.kinds |= {s.target: s.kind for s in statements}
        self.axes |= {s.target: s.indices for s in statements}
        self.demanded = read_under(statements, program.outputs, hiding_inside)
        self.contracted = {a for s in statements for a in _contracted(s.value)}
        self.there = {item.name for item in program.inputs} | {c.name for c in program.constants}
        self.covered: dict[str, set[str]] = {}  # of each statement, the conditions outside of which it is finite
        self.chunked = program.chunk is not None
        self.made: dict[tuple[str, tuple[Index, ...], str], str] = {}
        self.out: list[Statement] = []

    def run(self, statements: Iterable[Statement]) -> list[Statement]:
        """All statements."""
        for statement in statements:
            self.out.append(self._one(statement))
            self.there.add(statement.target)
        return self.out

    def _one(self, statement: Statement) -> Statement:
        demanded = {k: g for k, g in self.demanded.get(statement.target, {}).items() if self._usable(g)}
        guards = tuple(demanded.values())
        if statement.kind not in ("real", "complex"):
            return statement
        if guards and self._as_a_whole(statement):
            self.covered[statement.target] = set(demanded)
            return replace(statement, value=simplify(mul(*map(Iverson, guards), statement.value)))
        open_: set[str] = set()
        value = self._visit(statement.value, _Known((), guards), open_)
        self.covered[statement.target] = set(demanded) - open_
        return statement if value is statement.value else replace(statement, value=simplify(value))

    def _as_a_whole(self, statement: Statement) -> bool:
        """Whether the value has its conditions itself: it is pointwise, and its derivatives or readers multiply."""
        value = statement.value
        if isinstance(value, Access) or any(map(heavy, walk(value))):
            return False
        return statement.target in self.contracted or not _is_linear(value)

    def _usable(self, guard: Expr) -> bool:
        """Whether the condition is known here, and differs from place to place."""
        varies = any(isinstance(node, Access | Position) for node in walk(guard))
        return varies and read_by(guard) <= self.there

    def _visit(self, expr: Expr, known: _Known, open_: set[str]) -> Expr:
        if isinstance(expr, Access):
            return self._read(expr, known, open_)
        if isinstance(expr, Linalg):
            expr = self._regular(expr, known)
        if not expr.children:
            return expr
        inside = known.into(expr)
        if isinstance(expr, Sum) and _several(expr.body):  # pairs of them are contracted first, without the mask
            own = tuple(g for guards in hiding_inside(expr.body) for g in guards)
            inside = replace(inside, beyond=(*inside.beyond, *dict.fromkeys(own)))
        more = hiding_inside(expr)
        children = tuple(
            child if decides(expr, place) else self._visit(child, _Known(inside.here + own, inside.beyond), open_)
            for place, (child, own) in enumerate(zip(expr.children, more, strict=True))
        )
        return expr if children == expr.children else expr.rebuild(children)

    def _read(self, access: Access, known: _Known, open_: set[str]) -> Expr:
        """The access, or one to the tensor under what hides it."""
        if self.kinds.get(access.tensor) not in ("real", "complex"):
            return access
        axes = self.axes[access.tensor]
        around = {key(g): g for g in conjuncts_of(known.beyond) if self._usable(g) and g.free & access.free}
        own = in_terms_of(axes, access, tuple(around.values()))
        in_place = set(in_terms_of(axes, access, known.here))
        wanted = {k: g for k, g in own.items() if k not in in_place | self.covered.get(access.tensor, set())}
        if len(own) < len(around):
            open_ |= set(around)  # by their keys in terms of the indices of this statement
        return Access(self._masked(access, wanted), access.subs) if wanted else access

    def _masked(self, access: Access, conditions: Conditions) -> str:
        """The name of the tensor under the conditions; in blocks, one for each letter of an axis that is cut."""
        tensor, axes = access.tensor, self.axes[access.tensor]
        letters = tuple(sub for sub in access.subs if isinstance(sub, Index))
        if self.chunked and len(set(letters)) == len(axes):
            renaming = dict(zip(axes, letters, strict=True))
            conditions = {k: substitute(g, renaming) for k, g in conditions.items()}
            axes = letters
        name = (tensor, axes if self.chunked else (), " ".join(sorted(conditions)))
        if name not in self.made:
            target = self.names.name(f"shown_{tensor}")
            value = simplify(mul(*(Iverson(g) for g in conditions.values()), Access(tensor, axes)))
            self.made[name] = target
            self.kinds[target], self.axes[target] = self.kinds[tensor], axes
            self.out.append(Statement(target, axes, value, "real"))
            self.there.add(target)
        return self.made[name]

    def _regular(self, node: Linalg, known: _Known) -> Linalg:
        """The matrix function of the identity where its matrix is hidden: neither it nor a derivative is singular."""
        pairs = list(zip(node.rows, node.cols, strict=False))
        batch = node.matrix.free - {*node.rows, *node.cols}
        guards = tuple(
            dict.fromkeys(
                g for g in conjuncts_of((*known.here, *known.beyond)) if self._usable(g) and g.free and g.free <= batch
            )
        )
        if not guards:
            return node
        square = len(node.rows) == len(node.cols) and all(r.extent == c.extent for r, c in pairs)
        identity = mul(*(Delta(r, c) for r, c in pairs)) if square else ZERO
        if node.kind in _APART:  # of distinct values, or derivatives of vectors would be infinite
            identity = mul(identity, *(add(ONE, Position(r)) for r in node.rows[:1]))
        whole = guards[0] if len(guards) == 1 else Logic("and", guards)
        return Linalg(node.kind, Where(whole, node.matrix, identity), node.rows, node.cols, node.rhs)


def _is_linear(expr: Expr) -> bool:
    """Whether the value is a sum of tensors times numbers."""
    return all(sum(not scalar(f) for f in factors_of(t)) <= 1 and _plain(t) for t in terms_of(expr))


def _plain(term: Expr) -> bool:
    return all(scalar(f) or isinstance(f, Access) for f in factors_of(term))


def _linear(node: Expr) -> bool:
    """Whether a derivative of what is heavy here reads nothing."""
    if isinstance(node, Sum):
        return _is_linear(node.body)
    return isinstance(node, Scan) and node.kind in ("cumsum", "flip") and _is_linear(node.body)


def _outer(node: Expr) -> frozenset[Index]:
    return node.free - frozenset(node.indices) if isinstance(node, Scan) else node.free


def _takes_masks(node: Expr) -> bool:
    """Whether a mask outside of the node is put inside, too, where the node becomes a statement."""
    return wants_its_mask(node) and isinstance(node, Sum | Reduce | Scan | Apply)


def _several(body: Expr) -> bool:
    """Whether more than two tensors are contracted."""
    return isinstance(body, Mul) and sum(bool(read_by(f)) for f in body.factors if not isinstance(f, Iverson)) > 2


def _contracted(expr: Expr) -> set[str]:
    """The tensors that something heavy, and not linear, reads."""
    nodes = [node for node in walk(expr) if heavy(node) and not _linear(node) and not isinstance(node, Root)]
    return {name for node in nodes for name in read_by(node)}


__all__ = ["shielded"]
