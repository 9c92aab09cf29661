"""Each row of the benchmark compares sides that compute the same, and the page says what was measured."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.goals import verdicts
from benchmarks.measure import measured
from benchmarks.model import PEERS, Row, title_of
from benchmarks.page import PAGE, PLOT, figure, kept, merged, tables
from benchmarks.pages import written
from benchmarks.plot import plot
from benchmarks.rows import ROWS
from tensorgrad_gen.bench import limits

MACHINE = {"cpu": "one", "threads": 1, "torch": "2", "jax": "", "bandwidth": 1.0, "flops": 1.0}


def results(row: Row) -> dict[str, list[Tensor]]:
    """Values and gradients of each side where all extents are small."""
    work = row.tiny()
    leaves = [t for t in work.tensors if t.requires_grad]
    found: dict[str, list[Tensor]] = {}
    for name, side in work.sides.items():
        value = side(*work.tensors)
        values = [value] if isinstance(value, Tensor) else list(value)
        torch.manual_seed(0)
        along = [torch.randn(v.shape) for v in values]
        grads = torch.autograd.grad(values, leaves, along) if leaves else ()
        found[name] = [*values, *grads]
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_all_sides_of_a_row_have_the_same_value_and_gradients(row: Row) -> None:
    [(_, ours), *others] = results(row).items()
    for name, theirs in others:
        for got, want in zip(ours, theirs, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_goals_are_against_sides_that_the_row_has(row: Row) -> None:
    sides = set(row.tiny().sides) | ({"compiled", "C"} if row.compiled else set())
    assert sides <= set(PEERS)
    for goal in row.goals:
        assert goal.of in sides
        assert goal.peer in {*sides, ""}


def test_no_two_rows_have_one_title() -> None:
    titles = [row.title for row in ROWS]
    assert len(titles) == len(set(titles))


# the page


def test_the_page_and_the_plot_say_what_was_measured() -> None:
    found = kept()
    assert written(PAGE.read_text("utf-8"), tables(found)) == PAGE.read_text("utf-8"), "python -m benchmarks --keep"
    assert plot(found["rows"]) == PLOT.read_text("utf-8"), "python -m benchmarks --keep"


def test_every_row_was_measured() -> None:
    assert [title_of(row["name"], row["sizes"]) for row in kept()["rows"]] == [row.title for row in ROWS]


def test_a_row_that_loses_is_bold_and_a_goal_that_is_missed_says_so() -> None:
    row = {
        "name": "rms_norm",
        "sizes": [64, 512],
        "limit": 1e-4,
        "seconds": {
            side: {"median": ms / 1e3, "low": ms / 1e3, "high": ms / 1e3} for side, ms in (("ours", 3), ("E", 2))
        },
        "ratios": {"E": [1.5, 1.4, 1.6]},
        "counts": {},
    }
    found = tables({"machine": MACHINE, "rounds": 1, "rows": [row]})
    assert found["times"].splitlines()[2] == "| rms_norm | 64×512 | 3 to 3 | 30 | **1.5** |  |  |  |  |"
    assert found["goals"].splitlines()[2:] == [
        "| rms_norm | 64×512 | time ≤ 1.3 E | 1.5 | **missed** |",
        "| rms_norm | 64×512 | compiled: time ≤ 1 C |  | not measured |",
    ]


def test_rows_measured_anew_join_those_of_the_same_machine_and_rounds() -> None:
    one, other = ({"name": "a", "sizes": [n]} for n in (1, 2))
    old = {"machine": MACHINE, "rounds": 3, "rows": [one, other]}
    new = {"machine": {**MACHINE, "flops": 9.0}, "rounds": 3, "rows": [{**other, "limit": 1}]}
    assert merged(new, old, ["a 1", "a 2"])["rows"] == [one, {**other, "limit": 1}]
    for changed in ({**new, "rounds": 4}, {**new, "machine": {**MACHINE, "threads": 5}}):
        with pytest.raises(SystemExit, match="another machine"):
            merged(changed, old, ["a 1", "a 2"])
    without = {**new, "machine": {**MACHINE, "jax": ""}}
    kept_too = {**old, "machine": {**MACHINE, "jax": "1.2"}}
    assert merged(without, kept_too, ["a 1", "a 2"])["rows"] == [one, {**other, "limit": 1}]
    timed = [{**row, "seconds": {"J": {}}} for row in old["rows"]]
    with pytest.raises(SystemExit, match="another machine"):
        merged(without, {**kept_too, "rows": timed}, ["a 1", "a 2"])
    with pytest.raises(SystemExit, match="not measured: a 3"):
        merged(new, old, ["a 1", "a 2", "a 3"])


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (0.000123456, "0.000123"), (1.0, "1"), (12.345, "12.3"), (1234.5, "1,234")]
)
def test_figures_have_three_digits(number: float, text: str) -> None:
    assert figure(number) == text


def test_the_plot_has_a_point_for_each_peer_of_each_row() -> None:
    rows = kept()["rows"]
    assert plot(rows).count("<circle") == sum(len(row["ratios"]) for row in rows) + len(
        {peer for row in rows for peer in row["ratios"]}
    )


def test_a_small_row_is_measured() -> None:
    [row] = [row for row in ROWS if row.title == "rms_norm 32x32"]
    found = measured(row, rounds=2, machine=limits(rounds=1), compiled=False)
    assert set(found["seconds"]) == set(found["counts"]) == {"ours", "E", "H"}
    assert set(found["ratios"]) == {"E", "H"}
    assert all(verdict.reached is not None for verdict in verdicts(found))
