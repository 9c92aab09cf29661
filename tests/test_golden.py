"""What each stage makes of five ops, as text: a change of any stage shows here as a diff.

`UPDATE_GOLDEN=1 pytest tests/test_golden.py` writes the texts anew; review them as a diff.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from tensorgrad_gen.cli.showing import show
from tensorgrad_gen.explain import explain
from tensorgrad_gen.explain import show as show_explanation
from tensorgrad_gen.pipeline import STAGES, Compiled, run

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
FOLDERS = {
    **dict.fromkeys(("layer_norm", "matmul", "softmax_cross_entropy", "inverse"), "basics"),
    "logsumexp": "nn",  # with functions of its Jacobian and Hessian
}
OPS = tuple(FOLDERS)
# What the file says with the place of every word is no text that anybody reviews; test_spec and test_syntax test it.
TEXTS = [stage.name for stage in STAGES if stage.name not in ("spec", "syntax")] + ["explain"]


@cache
def compiled(op: str) -> Compiled:
    path = f"specs/{FOLDERS[op]}/{op}.yaml"
    return run((ROOT / path).read_text(encoding="utf-8"), path)


def text_of(op: str, name: str) -> str:
    if name == "explain":
        return show_explanation(explain(compiled(op)["elaborate"], valence=True)) + "\n"
    return show(compiled(op)[name]) + "\n"


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("op", OPS)
def test_stage_makes_the_text_that_was_reviewed(op: str, name: str) -> None:
    path = GOLDEN / op / f"{name}.txt"
    text = text_of(op, name)
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines()


def test_no_golden_text_is_left_over() -> None:
    found = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.txt")}
    assert found == {f"{op}/{name}.txt" for op in OPS for name in TEXTS}
