"""Diagnostics: what a bad spec gets.

A diagnostic quotes the user's own line with a caret under the exact text, says what was
expected, and a remedy.  `SpecError` carries all diagnostics of a file at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_SHOWN = 50  # diagnostics printed for one file
LONGEST_LINE = 160  # characters of a quoted line
LONGEST_TEXT = 1000  # characters of a message, and of a remedy


# Every diagnostic has one of these codes.  A stage adds a row here before it reports a new kind of error.
CODES: dict[str, str] = {
    # E1xx: the file, its YAML, and the values of its keys
    "E101": "the file cannot be read",
    "E102": "not valid YAML",
    "E103": "unknown key",
    "E104": "duplicate key",
    "E105": "alias or anchor",
    "E106": "tag",
    "E107": "a value of the wrong kind",
    "E108": "a value is missing",
    "E109": "text cut by an unquoted `: ` or ` #`",
    "E110": "two keys made by a comma in braces",
    "E111": "folded text joins equations",
    "E112": "unknown domain",
    "E113": "unknown kind",
    "E114": "unknown derivative",
    "E115": "unknown target",
    "E116": "a value that is none of the allowed ones",
    "E117": "a bad number",
    "E118": "the op's name is not the file's stem",
    "E119": "several documents in a file",
    "E120": "two ops with one name",
    "E121": "keys that contradict each other",
    "E122": "not UTF-8, or a character that YAML does not allow",
    # E2xx: indices
    "E201": "wrong number of subscripts",
    "E202": "index twice on the left",
    "E203": "index occurs once and is not on the left",
    "E204": "ambiguous sum (rule 2d)",
    "E205": "left index not on the right",
    "E206": "unknown index",
    "E207": "a subscript that is neither an index, a position, nor a label",
    "E208": "bound index does not occur in the argument",
    "E209": "misplaced `...`",
    "E210": "a target that is not `name[indices]`",
    "E211": "index bound twice",
    "E212": "index is also the name of an order-0 tensor, param or size",
    # E3xx: names, kinds, definitions
    "E301": "unknown tensor",
    "E302": "unknown function",
    "E303": "unknown size",
    "E304": "tensor defined twice",
    "E305": "tensor used before it is defined",
    "E306": "output not defined",
    "E307": "label used as a real tensor",
    "E308": "real tensor used as a label",
    "E309": "label asked to be differentiated",
    "E310": "a reserved name",
    "E311": "a name that is not ASCII, or otherwise no identifier",
    "E312": "a Python keyword as a name",
    "E313": "wrong number of arguments",
    "E314": "a condition used as a value, or a value as a condition",
    "E315": "two things with one name",
    "E316": "a function used where another form is needed",
    "E317": "definitions that depend on each other in a circle",
    "E318": "an argument that must be a constant",
    "E319": "complex value where a real one is needed",
    # E4xx: extents and positions
    "E401": "extent unknown",
    "E402": "reading outside an axis",
    "E403": "extents that cannot agree",
    "E404": "a negative constant subscript",
    "E405": "a bad extent",
    "E406": "a bad chunk",
    # E5xx: implicit definitions and matrix functions
    "E501": "implicit equation with too few equations",
    "E502": "implicit equation with too many equations",
    "E503": "nonlinear implicit equation with no solver named",
    "E504": "matrix function of a non-matrix",
    "E505": "unknown solver",
    "E506": "an implicit equation without its unknown",
    "E507": "a bad form of a matrix function",
    "E508": "a solver that does not fit the equation",
    # E6xx: syntax of equations, and limits
    "E601": "syntax error",
    "E602": "chained comparison",
    "E603": "a character that the language does not have",
    "E604": "nested too deeply",
    "E605": "too many nodes",
    "E606": "a number beyond the limits",
    "E607": "a constant power beyond the limits",
    "E608": "the file is too large",
    "E609": "more work than a spec may make",
    # E7xx: formulas that are imported
    "E701": "a formula that is not of its notation",
    "E702": "a formula that can be read in two ways",
    "E703": "what index notation or the language has no word for",
    "E704": "shapes that do not conform",
    "E705": "shape unknown",
    # E9xx: what the language has and this version has not
    "E901": "not built yet",
    # W4xx: warnings
    "W401": "unused input",
    "W402": "unused tensor",
    "W403": "free index that looks summed",
    "W404": "sum outside a closed box",
    "W405": "singular derivative",
    "W406": "`//` divides the whole subscript",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A place in the spec file: 1-based lines and columns, end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of another."""
        return Span(self.line, self.column, other.end_line, other.end_column)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message: `severity` is `error` or `warning`, `code` like `E203` or `W401`."""

    severity: str
    code: str
    message: str
    span: Span | None = None
    help: str | None = None
    also: tuple[Span, str] | None = None  # a second place, and what it is


class SpecError(Exception):
    """A spec that cannot be built.  `str()` is the text a user sees, every diagnostic in it."""

    def __init__(self, diagnostics: list[Diagnostic], path: str, text: str) -> None:
        self.diagnostics = diagnostics
        self.path = path
        self.text = text
        super().__init__(render(diagnostics, path, text))


class NotBuiltError(Exception):
    """What the language has and this version has not, met below `elaborate`: the driver reports it as an E901."""


@dataclass(slots=True)
class Report:
    """Collects the diagnostics of one spec; stages add to it and go on where they can."""

    path: str
    text: str
    diagnostics: list[Diagnostic] = field(default_factory=list)
    nodes: int = 0  # how many nodes the equations have so far, for the limit
    _seen: set[Diagnostic] = field(default_factory=set)

    def error(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        help: str | None = None,
        also: tuple[Span, str] | None = None,
    ) -> None:
        """Add an error."""
        self._add(Diagnostic("error", code, message, span, help, also))

    def warn(self, code: str, message: str, span: Span | None = None, help: str | None = None) -> None:
        """Add a warning."""
        self._add(Diagnostic("warning", code, message, span, help))

    def _add(self, diagnostic: Diagnostic) -> None:
        if diagnostic not in self._seen:
            self._seen.add(diagnostic)
            self.diagnostics.append(diagnostic)

    @property
    def flooded(self) -> bool:
        """Whether there are as many diagnostics as are shown, so that looking for more is of no use."""
        return len(self.diagnostics) > MOST_SHOWN

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(d.severity == "error" for d in self.diagnostics)

    def check(self) -> None:
        """Raise `SpecError` if there is an error."""
        if self.failed:
            raise SpecError(self.diagnostics, self.path, self.text)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one most likely meant, or None when none is near."""
    import difflib

    if len(name) > 100:
        return None
    candidates = sorted(set(known))
    folded = [c for c in candidates if c.lower() == name.lower()]
    found = folded or difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return found[0] if found else None


def suggest(name: str, known: Iterable[str], what: str = "known names") -> str | None:
    """The help line for an unknown name: the nearest known one, or the list of all when it is short."""
    candidates = sorted(set(known))
    near = nearest(name, candidates)
    if near is not None:
        return f"did you mean `{near}`?"
    if not candidates or len(candidates) > 20:
        return None
    return f"{what}: " + ", ".join(f"`{c}`" for c in candidates)


def quote(text: str, limit: int = 60) -> str:
    """User text for a message: in backquotes, on one line, shortened, nothing a terminal would obey."""
    flat = " ".join(text.split())
    if len(flat) > limit:
        flat = flat[: limit - 3] + "..."
    return f"`{_printable(flat)}`"


def render(diagnostics: list[Diagnostic], path: str, text: str) -> str:
    """All diagnostics as text, in the order of their places; errors that would flood the screen are counted."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ordered = sorted(diagnostics, key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
    out = [_render_one(d, path, lines) for d in ordered[:MOST_SHOWN]]
    if len(ordered) > MOST_SHOWN:
        out.append(f"{path}: and more")
    return "\n".join(out)


def _render_one(diagnostic: Diagnostic, path: str, lines: list[str]) -> str:
    head = f"{diagnostic.severity}[{diagnostic.code}]: {_shortened(diagnostic.message)}"
    span = diagnostic.span
    if span is None:
        out = [f"{path}: {head}"]
    else:
        out = [f"{path}:{span.line}:{span.column}: {head}"]
        if span.line <= len(lines):
            out += _excerpt(span, lines[span.line - 1])
    if diagnostic.also and diagnostic.also[0].line <= len(lines):
        second, what = diagnostic.also
        line, carets = _excerpt(second, lines[second.line - 1])
        out += [line, f"{carets} {_shortened(what)}"]
    if diagnostic.help:
        out.append(f"   help: {_shortened(diagnostic.help)}")
    return "\n".join(out)


def _shortened(text: str) -> str:
    """The text without its middle, where a name in it is endless."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT // 2]}...{text[-LONGEST_TEXT // 2 :]}"


def _excerpt(span: Span, line: str) -> list[str]:
    """The line and the carets under it; of a long line, the part round the carets."""
    start = span.column - 1
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    end = max(start + 1, min(end, len(line)))
    shift = max(0, start - LONGEST_LINE // 2) if len(line) > LONGEST_LINE else 0
    mark = "..." if shift else ""
    shown = line[shift : shift + LONGEST_LINE]
    tail = "..." if shift + LONGEST_LINE < len(line) else ""
    end = min(end, shift + max(len(shown), start - shift + 1))
    before, under = line[shift:start], line[start:end]
    gutter = f"{span.line:>5} | "
    pad = "".join("\t" if c == "\t" else " " * _width(c) for c in before) + " " * (start - shift - len(before))
    carets = "^" * max(1, sum(_width(c) for c in under))
    blank = " " * (len(gutter) - 2) + "| " + " " * len(mark)
    return [gutter + mark + _printable(shown) + tail, blank + pad + carets]


def _width(character: str) -> int:
    """How many columns of a terminal the character takes."""
    if character.isascii():
        return 1
    import unicodedata

    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str) -> str:
    """The text with what a terminal would obey replaced, each character by one."""
    return "".join(c if c == "\t" or c.isprintable() else "\ufffd" for c in text)
