"""The page docs/numerics.md says what is computed, and generated ops are accurate where it does not say otherwise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest

from benchmarks.numerics.__main__ import case_text, refreshed, text_of
from benchmarks.numerics.conventions import CASES
from benchmarks.numerics.errors import worst
from benchmarks.numerics.exact import exact
from benchmarks.numerics.formulas import Row
from benchmarks.numerics.page import DTYPES, PAGE, SIDES, kept, tables
from benchmarks.numerics.rows import PROBABILITIES, ROWS
from benchmarks.pages import written

KNOWN = kept()
NAMES = [row.name for row in ROWS]
# What the page says is off: no stable form is known behind `where`, nor of a variance by squares; the derivative of
# `(e^x - 1 - x)/x^2` is a difference that cancels where x is large and negative.
OFF = {"elu + 1, by where", "variance, by squares", "(exp(x) - 1 - x)/x^2"}


@cache
def computed() -> dict[str, str]:
    """The tables, anew; unformatted ops, as black would take half the time."""
    with patch("tensorgrad_gen.render.layout._blackened", lambda line: line):
        return tables(KNOWN)


def cells(table: str) -> Iterator[tuple[str, list[str]]]:
    """The name of each row, and its cells."""
    for line in table.splitlines()[2:]:
        name, *rest = line.removeprefix("| ").removesuffix(" |").split(" | ")
        yield name, [part.strip() for part in rest]


def committed(name: str) -> str:
    """The text of a table as it stands on the page."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def alike(one: str, other: str) -> bool:
    """The same errors, up to what another machine's last digits make of them."""
    pairs = list(zip(one.split(" / "), other.split(" / "), strict=True))
    return all(a == b or close(float(a), float(b)) for a, b in pairs)


def close(one: float, other: float) -> bool:
    return (one < 2e-6 and other < 2e-6) or (math.isfinite(one + other) and max(one, other) <= 5 * min(one, other))


@pytest.mark.parametrize("name", [*DTYPES, "probabilities"])
def test_the_page_has_the_errors_that_are_computed(name: str) -> None:
    now, then = dict(cells(computed()[name])), dict(cells(committed(name)))
    assert list(now) == list(then), "python -m benchmarks.numerics writes the page anew"
    differ = [
        (row, side, got, said)
        for row in now
        for side, got, said in zip(SIDES, now[row], then[row], strict=True)
        if got != said and not (got and said and alike(got, said))
    ]
    assert not differ, "python -m benchmarks.numerics writes the page anew"


@pytest.mark.parametrize("name", ["versions", "rows", "ops", "conventions"])
def test_the_page_has_what_is_computed(name: str) -> None:
    assert committed(name) == computed()[name], "python -m benchmarks.numerics writes the page anew"


def test_what_is_off_is_what_the_page_says() -> None:
    listed = {line.removeprefix("- ").rsplit(": ", 1)[0] for line in computed()["off"].splitlines()}
    assert listed == OFF
    assert {line.removeprefix("- ").rsplit(": ", 1)[0] for line in committed("off").splitlines()} == OFF


@pytest.mark.parametrize("row", [name for name in NAMES if name not in OFF])
def test_a_generated_op_is_accurate_where_the_formula_overflows_or_cancels(row: str) -> None:
    value, gradient, second = map(float, dict(cells(computed()["float32"]))[row][-1].split(" / "))
    assert value <= 1e-5
    assert gradient <= 1e-5
    assert math.isfinite(second)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_the_kept_numbers_are_those_of_the_formula(row: Row) -> None:
    found: dict[str, Any] = KNOWN["rows"][row.name]
    assert found["text"] == text_of(row), "python -m benchmarks.numerics computes the exact numbers anew"
    near = [k for k, point in enumerate(row.at) if max(_sizes(point)) <= 100]
    again = [exact(row, k) for k in near]
    errors = worst([found["exact"][k] for k in near], again)
    assert max(errors) <= 1e-8 or row in PROBABILITIES
    assert max(worst([found["exact"][k] for k in near], again, 1e-9)) <= 1e-8


def _sizes(point: tuple[Any, ...]) -> Iterator[float]:
    for x in point:
        yield from (abs(v) for v in (x if isinstance(x, tuple) else (x,)))


def test_the_numbers_of_jax_are_of_the_rows_and_cases_of_today() -> None:
    assert list(KNOWN["rows"]) == NAMES
    assert {name: text for name, (text, _) in KNOWN["cases"].items()} == {case.name: case_text(case) for case in CASES}
    for row in ROWS:
        kept_of_row = KNOWN["rows"][row.name]["jax"]
        assert all((own is None) == (not row.jax) and plain for plain, own in kept_of_row.values())


def test_a_row_that_jax_has_not_computed_is_refused() -> None:
    [first, *others] = ROWS
    changed = replace(first, plain="exp(x)")
    with (
        patch("benchmarks.numerics.__main__.ROWS", (changed, *others)),
        pytest.raises(SystemExit, match=r"sigmoid.*--jax"),
    ):
        refreshed(KNOWN, "")


def test_a_table_without_a_place_on_the_page_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for rows"):
        written("nothing\n", {"rows": ""})
