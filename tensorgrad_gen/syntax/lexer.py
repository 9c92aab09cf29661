"""Text of an equation -> tokens; brackets are matched here, so that the message can show both."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from tensorgrad_gen.errors import Report, quote
from tensorgrad_gen.spec.model import Fragment

DEEPEST = 32
MOST_NODES = 100_000

KINDS = {
    "=": "EQUAL", "+": "PLUS", "-": "MINUS", "*": "STAR", "/": "SLASH", "//": "FLOOR", "^": "POWER", "**": "POWER",
    "(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", ",": "COMMA", "...": "ELLIPSIS", "and": "AND", "or": "OR",
    "not": "NOT", "<": "CMP", "<=": "CMP", ">": "CMP", ">=": "CMP", "==": "CMP", "!=": "CMP",
}  # fmt: skip

_TOKEN = re.compile(
    r"(?P<SPACE>[ \t\n]+)"
    r"|(?P<SIGN>\.\.\.|\*\*|//|<=|>=|==|!=|[-+*/^()\[\],=<>])"
    r"|(?P<NUMBER>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<NAME>[A-Za-z_][A-Za-z0-9_]*)"
)

# What people write for what the language spells otherwise.
_SPELLINGS = {
    "\u00b7": "*", "\u00d7": "*", "\u2217": "*", "\u22c5": "*", "\u2212": "-", "\u2013": "-", "\u2014": "-",
    "\u00f7": "/", "\u2215": "/", "\u2264": "<=", "\u2265": ">=", "\u2260": "!=", "\u00b2": "^2", "\u00b3": "^3",
    "\u221e": "inf", "\u03c0": "pi", "\u2026": "...", "\u00ac": "not", "\u2227": "and", "\u2228": "or",
    "\uff0c": ",", "\uff08": "(", "\uff09": ")", "\u00a0": " ", "\u2297": "*", "\u2299": "*",
    "{": "(", "}": ")", "&": "and", "|": "or", "!": "not", "~": "not", "%": "mod(a, b)",
}  # fmt: skip
_REMEDIES = {
    "'": "write a transpose by its indices: `x[j,i]`",
    "@": "write a matrix product by its indices: `a[i,k]*b[k,j]`",
    ":": "slices are written by positions: `x[i+1]`",
    ";": "write one equation a line",
    "\u2211": "repeated indices are summed; or write `sum[i](...)`",
    "\u03a3": "repeated indices are summed; or write `sum[i](...)`",
    "\u221a": "write `sqrt(...)`",
    ".": "there are no attributes: write a function, `f(x)`, and indices, `x[i]`",
    '"': "quotes have no meaning inside an equation",
}
_KEYWORD_REMEDIES = {
    "if": "write `where(condition, a, b)`",
    "else": "write `where(condition, a, b)`",
    "is": "write `==`",
    "in": "compare with each value, and join by `or`",
    "for": "indices need no loop; a repeated one is summed",
    "True": "write a condition that holds, such as `0 == 0`",
    "False": "write a condition that fails, such as `0 == 1`",
}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is a terminal of the grammar; `text[start:end]` of the fragment is what it says."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(fragment: Fragment, report: Report) -> list[Token] | None:
    """The tokens, `$END` last, or None after an error."""
    text = fragment.text
    tokens: list[Token] = []
    brackets = _Brackets(fragment, report)
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or not _ends_well(fragment, match, report):
            if match is None:
                _bad_character(fragment, position, report)
            return None
        position = match.end()
        if match.lastgroup == "SPACE":
            continue
        token = Token(KINDS.get(match[0], str(match.lastgroup)), match[0], match.start(), position)
        named = bool(tokens) and tokens[-1].kind == "NAME"
        tokens.append(token)
        if not brackets.take(token, named):
            return None
        if len(tokens) > 2 * MOST_NODES:  # no node has more than two tokens of its own
            report.error("E605", f"an equation has more than {MOST_NODES:,} nodes", fragment.span(0, 1))
            return None
    tokens.append(Token("$END", "", len(text), len(text)))
    return tokens if brackets.closed() else None


def _ends_well(fragment: Fragment, match: re.Match[str], report: Report) -> bool:
    """Whether a number or name does not run on into what is neither."""
    after = fragment.text[match.end() : match.end() + 1]
    if match.lastgroup == "NUMBER" and (after == "_" or after.isalnum()) and after not in _SPELLINGS:
        _number_runs_on(fragment, match.start(), match.end(), report)
        return False
    if match.lastgroup == "NAME" and not after.isascii() and _continues_name(after):
        _bad_character(fragment, match.end(), report)
        return False
    if keyword.iskeyword(match[0]) and match[0] not in KINDS:
        remedy = _KEYWORD_REMEDIES.get(match[0], f"as a name, write `{match[0]}_`")
        report.error("E312", f"`{match[0]}` is a Python keyword", fragment.span(*match.span()), remedy)
        return False
    return True


def _continues_name(character: str) -> bool:
    return character.isalnum() and character not in _SPELLINGS


def _bad_character(fragment: Fragment, position: int, report: Report) -> None:
    character = fragment.text[position]
    span = fragment.span(position, position + 1)
    if character in _REMEDIES:
        remedy: str | None = _REMEDIES[character]
    elif character in _SPELLINGS:
        remedy = f"write `{_SPELLINGS[character]}`"
    elif _continues_name(character):
        report.error("E311", f"names are ASCII, and {quote(character)} is not", span, _transliterated(character))
        return
    else:
        remedy = None
    report.error("E603", f"{quote(character)} is no character of the language{_code_point(character)}", span, remedy)


def _code_point(character: str) -> str:
    return "" if character.isascii() and character.isprintable() else f" (U+{ord(character):04X})"


def _transliterated(character: str) -> str | None:
    import unicodedata

    words = unicodedata.name(character, "").split()
    if "GREEK" in words and "LETTER" in words:
        return f"write `{words[words.index('LETTER') + 1].lower()}`"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return f"write `{plain}`" if plain.isalnum() else None


def _number_runs_on(fragment: Fragment, start: int, end: int, report: Report) -> None:
    text = fragment.text
    stop = end
    while stop < len(text) and (text[stop].isalnum() or text[stop] == "_"):
        stop += 1
    span = fragment.span(start, stop)
    if re.fullmatch("[eE]", text[end:stop]):
        remedy = "an exponent has digits: `1e-5`"
    elif text[end].isascii() and not text[end:stop].startswith("_") and text[start:end] != "0":
        remedy = f"write `{text[start:end]}*{text[end:stop][:40]}` for the product; names begin with a letter"
    else:
        remedy = "a number is like `2`, `0.5`, `1e-5`"
    report.error("E601", f"{quote(text[start:stop])} is neither a number nor a name", span, remedy)


_CLOSES = {")": "(", "]": "["}


class _Brackets:
    """The brackets that are open; each closing one must match the last of them."""

    def __init__(self, fragment: Fragment, report: Report) -> None:
        self.fragment = fragment
        self.report = report
        self.opened: list[Token] = []
        self.named: list[bool] = []  # whether each follows a name
        self.subscripts = 0

    def take(self, token: Token, named: bool) -> bool:
        """Whether the token, after a name or not, is no bracket, or one that fits."""
        if token.text in ("(", "["):
            self.opened.append(token)
            self.subscripts += (subscript := token.text == "[" and named)
            self.named.append(subscript)
            # An access has brackets too, but is where nesting ends; subscripts nest among themselves.
            if max(len(self.opened) - self.subscripts, self.subscripts) <= DEEPEST:
                return True
            message = f"brackets nest deeper than {DEEPEST}"
            return self._error("E604", message, token, "name a part in an equation of its own")
        if token.text not in _CLOSES:
            return True
        if not self.opened:
            return self._error("E601", f"`{token.text}` closes nothing", token)
        last = self.opened.pop()
        self.subscripts -= self.named.pop()
        if last.text == _CLOSES[token.text]:
            return True
        line, column = self.fragment.places[last.start]
        remedy = f"`{last.text}` was opened at {line}:{column}"
        return self._error("E601", f"`{token.text}` does not close `{last.text}`", token, remedy)

    def closed(self) -> bool:
        """Whether none is open at the end."""
        if not self.opened:
            return True
        last = self.opened[-1]
        return self._error("E601", f"`{last.text}` is never closed", last)

    def _error(self, code: str, message: str, token: Token, help: str | None = None) -> bool:
        self.report.error(code, message, self.fragment.span(token.start, token.end), help)
        return False
