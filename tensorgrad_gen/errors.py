"""Diagnostics: what a bad spec gets.

A diagnostic quotes the user's own line with a caret under the exact text, says what was
expected, and a remedy.  `SpecError` carries all diagnostics of a file at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field


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
