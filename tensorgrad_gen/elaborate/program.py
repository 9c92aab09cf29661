"""Stage `elaborate`: a spec's equations -> `Program`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tensorgrad_gen.algebra.indices import apart, fresh
from tensorgrad_gen.elaborate import chunks, conditions, equations, functions, further, hidden, matrix, sizes, windows
from tensorgrad_gen.elaborate.equations import Definition
from tensorgrad_gen.elaborate.expressions import Builder
from tensorgrad_gen.elaborate.extents import ELLIPSIS
from tensorgrad_gen.elaborate.names import Names, declare
from tensorgrad_gen.elaborate.nonlinear import World
from tensorgrad_gen.elaborate.scope import Scope
from tensorgrad_gen.elaborate.scoping import Scoping
from tensorgrad_gen.elaborate.solving import Solving
from tensorgrad_gen.errors import Report, Span, suggest
from tensorgrad_gen.ir import (
    Constant,
    Expr,
    Index,
    Input,
    Parameter,
    Program,
    Size,
    Statement,
    TensorInfo,
    is_complex,
)
from tensorgrad_gen.spec.model import Located, OpSpec


def elaborate(spec: OpSpec, report: Report) -> Program:
    """The program that a spec states, every sum explicit, every bound index of a statement with a name of its own.

    Reports as many independent errors as there are, and raises `SpecError` if there is one.
    """
    return _Elaboration(spec, report).run()


@dataclass(slots=True)
class _Elaboration:
    spec: OpSpec
    report: Report
    names: Names = field(init=False)
    functions: functions.Functions = field(init=False)
    statements: list[Statement] = field(default_factory=list)
    unknown_letters: set[str] = field(default_factory=set)  # whose extent nothing gives, reported
    solving: Solving = field(init=False)
    size_defs: tuple[tuple[str, Size], ...] = ()
    _matrices: dict[tuple[str, ...], str] = field(default_factory=dict)

    def run(self) -> Program:
        """All passes."""
        spec, report = self.spec, self.report
        self.names = names = declare(spec, report)
        self.functions = functions.read(names)
        self.solving = Solving(names, report, self._builder, self.statements)
        definitions = equations.read(spec.equations, spec.implicit, names)
        scopes = [self._register(d, n) for n, d in enumerate(definitions, start=1)]
        outputs = self._outputs(definitions)
        pairs = [(d, s) for d, s in zip(definitions, scopes) if s is not None and self.solving.well_formed(d, s)]
        self._join_starts(definitions)
        windows.resolve([scope for _, scope in pairs], names)
        if not report.failed:
            for definition, scope in pairs:
                self._try(definition, scope)
        self._check_declarations()
        for _, scope in pairs:
            self._check_extents(scope)
        self.size_defs = sizes.definitions(names)
        for definition, scope in pairs:
            self._build(definition, scope)
        self._warn_unused(outputs)
        hints = self._hints()
        chunk = chunks.read(spec, names, report)
        report.check()
        program = replace(self._program(outputs, hints), chunk=chunk)
        further.check(program, spec, report)
        report.check()
        return program

    def _register(self, definition: Definition, number: int) -> Scope | None:
        """The scope of an equation; None if it has an error, so that nothing is built of it."""
        before = len(self.report.diagnostics)
        scope = equations.register(definition, number, self.names)
        unreadable = (self.names.broken | self.names.refused) & equations.mentioned(definition)
        return scope if len(self.report.diagnostics) == before and not unreadable else None

    def _builder(self, scope: Scope, target: str) -> Builder:
        return Builder(scope, Scoping(scope, target), self._matrix_target, self._define, self.functions, {})

    def _define(self, stem: str, indices: tuple[Index, ...], value: Expr, kind: str) -> str:
        """Add a statement of the compiler's own; its name is returned."""
        name = self._unique(stem)
        self._append(Statement(name, indices, apart(value, frozenset(indices)), kind))
        return name

    def _unique(self, stem: str) -> str:
        name, number = stem, 0
        while name in self.names.taken:
            number += 1
            name = f"{stem}_{number}"
        self.names.taken[name] = self.spec.name.span
        return name

    def _matrix_target(self, use: matrix.MatrixUse) -> str:
        """The tensor that a matrix function's value is; its statement is made at its first use."""
        key = (use.function, *(tensor.name for tensor in use.arguments))
        if key not in self._matrices:
            name = self._unique(use.target)
            self._matrices[key] = name
            self._append(matrix.statement(use, name, self.names))
        return self._matrices[key]

    def _build(self, definition: Definition, scope: Scope) -> None:
        if definition.implicit is not None:
            statement = self.solving.statement(definition, scope, self._world(), definition.start)
            if statement is not None:
                self._add(statement, definition.span)
            return
        builder = self._builder(scope, definition.target)
        env = {letter: builder.index(letter) for letter in scope.left}
        kind = self.names.tensors[definition.target].kind
        build = {"label": conditions.label, "bool": conditions.condition, "real": Builder.number}[kind]
        value = build(builder, definition.equation.right, env)
        self._add(Statement(definition.target, tuple(env.values()), value, kind), definition.span)

    def _add(self, statement: Statement, span: Span) -> None:
        if self.functions.size(statement.value) > functions.MOST_NODES:
            self.report.error("E605", f"`{statement.target}` has more than {functions.MOST_NODES:,} nodes", span)
            return
        value = apart(statement.value, frozenset(statement.indices))
        self._append(Statement(statement.target, statement.indices, value, statement.kind))

    def _append(self, statement: Statement) -> None:
        if is_complex(statement.value, self.names.complex):
            self.names.complex.add(statement.target)
        self.statements.append(statement)

    def _join_starts(self, definitions: list[Definition]) -> None:
        """What the search for an unknown starts from has the unknown's extents."""
        tensors = self.names.tensors
        for unknown in definitions:
            if unknown.start in tensors and unknown.target in tensors:
                self.names.used.add(unknown.start)
                for own, other in zip(tensors[unknown.start].keys, tensors[unknown.target].keys):
                    self.names.extents.join(own, other)

    def _try(self, definition: Definition, scope: Scope) -> None:
        """Join the extents that an implicit equation makes agree; what this trial defines has none of them yet."""
        if definition.implicit is None:
            return
        statements, matrices, taken = list(self.statements), dict(self._matrices), dict(self.names.taken)
        self.solving.join(definition, scope)
        self.statements[:], self._matrices, self.names.taken = statements, matrices, taken

    def _world(self) -> World:
        """What there is so far for an equation that is solved by iteration."""
        given = [TensorInfo(item.name, item.indices, item.kind, "input") for item in self._inputs()]
        given += [TensorInfo(c.name, c.indices, "real", "constant") for c in self._constants()]
        given += [TensorInfo(s.target, s.indices, s.kind, "defined") for s in self.statements]
        return World({info.name: info for info in given}, self._params(), self.size_defs)

    def _params(self) -> tuple[Parameter, ...]:
        return tuple(Parameter(p.name.text, p.default, p.kind) for p in self.spec.params)

    def _constants(self) -> tuple[Constant, ...]:
        tensors = self.names.tensors
        return tuple(
            Constant(c.name.text, tuple(map(Index, tensors[c.name.text].letters, c.shape)), c.values)
            for c in self.spec.constants
        )

    def _check_extents(self, scope: Scope) -> None:
        """Every letter of an equation has an extent that something gives: what is not built yet might have."""
        if any(found.code == "E901" for found in self.report.diagnostics):
            return
        for letter, span in scope.indices.items():
            if (
                letter not in self.unknown_letters | scope.unranged
                and self.names.extents.extent(scope.key(letter)) is None
            ):
                message = f"nothing gives the extent of `{letter}`"
                remedy = f"give it under `sizes`: `N: {{index: {letter}, extent: n}}` with an int param `n`"
                self.report.error("E401", message, span, remedy)

    def _check_declarations(self) -> None:
        for item in self.spec.inputs:
            if item.labels is not None and self.names.extents.extent(item.labels.text) is None:
                message = f"nothing gives the extent of `{item.labels.text}`, whose positions `{item.name.text}` holds"
                self.report.error("E401", message, item.labels.span)
                self.unknown_letters.add(item.labels.text)
        for size in self.spec.sizes:
            letter = size.index.text
            if letter not in self.unknown_letters and self.names.extents.extent(letter) is None:
                self._unknown_index(
                    size.index, f"nothing gives the extent of `{letter}`, which `{size.name.text}` names"
                )
                self.unknown_letters.add(letter)

    def _outputs(self, definitions: list[Definition]) -> tuple[str, ...]:
        if self.spec.outputs is None:
            return (definitions[-1].target,) if definitions else ()
        known = [d.target for d in definitions]
        found: list[str] = []
        for output in self.spec.outputs:
            name = output.text
            if name in found:
                self.report.error("E304", f"output `{name}` is listed twice", output.span)
            elif name in known:
                found.append(name)
            elif name not in self.names.broken:
                is_input = name in self.names.tensors
                message = f"output `{name}` is {'an input: ' if is_input else ''}not defined by an equation"
                self.report.error("E306", message, output.span, suggest(name, known, "defined tensors"))
        return tuple(found)

    def _warn_unused(self, outputs: tuple[str, ...]) -> None:
        if self.report.failed:
            return
        for tensor in self.names.tensors.values():
            if tensor.name in self.names.used or tensor.name in outputs:
                continue
            code, what = ("W401", "input") if tensor.role == "input" else ("W402", "tensor")
            self.report.warn(code, f"{what} `{tensor.name}` is not used", tensor.span)
        for name, param in self.names.params.items():
            if name not in self.names.used:
                self.report.warn("W401", f"param `{name}` is not used", param.name.span)

    def _hints(self) -> tuple[tuple[str, int], ...]:
        found: dict[str, int] = {}
        for letter, extent in self.spec.hints:
            if letter.text in self.names.extents.sources:
                found.setdefault(sizes.symbol_of(letter.text, self.names), extent)
            else:
                self._unknown_index(letter, f"unknown index `{letter.text}`")
        return tuple(found.items())

    def _unknown_index(self, letter: Located, message: str) -> None:
        known = [source for source in self.names.extents.sources if source != ELLIPSIS]
        self.report.error("E206", message, letter.span, suggest(letter.text, known, "indices"))

    def _index(self, letter: str) -> Index:
        extent = self.names.extents.extent(letter)
        return Index(letter, letter if extent is None else extent)

    def _program(self, outputs: tuple[str, ...], hints: tuple[tuple[str, int], ...]) -> Program:
        spec, names = self.spec, self.names
        return Program(
            spec.name.text,
            spec.doc,
            self._inputs(),
            self._params(),
            self._constants(),
            hidden.hide(self.statements, outputs),
            outputs,
            sizes.axes({i.name.text: tuple(j.text for j in i.indices) for i in spec.inputs}, names),
            self.size_defs,
            tuple((s.name.text, sizes.symbol_of(s.index.text, names)) for s in spec.sizes),
            tuple(d.text for d in spec.derivatives),
            spec.differentiable,
            spec.save if spec.chunk is None else "inputs",
            hints,
            spec.target,
        )

    def _axes(self, letters: tuple[Located, ...]) -> tuple[Index, ...]:
        """An index for each axis: of two with one letter (`x: [i, i]`), the later gets a name of its own."""
        found: list[Index] = []
        for letter in letters:
            index = self._index(letter.text)
            found.append(fresh(index, {*self.names.letters, *(i.name for i in found)}) if index in found else index)
        return tuple(found)

    def _inputs(self) -> tuple[Input, ...]:
        return tuple(
            Input(
                item.name.text,
                self._axes(item.indices),
                item.kind,
                item.doc,
                item.grad and item.kind in ("real", "complex"),
                item.default,
                item.domain,
                None if item.labels is None else self.names.extents.extent(item.labels.text),
                item.structure,
                None if item.upper is None else tuple(letter.text for letter in item.upper),
            )
            for item in self.spec.inputs
        )
