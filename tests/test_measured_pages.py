"""The pages of measurements say what was measured, of what the compiler makes now."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch

from benchmarks import build, lowering
from benchmarks.contractions import GRID, Case
from benchmarks.lines import lines
from benchmarks.pages import written
from tensorgrad_gen.runtime import ops
from tests.full_road import build_spec

SMALL = {case.formula: case for case in reversed(GRID)}  # the first shapes of each
LOWERED = json.loads(lowering.KEPT.read_text("utf-8"))
BUILT = json.loads(build.KEPT.read_text("utf-8"))


def test_page_on_building_and_its_plot_say_what_was_measured() -> None:
    assert written(build.PAGE.read_text("utf-8"), build.tables(BUILT)) == build.PAGE.read_text("utf-8")
    assert build.plot(BUILT) == build.PLOT.read_text("utf-8")


def test_page_on_lowering_says_what_was_measured() -> None:
    assert written(lowering.PAGE.read_text("utf-8"), lowering.tables(LOWERED)) == lowering.PAGE.read_text("utf-8")


def test_page_on_lowering_has_every_row_of_the_grid_with_the_call_that_the_compiler_makes() -> None:
    threads = {row["threads"] for row in LOWERED}
    assert [(row["formula"], row["sizes"]) for row in LOWERED] == [(case.formula, case.shown) for case in GRID] * len(
        threads
    )
    now = {formula: lowering.ours(case)[1] for formula, case in SMALL.items()}
    assert {row["formula"]: row["call"] for row in LOWERED} == now
    assert not any("einsum" in call for call in now.values())


@pytest.mark.parametrize("case", SMALL.values(), ids=lambda case: case.formula)
def test_every_way_to_contract_is_the_contraction(case: Case) -> None:
    tensors = lowering.tensors_of(case, torch.Generator().manual_seed(0), torch.float64)
    want = lowering.expected(case, *tensors)
    for way in (lowering.ours(case)[0], *lowering.others(case).values()):
        torch.testing.assert_close(way(*tensors), want)


@pytest.mark.parametrize(("batch", "inner"), [(0, 1), (1, 2), (2, 1)])
def test_grouped_product_differentiates_to_second_order(batch: int, inner: int) -> None:
    lead, rows, summed, cols = (2, 1)[:batch], (2, 2), (3, 2)[:inner], (2,)
    a, b = (
        torch.randn(s, dtype=torch.float64, requires_grad=True) for s in (lead + rows + summed, lead + summed + cols)
    )

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return ops.matmul(a, b, batch, inner)

    assert torch.autograd.gradcheck(product, (a, b), check_batched_grad=True, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(product, (a, b))


def test_sum_of_products_with_vectors_is_so_many_products() -> None:
    text = "op: mv\ninputs: {a: [i, j], x: [j]}\nequations: y[i] = a[i,j]*x[j]\n"
    assert "tangent_a @ x" in (source := build_spec(text)[1].source)
    assert "a @ tangent_x" in source
    assert ".sum(" not in source


def test_growth_is_that_of_a_doubling() -> None:
    assert build.growths([[10, 1.0], [20, 2.0], [80, 8.0]]) == [2.0, 2.0]


def test_plot_has_a_dot_for_each_point_and_ends_that_grow() -> None:
    svg = lines("time", "n", "s", {"one & two": [(10, 0.1), (100, 1.0), (1000, 20.0)]})
    assert svg.count("<circle") == 3
    assert "one &amp; two" in svg
    dots = [line.split('"') for line in svg.splitlines() if line.startswith("<circle")]
    places = [(float(dot[1]), -float(dot[3])) for dot in dots]
    assert all(left < right for (left, _), (right, _) in pairwise(places))
    assert all(low < high for (_, low), (_, high) in pairwise(places))
