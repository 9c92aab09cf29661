"""Where in the user's text a function stands that a statement of the canonical form has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.errors import Report, Span
from tensorgrad_gen.ir import Program, Statement
from tensorgrad_gen.spec.model import OpSpec
from tensorgrad_gen.syntax import parse_equation
from tensorgrad_gen.syntax import tree as t

if TYPE_CHECKING:
    from tensorgrad_gen.normalise.singular import Edge

# How the function of a row may be spelled: calls and operators, the likeliest first.
_SPELLED = {
    "sqrt": ("sqrt", "rsqrt", "std", "norm", "pow", "^", "/"),
    "rsqrt": ("rsqrt", "sqrt", "std", "norm", "pow", "^", "/"),
    "reciprocal": ("/", "reciprocal", "pow", "^"),
    "pow": ("pow", "^", "norm", "sqrt", "/"),
    "log1p": ("log1p", "log"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Where an index is no batch: in the equation of `target`; `along` and `read` as they are written there."""

    target: str
    span: Span
    along: str = ""
    read: str = ""


class Places:
    """The equations of a spec, parsed once, when the first place is asked for."""

    def __init__(self, program: Program, spec: OpSpec) -> None:
        self.program = program
        self.spec = spec
        self.own = {function.name.text for function in spec.functions}

    @cached_property
    def equations(self) -> dict[str, t.Equation]:
        """By the tensor on the left."""
        parsed = (parse_equation(fragment, Report(self.spec.path, self.spec.text)) for fragment in self.spec.equations)
        return {e.left.name: e for e in parsed if e is not None and isinstance(e.left, t.Access | t.Name)}

    def of(self, statement: Statement, edge: Edge) -> Span | None:
        """The function in the equation that the statement comes from; the left side where it is not spelled there."""
        target = _written(self.program, statement.target, set(self.equations))
        if target is None:
            return None
        equation = self.equations[target]
        wanted = _names(self.program, edge, set(self.equations))
        spelled = (*_SPELLED.get(edge.row, (edge.row,)), *sorted(self.own))
        found = [
            (len(wanted - names), spelled.index(name), order, span)
            for order, (name, names, span) in enumerate(_functions(equation.right))
            if name in spelled
        ]
        return min(found)[3] if found else equation.left.span

    def of_index(self, tensor: str, along: str, read: str, letter: str) -> Fault | None:
        """What runs along the index in the equation that a tensor comes from, or how `read` is read there.

        `along` is called as the canonical form calls it, which may have made one function of another.
        """
        target = _written(self.program, tensor, set(self.equations))
        if target is None:
            return None
        equation = self.equations[target]
        for name in () if read else self._sources(target):
            bound = [node for node in _nodes(self.equations[name].right) if isinstance(node, t.Bound)]
            runs = [node for node in bound if letter in _subscripts(node) and node.name not in BATCH_LIKE]
            if runs:
                node = min(runs, key=lambda node: node.name != along)
                return Fault(name, node.name_span, f"{node.name}[{','.join(_subscripts(node))}]")
        own = _own(self.program, {read}, set(self.equations)) if read else set()
        reads = [node for node in _nodes(equation.right) if isinstance(node, t.Access) and node.name in own]
        reads.sort(key=lambda node: letter in _subscripts(node))
        if reads:
            return Fault(target, reads[0].span, read=reads[0].name)
        return Fault(target, equation.span, along, " and ".join(sorted(own)))

    def _sources(self, target: str) -> Iterator[str]:
        """The tensor, then those with equations that it is computed from, the nearest first."""
        queue = [target]
        for name in queue:
            yield name
            read = _read(self.equations[name].right) & set(self.equations)
            queue += sorted(read - set(queue))


# Reductions that may run along what is cut into blocks.
BATCH_LIKE = ("sum", "mean")


def _subscripts(node: t.Bound | t.Access) -> list[str]:
    return [sub.value.name if isinstance(sub.value, t.Name) else "..." for sub in node.subs]


def _written(program: Program, target: str, equations: set[str]) -> str | None:
    """The first tensor of the user's own that is, or reads, the target."""
    reading = {target}
    for statement in program.statements:
        if statement.target in reading or reading & {a.tensor for a in accesses(statement.value)}:
            reading.add(statement.target)
            if statement.target in equations:
                return statement.target
    return None


def _names(program: Program, edge: Edge, equations: set[str]) -> set[str]:
    """The tensors that the argument reads, as the user names them."""
    return _own(program, {access.tensor for access in accesses(edge.argument)}, equations)


def _own(program: Program, found: set[str], equations: set[str]) -> set[str]:
    """The user's own tensors that these are, or are made from."""
    for statement in reversed(program.statements):
        if statement.target in found - equations:
            found = found - {statement.target} | {a.tensor for a in accesses(statement.value)}
    return found


def _functions(tree: t.Tree) -> Iterator[tuple[str, set[str], Span]]:
    """Each call, quotient and power: its name, the names in what it is of, its span."""
    for node in _nodes(tree):
        if isinstance(node, t.Call | t.Bound):
            yield node.name, set().union(*map(_read, node.args)), node.name_span
        elif isinstance(node, t.Binary) and node.op in ("/", "^"):
            divides = node.op == "/"
            yield node.op, _read(node.right if divides else node.left), node.right.span if divides else node.span


def _read(tree: t.Tree) -> set[str]:
    return {node.name for node in _nodes(tree) if isinstance(node, t.Name | t.Access)}


def _nodes(tree: t.Tree) -> Iterator[t.Tree]:
    """The tree and all in it, subscripts left out."""
    waiting: list[t.Tree] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(_children(node))


def _children(node: t.Tree) -> tuple[t.Tree, ...]:
    match node:
        case t.Call() | t.Bound() | t.MatrixCall():
            return node.args
        case t.Unary():
            return (node.operand,)
        case t.Binary() | t.Comparison():
            return node.left, node.right
        case t.Iverson():
            return (node.condition,)
        case t.Paren():
            return (node.inner,)
    return ()
