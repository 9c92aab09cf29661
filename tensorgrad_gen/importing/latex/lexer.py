"""LaTeX -> tokens: what only spaces, aligns or decorates is gone, a name is one token, and bars are paired."""

from __future__ import annotations

import keyword
import re

from lark import Token

from tensorgrad_gen.errors import nearest, quote, suggest
from tensorgrad_gen.importing.latex import words
from tensorgrad_gen.importing.source import Source

_TOKEN = re.compile(
    r"(?P<DROP>%[^\n]*|[ \t\r~&$]+|\\[,;:!> \n()\[\]]|\\(?:label|tag|hspace|vspace|phantom)\*?\{[^{}]*\})"
    r"|(?P<LINE>\n)"
    r"|(?P<BREAK>\\\\(?:\[[^\]\n]*\])?)"
    r"|(?P<ENV>\\(?:begin|end)[ ]*\{[^{}]*\})"
    r"|(?P<DOUBLE>\\\|)"
    r"|(?P<BRACE>\\[{}])"
    r"|(?P<COMMAND>\\[A-Za-z]+\*?)"
    r"|(?P<NUMBER>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<LETTER>[A-Za-z])"
    r"|(?P<SIGN>:=|\.\.\.|[-+*/^_(){}\[\],=<>|'])"
)
_SIGNS = {
    "=": "EQUAL", ":=": "EQUAL", "+": "PLUS", "-": "MINUS", "*": "TIMES", "/": "SLASH", "^": "HAT", "_": "UNDER",
    "(": "LPAR", ")": "RPAR", "{": "LBRACE", "}": "RBRACE", "[": "LSQB", "]": "RSQB", ",": "COMMA", "<": "REL",
    ">": "REL", "|": "BAR", "'": "PRIME", "...": "DOTS",
}  # fmt: skip
_OPENS = {"LPAR": "RPAR", "LBRACE": "RBRACE", "LSQB": "RSQB", "LFLOOR": "RFLOOR", "LCEIL": "RCEIL", "CASES": "ESAC"}
_ENDS_VALUE = {"NAME", "NUMBER", "RPAR", "RBRACE", "RSQB", "RBAR", "RNORM", "RFLOOR", "RCEIL", "ESAC"}
_MOST = 20_000


def tokens(source: Source) -> list[Token]:
    """The tokens of all equations, `NEWLINE` between two; raises `SpecError`."""
    return _lines(source, _bars(source, _sigmas(source, _Lexer(source).run())))


class _Lexer:
    """One pass over the text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.at = 0
        self.short = 0  # how many of the next tokens are one character long: `\frac12`, `x^2y`
        self.cases = 0
        self.out: list[Token] = []

    def run(self) -> list[Token]:
        while self.at < len(self.text):
            match = _TOKEN.match(self.text, self.at)
            if match is None:
                self.strange()
                continue
            start, self.at = self.at, match.end()
            if match["DROP"] is None:
                self.take(str(match.lastgroup), match[0], start)
            elif "&" in match[0] and self.cases:
                self.put("AMP", "&", start)
            if len(self.out) > _MOST:
                raise self.source.fault("E605", "the formula is too long", start, self.at, "import it in parts")
        return self.out

    def strange(self) -> None:
        """A character that LaTeX formulas have not; punctuation at the end of an equation is none."""
        rest = self.text[self.at + 1 :].lstrip(" \t$")
        if self.text[self.at] in ".;" and (not rest or rest[0] in "\n\\"):
            self.at += 1
            return
        found = quote(self.text[self.at])
        raise self.source.fault("E701", f"{found} is no part of a formula", self.at, self.at + 1)

    def put(self, kind: str, value: str, start: int) -> None:
        if kind == "NAME" and keyword.iskeyword(value):  # also as an index
            value += "_"
        self.out.append(Token(kind, value, start_pos=start, end_pos=self.at))
        self.short = {"HAT": 1, "UNDER": 1, "FRAC": 2}.get(kind, 0 if kind == "LBRACE" else max(0, self.short - 1))

    def take(self, group: str, text: str, start: int) -> None:
        match group:
            case "NUMBER" if self.short:
                self.at = start + 1
                self.put("NUMBER", text[0], start)
            case "NUMBER":
                self.put("NUMBER", text, start)
            case "LETTER":
                self.put("NAME", text + self.primes(), start)
            case "SIGN" | "DOUBLE":
                self.put(_SIGNS.get(text, group), text, start)
            case "BRACE":
                self.put("LPAR" if text == r"\{" else "RPAR", text, start)
            case "LINE" | "BREAK":
                self.put(group, text, start)
            case "ENV":
                self.environment(text, start)
            case _:
                self.command(text.removeprefix("\\"), start)

    def primes(self) -> str:
        """Primes directly behind a name belong to it."""
        found = re.compile("'*").match(self.text, self.at)
        count = len(found[0]) if found else 0
        self.at += count
        return "_prime" * count

    def environment(self, text: str, start: int) -> None:
        name = text[text.index("{") + 1 : -1].strip()
        if name == "cases":
            self.cases += 1 if text.startswith(r"\begin") else -1
            self.put("CASES" if text.startswith(r"\begin") else "ESAC", text, start)
        elif name in words.ENVIRONMENTS:
            self.put("BREAK", text, start)
        else:
            remedy = "write each component as an equation in index notation"
            raise self.source.fault("E703", f"there is no reading of {quote(text)}", start, self.at, remedy)

    def command(self, name: str, start: int) -> None:
        if name in words.SILENT:
            return
        if name in words.COMMANDS:
            self.put(words.COMMANDS[name], f"\\{name}", start)
        elif name in words.GREEK:
            self.put("NAME", name + self.primes(), start)
        elif name in words.FUNCTION_COMMANDS:
            self.put("FUNC", words.function(name) or name, start)
        elif name in words.ACCENTS:
            base = self.argument(name, start)
            self.put("NAME", f"{self.plain_name(base, start)}_{words.ACCENTS[name]}{self.primes()}", start)
        elif name in words.FONTS or name.removesuffix("*") == "operatorname":
            self.worded(name.removesuffix("*"), start)
        else:
            near = nearest(name, [*words.COMMANDS, *words.GREEK, *words.FUNCTION_COMMANDS, *words.ACCENTS])
            remedy = words.REMEDIES.get(name) or (f"did you mean `\\{near}`?" if near else None)
            raise self.source.fault("E703", f"there is no reading of {quote(chr(92) + name)}", start, self.at, remedy)

    def worded(self, command: str, start: int) -> None:
        r"""`\mathrm{...}`: a name, a function, or a word beside the cases of a definition."""
        inside = self.argument(command, start)
        word = inside.strip().rstrip(",.").lower()
        if self.cases and word in ("if", "for", "when", "otherwise", "else"):
            self.put("OTHERWISE" if word in ("otherwise", "else") else "IF", inside, start)
            return
        function = words.function(inside.strip())
        if command == "operatorname" and function is None:
            known = sorted({*words.FUNCTION_COMMANDS, "relu", "sigmoid", "softmax", "logsumexp", "norm", "mean"})
            remedy = suggest(inside, known) or r"a tensor of several letters is `\mathrm{...}`"
            raise self.source.fault("E302", f"unknown function {quote(inside)}", start, self.at, remedy)
        if function is not None and (command == "operatorname" or command in ("mathrm", "text", "textrm")):
            self.put("FUNC", function, start)
        else:
            self.put("NAME", self.plain_name(inside, start) + self.primes(), start)

    def argument(self, command: str, start: int) -> str:
        """What stands in braces behind a command, or the one letter or command that does."""
        rest = re.compile(r"[ ]*(?:\{((?:[^{}]|\{[^{}]*\})*)\}|(\\[A-Za-z]+|[A-Za-z]))").match(self.text, self.at)
        if rest is None:
            message, remedy = f"`\\{command}` is put on a name", f"write `\\{command}{{x}}`"
            raise self.source.fault("E701", message, start, self.at, remedy)
        self.at = rest.end()
        return rest[1] if rest[1] is not None else rest[2]

    def plain_name(self, text: str, start: int) -> str:
        """A name without its font: of letters, digits and `_`, or a Greek letter."""
        bare = re.sub(r"\\(?:[A-Za-z]+)\{([^{}]*)\}", r"\1", text) if text.startswith("\\") else text
        bare = re.sub(r"\\,|\\ |[\s-]+", "_", bare.strip()).replace(r"\_", "_")
        if bare.startswith("\\") and bare[1:] in words.GREEK:
            return bare[1:]
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", bare) is None:
            remedy = "a name has letters, digits and `_`; subscripts stand behind it"
            raise self.source.fault("E311", f"{quote(text)} is no name", start, self.at, remedy)
        return bare


def _sigmas(source: Source, found: list[Token]) -> list[Token]:
    r"""`\sigma(...)` is the sigmoid, where no other sigma is a tensor."""
    following = [*(token.type for token in found[1:]), ""]
    sigmas = [k for k, token in enumerate(found) if token.type == "NAME" and str(token) == "sigma"]
    called = [k for k in sigmas if following[k] == "LPAR"]
    if called and len(called) < len(sigmas):
        token = found[called[0]]
        remedy = r"write `\operatorname{sigmoid}(...)` for the function, `\sigma \cdot (...)` for the product"
        message = "a sigma before a bracket, and elsewhere a tensor: the sigmoid, or a product?"
        raise source.fault("E702", message, token.start_pos or 0, token.end_pos or 0, remedy)
    for k in called:
        found[k] = Token.new_borrow_pos("FUNC", "sigmoid", found[k])
    return found


def _bars(source: Source, found: list[Token]) -> list[Token]:
    """A bar behind a value closes the one that is open, any other opens."""
    out: list[Token] = []
    opened: list[Token] = []
    for token in found:
        if token.type in ("BAR", "DOUBLE"):
            kind = "BAR" if token.type == "BAR" else "NORM"
            behind = bool(out) and out[-1].type in _ENDS_VALUE
            closes = behind and bool(opened) and opened[-1].type == token.type
            if closes:
                opened.pop()
            else:
                opened.append(token)
            token = Token.new_borrow_pos(f"R{kind}" if closes else f"L{kind}", str(token), token)
        out.append(token)
    if opened:
        raise source.fault("E601", "this bar is never closed", opened[-1].start_pos or 0, opened[-1].end_pos or 0)
    return out


def _lines(source: Source, found: list[Token]) -> list[Token]:
    """Equations apart: at a break outside brackets, where what follows has an `=` of its own."""
    depth: list[Token] = []
    parts: list[list[Token]] = [[]]
    for token in found:
        if token.type in _OPENS:
            depth.append(token)
        elif depth and token.type == _OPENS[depth[-1].type]:
            depth.pop()
        if token.type in ("LINE", "BREAK"):
            inside = [opener.type for opener in depth]
            if not inside:
                parts.append([])
            elif inside[-1] == "CASES" and token.type == "BREAK":
                parts[-1].append(Token.new_borrow_pos("_NEXT", str(token), token))
            continue
        parts[-1].append(token)
    out: list[Token] = []
    for part in parts:
        while part and part[-1].type == "COMMA":
            part.pop()
        if part and out and _defines(part):
            out.append(Token.new_borrow_pos("_NEWLINE", "", part[0]))
        out += part
    return out


def _defines(part: list[Token]) -> bool:
    """Whether there is an `=` outside brackets."""
    depth = 0
    for token in part:
        depth += (token.type in _OPENS) - (token.type in _OPENS.values())
        if token.type == "EQUAL" and depth <= 0:
            return True
    return False
