"""The road from a spec to a file: the stages as data, and the driver that takes a spec along them.

Whoever wants to know the stages (the driver, `explain --stage`, the documents, the tests) reads `STAGES`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tensorgrad_gen.errors import Diagnostic, NotBuiltError, Report, Span, SpecError
from tensorgrad_gen.ir.budget import TooLargeError, limited

if TYPE_CHECKING:
    from tensorgrad_gen.derive import Derivatives
    from tensorgrad_gen.ir import Program
    from tensorgrad_gen.plan.model import Plan
    from tensorgrad_gen.spec.model import Fragment


@dataclass(frozen=True, slots=True)
class Stage:
    """`function` of `module` makes this stage's product from the products (or givens) that `takes` names."""

    name: str
    module: str
    function: str
    takes: tuple[str, ...]
    doc: str

    def load(self) -> Callable[..., Any]:
        """The stage's function; its module is imported here, when it is first needed."""
        function: Callable[..., Any] = getattr(import_module(f"tensorgrad_gen.{self.module}"), self.function)
        return function


STAGES: tuple[Stage, ...] = (
    Stage("spec", "spec", "load_text", ("text", "path", "report"), "YAML to a spec; every scalar keeps its place"),
    Stage("syntax", "syntax", "parse_spec", ("spec", "report"), "equation text to surface trees with places"),
    Stage("elaborate", "elaborate", "elaborate", ("spec", "report"), "surface trees to IR: names, sums, extents"),
    Stage("normalise", "normalise", "normalise", ("elaborate",), "canonical form; stable forms recognised"),
    Stage("derive", "derive", "derive", ("normalise",), "one law a node, contracted with the cotangent"),
    Stage("simplify", "simplify", "simplify", ("derive",), "rules as a table, to a fixed point"),
    Stage("plan", "plan", "plan", ("simplify",), "shared subterms, contraction order, what is saved"),
    Stage("lower", "lower", "lower_plan", ("plan",), "each assignment to torch calls, with its formula"),
    Stage("schedule", "schedule", "schedule", ("lower",), "each call once, near its first reader; nothing unread"),
    Stage("render", "render", "render_op", ("schedule", "meta"), "templates filled in: the text of a module"),
)
# The errors of the file and of its syntax are independent, so both stages run before any is reported.
_FIRST_CHECKED = "syntax"
_SMALLER = "split it: fewer terms and factors in an equation, fewer equations in an op"


class InternalError(Exception):
    """A stage failed on a spec it should have built or refused: a fault of the compiler's, not of the spec."""

    def __init__(self, stage: str, path: str, cause: Exception) -> None:
        self.stage = stage
        self.path = path
        self.cause = cause
        self.message = f"internal error in stage {stage}: {type(cause).__name__}: {cause}"
        super().__init__(f"{path}: {self.message}\n   help: the spec may well be right; please report this with it")


@dataclass(slots=True)
class Compiled:
    """A spec on its way: what it was, and every stage's product so far, by the stage's name."""

    text: str
    path: str
    report: Report
    products: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, stage: str) -> Any:
        """The product of a stage."""
        return self.products[stage]

    @property
    def program(self) -> Program:
        """The op as mathematics, in canonical form."""
        program: Program = self.products["normalise"]
        return program

    @property
    def source(self) -> str:
        """The text of the generated module."""
        text: str = self.products["render"]
        return text

    @property
    def warnings(self) -> list[Diagnostic]:
        """The warnings the spec got."""
        return [d for d in self.report.diagnostics if d.severity == "warning"]


def run(text: str, path: str, *, until: str = "render", meta: Mapping[str, Any] | None = None) -> Compiled:
    """Take a spec along the road, to the stage `until`; raises `SpecError` with every error of the spec.

    `meta` is what `render.OpMeta` is to hold beside the hash of the spec: `spec_path`, `options`, `standalone`...
    """
    compiled = Compiled(text, path, Report(path, text))
    givens = {"text": text, "path": path, "report": compiled.report, "meta": meta or {"spec_path": path}}
    with limited():
        _follow(compiled, givens, until)
    return compiled


def _follow(compiled: Compiled, givens: dict[str, Any], until: str) -> None:
    checked = False
    for stage in STAGES:
        checked = checked or stage.name == _FIRST_CHECKED
        _take(stage, compiled, givens)
        if checked or stage.name == until:
            compiled.report.check()
        if stage.name == until:
            break


def _take(stage: Stage, compiled: Compiled, givens: dict[str, Any]) -> None:
    """Run one stage.  What it cannot build yet is an error of the spec's; any other failure is the compiler's."""
    known = givens | compiled.products
    try:
        if stage.name == "render":
            known["meta"] = _op_meta(compiled, givens["meta"])
        product = stage.load()(*(known[name] for name in stage.takes))
        if stage.name in _CHECKS:
            _CHECKS[stage.name](product, stage.name)
        compiled.products[stage.name] = product
        if stage.name == "normalise":
            _warn(compiled)
    except SpecError:
        raise
    except NotBuiltError as error:
        compiled.report.error("E901", str(error))
        compiled.report.check()
    except RecursionError:
        compiled.report.error("E604", f"the op nests too deeply for stage `{stage.name}`", None, _SMALLER)
        compiled.report.check()
    except TooLargeError as error:
        message = f"the op is too large: stage `{stage.name}` would need {error}"
        compiled.report.error("E609", message, _longest(compiled), _SMALLER)
        compiled.report.check()
    except Exception as error:
        compiled.report.check()  # a stage may stumble over what it has reported
        raise InternalError(stage.name, compiled.path, error) from error


def _longest(compiled: Compiled) -> Span | None:
    """Where the longest equation stands: which of them make the work is not known, and it is the likeliest."""
    equations: tuple[Fragment, ...] = compiled["spec"].equations if "spec" in compiled.products else ()
    longest = max(equations, key=lambda equation: len(equation.text), default=None)
    return None if longest is None else longest.span(0, len(longest.text))


def _check_program(program: Program, stage: str) -> None:
    from tensorgrad_gen.legality import check_program

    check_program(program, stage)


def _check_derivatives(derivatives: Derivatives, stage: str) -> None:
    """The program, and both linear programs in terms of its tensors, the cotangents and the tangents given."""
    from tensorgrad_gen.ir import TensorInfo
    from tensorgrad_gen.legality import check_program, check_statements

    program = derivatives.program
    check_program(program, stage)
    given = {f"grad_{root}": program.tensors[root] for root in derivatives.adjoint.roots}
    moved = {f"tangent_{item.name}": program.tensors[item.name] for item in program.inputs}
    for names, statements in ((given, derivatives.adjoint.statements), (moved, derivatives.tangent.statements)):
        known = {name: TensorInfo(name, info.indices, info.kind, "input") for name, info in names.items()}
        check_statements(statements, program, program.tensors | known, stage)


def _check_plan(plan: Plan, _stage: str) -> None:
    from tensorgrad_gen.legality import check_plan

    for part in (plan, *plan.parts):
        check_plan(part)


def _warn(compiled: Compiled) -> None:
    """What only the canonical form can tell: warnings, and whether an op can be worked in blocks."""
    from tensorgrad_gen.normalise.chunk_faults import check_chunk
    from tensorgrad_gen.normalise.singular import warn_singular

    check_chunk(compiled.program, compiled["spec"], compiled.report)
    warn_singular(compiled.program, compiled["spec"], compiled.report)


# What the product of a stage that makes mathematics must keep to.
_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "elaborate": _check_program,
    "normalise": _check_program,
    "derive": _check_derivatives,
    "simplify": _check_derivatives,
    "plan": _check_plan,
}


def _op_meta(compiled: Compiled, meta: Mapping[str, Any]) -> Any:
    from tensorgrad_gen.render import OpMeta

    sha = hashlib.sha256(compiled.text.encode()).hexdigest()
    return OpMeta(spec_sha=sha, gradients=_closed_forms(compiled["simplify"]), **meta)


def _closed_forms(derivatives: Derivatives) -> tuple[str, ...]:
    """Every gradient in index notation, `dl/dx` for what the op returns, aligned at `=`."""
    from tensorgrad_gen.algebra import readable
    from tensorgrad_gen.notation import loss_name, print_statement, size_names

    adjoint, program = derivatives.adjoint, derivatives.program
    shown = {tensor: f"d{loss_name(program)}/d{name}" for name, tensor in adjoint.gradients}
    statements = [readable(s) for s in adjoint.statements]
    lines = [print_statement(s, "math", size_names(program), shown).split(" = ", 1) for s in statements]
    width = max((len(left) for left, _ in lines), default=0)
    return tuple(f"{left.ljust(width)} = {right}" for left, right in lines)
