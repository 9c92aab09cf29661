"""The implicit equation of a spec: what it defines, and how it is solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.elaborate import implicit, nonlinear
from tensorgrad_gen.elaborate.equations import Definition
from tensorgrad_gen.elaborate.expressions import Builder
from tensorgrad_gen.elaborate.extents import ELLIPSIS
from tensorgrad_gen.elaborate.names import Names
from tensorgrad_gen.elaborate.nonlinear import SQUARES_SHOWN, Nonlinear, World
from tensorgrad_gen.elaborate.scope import Scope
from tensorgrad_gen.elaborate.vocabulary import MATRIX_FUNCTIONS
from tensorgrad_gen.errors import Report, suggest
from tensorgrad_gen.ir import SOLVERS, Access, Expr, Index, Statement, const, sub

_START = {"newton": 1, "fixed_point": 0}  # where no other start is given


@dataclass(slots=True)
class Solving:
    """Builds the statement of the unknown; `builder` makes what turns the trees of an equation into IR."""

    names: Names
    report: Report
    builder: Callable[[Scope, str], Builder]
    statements: list[Statement]
    unsolved: set[str] = field(default_factory=set)  # unknowns whose equation is refused

    def well_formed(self, definition: Definition, scope: Scope) -> bool:
        """Whether an implicit equation has its unknown, a known solver, and free indices of its own."""
        how = definition.implicit
        if how is None:
            return True
        before = len(self.report.diagnostics)
        solver = how.solver
        if solver is not None and solver.text not in SOLVERS and solver.text not in MATRIX_FUNCTIONS:
            self.report.error("E505", f"unknown solver `{solver.text}`", solver.span, suggest(solver.text, SOLVERS))
        if definition.target not in {name for tree in definition.trees for name in scope.tensors_in(tree)}:
            message = f"the equation does not have its unknown `{definition.target}`"
            self.report.error("E506", message, definition.equation.span)
        for letter in how.free or ():
            if letter.text not in scope.indices and letter.text != ELLIPSIS:
                known = suggest(letter.text, scope.indices, "indices")
                self.report.error("E206", f"`{letter.text}` is no index of the equation", letter.span, known)
        return len(self.report.diagnostics) == before

    def join(self, definition: Definition, scope: Scope) -> None:
        """Extents that the number of equations makes agree, before anything is built with them."""
        found = self.system(definition, scope)
        if found is None:
            self.unsolved.add(definition.target)
            return
        keys = dict(zip(found.axes, self.names.tensors[definition.target].keys))
        assert definition.implicit is not None
        solver = definition.implicit.solver
        if isinstance(found, Nonlinear) and solver is not None and solver.text not in SOLVERS and len(found.rows) == 2:
            first, second = (scope.key(row.name) for row in found.rows)
            if not self.names.extents.join(first, second):
                message = f"`{solver.text}` of a matrix that is not square: {found.rows[0]} against {found.rows[1]}"
                self.report.error("E504", message, definition.equation.span)
        for row, col in implicit.paired(found):
            if not self.names.extents.join(scope.key(row.name), keys[col]):
                message = f"as many equations as unknowns are needed: {row.extent} against {col.extent}"
                self.report.error("E501", message, definition.equation.span)

    def system(self, definition: Definition, scope: Scope) -> implicit.System | Nonlinear | None:
        """The linear system, or the nonlinear equation; None after an error."""
        assert definition.implicit is not None
        residual, free = self._residual(definition, scope)
        if residual is None:
            return None
        declared = self.declared(definition, scope)
        try:
            try:
                return implicit.system(residual, free, definition.target, declared)
            except implicit.NonlinearError:
                if self._solvable(definition):
                    return nonlinear.nonlinear(residual, free, definition.target, declared)
        except implicit.UnbalancedError as problem:
            few = len(problem.rows) < len(problem.cols)
            message = (
                f"too {'few' if few else 'many'} equations for `{definition.target}`: "
                f"{_count(problem.rows, 'free index', 'free indices')} {_list(problem.rows)} of the equation "
                f"against {_count(problem.cols, 'index', 'indices')} of the unknown"
            )
            remedy = "`free: [...]` states the equation's free indices"
            self.report.error("E501" if few else "E502", message, definition.implicit.span, remedy)
        return None

    def _residual(self, definition: Definition, scope: Scope) -> tuple[Expr | None, tuple[Index, ...]]:
        """What the equation says is zero, and its free indices; no residual after an error."""
        builder = self.builder(scope, "")
        builder.scope.left = ()
        env = {letter: builder.index(letter) for letter in self._letters(definition, scope)}
        before, defined = len(self.report.diagnostics), len(self.statements)
        if any(name in self.names.complex for tree in definition.trees for name in scope.tensors_in(tree)):
            self.names.complex.add(definition.target)  # so that its conjugate is not taken for itself
        left, right = (builder.number(tree, env) for tree in definition.trees)
        for statement in self.statements[defined:]:
            if any(access.tensor == definition.target for access in accesses(statement.value)):
                message = f"a matrix function of the unknown `{definition.target}` in its equation is not built yet"
                self.report.error("E901", message, definition.equation.span)
        ended = len(self.report.diagnostics) > before
        return (None if ended else sub(left, right)), tuple(env.values())

    def _letters(self, definition: Definition, scope: Scope) -> list[str]:
        """The free indices of the implicit equation: as stated, or those that occur once in some term."""
        assert definition.implicit is not None
        if definition.implicit.free is None:
            return scope.occurring_once(definition.trees)
        return [letter.text for letter in definition.implicit.free]

    def _solvable(self, definition: Definition) -> bool:
        """Whether a solver is named for a nonlinear equation of real numbers."""
        assert definition.implicit is not None
        span, name = definition.equation.span, definition.target
        if definition.implicit.solver is None:
            remedy = "name a solver under `implicit`: `solver: newton`, with `start: ...` near the solution"
            self.report.error("E503", f"the equation is not linear in `{name}`", span, remedy)
        elif name in self.names.complex:
            self.report.error("E901", "solvers of nonlinear equations of complex numbers are not built yet", span)
        else:
            return True
        return False

    def declared(self, definition: Definition, scope: Scope) -> tuple[Index, ...]:
        """The unknown's indices as its declaration names them."""
        tensor = self.names.tensors[definition.target]
        builder = self.builder(scope, "")
        return tuple(builder.index(letter) for letter in tensor.letters)

    def statement(self, definition: Definition, scope: Scope, world: World, start: str | None) -> Statement | None:
        """The statement that the implicit equation is; None after an error."""
        found = None if definition.target in self.unsolved else self.system(definition, scope)
        if found is None or self.report.failed:
            return None
        declared = self.declared(definition, scope)
        if isinstance(found, implicit.System):
            return implicit.statement(found, definition.target, declared)
        assert definition.implicit is not None
        assert definition.implicit.solver is not None
        solver = definition.implicit.solver
        if solver.text not in SOLVERS:
            made = nonlinear.by_matrix_function(found, definition.target, declared, solver.text)
            if made is None:
                known = [f"`{name}` solves `{form}`" for name, form in SQUARES_SHOWN.items()]
                message = f"`{solver.text}` is not what solves this equation"
                self.report.error("E508", message, solver.span, "; ".join((*known, "for others there is `newton`")))
            return made
        stated = nonlinear.problem(found, definition.target, declared, definition.implicit, world)
        if stated is None:
            message = f"a fixed point needs `{definition.target}` alone on one side"
            remedy = "write `y = ...` with the unknown's value on the right, or use `solver: newton`"
            self.report.error("E508", message, definition.equation.span, remedy)
            return None
        begin = const(_START[solver.text]) if start is None else Access(start, declared)
        return nonlinear.by_iteration(stated[0], begin, stated[1], definition.target)


def _count(indices: tuple[Index, ...], one: str, many: str) -> str:
    return f"{len(indices)} {one if len(indices) == 1 else many}"


def _list(indices: tuple[Index, ...]) -> str:
    return "[" + ", ".join(i.name for i in indices) + "]"
