"""What a syntax error says: what could have stood here, what does, and how it is usually mended."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tensorgrad_gen.errors import quote
from tensorgrad_gen.syntax.lexer import Token
from tensorgrad_gen.syntax.tables import ENDS, RULES, STATES

if TYPE_CHECKING:
    from tensorgrad_gen.syntax.builder import Builder

_BEGINS_VALUE = {"NUMBER", "NAME", "LPAR", "LSQB"}
_OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "POWER", "CMP", "AND", "OR"}
_SIGNS = {"EQUAL": "`=`", "COMMA": "`,`", "RPAR": "`)`", "RSQB": "`]`", "$END": "the end"}


def report_unexpected(start: str, states: list[int], tokens: list[Token], token: Token, builder: Builder) -> None:
    """Report the token that fits nothing that came before it."""
    fragment = builder.fragment
    expected = {kind for kind in _terminals() if _fits(start, states, kind)}
    found = "the end" if token.kind == "$END" else quote(token.text)
    span = fragment.span(token.start, token.end)
    previous = tokens[tokens.index(token) - 1] if tokens[0] is not token else None
    message = f"syntax error: expected {_describe(expected)}, found {found}"
    builder.report.error("E601", message, span, _remedy(expected, tokens, token, previous))


@cache
def _terminals() -> list[str]:
    symbols = {symbol for row in STATES for text in row.values() for symbol in text.split()}
    return sorted(symbol for symbol in symbols if not symbol.islower() and symbol != "FLOOR")


def _fits(start: str, states: list[int], kind: str) -> bool:
    """Whether a token of this kind could be shifted here; tried on a copy, since LALR reduces before it knows."""
    from tensorgrad_gen.syntax.parser import TABLE

    tried = states.copy()
    while True:
        to = TABLE[tried[-1]].get(kind)
        if to is None:
            return kind == "$END" and tried[-1] == ENDS[start]
        if to >= 0:
            return True
        origin, length, _ = RULES[-1 - to]
        if length:
            del tried[-length:]
        tried.append(TABLE[tried[-1]][origin])


def _describe(expected: set[str]) -> str:
    words = []
    if expected >= _BEGINS_VALUE:
        words.append("an index" if "ELLIPSIS" in expected else "a value")
    elif "LPAR" in expected and "LSQB" not in expected and "STAR" not in expected:
        words.append("`(`")
    if "STAR" in expected:
        words.append("an operator")
    words += [text for kind, text in _SIGNS.items() if kind in expected]
    if not words:
        words = ["nothing"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _remedy(expected: set[str], tokens: list[Token], token: Token, previous: Token | None) -> str | None:
    if token.kind == "EQUAL":
        if previous is None:
            return "an equation is `name[indices] = value`"
        if expected & {"RPAR", "RSQB", "COMMA"}:
            return "`==` compares"
        if previous.kind in _OPERATORS:
            return "a tensor is defined once, by `name[indices] = value`"
        return "one equation has one `=`; `==` compares"
    if token.kind == "$END" and "EQUAL" in expected:
        if any(t.text == "==" for t in tokens):
            return "`=` defines, `==` compares"
        return "an equation is `name[indices] = value`"
    if "EQUAL" in expected and token.kind in ("CMP", "AND", "OR", "NOT"):
        return "`=` defines, `==` compares" if token.text == "==" else "an equation is `name[indices] = value`"
    if token.kind in _BEGINS_VALUE and "STAR" in expected:
        return _between_values(token, previous, "COMMA" in expected)
    if token.kind == "NOT" and not expected & {"NOT"}:
        return "put the condition in brackets: `(not a)`"
    if token.kind == "RPAR" and previous is not None and previous.kind == "LPAR":
        return "a function has at least one argument"
    if token.kind in ("RPAR", "RSQB") and previous is not None and previous.kind == "COMMA":
        return "nothing follows the last comma"
    if token.kind == "ELLIPSIS":
        return "`...` is a subscript of its own: `x[..., h]`"
    if token.kind == "COMMA":
        return "a comma separates subscripts and arguments"
    return None


def _between_values(token: Token, previous: Token | None, listed: bool) -> str:
    if token.kind == "LPAR" and previous is not None and previous.kind == "RPAR":
        return "write `*` between factors: `(a)*(b)`"
    if token.kind == "LSQB":
        if previous is not None and previous.kind == "RSQB":
            return "all subscripts stand in one pair of brackets: `x[b,h]`"
        return "subscripts follow a name; write `*` before a condition"
    if listed:
        return "write `,` between subscripts and between arguments"
    if previous is not None and previous.kind in ("NAME", "NUMBER") and token.kind in ("NAME", "NUMBER"):
        return f"write an operator between them, such as `{previous.text[:40]}*{token.text[:40]}`"
    return "write an operator between them, such as `*`"
