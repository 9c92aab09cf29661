"""A matrix formula -> a tree: `name`, `number`, `call`, `transposed`, `negative`, and a kind for each operator."""

from __future__ import annotations

import re
from pathlib import Path

from lark import Token

from tensorgrad_gen.errors import quote
from tensorgrad_gen.importing.parsing import Builder, nodes, parse
from tensorgrad_gen.importing.source import Node, Source

_GRAMMAR = Path(__file__).parent / "grammar.lark"
_TOKEN = re.compile(
    r"(?P<SPACE>\s+)|(?P<NUMBER>(?:[0-9]+(?:\.(?![*/^'])[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<NAME>[A-Za-z_][A-Za-z0-9_]*)|(?P<SIGN>\.\*|\./|\.\^|\.'|\*\*|[-+*/\\^'(),=])"
)
_SIGNS = {
    "+": "PLUS", "-": "MINUS", "*": "STAR", "/": "SLASH", ".*": "DOT_STAR", "./": "DOT_SLASH", "\\": "BACKSLASH",
    "'": "TICK", ".'": "TICK", "^": "HAT", "**": "HAT", ".^": "DOT_HAT", "(": "LPAR", ")": "RPAR", ",": "COMMA",
    "=": "EQUAL",
}  # fmt: skip
_KINDS = {
    "PLUS": "plus", "MINUS": "minus", "STAR": "product", "SLASH": "quotient", "DOT_STAR": "each_product",
    "DOT_SLASH": "each_quotient", "BACKSLASH": "solved", "HAT": "power", "DOT_HAT": "each_power",
}  # fmt: skip
_SAID = {"NAME": "a value", "RPAR": "`)`", "COMMA": "`,`", "STAR": "an operator"}
_REMEDIES = {
    "@": "write `*`", "[": "write a matrix by its name, with --shapes", "{": "write `(`", "|": "write `abs(x)`",
    ";": "one formula makes an op", "\u1d40": "write `A'`", "\u22a4": "write `A'`", "\u00b7": "write `*`",
}  # fmt: skip


def parsed(source: Source) -> Node:
    """The tree; its text is the name that the formula gives the result, if any."""
    found = tokens(source)
    if not found:
        raise source.fault("E601", "a formula is expected here", 0, 1, "a formula is like `norm2(A*x - y)^2`")
    return parse(source, _GRAMMAR, found, MatrixBuilder(source), _SAID)


def tokens(source: Source) -> list[Token]:
    """The tokens; raises `SpecError`."""
    out: list[Token] = []
    at = 0
    while at < len(source.text):
        match = _TOKEN.match(source.text, at)
        if match is None:
            found = source.text[at]
            message = f"{quote(found)} is no part of a matrix formula"
            raise source.fault("E701", message, at, at + 1, _REMEDIES.get(found))
        if match.lastgroup != "SPACE":
            kind = _SIGNS[match[0]] if match.lastgroup == "SIGN" else str(match.lastgroup)
            out.append(Token(kind, match[0], start_pos=at, end_pos=match.end()))
        at = match.end()
    return out


class MatrixBuilder(Builder):
    """A method for each name behind `->` in the grammar."""

    def start(self, parts: list[Token | Node]) -> Node:
        name = str(parts[0]) if isinstance(parts[0], Token) else ""
        return self.node("start", parts, nodes(parts), name)

    def binary(self, parts: list[Token | Node]) -> Node:
        assert isinstance(parts[1], Token)
        return self.node(_KINDS[parts[1].type], parts, nodes(parts))

    power = binary

    def signed(self, parts: list[Token | Node]) -> Node:
        [inside] = nodes(parts)
        return self.node("negative", parts, [inside]) if str(parts[0]) == "-" else inside

    def transposed(self, parts: list[Token | Node]) -> Node:
        return self.node("transposed", parts, nodes(parts))

    def number(self, parts: list[Token | Node]) -> Node:
        return self.node("number", parts, (), str(parts[0]))

    def name(self, parts: list[Token | Node]) -> Node:
        return self.node("name", parts, (), str(parts[0]))

    def call(self, parts: list[Token | Node]) -> Node:
        return self.node("call", parts, nodes(parts), str(parts[0]))

    def paren(self, parts: list[Token | Node]) -> Node:
        """The inside; parentheses are written again where they are needed."""
        return nodes(parts)[0]
