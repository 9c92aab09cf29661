"""What each rule of the grammar makes: the surface tree, with spans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorgrad_gen.errors import Report, Span, quote
from tensorgrad_gen.spec.model import Fragment
from tensorgrad_gen.spec.numbers import BadNumberError, parse_unsigned
from tensorgrad_gen.syntax import tree as t
from tensorgrad_gen.syntax.lexer import MOST_NODES

DEEPEST_TREE = 100  # brackets, prefix operators and powers together
POSITIONS = ("pad", "clamp", "mod")

_LISTS = {"none", "first", "further", "arg", "chain"}
_NESTS = {"unary", "access", "call", "bound", "matrix_call", "paren", "iverson"}


class UnparsableError(Exception):
    """The equation cannot be parsed further; the report says why."""


@dataclass(slots=True)
class Part:
    """A value on the parser's stack: a token, a tree, or a list of them; its place, and how deep it is."""

    value: Any
    start: int
    end: int
    depth: int


class Builder:
    """The methods that `-> name` in the grammar names, for one fragment."""

    def __init__(self, fragment: Fragment, report: Report, floor_division: bool) -> None:
        self.fragment = fragment
        self.report = report
        self.floor_division = floor_division
        self.good = True
        self.floors: dict[Span, Part] = {}  # divisions `//` whose place is not yet known to be right

    def build(self, method: str, parts: list[Part], here: int) -> Part:
        """What the method makes of its parts, within the limits."""
        start, end = (parts[0].start, parts[-1].end) if parts else (here, here)
        depth = max((part.depth for part in parts), default=0)
        span = self.fragment.span(start, end)
        if method in _NESTS or (method == "binary" and parts[1].value.kind == "POWER"):
            depth += 1
            if depth > DEEPEST_TREE:
                raise self._failure("E604", f"operators nest deeper than {DEEPEST_TREE}", span)
        self.report.nodes += method not in _LISTS
        if self.report.nodes > MOST_NODES:
            raise self._failure("E605", f"the equations have more than {MOST_NODES:,} nodes", span)
        return Part(getattr(self, method)(parts, span), start, end, depth)

    def finish(self) -> bool:
        """Whether the tree is good, after all `//` are placed."""
        for part in self.floors.values():
            remedy = "`/` divides values; `//` divides a position: `x[i//2]`, `x[(i+1)//2]`"
            self._error("E601", "`//` stands only at the end of a subscript", self._span(part), remedy)
        return self.good

    # leaves

    def number(self, parts: list[Part], span: Span) -> t.Tree:
        try:
            return t.Number(parse_unsigned(parts[0].value.text), span)
        except BadNumberError as bad:
            raise self._failure(bad.code, bad.message, span, bad.help) from None

    def name(self, parts: list[Part], span: Span) -> t.Tree:
        return t.Name(parts[0].value.text, span)

    # names with brackets

    def access(self, parts: list[Part], span: Span) -> t.Tree:
        return t.Access(parts[0].value.text, tuple(parts[2].value), span, self._span(parts[0]))

    def call(self, parts: list[Part], span: Span) -> t.Tree:
        return t.Call(parts[0].value.text, tuple(parts[2].value), span, self._span(parts[0]))

    def bound(self, parts: list[Part], span: Span) -> t.Tree:
        subs, args = tuple(parts[2].value), tuple(parts[5].value)
        return t.Bound(parts[0].value.text, subs, args, span, self._span(parts[0]))

    def matrix_call(self, parts: list[Part], span: Span) -> t.Tree:
        args, subs = tuple(parts[2].value), tuple(parts[5].value)
        return t.MatrixCall(parts[0].value.text, args, subs, span, self._span(parts[0]))

    # lists

    def none(self, parts: list[Part], span: Span) -> list[t.Tree]:
        return []

    def first(self, parts: list[Part], span: Span) -> list[t.Tree]:
        return [parts[0].value]

    def further(self, parts: list[Part], span: Span) -> list[t.Tree]:
        """The list itself, longer: nothing else has it, and copies of long lists take long."""
        items: list[t.Tree] = parts[0].value
        items.append(parts[2].value)
        return items

    def arg(self, parts: list[Part], span: Span) -> t.Tree:
        if self.floor_division:
            value: t.Tree = parts[0].value
            return value
        dividend, floor = self._split_floor(parts[0].value)
        if floor is None or dividend is floor.left:
            return dividend if floor is None else floor
        whole = t.Binary("//", dividend, floor.right, span)
        self.floors[span] = self.floors.pop(floor.span)
        return whole

    def ellipsis(self, parts: list[Part], span: Span) -> t.Subscript:
        return t.Subscript(None, None, span)

    def sub(self, parts: list[Part], span: Span) -> t.Subscript:
        """`sum [// INT]`; the arguments of `pad`, `clamp`, `mod` are positions too."""
        value: t.Tree = parts[0].value
        if isinstance(value, t.Call) and value.name in POSITIONS:
            for argument in value.args:
                if isinstance(argument, t.Binary) and argument.span in self.floors:
                    self._divisor(argument)
        dividend, floor = self._split_floor(value)
        if floor is None:
            return t.Subscript(value, None, span)
        if dividend is not floor.left:
            self.report.warn("W406", "`//` divides the whole subscript", span, "put the dividend in brackets")
        return t.Subscript(dividend, self._divisor(floor), span)

    def _split_floor(self, value: t.Tree) -> tuple[t.Tree, t.Binary | None]:
        """`a + b//n` as `a + b` and the division: the grammar says that `//` comes after the whole sum."""
        last = value.right if isinstance(value, t.Binary) and value.op in ("+", "-") else value
        if not (isinstance(last, t.Binary) and last.op == "//" and last.span in self.floors):
            return value, None
        if last is value:
            return last.left, last
        assert isinstance(value, t.Binary)
        return t.Binary(value.op, value.left, last.left, value.span), last

    def _divisor(self, floor: t.Binary) -> int | None:
        """The divisor of a division whose place is right."""
        self.floors.pop(floor.span)
        divisor = floor.right
        if isinstance(divisor, t.Number) and divisor.value.denominator == 1 and divisor.value > 0:
            return int(divisor.value)
        self._error("E601", "`//` is followed by a positive integer", divisor.span)
        return None

    # brackets

    def paren(self, parts: list[Part], span: Span) -> t.Tree:
        return t.Paren(parts[1].value, span)

    def iverson(self, parts: list[Part], span: Span) -> t.Tree:
        return t.Iverson(parts[1].value, span)

    # operators

    def unary(self, parts: list[Part], span: Span) -> t.Tree:
        return t.Unary(parts[0].value.text, parts[1].value, span)

    def binary(self, parts: list[Part], span: Span) -> t.Tree:
        op = "^" if parts[1].value.kind == "POWER" else parts[1].value.text
        made = t.Binary(op, parts[0].value, parts[2].value, span)
        if op == "//" and not self.floor_division:
            self.floors[span] = parts[1]
        return made

    def comparison(self, parts: list[Part], span: Span) -> t.Tree:
        return t.Comparison(parts[1].value.text, parts[0].value, parts[2].value, span)

    def chain(self, parts: list[Part], span: Span) -> list[Part]:
        """`a < b < c` as its parts; `chained` refuses it."""
        head: list[Part] = parts[0].value if isinstance(parts[0].value, list) else [parts[0]]
        head += parts[1:]
        return head

    def chained(self, parts: list[Part], span: Span) -> t.Tree:
        chain: list[Part] = parts[0].value[:20]
        texts = [self.fragment.text[part.start : part.end] for part in chain]
        remedy = " and ".join(" ".join(texts[k : k + 3]) for k in range(0, len(texts) - 2, 2))
        self._error("E602", "comparisons do not chain", self._span(chain[3]), f"write {quote(remedy, 200)}")
        return t.Comparison(texts[1], chain[0].value, chain[2].value, span)

    def equation(self, parts: list[Part], span: Span) -> t.Equation:
        return t.Equation(parts[0].value, parts[2].value, span)

    # errors

    def _span(self, part: Part) -> Span:
        return self.fragment.span(part.start, part.end)

    def _error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.report.error(code, message, span, help)
        self.good = False

    def _failure(self, code: str, message: str, span: Span, help: str | None = None) -> UnparsableError:
        self.report.error(code, message, span, help)
        return UnparsableError()
