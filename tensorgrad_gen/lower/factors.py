"""Factorisations that forward makes and backward reads: LU of a solve, vectors beside singular values and eigenvalues.

Law: what is kept equals what backward would compute from the matrix, and has no derivative: it is read in a first
derivative alone, any other is taken from the matrix itself (`_runtime.solve`, `eigenvectors`, `singular_vectors`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tensorgrad_gen.algebra.keys import placed_key
from tensorgrad_gen.ir import Index, Linalg
from tensorgrad_gen.lower.model import Body, Factor
from tensorgrad_gen.lower.names import Names
from tensorgrad_gen.lower.printer import walk
from tensorgrad_gen.lower.rename import rebuilt
from tensorgrad_gen.lower.torch_ir import Call, Item, Lit, TExpr, TorchStatement, Var
from tensorgrad_gen.lower.values import LoweringError


@dataclass(frozen=True, slots=True)
class _Row:
    """A factorisation: the call it stands for, what makes both, and which items are what: the value, then its parts."""

    call: str
    made_by: str
    hint: str
    value: int
    parts: tuple[tuple[str, int], ...]
    flagged: bool  # whether it costs more than the value alone


_ROWS = {
    "solve": _Row("_runtime.solve", "solve_and_factor", "solved", 0, (("lu", 1), ("pivots", 2)), flagged=False),
    "logdet": _Row("torch.logdet", "logdet_and_factor", "determinant", 0, (("lu", 1), ("pivots", 2)), flagged=False),
    "eigenvalues": _Row("torch.linalg.eigvalsh", "eigvalsh", "eigh", 0, (("eigenvectors", 1),), flagged=True),
    "singular_values": _Row(
        "torch.linalg.svdvals", "svdvals", "svd", 1, (("left_vectors", 0), ("right_vectors", 2)), flagged=True
    ),
}


# What backward computes of a matrix -> what of forward's it may be computed from.
READ_FROM = {
    "solve": ("solve", "logdet"),
    "inverse": ("solve", "logdet"),
    "eigenvectors": ("eigenvalues",),
    "left_vectors": ("singular_values",),
    "right_vectors": ("singular_values",),
}


@dataclass(slots=True)
class Factors:
    """Those of one op: `made` by forward, by kind and matrix, and what they are called where backward reads them."""

    names: Names
    flag: str  # what forward calls whether a gradient may be wanted
    made: dict[tuple[str, str], TExpr] = field(default_factory=dict)
    read: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def note(self, node: Linalg, batch: tuple[Index, ...], matrix: TExpr) -> None:
        """Forward has this function of a matrix, which the code calls `matrix`."""
        if node.kind in _ROWS:
            self.made.setdefault((node.kind, placed_key(node.matrix, (*batch, *node.rows, *node.cols))), matrix)

    def find(self, node: Linalg, batch: tuple[Index, ...]) -> tuple[tuple[TExpr, ...], bool] | None:
        """The parts of what forward made of this matrix, or of its transpose: `True` then."""
        kinds = READ_FROM.get(node.kind, ())
        for kind, turned in [(kind, turned) for turned in (False, True) for kind in kinds]:
            axes = (*node.cols, *node.rows) if turned else (*node.rows, *node.cols)
            place = (kind, placed_key(node.matrix, (*batch, *axes)))
            if place in self.made and not (turned and _ROWS[kind].flagged):
                if place not in self.read:
                    self.read[place] = tuple(self.names.fresh(name) for name, _ in _ROWS[kind].parts)
                return tuple(map(Var, self.read[place])), turned
        return None

    def kept(self, forward: Body) -> tuple[Body, tuple[Factor, ...]]:
        """Forward, which makes what backward reads, and the names of that."""
        found: list[Factor] = []
        for (kind, place), names in self.read.items():
            row, matrix = _ROWS[kind], self.made[kind, place]
            made = Var(self.names.fresh(row.hint))
            forward = _with_factors(forward, matrix, made, row, self.flag)
            parts = tuple(Item(made, Lit(item)) for _, item in row.parts)
            forward = replace(forward, results=(*forward.results, *zip(names, parts, strict=True)))
            found += [Factor(name, self.flag if row.flagged else "") for name in names]
        return forward, tuple(found)


def _with_factors(forward: Body, matrix: TExpr, made: Var, row: _Row, flag: str) -> Body:
    """The body, with the factorisation where its value is first read."""
    statements: list[TorchStatement] = []
    flags = (Var(flag),) if row.flagged else ()

    def change(expr: TExpr) -> TExpr:
        if not isinstance(expr, Call) or expr.function != row.call or expr.args[0] != matrix:
            return rebuilt(expr, change)
        args = tuple(map(change, expr.args))
        call = Call(f"_runtime.{row.made_by}", (*args, *flags))
        first = next((s for s in statements if s.target == made.name), None)
        if first is None:
            statements.append(TorchStatement(made.name, call))
        elif first.call != call:  # another right side
            return replace(expr, args=(*args, *(Item(made, Lit(item)) for _, item in row.parts)))
        return Item(made, Lit(row.value))

    for statement in forward.statements:
        call = change(statement.call)
        statements.append(replace(statement, call=call))
    if all(s.target != made.name for s in statements):
        raise LoweringError(f"nothing makes the factors of {row.call}")
    calls = [part for s in statements for part in walk(s.call) if isinstance(part, Call)]
    helpers = {c.function.removeprefix("_runtime.") for c in calls if c.function.startswith("_runtime.")}
    return replace(forward, statements=tuple(statements), helpers=tuple(sorted(helpers | set(forward.helpers))))
