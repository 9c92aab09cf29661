"""Factorisations that functions of one matrix share: in one body, and from forward to backward.

Law: what is made of factors equals what is made of the matrix, and has no derivative: it is read in a first derivative
alone, any other is taken from the matrix itself (`_runtime.solve`, `eigenvectors`, `singular_vectors`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tensorgrad_gen.algebra.keys import placed_key
from tensorgrad_gen.ir import Index, Linalg
from tensorgrad_gen.lower.model import Body, Factor
from tensorgrad_gen.lower.names import Names
from tensorgrad_gen.lower.printer import walk
from tensorgrad_gen.lower.rename import rebuilt
from tensorgrad_gen.lower.torch_ir import Attr, Call, Item, Lit, TExpr, TorchStatement, Var
from tensorgrad_gen.lower.values import LoweringError

_LU = (("lu", 1), ("pivots", 2))


@dataclass(frozen=True, slots=True)
class _Row:
    """A factorisation: the call it stands for, what makes both, and which items are what: the value, then its parts."""

    call: str
    made_by: str
    hint: str
    value: int
    parts: tuple[tuple[str, int], ...]
    flagged: bool = False  # whether it costs more than the value alone
    turned: bool = False  # whether the factors are those of the transpose


# What has factors beside its value, where it is the only function of its matrix.
_ROWS = {
    "solve": _Row("_runtime.solve", "solve_and_factor", "solved", 0, _LU),
    "logdet": _Row("torch.logdet", "logdet_and_factor", "determinant", 0, _LU, turned=True),
    "eigenvalues": _Row("torch.linalg.eigvalsh", "eigvalsh", "eigh", 0, (("eigenvectors", 1),), flagged=True),
    "singular_values": _Row(
        "torch.linalg.svdvals", "svdvals", "svd", 1, (("left_vectors", 0), ("right_vectors", 2)), flagged=True
    ),
}

# Functions of a matrix by its LU factors: the call they stand for -> what reads factors, how, and whether a singular
# matrix is an error to it.
_BY_LU: dict[str, tuple[str, tuple[tuple[str, TExpr], ...], bool]] = {
    "_runtime.solve": ("_runtime.solve", (), True),
    "torch.linalg.inv": ("_runtime.inverse", (), True),
    "torch.logdet": ("_runtime.logdet", (), False),
    "torch.linalg.det": ("_runtime.det", (), False),
    "torch.linalg.slogdet": ("_runtime.det", (("sign", Lit(value=True)),), False),
}
_LU_KINDS = ("solve", "inverse", "logdet", "det", "slogdet_sign")

# What backward computes of a matrix -> what of forward's it may be computed from.  (The inverse of a singular matrix is
# an error, which it would not be by factors of `det`.)
READ_FROM = {
    "solve": ("solve", "inverse", "logdet"),
    "inverse": ("solve", "inverse", "logdet"),
    "eigenvectors": ("eigenvalues",),
    "left_vectors": ("singular_values",),
    "right_vectors": ("singular_values",),
}

# A factorisation: "lu" or the function that makes it, of which matrix.
Place = tuple[str, str]


@dataclass(slots=True)
class _Made:
    """What a body has of one matrix."""

    functions: list[str] = field(default_factory=list)
    forms: dict[TExpr, bool] = field(default_factory=dict)  # what the code calls it -> whether that is the transpose
    calls: int = 0  # different ones
    factors: Var | None = None  # where they are made for several calls


@dataclass(slots=True)
class Factors:
    """Those of one op: `made` by the body that is written, and what forward keeps for backward."""

    names: Names
    flag: str  # what forward calls whether a gradient may be wanted
    keeps: bool  # whether forward may return them
    made: dict[Place, _Made] = field(default_factory=dict)
    forward: dict[Place, _Made] = field(default_factory=dict)
    read: dict[Place, tuple[str, ...]] = field(default_factory=dict)

    def note(self, node: Linalg, batch: tuple[Index, ...], matrix: TExpr) -> None:
        """The body has this function of a matrix, which the code calls `matrix`."""
        if node.kind not in _LU_KINDS and node.kind not in _ROWS:
            return
        straight, across = _places(node.kind, node, batch)
        turned = straight not in self.made and across in self.made and node.kind in _LU_KINDS
        made = self.made.setdefault(across if turned else straight, _Made())
        made.functions.append(node.kind)
        made.forms.setdefault(matrix, turned)

    def find(self, node: Linalg, batch: tuple[Index, ...]) -> tuple[tuple[TExpr, ...], bool] | None:
        """The parts of what forward keeps of this matrix, or of its transpose: `True` then."""
        for kind in READ_FROM.get(node.kind, ()) if self.keeps else ():
            for turned, place in enumerate(_places(kind, node, batch)):
                made = self.forward.get(place)
                if made is None or kind not in made.functions or (turned and kind not in _LU_KINDS):
                    continue
                row = _row(made)
                if place not in self.read:
                    self.read[place] = tuple(self.names.fresh(name) for name, _ in (row.parts if row else _LU))
                return tuple(map(Var, self.read[place])), bool(turned) != (row is not None and row.turned)
        return None

    def closed(self, body: Body, forward: bool = False) -> Body:
        """The body, each matrix of which it has several functions factorised once."""
        for (kind, _), made in self.made.items():
            if kind == "lu":
                made.calls = len(set(_calls(body, made)))
                body = self._shared(body, made) if made.calls > 1 else body
        if forward:
            self.forward = self.made
        self.made = {}
        return body

    def kept(self, forward: Body) -> tuple[Body, tuple[Factor, ...]]:
        """Forward, which makes what backward reads, and the names of that."""
        found: list[Factor] = []
        for place, names in self.read.items():
            made = self.forward[place]
            row = _row(made)
            if row is None and made.factors is None:
                forward = self._shared(forward, made)
            of = made.factors
            if of is None:
                assert row is not None
                of = self._fresh(row.hint, forward)
                forward = _with_factors(forward, next(iter(made.forms)), of, row, self.flag)
            items = [item for _, item in row.parts] if row else [0, 1]
            parts = tuple(Item(of, Lit(item)) for item in items)
            forward = replace(forward, results=(*forward.results, *zip(names, parts, strict=True)))
            found += [Factor(name, self.flag if row and row.flagged else "") for name in names]
        return forward, tuple(found)

    def _shared(self, body: Body, made: _Made) -> Body:
        """The body with factors of the matrix before the first of its functions, which all read them."""
        made.factors = factors = self._fresh("factors", body)
        parts = (Item(factors, Lit(0)), Item(factors, Lit(1)))
        singular = not any(_BY_LU[call.function][2] for call in _calls(body, made))
        how: tuple[tuple[str, TExpr], ...] = (("singular", Lit(value=True)),) if singular else ()
        statements: list[TorchStatement] = []

        def change(expr: TExpr) -> TExpr:
            call = _read_by_lu(expr, made)
            if call is None:
                return rebuilt(expr, change)
            matrix, *others = call.args
            turned = made.forms[matrix]
            if all(s.target != factors.name for s in statements):
                straight = Attr(matrix, "mT") if turned else matrix
                statements.append(TorchStatement(factors.name, Call("_runtime.lu_factor", (straight,), how)))
            reader, kwargs, strict = _BY_LU[call.function]
            kwargs = (("transposed", Lit(value=True)),) if turned and strict else kwargs
            return Call(reader, (matrix, *map(change, others), *parts), kwargs)

        for statement in body.statements:
            call = change(statement.call)
            statements.append(replace(statement, call=call))
        return _with_helpers(replace(body, statements=tuple(statements)))

    def _fresh(self, hint: str, body: Body) -> Var:
        taken = {s.target for s in body.statements}
        while (name := self.names.fresh(hint)) in taken:
            pass
        return Var(name)


def _places(kind: str, node: Linalg, batch: tuple[Index, ...]) -> tuple[Place, Place]:
    """Where what a body has of this matrix is noted, and of its transpose."""
    axes = ((*node.rows, *node.cols), (*node.cols, *node.rows))
    of = "lu" if kind in _LU_KINDS else kind
    straight, across = ((of, placed_key(node.matrix, (*batch, *own))) for own in axes)
    return straight, across


def _row(made: _Made) -> _Row | None:
    """How the only function of a matrix returns its factors; None where several share them."""
    return None if made.calls > 1 else _ROWS.get(made.functions[0])


def _read_by_lu(expr: TExpr, made: _Made) -> Call | None:
    """The call of a function of this matrix that goes by its LU factors."""
    call = expr.receiver if isinstance(expr, Attr) and expr.name == "sign" else expr
    if not isinstance(call, Call) or call.function not in _BY_LU or call.args[0] not in made.forms:
        return None
    return call if (call.function == "torch.linalg.slogdet") == isinstance(expr, Attr) else None


def _calls(body: Body, made: _Made) -> Iterator[Call]:
    """The calls of functions of this matrix."""
    for statement in body.statements:
        for part in walk(statement.call):
            call = _read_by_lu(part, made)
            if call is not None:
                yield call


def _with_factors(forward: Body, matrix: TExpr, made: Var, row: _Row, flag: str) -> Body:
    """The body, with the factorisation where its value is first read."""
    statements: list[TorchStatement] = []
    flags = (Var(flag),) if row.flagged else ()

    def change(expr: TExpr) -> TExpr:
        if not isinstance(expr, Call) or expr.function != row.call or expr.args[0] != matrix:
            return rebuilt(expr, change)
        call = Call(f"_runtime.{row.made_by}", (*map(change, expr.args), *flags))
        if all(s.target != made.name for s in statements):
            statements.append(TorchStatement(made.name, call))
        return Item(made, Lit(row.value))

    for statement in forward.statements:
        call = change(statement.call)
        statements.append(replace(statement, call=call))
    if all(s.target != made.name for s in statements):
        raise LoweringError(f"nothing makes the factors of {row.call}")
    return _with_helpers(replace(forward, statements=tuple(statements)))


def _with_helpers(body: Body) -> Body:
    """The body, with what it calls of the runtime listed."""
    calls = [part for s in body.statements for part in walk(s.call) if isinstance(part, Call)]
    helpers = {c.function.removeprefix("_runtime.") for c in calls if c.function.startswith("_runtime.")}
    return replace(body, helpers=tuple(sorted(helpers | set(body.helpers))))
