"""First pass: equations parsed and ordered, their names and extents collected."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tensorgrad_gen.elaborate import kinds, walk
from tensorgrad_gen.elaborate.collect import collect
from tensorgrad_gen.elaborate.extents import ELLIPSIS
from tensorgrad_gen.elaborate.names import Names, Tensor, check_letter
from tensorgrad_gen.elaborate.scope import Scope, index_letters
from tensorgrad_gen.elaborate.vocabulary import RESERVED
from tensorgrad_gen.errors import Span, quote
from tensorgrad_gen.spec.model import Fragment, ImplicitSpec
from tensorgrad_gen.syntax import parse_equation, parse_expression
from tensorgrad_gen.syntax import tree as t


@dataclass(frozen=True, slots=True)
class Definition:
    """An equation as read: the tensor it defines, or the implicit equation with its unknown."""

    target: str
    span: Span
    left: tuple[t.Subscript, ...]
    equation: t.Equation
    implicit: ImplicitSpec | None = None
    start: str | None = None  # the tensor that the search for the unknown starts from
    begins: bool = False  # whether it is that tensor

    @property
    def trees(self) -> tuple[t.Tree, ...]:
        """What is computed: the right side, of an implicit equation both."""
        return (self.equation.right,) if self.implicit is None else (self.equation.left, self.equation.right)


def read(fragments: tuple[Fragment, ...], implicit: ImplicitSpec | None, names: Names) -> list[Definition]:
    """All equations, parsed and ordered; `names.later` knows their targets."""
    found = [d for d in (_definition(fragment, names) for fragment in fragments) if d is not None]
    for definition in found:
        names.later.setdefault(definition.target, definition.span)
    if implicit is None:
        return found
    unknown = _implicit(implicit, names)
    if unknown is None:
        return found
    names.later.setdefault(unknown.target, unknown.span)
    start = None if implicit.start is None else _start(implicit.start, unknown, found, names)
    if start is None:
        return _ordered(found, unknown, names)
    return _ordered([*found, start], replace(unknown, start=start.target), names)


def _start(fragment: Fragment, unknown: Definition, found: list[Definition], names: Names) -> Definition | None:
    """The equation `start_y[...] = ...`, with the indices of the unknown."""
    tree = parse_expression(fragment, names.report)
    if tree is None:
        return None
    taken = {*names.taken, *(definition.target for definition in found)}
    target = f"start_{unknown.target}"
    while target in taken:
        target += "_"
    left = replace(unknown.equation, right=tree)
    return Definition(target, tree.span, unknown.left, left, begins=True)


def _definition(fragment: Fragment, names: Names) -> Definition | None:
    equation = parse_equation(fragment, names.report)
    if equation is None:
        guess = re.match(r"\s*([A-Za-z_]\w*)", fragment.text)
        if guess:
            names.broken.add(guess.group(1))
        return None
    head = _target(equation.left, names, "the left side")
    return None if head is None else Definition(*head, equation)


def _implicit(implicit: ImplicitSpec, names: Names) -> Definition | None:
    tree = parse_expression(implicit.unknown, names.report)
    equation = parse_equation(implicit.equation, names.report)
    head = None if tree is None else _target(tree, names, "`unknown`")
    if head is None or equation is None:
        guess = re.match(r"\s*([A-Za-z_]\w*)", implicit.unknown.text)
        names.broken.update(guess.groups() if guess else ())
        return None
    return Definition(*head, equation, implicit)


def _target(tree: t.Tree, names: Names, what: str) -> tuple[str, Span, tuple[t.Subscript, ...]] | None:
    if isinstance(tree, t.Name):
        return tree.name, tree.span, ()
    if isinstance(tree, t.Access):
        return tree.name, tree.name_span, tree.subs
    names.report.error("E210", f"{what} must be `name` or `name[indices]`", tree.span)
    return None


def mentioned(definition: Definition) -> set[str]:
    """The names of the tensors that an equation may read."""
    nodes = (node for tree in definition.trees for node in walk.nodes(tree))
    return {node.name for node in nodes if isinstance(node, t.Name | t.Access)}


def _needed(definition: Definition, found: list[Definition]) -> set[str]:
    """The names of the tensors that an equation reads; a bare subscript is one only of order 0, else an index."""
    nodes = [node for tree in definition.trees for node in walk.nodes(tree)]
    letters = {id(sub.value) for node in nodes for sub in walk.subscripts(node)}
    scalars = {other.target for other in found if not other.left}
    named = (node for node in nodes if isinstance(node, t.Name | t.Access))
    return {node.name for node in named if id(node) not in letters or node.name in scalars}


def _ordered(found: list[Definition], unknown: Definition, names: Names) -> list[Definition]:
    """The implicit equation before what uses its unknown, after what it uses; otherwise as written."""
    before = _needed(unknown, found) | ({unknown.start} if unknown.start else set())
    for definition in reversed(found):
        if definition.target in before:
            before |= _needed(definition, found)
    needed = [d for d in found if d.target in before]
    for definition in needed:
        if unknown.target in _needed(definition, found):
            message = f"`{definition.target}` and the unknown `{unknown.target}` depend on each other in a circle"
            remedy = "write the two as one implicit equation"
            names.report.error("E317", message, definition.span, remedy)
            names.broken.add(unknown.target)
            return found
    using = next((n for n, d in enumerate(found) if unknown.target in _needed(d, found)), len(found))
    early = found[:using] + [d for d in found[using:] if d in needed]
    return [*early, unknown, *(d for d in found[using:] if d not in needed)]


def register(definition: Definition, number: int, names: Names) -> Scope:
    """Check an equation, join its extents, and enter the tensor that it defines."""
    left = tuple(_letter(sub, definition, names) for sub in definition.left)
    letters = tuple(letter for letter in left if letter is not None)
    access = t.Access(definition.target, definition.left, definition.span, definition.span)
    scope = Scope(names, number, index_letters((access, *definition.trees), names), letters)
    nodes = (node for tree in definition.trees for node in walk.nodes(tree))
    scope.masks = any(isinstance(n, t.Iverson) or (isinstance(n, t.Call) and n.name == "where") for n in nodes)
    scope.window_letters = frozenset(
        name.name
        for tree in definition.trees
        for node in walk.nodes(tree)
        for sub in walk.subscripts(node)
        if scope.is_position(sub) and not isinstance(sub.value, t.Call)
        for name in walk.position_names(sub)
    )
    for n, letter in enumerate(letters):
        if letter in letters[:n]:
            message = f"index `{letter}` stands twice on the left"
            remedy = f"write `{definition.target}[i,j] = delta[i,j]*...` for a diagonal matrix"
            names.report.error("E202", message, definition.left[n].span, remedy)
    for letter, span in scope.indices.items():
        check_letter(letter, span, names)
    if definition.implicit is not None:
        _enter(definition, scope, "real", names)
    before = len(names.report.diagnostics)
    for tree in definition.trees:
        collect(tree, scope)
    if definition.implicit is None:
        for n, letter in enumerate(letters):
            if (
                len(names.report.diagnostics) == before and not definition.begins
            ):  # else the index may be missing for another reason
                _occurs(letter, definition, n, scope)
        _enter(definition, scope, kinds.kind_of(definition.equation.right, scope), names)
    return scope


def _letter(sub: t.Subscript, definition: Definition, names: Names) -> str | None:
    if sub.ellipsis:
        if sub is not definition.left[0]:
            names.report.error("E209", "`...` may only be the first index", sub.span)
        return ELLIPSIS
    if isinstance(sub.value, t.Name) and sub.divisor is None:
        if check_letter(sub.value.name, sub.value.span, names):
            return sub.value.name
        return None
    names.report.error("E210", "a subscript on the left is an index", sub.span, "write the index's name alone")
    return None


def _occurs(letter: str, definition: Definition, n: int, scope: Scope) -> None:
    right = definition.equation.right
    if letter in scope.letters(right):
        return
    text = scope.names.slice(right.span)
    text = text if len(walk.terms(right)) == 1 else f"({text})"
    message = f"index `{letter}` is on the left, and occurs nowhere on the right"
    remedy = f"to repeat the value along it, write {quote(f'one[{letter}]*{text}')}"
    scope.names.report.error("E205", message, definition.left[n].span, remedy)


def _enter(definition: Definition, scope: Scope, kind: str, names: Names) -> None:
    name, span = definition.target, definition.span
    if name in RESERVED:
        names.report.error(
            "E310",
            f"`{name}` is reserved: no tensor may have this name",
            span,
            "take another name: it means something in equations",
        )
        names.broken.add(name)
        return
    if name in names.taken:
        defined = name in names.tensors
        what = names.tensors[name].role if defined else "param, size or function"
        article = "an" if what == "input" else "a"
        first = f"first in line {names.taken[name].line}" if what == "defined" else f"it is {article} {what}"
        names.report.error("E304", f"`{name}` is defined twice: {first}", span, "give this one another name")
        return
    if not scope.left and name in names.letters:
        message = f"`{name}` is an index, and so cannot be a tensor of order 0"
        names.report.error("E212", message, span, "rename one of them")
    keys = tuple(scope.key(letter) for letter in scope.left)
    labels = kinds.label_axis(definition.equation.right, scope) if kind == "label" else None
    names.taken[name] = span
    names.tensors[name] = Tensor(name, scope.left, keys, kind, "defined", span, labels)
