"""A position outside of its axis raises what names the op, what is read, the index and its extent."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tensorgrad_gen import load_op

SPEC = """\
op: moved
inputs: {{x: [i], z: [j]{more}}}
params: {{s: {{default: 1, kind: int}}}}
equations: |
  {equation}
"""
ROWS = """\
op: rows
inputs: {x: [n, i], z: [j]}
equations: |
  y[n] = one[j]*exp(x[n,j + 1])*z[j]
chunk: {index: n, count: 2}
"""


def op(equation: str, more: str = "") -> Any:
    return load_op(SPEC.format(equation=equation, more=more))


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.float64, requires_grad=True)


OUTSIDE = [
    ("y[j] = x[j + 1]*z[j]", 5, 1, "x[j + 1] is at positions 1 to 5 along index i, whose extent is 5"),
    ("y[j] = x[j + s]*z[j]", 5, 3, "x[j + s] is at positions 3 to 7 along index i, whose extent is 5"),
    ("y[j] = x[j - s]*z[j]", 5, 1, "x[j - s] is at positions -1 to 3 along index i, whose extent is 5"),
    ("y[j] = x[j//2]*z[j]", 2, 1, "x[j//2] is at positions 0 to 2 along index i, whose extent is 2"),
    ("y[j] = x[6 - 2*j]*z[j]", 7, 1, "x[-2*j + 6] is at positions -2 to 6 along index i, whose extent is 7"),
    ("y[j] = x[7]*z[j]", 5, 1, "x[7] is at position 7 along index i, whose extent is 5"),
    ("y[j] = x[s]*z[j]", 5, 5, "x[s] is at position 5 along index i, whose extent is 5"),
    ("y[j] = x[s]*z[j]", 5, -1, "x[s] is at position -1 along index i, whose extent is 5"),
    ("y[i] = x[i]*z[j]*delta[i,2*j]", 5, 1, "delta[i,2*j] is at positions 0 to 8 along index i, whose extent is 5"),
    ("y[j] = u[2*j]*z[j]", 5, 1, "u[2*j] is at positions 0 to 8 along index i, whose extent is 5"),
]


@pytest.mark.parametrize(("equation", "extent", "s", "words"), OUTSIDE)
def test_what_is_outside_is_named(equation: str, extent: int, s: int, words: str) -> None:
    full = f"u[i] = exp(x[i])\n  {equation}" if "u[" in equation else equation
    with pytest.raises(IndexError, match=re.escape(f"moved: {words}")):
        op(full)(ones(extent), ones(5), s=s)


@pytest.mark.parametrize("equation", [equation for equation, *_ in OUTSIDE])
def test_what_is_inside_is_read(equation: str) -> None:
    full = f"u[i] = exp(x[i])\n  {equation}" if "u[" in equation else equation
    equation = full.replace("x[j - s]", "x[j - s + 1]")
    x, z = ones(13), ones(4)
    y = op(equation)(x, z)
    assert_close(torch.autograd.grad(y.sum(), z)[0].detach(), y.detach().sum() / 4 * torch.ones(4, dtype=torch.float64))


def test_a_label_is_not_blamed_for_a_position() -> None:
    moved = op("y[j] = x[s]*z[j]*x[t[j]]", ", t: {indices: [j], kind: label, labels: i}")
    labels = torch.zeros(5, dtype=torch.long)
    with pytest.raises(IndexError, match=r"moved: x\[s\] is at position 5"):
        moved(ones(5), ones(5), labels, s=5)
    with pytest.raises(IndexError, match="moved: a label in t is outside"):
        moved(ones(5), ones(5), labels + 5)


def test_what_a_condition_hides_is_no_error() -> None:
    moved = op("y[j] = where(j + s < size(i), x[j + s], 0)*z[j]")
    assert_close(moved(ones(5), ones(5), s=3).sum().item(), 2.0)


@pytest.mark.parametrize(
    "equation", ["y[k] = x[s*k]*z[0]", "y[j] = x[size(i) - 1]*z[j]", "y[i] = x[size(i) - 1 - i]*z[0]"]
)
def test_what_cannot_be_outside_is_not_asked_for(equation: str) -> None:
    assert not hasattr(sys.modules[op(equation).__module__], "_positions")


def test_the_first_and_last_position_are_right_in_a_transform() -> None:
    moved = op("y[j] = x[j + s]*z[j]")
    xs = torch.ones(3, 5, dtype=torch.float64)
    with pytest.raises(IndexError, match=r"positions 1 to 5 along index i, whose extent is 5"):
        torch.func.vmap(moved, in_dims=(0, None))(xs, ones(5).detach())


def test_an_op_in_blocks_names_it_too() -> None:
    with pytest.raises(IndexError, match=r"rows: x\[n,j \+ 1\] is at positions 1 to 5"):
        load_op(ROWS)(ones(4, 5), ones(5))
