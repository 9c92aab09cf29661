"""What the templates read.

Law: every field is a plain value, ready to be printed; a template neither computes nor decides, and a field
that no template reads fails the tests.  Text from a spec is in it only as a checked identifier, a `repr()`
literal, a quoted docstring or a one-line comment.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One statement, under the lines of the index formula it implements."""

    comment: tuple[str, ...]
    code: str


@dataclass(frozen=True, slots=True)
class Group:
    """Consecutive statements under one test of what is needed; `test` is empty where there is none."""

    test: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter with its annotation."""

    name: str
    annotation: str


@dataclass(frozen=True, slots=True)
class Locals:
    """Names that the Function uses beside those of the op, different from all of them."""

    ctx: str
    inputs: str
    output: str


@dataclass(frozen=True, slots=True)
class RowsView:
    """The function of a block of rows."""

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    groups: tuple[Group, ...]
    returns: str
    annotation: str


@dataclass(frozen=True, slots=True)
class ForwardView:
    """The plain body: arguments, casts to the compute dtype, statements, results.

    One of the statements calls the function of `rows`, if there is one.
    """

    arguments: tuple[Argument, ...]
    device: str
    casts: tuple[str, ...]
    groups: tuple[Group, ...]
    returns: str
    rows: RowsView | None = None


@dataclass(frozen=True, slots=True)
class StepView:
    """A function of a solver: from a point to the next."""

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    sizes: tuple[str, ...]
    groups: tuple[Group, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class SetupView:
    """What `setup_context` unpacks and keeps."""

    inputs: str
    output: str
    needs: str
    tests: tuple[str, ...]
    discrete: str
    saved: tuple[str, ...]
    sizes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class BlockView:
    """One linear program of backward: from the cotangent in `test` to contributions.

    `name` is empty where the block stands inside `backward`; otherwise it is a function of its own, called
    with `call`, whose results `adds` puts where they belong.
    """

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    test: str
    casts: tuple[str, ...]
    start: tuple[str, ...]
    groups: tuple[Group, ...]
    returns: str
    annotation: str
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BackwardView:
    """The arguments of `backward`, what it takes from the context, its blocks, and what it returns."""

    cotangents: tuple[Argument, ...]
    needs: str
    loads: tuple[str, ...]
    casts: tuple[str, ...]
    gradients: tuple[str, ...]
    blocks: tuple[BlockView, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class TangentView:
    """The tangent program: what is saved for it, its arguments, statements and results."""

    inputs: str
    output: str
    saved: str
    arguments: tuple[Argument, ...]
    loads: tuple[str, ...]
    casts: tuple[str, ...]
    groups: tuple[Group, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class ValuedView:
    """What computes a number and its gradients in one: its arguments, statements, and what it returns."""

    name: str
    doc: str
    arguments: tuple[Argument, ...]
    device: str
    loads: tuple[str, ...]
    casts: tuple[str, ...]
    gradients: tuple[str, ...]
    groups: tuple[Group, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class PositionsView:
    """The function that finds the position that is outside of its axis."""

    arguments: tuple[Argument, ...]
    sizes: tuple[str, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class PublicView:
    """The function that a model calls."""

    parameters: str
    returns: str
    doc: str
    required: tuple[str, ...]
    fits: tuple[str, ...]
    fits_parameters: str
    table: tuple[str, ...]
    fits_arguments: str
    params: str
    given_extents: str
    positions: PositionsView | None
    tensors: str
    start: tuple[str, ...]
    node: str
    call: str
    item: str
    operator: str


@dataclass(frozen=True, slots=True)
class FurtherView:
    """A further derivative: its body, and the function that is called, which checks its arguments."""

    name: str
    body_doc: str
    body: ForwardView
    start: tuple[str, ...]
    returns: str
    parameters: str
    doc: str
    required: tuple[str, ...]
    fits: str
    table: str
    params: str
    given_extents: str
    tensors: str
    call: str


@dataclass(frozen=True, slots=True)
class FunctionView:
    """A Function and the class that adds forward mode to it; without derivatives a plain class."""

    cls: str
    dual: str
    class_doc: str
    local: Locals
    forward: ForwardView
    setup: SetupView | None
    backward: BackwardView | None
    tangent: TangentView | None
    valued: ValuedView | None


@dataclass(frozen=True, slots=True)
class ChunkedView:
    """The function that works an op in blocks: what it passes to the Functions of the parts, and what it returns."""

    arguments: tuple[Argument, ...]
    doc: str
    lines: tuple[str, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class ModuleView:
    """A generated module.  `runtime` is what names of the runtime begin with: `_runtime.`, or `_` where inlined."""

    doc: str
    imports: str
    helpers: str
    runtime: str
    op: str
    names: tuple[str, ...]
    steps: tuple[StepView, ...]
    functions: tuple[FunctionView, ...]
    chunked: ChunkedView | None
    public: PublicView
    further: tuple[FurtherView, ...]
