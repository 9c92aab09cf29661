"""Equation text -> surface tree: the LALR(1) driver, on a stack of its own, so that no input exhausts Python's."""

from __future__ import annotations

from tensorgrad_gen.errors import Report
from tensorgrad_gen.spec.model import Fragment
from tensorgrad_gen.syntax.builder import Builder, Part, UnparsableError
from tensorgrad_gen.syntax.expectation import report_unexpected
from tensorgrad_gen.syntax.lexer import MOST_NODES, Token, tokenize
from tensorgrad_gen.syntax.tables import ENDS, RULES, STARTS, STATES
from tensorgrad_gen.syntax.tree import Equation, Tree

TALLEST = 1024  # states on the stack: what the limits of nesting let through stays far below

TABLE: list[dict[str, int]] = [
    {symbol: to for to, symbols in row.items() for symbol in symbols.split()} for row in STATES
]


def parse_equation(fragment: Fragment, report: Report) -> Equation | None:
    """`left = right`, or None after an error."""
    tree = _parse("equation", fragment, report, floor_division=False)
    assert tree is None or isinstance(tree, Equation)
    return tree


def parse_expression(fragment: Fragment, report: Report, *, floor_division: bool = False) -> Tree | None:
    """An expression, or None after an error; `floor_division` lets `//` stand anywhere, as in an extent."""
    tree = _parse("expression", fragment, report, floor_division)
    assert not isinstance(tree, Equation)
    return tree


def _parse(start: str, fragment: Fragment, report: Report, floor_division: bool) -> Equation | Tree | None:
    if report.nodes > MOST_NODES:  # said once
        return None
    tokens = tokenize(fragment, report)
    if tokens is None:
        return None
    if len(tokens) == 1:
        report.error("E601", f"an {start} is expected here", fragment.span(0, 0))
        return None
    builder = Builder(fragment, report, floor_division)
    try:
        tree = _drive(start, tokens, builder)
    except UnparsableError:
        return None
    return tree if builder.finish() else None


def _drive(start: str, tokens: list[Token], builder: Builder) -> Equation | Tree:
    """Shift and reduce until the start symbol stands alone."""
    states = [STARTS[start]]
    parts: list[Part] = []
    for token in tokens:
        before = states.copy()
        if len(before) > TALLEST:
            message, span = "operators and brackets nest too deeply", builder.fragment.span(token.start, token.end)
            builder.report.error("E604", message, span, "name a part in an equation of its own")
            raise UnparsableError
        while True:
            to = TABLE[states[-1]].get(token.kind)
            if to is None:
                if token.kind == "$END" and states[-1] == ENDS[start]:
                    return parts[0].value  # type: ignore[no-any-return]
                report_unexpected(start, before, tokens, token, builder)
                raise UnparsableError
            if to >= 0:
                break
            origin, length, method = RULES[-1 - to]
            if method:
                taken = parts[len(parts) - length :]
                part = builder.build(method, taken, token.start)
                del parts[len(parts) - length :]
                parts.append(part)
            if length:
                del states[-length:]
            states.append(TABLE[states[-1]][origin])
        states.append(to)
        parts.append(Part(token, token.start, token.end, 0))
    raise AssertionError("the last token is $END")
