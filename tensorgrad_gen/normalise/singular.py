"""Warning W405: the derivative of a function is infinite at the edge of what its argument can be, and inputs reach it.

The edges are those of the `domain` conditions of the table of functions.  That inputs reach one is shown
by numbers that do; so an argument of which nothing is known draws no warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from itertools import islice, product
from typing import TypeAlias

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.algebra.hoist import guards_inside
from tensorgrad_gen.errors import Report, Span
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import (
    Access,
    Add,
    Apply,
    Compare,
    Delta,
    Expr,
    Index,
    Input,
    Iverson,
    Logic,
    Mul,
    Param,
    Pow,
    Program,
    Root,
    Statement,
    Sum,
    Where,
    number,
    sub,
)
from tensorgrad_gen.normalise.places import Places
from tensorgrad_gen.normalise.ranges import Ranges, as_float, of_input
from tensorgrad_gen.spec.model import OpSpec

MOST_POINTS = 81  # that are tried for an argument
MOST_EDGES = 100  # that points are tried for
MOST_NODES = 20_000  # that are looked at
NOT_ZERO = ("positive", "nonzero")


@dataclass(frozen=True, slots=True)
class Edge:
    """Where the derivative of `function` (as in a message) is infinite: `gap` is 0, which `op` excludes."""

    function: str
    row: str
    argument: Expr
    gap: Expr
    op: str


Found: TypeAlias = tuple[Statement, Edge, tuple[Expr, ...]]


def warn_singular(program: Program, spec: OpSpec, report: Report) -> None:
    """Warn of each function whose argument reaches, for inputs in their domains, where it has no finite derivative."""
    ranges, places = Ranges(program, {}), Places(program, spec)
    said: set[Span | None] = set()
    search = _Search(program)
    for statement, edge, guards in islice(filter(partial(_touches, ranges), search.edges()), MOST_EDGES):
        if found := _reached(program, edge, guards):
            span = places.of(statement, edge)
            if span is None or span not in said:
                said.add(span)
                report.warn("W405", _message(program, edge, *found), span, _remedy(program, edge, found[1]))


def _touches(ranges: Ranges, found: Found) -> bool:
    """Whether the edge is one of the interval: else nothing reaches it, or the domain of an input says too much."""
    _, edge, guards = found
    low, high = ranges.given(*guards).of(edge.gap)
    return (low == 0 and edge.op != "<") or (high == 0 and edge.op != ">")


class _Search:
    """The functions of a program that are differentiated."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.letter = _letter(program)
        self.defaults = {p.name: p.default for p in program.params}
        self.active = {item.name for item in program.inputs if item.grad and item.kind == "real"}
        self.known: dict[Expr, bool] = {}
        self.seen: set[tuple[Expr, tuple[Expr, ...]]] = set()

    def edges(self) -> Iterator[Found]:
        """Each edge of each function, with its statement and the conditions under which it is read."""
        for statement in self.program.statements:
            if statement.kind == "real" and self._varies(statement.value):
                self.active.add(statement.target)
                for edge, guards in self._inside(statement.value, ()):
                    yield statement, edge, guards

    def _varies(self, expr: Expr) -> bool:
        """Whether a derivative passes through the expression."""
        if isinstance(expr, Access):
            return expr.tensor in self.active
        if expr not in self.known:
            self.known[expr] = any(self._varies(child) for child in _differentiated(expr))
        return self.known[expr]

    def _inside(self, expr: Expr, guards: tuple[Expr, ...]) -> Iterator[tuple[Edge, tuple[Expr, ...]]]:
        if (expr, guards) in self.seen or len(self.seen) > MOST_NODES:
            return
        self.seen.add((expr, guards))
        kept = tuple(g for g in guards if not g.free & frozenset(expr.bound))
        passing = [child for child in _differentiated(expr) if self._varies(child)]
        for child, more in zip(expr.children, guards_inside(expr), strict=True):
            if child in passing:
                yield from self._inside(child, tuple(dict.fromkeys(kept + more)))
        if passing:
            for edge in self._of_node(expr):
                yield edge, guards

    def _of_node(self, expr: Expr) -> Iterator[Edge]:
        """The edges of one function: the conditions of its domain, as equations."""
        shown, name, args = "", "", expr.children
        if isinstance(expr, Pow):
            shown, name = self._of_power(expr)
            args = args if name == "pow" else args[:1]
        elif isinstance(expr, Apply):
            name = expr.function
            shown = f"{name}({'..., ' if len(args) > 1 else ''}{self.letter})"
        row = FUNCTIONS.get(name)
        if row is None or row.singular is None or row.taken is not None:
            return
        argument = args[0] if name == "pow" else args[-1]
        for condition in row.domain(*args):
            if isinstance(condition, Compare):
                yield Edge(shown, name, argument, sub(condition.left, condition.right), condition.op)

    def _of_power(self, expr: Pow) -> tuple[str, str]:
        """How a power is shown, and the row of its function: none where its slope at 0 is finite, or not known."""
        value, shown, z = number(expr.exponent), "", self.letter
        if isinstance(expr.exponent, Param):
            value, shown = self.defaults[expr.exponent.name], f"{z}^{expr.exponent.name}"
        if value is None or value == 0 or value >= 1:
            return "", ""
        if value.denominator == 1:
            return shown or (f"1/{z}" if value == -1 else f"1/{z}^{-value}"), "reciprocal"
        known = {Fraction(1, 2): (f"sqrt({z})", "sqrt"), Fraction(-1, 2): (f"1/sqrt({z})", "rsqrt")}
        spelled, row = known.get(value, (f"{z}^{as_float(value):g}", "pow"))
        return shown or spelled, row


def _differentiated(expr: Expr) -> tuple[Expr, ...]:
    """The children that a derivative passes through: no conditions, no labels."""
    if isinstance(expr, Access | Delta | Iverson | Compare | Logic | Root):
        return ()
    if isinstance(expr, Where):
        return expr.then, expr.other
    surgery = FUNCTIONS[expr.function].surgery if isinstance(expr, Apply) else None
    return {"stop": (), "straight_through": expr.children[1:]}.get(surgery or "", expr.children)


def _candidates(item: Input) -> tuple[float, ...]:
    """Numbers that all entries of an input may be."""
    if item.kind == "bool":
        return 0.0, 1.0
    interval = isinstance(item.domain, tuple)
    if item.kind != "real" or item.structure != "general" or not (interval or item.domain in ("real", *NOT_ZERO)):
        return ()
    low, high = of_input(item)
    ends = (low, high) if interval else ()
    numbers = [n for n in dict.fromkeys((0.0, *ends, 1.0, -1.0)) if low <= n <= high]
    return tuple(n for n in numbers if n != 0 or item.domain not in NOT_ZERO)


def _reached(program: Program, edge: Edge, guards: tuple[Expr, ...]) -> tuple[float, dict[str, float]] | None:
    """The argument at the edge, and the inputs that are pinned to bring it there: as few as do."""
    wanted = _inputs_of(program, (edge.gap, *guards))
    inputs = [item for item in program.inputs if item.name in wanted]
    choices = [[(item.name, value) for value in found] for item in inputs if (found := _candidates(item))]
    for chosen in islice(product(*choices), MOST_POINTS):
        pinned = dict(chosen)
        if not _at_edge(program, edge, guards, pinned):
            continue
        for name in list(pinned):
            fewer = {n: v for n, v in pinned.items() if n != name}
            if fewer and _at_edge(program, edge, guards, fewer):
                pinned = fewer
        return Ranges(program, pinned).of(edge.argument)[0], pinned
    return None


def _at_edge(program: Program, edge: Edge, guards: tuple[Expr, ...], pinned: Mapping[str, float]) -> bool:
    """Whether the gap is surely 0 there, and read."""
    ranges = Ranges(program, pinned)
    return ranges.of(edge.gap) == (0, 0) and all(_may_hold(ranges, guard) for guard in guards)


def _may_hold(ranges: Ranges, guard: Expr) -> bool:
    """Whether a condition holds, or is one on masks and positions alone, that may."""
    answer = ranges.holds(guard)
    return answer is True or (answer is None and not any(t in ranges.values or t in ranges.real for t in _reads(guard)))


def _inputs_of(program: Program, exprs: tuple[Expr, ...]) -> set[str]:
    """The inputs that expressions depend on."""
    found = set().union(*map(_reads, exprs))
    for statement in reversed(program.statements):
        if statement.target in found:
            found |= _reads(statement.value)
    return found


@lru_cache(maxsize=4096)
def _reads(expr: Expr) -> frozenset[str]:
    """The tensors that an expression reads, labels included."""
    own = {expr.tensor} if isinstance(expr, Access) else set()
    return frozenset(own).union(*map(_reads, expr.children))


def _message(program: Program, edge: Edge, point: float, pinned: Mapping[str, float]) -> str:
    by_value: dict[float, list[str]] = {}
    for name, value in pinned.items():
        by_value.setdefault(value, []).append(_shown(program, edge.argument, name))
    parts = [f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {v:g}" for v, names in by_value.items()]
    infinite = f"the derivative of `{edge.function}` is infinite, at {_letter(program)} = {point:g}"
    return f"where {', '.join(parts)}, {infinite}: a gradient there is inf or NaN"


def _letter(program: Program) -> str:
    """What the argument of a function is called in a message: nothing that the op has."""
    taken = {*program.tensors, *(param.name for param in program.params)}
    return next(letter for letter in ("z", "u", "t", "argument", "the argument") if letter not in taken)


def _shown(program: Program, argument: Expr, name: str) -> str:
    """`x[i]` where the argument is one number for each entry of it, else every one of its entries."""
    item = next(item for item in program.inputs if item.name == name)
    subs = {a.subs for a in accesses(argument) if a.tensor == name}
    own = next(iter(subs)) if len(subs) == 1 else ()
    if not item.indices or (own and set(own) <= argument.free and len(set(own)) == len(own)):
        return f"`{_accessed(item.keyword, tuple(i for i in own if isinstance(i, Index)))}`"
    return f"every `{_accessed(item.keyword, item.indices)}`"


def _accessed(name: str, indices: tuple[Index, ...]) -> str:
    return f"{name}[{','.join(i.name for i in indices)}]" if indices else name


def _remedy(program: Program, edge: Edge, pinned: Mapping[str, float]) -> str:
    """What keeps the argument away from the edge."""
    names = " or ".join(f"`{item.keyword}`" for item in program.inputs if item.name in pinned and item.kind == "real")
    where = {"sqrt": "under the root", "rsqrt": "under the root", "reciprocal": "to the divisor"}
    ways = [f"add a small positive param {where.get(edge.row, 'to the argument')}"]
    if edge.op != ">":
        ways = ["keep the argument away from there"] if edge.row != "reciprocal" else ways
    if edge.row == "sqrt" and _of_squares(program, edge.argument):
        ways.append("write a norm (`norm[i](x[i])`)")
    ways.append("hide the point with `where`")
    return (
        ", ".join([*ways, f"or, if {names} is never there, say so with its `domain`"]) if names else ", or ".join(ways)
    )


def _of_squares(program: Program, expr: Expr) -> bool:
    """Whether the expression is a square, or a sum or multiple of such."""
    match expr:
        case Access():
            values = {s.target: s.value for s in program.statements}
            return expr.tensor in values and _of_squares(program, values[expr.tensor])
        case Pow():
            return number(expr.exponent) == 2
        case Mul() | Sum():
            return any(_of_squares(program, child) for child in expr.children)
        case Add():
            return all(_of_squares(program, child) for child in expr.children)
    return False
