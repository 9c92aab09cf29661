"""Diagnostics: the text a user sees, and the table of codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tensorgrad_gen.errors import CODES, Diagnostic, Report, Span, SpecError, nearest, quote, render, suggest

PACKAGE = Path(__file__).resolve().parents[1] / "tensorgrad_gen"


def rendered(text: str, span: Span | None, help: str | None = None) -> str:
    return render([Diagnostic("error", "E601", "wrong", span, help)], "a.yaml", text)


def test_the_line_is_quoted_with_a_caret_under_the_text() -> None:
    assert rendered("one\ntwo three\n", Span(2, 5, 2, 10), "write `3`") == (
        "a.yaml:2:5: error[E601]: wrong\n"
        "    2 | two three\n"
        "      |     ^^^^^\n"
        "   help: write `3`"
    )  # fmt: skip


def test_without_a_place_there_is_no_line() -> None:
    assert rendered("one\n", None) == "a.yaml: error[E601]: wrong"


@pytest.mark.parametrize(
    ("text", "span", "under"),
    [
        ("a\tb", Span(1, 3, 1, 4), " \t^"),  # a tab is as wide below as above
        ("行x", Span(1, 2, 1, 3), "  ^"),  # a wide character takes two columns
        ("e\u0301x", Span(1, 3, 1, 4), " ^"),  # a combining one takes none
        ("abc", Span(1, 4, 1, 5), "   ^"),  # the end of a line
        ("abc", Span(1, 2, 3, 1), " ^^"),  # to the end of the first line
        ("abc", Span(1, 9, 1, 12), "        ^"),  # beyond the line
    ],
)
def test_the_caret_stands_under_the_text(text: str, span: Span, under: str) -> None:
    assert rendered(text, span).split("\n")[2] == "      | " + under


def test_a_long_line_is_shown_in_part() -> None:
    line, caret = rendered("a" * 1000 + "b" + "c" * 1000, Span(1, 1001, 1, 1002)).split("\n")[1:]
    assert len(line) < 200
    assert line[caret.index("^")] == "b"


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    assert "\x1b" not in rendered("a\x1b[31mb", Span(1, 1, 1, 2))
    assert quote("a\x1b[31m\u202e\nb") == "`a\ufffd[31m\ufffd b`"


def test_diagnostics_are_ordered_by_place_and_said_once() -> None:
    report = Report("a.yaml", "one\ntwo\n")
    report.error("E601", "second", Span(2, 1, 2, 2))
    report.error("E601", "first", Span(1, 1, 1, 2))
    report.error("E601", "first", Span(1, 1, 1, 2))
    with pytest.raises(SpecError) as caught:
        report.check()
    assert re.findall("second|first", str(caught.value)) == ["first", "second"]


def test_a_warning_is_no_failure() -> None:
    report = Report("a.yaml", "")
    report.warn("W401", "unused")
    report.check()
    assert not report.failed


def test_a_flood_is_cut() -> None:
    report = Report("a.yaml", "")
    for k in range(1000):
        report.error("E601", f"error {k}")
    assert report.flooded
    assert len(render(report.diagnostics, "a.yaml", "").split("\n")) == 51


def test_the_nearest_name() -> None:
    assert nearest("domian", ["domain", "doc"]) == "domain"
    assert nearest("X", ["x", "y"]) == "x"
    assert nearest("quite_other", ["domain", "doc"]) is None
    assert suggest("sofmax", ["softmax", "sum"]) == "did you mean `softmax`?"
    assert suggest("quite_other", ["doc", "a"]) == "known names: `a`, `doc`"


def test_every_code_that_is_reported_is_in_the_table() -> None:
    used = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        used |= set(re.findall(r'"([EW][0-9]{3})"', path.read_text("utf-8")))
    assert used <= set(CODES)
