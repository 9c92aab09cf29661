"""The plain formula of an op as the body of a function in torch, and what its inputs are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.ir import Constant, Input, Parameter, Program, Statement
from tensorgrad_gen.notation import print_statement, size_names
from tensorgrad_gen.op_tests.extents import BATCH, Extents, batched, has_batch
from tensorgrad_gen.op_tests.printer import Printer, Scope, spread, statement_axes
from tensorgrad_gen.render.docs import wrapped
from tensorgrad_gen.render.names import Names

# Names that the tests use, and letters that look like figures.
TAKEN = ("pytest", "l", "O", "I", "shapes", "rng")
_PROJECTIONS = {
    "symmetric": "({0} + {0}.mT) / 2",
    "lower": "{0}.tril()",
    "upper": "{0}.triu()",
    "diagonal": "torch.diag_embed({0}.diagonal(dim1=-2, dim2=-1))",
}
_ORDINARY = Fraction(7, 10)


@dataclass(frozen=True, slots=True)
class Plain:
    """The function's lines, and the Python name of each tensor and param."""

    lines: tuple[str, ...]
    locals: dict[str, str]


def plain_names(program: Program) -> tuple[Names, dict[str, str]]:
    """The Python name of each tensor and param, and all the names that are taken."""
    names = Names((*TAKEN, program.name))
    return names, {name: names.fresh(name) for name in (*program.tensors, *(p.name for p in program.params))}


def plain_formula(program: Program) -> Plain:
    """The equations as the user wrote them, each under its formula."""
    names, locals_ = plain_names(program)
    extents = Extents(program, names, locals_, lambda name: f"{locals_[name]}.shape")
    batch = names.fresh("batch")
    body: list[str] = []
    scope = Scope(program, extents, names, locals_)
    for statement in program.statements:
        body += _statement(statement, scope)
    defaults = [
        _default(item, locals_[item.name], extents, batch) for item in program.inputs if item.default is not None
    ]
    head = [f"{batch} = {_batch_axes(program, locals_)}"] if has_batch(program) else []
    head += [
        _merged(item, locals_[item.name], batch) for item in program.inputs if item.default is None and _leads(item)
    ]
    head += extents.lines + defaults
    head += [line for item in program.inputs for line in projection(item, locals_[item.name])]
    head += [_constant(constant, locals_[constant.name]) for constant in program.constants]
    lines = [*head, *body, f"return {_returned(program, locals_, batch)}"]
    used = "\n".join(line for line in lines if not line.startswith("#"))
    params = [f"{locals_[p.name]} = {param_value(p)}" for p in program.params if _mentions(used, locals_[p.name])]
    return Plain((*params, *lines), locals_)


def projection(item: Input, name: str) -> list[str]:
    """The line that takes the part of a matrix that its structure keeps."""
    form = _PROJECTIONS.get(item.structure)
    return [] if form is None else [f"{name} = {form.format(name)}"]


def param_value(param: Parameter) -> str:
    """The default, or a number of order one."""
    if param.kind == "int":
        return str(int(2 if param.default is None else param.default))
    return repr(float(_ORDINARY if param.default is None else param.default))


def _statement(statement: Statement, scope: Scope) -> list[str]:
    printer = Printer(scope, statement_axes(statement))
    value = printer.condition(statement.value) if statement.kind == "bool" else printer.value(statement.value)
    text = spread(value, statement.indices, scope.extents)
    formula = wrapped(print_statement(statement, "math", size_names(scope.program)))
    return [*(f"# {line}" for line in formula), *printer.lines, f"{scope.locals[statement.target]} = {text}"]


def _leads(item: Input) -> bool:
    return any(index.extent == BATCH for index in item.indices)


def _batch_axes(program: Program, locals_: dict[str, str]) -> str:
    item = batched(program)
    count = len(item.indices) - 1
    return f"{locals_[item.name]}.shape" + (f"[:-{count}]" if count else "")


def _merged(item: Input, name: str, batch: str) -> str:
    """`...` as one axis."""
    count = len(item.indices) - 1
    rest = f", *{name}.shape[-{count}:]" if count else ""
    return f"{name} = {name}.reshape({batch}.numel(){rest})"


def _default(item: Input, name: str, extents: Extents, batch: str) -> str:
    shape = ", ".join(extents.of(index.extent) for index in item.indices) or "()"
    made = f"torch.{'ones' if item.default else 'zeros'}({shape})"
    given = _merged(item, name, batch).split(" = ")[1] if _leads(item) else name
    return f"{name} = {made} if {name} is None else {given}"


def _constant(constant: Constant, name: str) -> str:
    values = [repr(float(value)) for value in constant.values]
    shape = [index.extent for index in constant.indices]
    assert all(isinstance(extent, int) for extent in shape)
    return f"{name} = torch.tensor([{', '.join(values)}]).reshape({tuple(shape)})"


def _returned(program: Program, locals_: dict[str, str], batch: str) -> str:
    shown: list[str] = []
    for name in program.outputs:
        leads = any(index.extent == BATCH for index in program.tensors[name].indices)
        local = locals_[name]
        shown.append(f"{local}.reshape({batch} + {local}.shape[1:])" if leads else local)
    return in_tuple(shown)


def in_tuple(parts: Sequence[str]) -> str:
    """`(a,)`, `(a, b)`."""
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
