"""The command `bench`: a table for an op of the user's own, and clear words for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import command, put

from tensorgrad_gen import compile_spec
from tensorgrad_gen.bench import SizeError, medium, parse_sizes, with_sizes
from tests.command_line import SQUARE

SPECS = Path(__file__).parents[1] / "specs"
FEW = ("--rounds", "2", "--threads", "1")


def bench(*words: str, status: int = 0) -> str:
    result = command("bench", *words, *FEW, status=status)
    return result.stderr if status else result.stdout


def test_the_op_stands_beside_its_formula(op_library: Path) -> None:
    text = bench("specs/basics/square_it.yaml", "--size", "i=100")
    assert "square_it, i=100, float32" in text
    generated, formula = (
        line for line in text.splitlines() if line.startswith(("generated ", "formula ")) and "│" in line
    )
    assert "0.000" in generated
    assert "0.000" in formula
    assert "generated / formula: time " in text


def test_the_json_has_what_is_counted_and_timed(op_library: Path) -> None:
    bench("specs/basics/square_it.yaml", "--size", "i=100", "--size", "i=7", "--json", "out.json")
    [hundred, seven] = json.loads(Path("out.json").read_text())
    assert [hundred["extents"], seven["extents"]] == ["i=100", "i=7"]
    assert set(hundred["seconds"]) == set(hundred["counts"]) == {"generated", "formula"}
    ours = hundred["counts"]["generated"]
    # forward reads and writes 100 values, backward at least reads two tensors and writes one
    assert ours["bytes"] >= 4 * 100 * 5
    assert ours["results"] == 4 * 200
    assert ours["bytes"] * 7 == seven["counts"]["generated"]["bytes"] * 100
    time = hundred["seconds"]["generated"]
    assert 0 < time["low"] <= time["median"] <= time["high"]
    assert hundred["limit"] > 0


def test_both_sides_are_compiled_on_demand(op_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    asked: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda call: asked.append(call) or call)
    text = bench("specs/basics/square_it.yaml", "--compile")
    assert "generated, compiled" in text
    assert "formula, compiled" in text
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ("q=3", "square_it has no size `q`; there are: i"),
        ("i", "`i` is no size: write `b=64,h=512`"),
        ("i=3,i=4", "`i` is given twice"),
        ("i=many", "`i=many`: a size is a whole number from 1"),
        ("i=0", "`i=0`: a size is a whole number from 1"),
        ("i=-2", "`i=-2`: a size is a whole number from 1"),
        ("i=²", "`i=²`: a size is a whole number from 1"),
        ("i=" + "9" * 5000, "a size is a whole number from 1"),
        ("...=3", "square_it has no size `...`"),
        ("", "no size: write"),
    ],
)
def test_a_bad_size_is_refused(op_library: Path, sizes: str, said: str) -> None:
    text = bench("specs/basics/square_it.yaml", "--size", sizes or ",", status=2)
    assert said in " ".join(text.split())


def test_an_op_without_a_real_input_is_refused(op_library: Path) -> None:
    put("specs/nn/held.yaml", SQUARE.replace("square_it", "held").replace("[i]}", "{indices: [i], grad: false}}", 1))
    assert "held has no real input to differentiate by" in " ".join(bench("specs/nn/held.yaml", status=2).split())


def test_a_device_that_is_not_there_is_refused(op_library: Path) -> None:
    assert "cannot be measured" in " ".join(bench("specs/basics/square_it.yaml", "--device", "mars", status=2).split())


def test_a_bad_spec_has_its_errors(op_library: Path) -> None:
    put("specs/nn/bad.yaml", "op: bad\n")
    assert "E108" in bench("specs/nn/bad.yaml", status=2)


@pytest.mark.parametrize("words", [[], ["nowhere.yaml"], ["specs"], ["specs/basics/square_it.yaml", "--rounds", "0"]])
def test_bad_usage_of_bench_exits_with_2(op_library: Path, words: list[str]) -> None:
    assert "Error: " in command("bench", *words, status=2).stderr


# sizes


def sized(path: str, text: str) -> str:
    case = medium(compile_spec(SPECS / path)["elaborate"])
    return with_sizes(case.program, case.shape, parse_sizes(text), case.params).label


def test_a_size_goes_by_its_index_or_by_its_own_name() -> None:
    assert sized("nn/rms_norm.yaml", "h=512") == sized("nn/rms_norm.yaml", "H=512") == "h=512 ...=16"
    with pytest.raises(SizeError, match="`h` and `H` are one size: 3 and 4"):
        sized("nn/rms_norm.yaml", "h=3,H=4")


def test_leading_axes_are_several() -> None:
    assert sized("nn/rms_norm.yaml", " ... = 8x128 , h = 64") == "h=64 ...=8x128"


def test_a_size_that_the_spec_gives_cannot_be_another() -> None:
    with pytest.raises(SizeError, match="`i` is 3 there, as the spec says, not 4"):
        sized("structure/levi_civita_cross.yaml", "i=4")


def medium_of(hints: str, equation: str, inputs: str) -> dict[str, int]:
    text = f"op: it\ndoc: It.\ninputs: {{{inputs}}}\n{hints}equations: |\n  {equation}\n"
    return dict(medium(compile_spec(text)["elaborate"]).shape.sizes)


def test_hinted_extents_keep_their_proportions() -> None:
    product = "y[b,o] = x[b,i]*w[i,r]*v[r,o]", "x: [b, i], w: [i, r], v: [r, o]"
    hinted = medium_of("hints: {i: 4096, r: 64, o: 8192}\n", *product)
    assert hinted["o"] == 2 * hinted["i"] == 128 * hinted["r"]
    assert hinted["b"] * hinted["i"] * hinted["r"] * hinted["o"] <= 2**20
    # Equal ones are apart, small ones long enough to measure.
    assert medium_of("hints: {i: 4, k: 2, j: 4}\n", "y[i,j] = x[i,k]*w[k,j]", "x: [i, k], w: [k, j]") == {
        "i": 32,
        "k": 16,
        "j": 28,
    }
