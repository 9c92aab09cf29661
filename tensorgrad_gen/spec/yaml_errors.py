"""What the YAML reader's errors mean to somebody who writes a spec."""

from __future__ import annotations

import re
from typing import Any

from tensorgrad_gen.errors import Report, Span, quote


def report_yaml_error(error: Any, text: str, report: Report, open_collections: list[str]) -> None:
    """Report a `MarkedYAMLError` in the terms of the language."""
    mark = error.problem_mark or error.context_mark
    lines = text.split("\n")
    problem, context = str(error.problem or ""), str(error.context or "")
    line = lines[mark.line] if mark.line < len(lines) else ""
    span = Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)
    opening = _mark_span(error.context_mark) if error.context_mark is not None else span
    for pattern, explain in _EXPLANATIONS:
        if re.search(pattern, f"{context}: {problem}"):
            code, message, place, remedy = explain(problem, line, span, opening)
            report.error(code, message, place, remedy)
            return
    report.error("E102", f"not valid YAML: {problem or context}", span, _QUOTE)


def _mark_span(mark: Any) -> Span:
    return Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)


_QUOTE = "put text that YAML would read otherwise in quotes"
_Explained = tuple[str, str, Span, str]


def _colon(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    before = line[: span.column - 1]
    if re.fullmatch(r"\s*[A-Za-z_]\w*\s*", before):
        message = f"{quote(before.strip())} continues the line above, and so cannot be a key"
        return "E102", message, span, "keys of one mapping begin in one column, each with a space after its `:`"
    key, _, value = line.partition(": ")
    remedy = f'quote the text: `{key.strip()[:40]}: "{value.strip()[:80]}"`'
    if not re.fullmatch(r"[ -]*[A-Za-z_]\w*", key) or '"' in value:
        remedy = "quote the text"
    return "E109", "an unquoted `: ` cuts the text here", span, remedy


def _no_colon(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E102", "this line has no `: ` after its key", opening, "a mapping is written `key: value`, with the space"


def _tab(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E102", "a tab indents this line", span, "indent with spaces"


def _cannot_start(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    character = line[span.column - 1 : span.column]
    return "E102", f"unquoted text cannot begin with {quote(character)}", span, "put the text in quotes"


def _flow(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    if "stream end" in problem or "document" in problem:
        return "E102", "this bracket is never closed", opening, "close it, or quote the text"
    character = line[span.column - 1 : span.column]
    if character == ":" and line[: span.column - 1].strip().isidentifier():
        return "E102", "this bracket is not closed before the next key", opening, "close it, or quote the text"
    message = f"{quote(character)} cuts the text here" if character.strip() else "something is missing here"
    return "E102", message, span, "inside braces and brackets, quote text that has one of `, : [ ] { }`"


def _quotes(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E102", "this quote is never closed", opening, "a quote inside quotes is doubled (`''`) or escaped (`\\\"`)"


def _escape(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E102", "double quotes know no such escape", span, "use single quotes"


def _block_end(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    before = line[: span.column - 1]
    if before.strip():
        return "E102", "text follows a value that has already ended", span, "put the whole text in quotes"
    if line.strip() and span.column - 1 <= len(line) - len(line.lstrip()):
        return "E102", "this line is indented like no line above it", span, "keys of one mapping begin in one column"
    return "E102", "not valid YAML: a list and a mapping are mixed here", span, _QUOTE


def _alias(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    character = line[opening.column - 1 : opening.column]
    return "E105", f"unquoted text cannot begin with {quote(character)}", opening, "put the text in quotes"


def _tag(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E106", "unquoted text that begins with `!` is a tag", opening, "put the text in quotes"


def _block_header(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E102", "text follows the `|` or `>` that begins a block", span, "begin the text on the next line"


def _directive(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E106", "a line that begins with `%` is a directive, and a spec has none", span, "put the text in quotes"


def _second_document(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E102", "the spec has already ended here", span, "one file describes one op"


def _no_content(problem: str, line: str, span: Span, opening: Span) -> _Explained:
    return "E102", "a value is missing here", span, _QUOTE


# (in which messages, what they mean); the first that matches explains.
_EXPLANATIONS = (
    (r"mapping values are not allowed", _colon),
    (r"could not find expected ':'", _no_colon),
    (r"'\\t' that cannot start", _tab),
    (r"'%' that cannot start", _cannot_start),
    (r"cannot start any token", _cannot_start),
    (r"while parsing a flow", _flow),
    (r"quoted scalar.*(end of stream|document separator)", _quotes),
    (r"double-quoted scalar", _escape),
    (r"scanning an (alias|anchor)|undefined alias", _alias),
    (r"tag", _tag),
    (r"block scalar", _block_header),
    (r"directive", _directive),
    (r"<document start>", _second_document),
    (r"expected <block end>|block collection|block mapping", _block_end),
    (r"expected the node content", _no_content),
)
