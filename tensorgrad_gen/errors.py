"""Diagnostics: what a bad spec gets.

A diagnostic quotes the user's own line with a caret under the exact text, says what was
expected, and a remedy.  `SpecError` carries all diagnostics of a file at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field


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
    "E123": "text that ends too early",
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
    # E6xx: syntax of equations, and limits
    "E601": "syntax error",
    "E602": "chained comparison",
    "E603": "a character that the language does not have",
    "E604": "nested too deeply",
    "E605": "too many nodes",
    "E606": "a number beyond the limits",
    "E607": "a constant power beyond the limits",
    "E608": "the file is too large",
    # E9xx: what the language has and this version has not
    "E901": "not built yet",
    # W4xx: warnings
    "W401": "unused input",
    "W402": "unused tensor",
    "W403": "free index that looks summed",
    "W404": "sum outside a closed box",
    "W405": "singular derivative",
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


class SpecError(Exception):
    """A spec that cannot be built.  `str()` is the text a user sees, every diagnostic in it."""

    def __init__(self, diagnostics: list[Diagnostic], path: str, text: str) -> None:
        self.diagnostics = diagnostics
        self.path = path
        self.text = text
        super().__init__(render(diagnostics, path, text))


@dataclass(slots=True)
class Report:
    """Collects the diagnostics of one spec; stages add to it and go on where they can."""

    path: str
    text: str
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def error(self, code: str, message: str, span: Span | None = None, help: str | None = None) -> None:
        """Add an error."""
        self._add(Diagnostic("error", code, message, span, help))

    def warn(self, code: str, message: str, span: Span | None = None, help: str | None = None) -> None:
        """Add a warning."""
        self._add(Diagnostic("warning", code, message, span, help))

    def _add(self, diagnostic: Diagnostic) -> None:
        if diagnostic not in self.diagnostics:
            self.diagnostics.append(diagnostic)

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(d.severity == "error" for d in self.diagnostics)

    def check(self) -> None:
        """Raise `SpecError` if there is an error."""
        if self.failed:
            raise SpecError(self.diagnostics, self.path, self.text)


def render(diagnostics: list[Diagnostic], path: str, text: str) -> str:
    """All diagnostics as text, in the order of their places."""
    lines = text.split("\n")
    ordered = sorted(diagnostics, key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
    return "\n".join(_render_one(d, path, lines) for d in ordered)


def _render_one(diagnostic: Diagnostic, path: str, lines: list[str]) -> str:
    head = f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"
    span = diagnostic.span
    if span is None:
        out = [f"{path}: {head}"]
    else:
        out = [f"{path}:{span.line}:{span.column}: {head}"]
        if span.line <= len(lines):
            line = lines[span.line - 1]
            end = span.end_column if span.end_line == span.line else len(line) + 1
            width = max(1, end - span.column)
            gutter = f"{span.line:>5} | "
            out.append(gutter + line)
            out.append(" " * (len(gutter) - 2) + "| " + " " * (span.column - 1) + "^" * width)
    if diagnostic.help:
        out.append(f"   help: {diagnostic.help}")
    return "\n".join(out)
