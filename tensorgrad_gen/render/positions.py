"""The view of the function that says which position is outside of its axis, once PyTorch has found that one is.

Law: it has a line for each position that may be, where no condition hides what is read there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from tensorgrad_gen.algebra import walk
from tensorgrad_gen.elaborate.poly import Poly, atom, integer, polynomial
from tensorgrad_gen.ir import Access, Add, Const, Delta, Expr, Extent, Index, Iverson, Mul, Param, Program, Size, Where
from tensorgrad_gen.ir.build import ZERO
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import print_texpr, reads
from tensorgrad_gen.lower.sizes import Sizes, places
from tensorgrad_gen.lower.torch_ir import Infix, Lit, TExpr, Var
from tensorgrad_gen.lower.windows import Window, split_label, window_of
from tensorgrad_gen.notation import print_expr, size_names
from tensorgrad_gen.render.bodies import arguments_of, size_lines
from tensorgrad_gen.render.facts import Facts
from tensorgrad_gen.render.view import Argument, PositionsView


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read or added at a position, and the axis that this is along."""

    node: Expr
    window: Window
    axis: Index


def positions_view(facts: Facts) -> PositionsView | None:
    """The view; None where every position is inside, whatever the op is called with."""
    program = facts.lowered.plan.program
    found = [r for r in _reads(program) if _has_sizes(program, r) and not _inside(program, r)]
    if not found:
        return None
    sizes = Sizes(program)
    called = size_names(program)
    tests: dict[str, None] = {}
    for read in found:
        tests[f"{facts.runtime}beyond({_arguments(read, sizes, called)})"] = None
    used = {name for s in sizes.statements() for name in reads(s.call)} | _params(found)
    names = [item.name for item in program.inputs] + [param.name for param in program.params]
    hidden = {local_name(name): facts.names[f"_{name}"] for name in names if local_name(name) not in used}
    arguments = [Argument(hidden.get(a.name, a.name), a.annotation) for a in arguments_of(facts)]
    return PositionsView(tuple(arguments), size_lines(facts, sizes.statements()), " or ".join(tests))


def _params(found: list[_Read]) -> set[str]:
    """The params that positions depend on."""
    parts = [part for read in found for part in (read.window.start, *(step for _, step in read.window.steps))]
    return {local_name(node.name) for part in parts for node in walk(part) if isinstance(node, Param)}


def _arguments(read: _Read, sizes: Sizes, called: dict[str, str]) -> str:
    """What `beyond` is told: the text, the index with its extent, then counts, steps, start and divisor."""
    window = read.window
    text = print_expr(read.node, "spec", called)
    counts = [_length(index, sizes) for index, _ in window.steps]
    steps = [print_texpr(_number(step, sizes)) for _, step in window.steps]
    parts = [f'"{text}"', f'"{read.axis.name}"', _length(read.axis, sizes), _tuple(counts), _tuple(steps)]
    if window.start is not ZERO or window.divisor > 1:
        parts.append(print_texpr(_number(window.start, sizes)))
    return ", ".join(parts + ([str(window.divisor)] if window.divisor > 1 else []))


def _tuple(parts: list[str]) -> str:
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _length(index: Index, sizes: Sizes) -> str:
    extent = index.extent
    return str(extent) if isinstance(extent, int) else print_texpr(sizes.use(extent, frozenset()))


def _number(expr: Expr, sizes: Sizes) -> TExpr:
    """A polynomial in params and extents as Python."""
    match expr:
        case Const(value):
            return Lit(int(value))
        case Extent(symbol):
            return sizes.use(symbol, frozenset())
        case Param(name, _):
            return Var(local_name(name))
    parts = [_number(part, sizes) for part in expr.children]
    whole = parts[0]
    for part in parts[1:]:
        whole = Infix("+" if isinstance(expr, Add) else "*", whole, part)
    return whole


def _reads(program: Program) -> Iterator[_Read]:
    for statement in program.statements:
        yield from _within(statement.value, program, frozenset())


def _within(expr: Expr, program: Program, bound: frozenset[Index]) -> Iterator[_Read]:
    """Every computed position, but for those that a condition may hide."""
    if isinstance(expr, Access) and expr.tensor in program.tensors:
        for axis, sub in zip(program.tensors[expr.tensor].indices, expr.subs, strict=True):
            yield from _at(expr, sub, axis)
    elif isinstance(expr, Delta) and (pair := split_label(expr)) and bound.issuperset(pair[1].free):
        yield from _at(expr, pair[1], pair[0])
    hides = isinstance(expr, Mul) and any(isinstance(factor, Iverson) for factor in expr.children)
    children = () if hides else expr.children[:1] if isinstance(expr, Where) else expr.children
    for child in children:
        yield from _within(child, program, bound | set(expr.bound))


def _at(node: Expr, sub: Index | Expr, axis: Index) -> Iterator[_Read]:
    window = None if isinstance(sub, Index) else window_of(sub)
    if window is not None:
        yield _Read(node, window, axis)


def _has_sizes(program: Program, read: _Read) -> bool:
    """Whether an input that is always given, or the spec, has each extent."""
    nodes = [node for part in (read.window.start, *(s for _, s in read.window.steps)) for node in walk(part)]
    symbols: list[str | int] = [node.symbol for node in nodes if isinstance(node, Extent)]
    symbols += [read.axis.extent, *(index.extent for index, _ in read.window.steps)]
    return all(isinstance(symbol, int) or symbol == "..." or _is_given(program, symbol) for symbol in symbols)


def _is_given(program: Program, symbol: str) -> bool:
    defs = dict(program.size_defs)
    if symbol in defs:
        return all(_is_given(program, own) for own in _symbols(defs[symbol]))
    found = places(program, symbol)
    return bool(found) and found[0][0].default is None


def _symbols(size: Size) -> Iterable[str]:
    if size.op == "size":
        yield size.args[0]
    for arg in size.args:
        if isinstance(arg, Size):
            yield from _symbols(arg)


def _inside(program: Program, read: _Read) -> bool:
    """Whether the position is inside of its axis whatever the extents are: the range of an index may be made for it."""
    if not read.window.steps and read.window.start is ZERO:
        return True
    named = {symbol for _, symbol in program.size_names}
    own = {index.extent for index, _ in read.window.steps}
    if own & set(dict(program.size_defs)) - named:
        return True
    low = high = _poly(program, read.window.start)
    for index, step in read.window.steps:
        by = _poly(program, step)
        if by.sign is None or _has_param(by):
            return False
        last = by * (_extent(program, index.extent) - integer(1))
        low, high = (low, high + last) if by.sign >= 0 else (low + last, high)
    room = _extent(program, read.axis.extent) * integer(read.window.divisor) - integer(1) - high
    return not _has_param(low) and not _has_param(room) and low.at_least_zero() and room.at_least_zero()


def _has_param(poly: Poly) -> bool:
    """Whether something other than extents is in it, which may be negative."""
    return any(part.op != "size" for monomial, _ in poly.terms for part in monomial)


def _extent(program: Program, extent: str | int) -> Poly:
    if isinstance(extent, int):
        return integer(extent)
    found = dict(program.size_defs).get(extent)
    return atom(Size("size", (extent,))) if found is None else polynomial(found)


def _poly(program: Program, expr: Expr) -> Poly:
    match expr:
        case Const(value):
            return integer(int(value))
        case Extent(symbol):
            return _extent(program, symbol)
        case Param(name, _):
            return atom(Size("param", (name,)))
    parts = [_poly(program, part) for part in expr.children]
    return sum(parts, integer(0)) if isinstance(expr, Add) else prod(parts, start=integer(1))
