"""What the IR may look like after each stage: a table of rules, checked node by node.

A program that breaks a rule is a fault of the stage that made it, never of the spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    IRError,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Mul,
    Param,
    Position,
    Pow,
    Program,
    Reduce,
    Root,
    Scan,
    Sub,
    Sum,
    TensorInfo,
    Where,
)

CONDITION_KINDS = ("any", "all")
LABEL_KINDS = ("argmax", "argmin")


class LegalityError(IRError):
    """A stage made a program that the next one may not be given."""

    def __init__(self, stage: str, target: str, node: object, message: str) -> None:
        self.stage = stage
        self.target = target
        self.node = node
        super().__init__(f"after {stage}, in the statement of {target}: {message}: {node!r}")


class Assignment(Protocol):
    """What is checked: a statement of a program, or a step of a plan."""

    @property
    def target(self) -> str: ...
    @property
    def indices(self) -> tuple[Index, ...]: ...
    @property
    def value(self) -> Expr: ...
    @property
    def kind(self) -> str: ...


@dataclass(slots=True)
class Context:
    """What a rule may ask: the tensors known so far, the program's extents and params, the statement at hand."""

    stage: str
    tensors: dict[str, TensorInfo]
    symbols: frozenset[str]
    params: dict[str, str]
    statement: Assignment
    bound: dict[str, Expr] = field(default_factory=dict)  # names bound so far in this statement, and by which node

    def fail(self, node: object, message: str) -> None:
        """Raise the error."""
        raise LegalityError(self.stage, self.statement.target, node, message)

    def kind(self, expr: Expr) -> str:
        """Whether an expression is `real`, `bool` or `label`."""
        if isinstance(expr, Compare | Logic):
            return "bool"
        if isinstance(expr, Reduce):
            return "bool" if expr.kind in CONDITION_KINDS else "label" if expr.kind in LABEL_KINDS else "real"
        if isinstance(expr, Scan):
            return "label" if expr.kind == "argsort" else "real"
        if isinstance(expr, Access) and expr.tensor in self.tensors:
            found = self.tensors[expr.tensor].kind
            return found if found in ("bool", "label") else "real"
        return "real"


Rule = Callable[[Expr, Context], None]


def accesses_fit(node: Expr, context: Context) -> None:
    """An access is of a known tensor, with a subscript an axis, each of the axis's extent."""
    if not isinstance(node, Access):
        return
    info = context.tensors.get(node.tensor)
    if info is None:
        context.fail(node, f"unknown tensor {node.tensor}")
        return
    if len(info.indices) != len(node.subs):
        context.fail(node, f"{len(node.subs)} subscripts of a tensor of order {len(info.indices)}")
    for sub, axis in zip(node.subs, info.indices):
        if isinstance(sub, Index) and sub.extent != axis.extent:
            context.fail(node, f"index {sub} of extent {sub.extent} on an axis of extent {axis.extent}")


def labels_are_labels(node: Expr, context: Context) -> None:
    """A subscript that is no index is a label, or arithmetic on positions: an integer."""
    subs: tuple[Sub, ...] = node.subs if isinstance(node, Access) else ()
    if isinstance(node, Delta):
        subs = (node.left, node.right)
    for sub in subs:
        if not isinstance(sub, Index) and not is_integer(sub, context):
            context.fail(node, f"subscript {sub!r} is no integer")


def is_integer(expr: Expr, context: Context) -> bool:
    """Whether an expression is a label, or integer arithmetic on positions, extents and int params."""
    if isinstance(expr, Apply) and expr.function in ("floor", "ceil", "round"):
        return True
    if isinstance(expr, Add | Mul | Apply):
        return all(is_integer(child, context) for child in expr.children)
    if isinstance(expr, Const):
        return expr.value.denominator == 1
    if isinstance(expr, Param):
        return expr.kind == "int"
    return isinstance(expr, Position | Extent) or context.kind(expr) == "label"


def conditions_are_boolean(node: Expr, context: Context) -> None:
    """What stands where a condition must is one."""
    conditions: tuple[Expr, ...] = ()
    if isinstance(node, Iverson | Where):
        conditions = (node.condition,)
    elif isinstance(node, Logic) or (isinstance(node, Reduce) and node.kind in CONDITION_KINDS):
        conditions = node.children
    for condition in conditions:
        if context.kind(condition) != "bool":
            context.fail(node, f"{condition!r} is no condition")


def numbers_are_real(node: Expr, context: Context) -> None:
    """What stands where a number must is one; a label may be compared."""
    numbers: tuple[Expr, ...] = ()
    if isinstance(node, Add | Mul | Pow | Apply | Sum | Scan | Linalg | Reduce):
        numbers = () if isinstance(node, Reduce) and node.kind in CONDITION_KINDS else node.children
    elif isinstance(node, Where):
        numbers = (node.then, node.other)
    for number in numbers:
        if context.kind(number) == "bool":
            context.fail(node, f"condition {number!r} is no number")


def functions_are_known(node: Expr, context: Context) -> None:
    """A pointwise function is in the table, with all its arguments."""
    if not isinstance(node, Apply):
        return
    if node.function not in FUNCTIONS:
        context.fail(node, f"unknown function {node.function}")
    elif len(node.args) != FUNCTIONS[node.function].arity[1]:
        context.fail(node, f"{node.function} of {len(node.args)} arguments")


def scalars_are_known(node: Expr, context: Context) -> None:
    """A param is declared, an extent is given by an input or a size."""
    if isinstance(node, Param) and context.params.get(node.name) != node.kind:
        context.fail(node, f"unknown param {node.name}")
    if isinstance(node, Extent) and node.symbol not in context.symbols:
        context.fail(node, f"unknown extent {node.symbol}")


def extents_are_known(node: Expr, context: Context) -> None:
    """Every index that a node binds or has free has an extent that something gives."""
    own = (*node.bound, *sorted(node.free, key=lambda i: i.name))
    for index in own:
        if isinstance(index.extent, str) and index.extent not in context.symbols:
            context.fail(node, f"unknown extent {index.extent} of index {index}")


def levi_civita_is_square(node: Expr, context: Context) -> None:
    """Each index of the permutation symbol is as long as there are indices."""
    if isinstance(node, LeviCivita) and any(index.extent != len(node.subs) for index in node.subs):
        context.fail(node, "a permutation symbol with an index of another extent")


def bound_apart(node: Expr, context: Context) -> None:
    """Every bound index of a statement has a name of its own, apart from the free ones."""
    for index in node.bound:
        if index.name in context.bound or index.name in {i.name for i in context.statement.indices}:
            context.fail(node, f"index {index} is not bound apart")
        context.bound[index.name] = node


def binders_are_used(node: Expr, context: Context) -> None:
    """Only a sum may bind an index that its body lacks; `argmax` and `argmin` bind one."""
    if isinstance(node, Reduce):
        if node.kind in LABEL_KINDS and len(node.indices) != 1:
            context.fail(node, f"{node.kind} over several indices")
        missing = [index for index in node.indices if index not in node.body.free]
        if missing:
            context.fail(node, f"{node.kind} over {missing}, which its argument lacks")


def matrix_functions_at_root(node: Expr, context: Context) -> None:
    """A matrix function, or what solves an equation, is a statement of its own."""
    if isinstance(node, Linalg | Root) and node is not context.statement.value:
        context.fail(node, "a matrix function inside an expression")


def matrices_are_square(node: Expr, context: Context) -> None:
    """A matrix has its rows and columns, as many of one as of the other."""
    if not isinstance(node, Linalg):
        return
    if len(node.rows) != len(node.cols) or not node.rows:
        context.fail(node, "as many rows as columns are needed")
    if not node.matrix.free.issuperset((*node.rows, *node.cols)):
        context.fail(node, "rows or columns that the matrix lacks")


ALWAYS: tuple[Rule, ...] = (
    accesses_fit,
    labels_are_labels,
    conditions_are_boolean,
    numbers_are_real,
    functions_are_known,
    scalars_are_known,
    extents_are_known,
    levi_civita_is_square,
)
# Stage -> what its product keeps to.
STAGE_RULES: dict[str, tuple[Rule, ...]] = {
    "elaborate": (*ALWAYS, bound_apart, binders_are_used, matrix_functions_at_root, matrices_are_square),
    "normalise": (*ALWAYS, matrix_functions_at_root, matrices_are_square),
    "derive": ALWAYS,
    "simplify": ALWAYS,
    "plan": (*ALWAYS, matrix_functions_at_root),
}


def check_program(program: Program, stage: str) -> None:
    """Raise `LegalityError` if a program is not what a stage may make."""
    tensors = {n: info for n, info in program.tensors.items() if info.role != "defined"}
    check_statements(program.statements, program, tensors, stage)
    for output in program.outputs:
        if output not in tensors:
            raise LegalityError(stage, output, output, "an output that nothing defines")


class Block(Protocol):
    """Steps of a planned linear program, from the cotangents or tangents of `roots`."""

    @property
    def roots(self) -> tuple[str, ...]: ...
    @property
    def steps(self) -> tuple[Assignment, ...]: ...


class Plan(Protocol):
    """What is checked of a plan."""

    @property
    def program(self) -> Program: ...
    @property
    def forward(self) -> tuple[Assignment, ...]: ...
    @property
    def saved(self) -> tuple[str, ...]: ...
    @property
    def backward(self) -> tuple[Block, ...]: ...
    @property
    def tangent(self) -> Block | None: ...


def check_plan(plan: Plan) -> None:
    """Raise `LegalityError` if a plan's step reads what is not there, or not yet."""
    program = plan.program
    forward = {n: info for n, info in program.tensors.items() if info.role != "defined"}
    check_statements(plan.forward, program, forward, "plan")
    kept = {*plan.saved, *program.outputs}
    known = {n: info for n, info in forward.items() if info.role != "defined" or n in kept}
    for block in plan.backward:
        given = {f"grad_{name}": _like(forward[name], f"grad_{name}") for name in block.roots}
        check_statements(block.steps, program, {**_unless_made(known, block), **given}, "plan")
    if plan.tangent is not None:
        given = {name: _like(forward[name.removeprefix("tangent_")], name) for name in plan.tangent.roots}
        check_statements(plan.tangent.steps, program, {**_unless_made(known, plan.tangent), **given}, "plan")


def _unless_made(known: dict[str, TensorInfo], block: Block) -> dict[str, TensorInfo]:
    """What a block is given: an output that it computes again is not among it."""
    made = {step.target for step in block.steps}
    return {name: info for name, info in known.items() if info.role != "defined" or name not in made}


def _like(info: TensorInfo, name: str) -> TensorInfo:
    return TensorInfo(name, info.indices, "real", "input")


def check_statements(
    statements: Iterable[Assignment], program: Program, tensors: dict[str, TensorInfo], stage: str
) -> None:
    """Check statements in order; `tensors` are those known before, and gets those they define."""
    symbols = frozenset((*(s for s, _ in program.axes), *(s for s, _ in program.size_defs)))
    params = {p.name: p.kind for p in program.params}
    for statement in statements:
        context = Context(stage, tensors, symbols, params, statement)
        _check_statement(statement, context)
        tensors[statement.target] = TensorInfo(statement.target, statement.indices, statement.kind, "defined")


def _check_statement(statement: Assignment, context: Context) -> None:
    value = statement.value
    if statement.target in context.tensors:
        context.fail(statement.target, "a tensor is defined twice")
    if len(set(statement.indices)) != len(statement.indices):
        context.fail(statement.indices, "an index stands twice on the left")
    if not value.free.issubset(statement.indices):
        loose = sorted(i.name for i in value.free.difference(statement.indices))
        context.fail(value, f"free indices {loose} are not on the left")
    if context.kind(value) != statement.kind:
        context.fail(value, f"a {context.kind(value)} value of a {statement.kind} tensor")
    rules = STAGE_RULES[context.stage]
    stack, seen = [value], set[Expr]()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for rule in rules:
            rule(node, context)
        stack += reversed(node.children)
