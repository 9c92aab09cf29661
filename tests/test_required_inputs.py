"""An input without a default may stand after one that has it: it is required all the same."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tensorgrad_gen import load_op

SPEC = """\
op: late_inputs
inputs:
  x: {indices: [b, h], default: 1}
  gamma: [h]
  beta: {indices: [h], default: 0}
  t: {indices: [b], kind: label, labels: h}
params:
  eps: 1
equations: |
  y[b] = x[b,t[b]]*gamma[t[b]] + beta[t[b]] + eps*one[b]
"""
GAMMA = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
T = torch.tensor([2, 0])


@cache
def op() -> Any:
    return load_op(SPEC)


def test_the_inputs_keep_their_order() -> None:
    assert list(inspect.signature(op()).parameters) == ["x", "gamma", "beta", "t", "eps"]


def test_what_has_a_default_may_be_left_out() -> None:
    want = torch.tensor([4.0, 2.0], dtype=torch.float64)
    assert_close(op()(None, GAMMA, None, T), want)
    assert_close(op()(gamma=GAMMA, t=T), want)
    assert_close(op()(torch.ones(2, 3, dtype=torch.float64), GAMMA, t=T), want)


def test_the_gradient_is_that_of_what_is_given() -> None:
    gamma = GAMMA.clone().requires_grad_()
    op()(gamma=gamma, t=T).sum().backward()
    assert_close(gamma.grad, torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, "gamma"), ({"gamma": GAMMA}, "t"), ({"t": T}, "gamma"), ({"gamma": GAMMA, "t": None}, "t")],
)
def test_what_has_none_may_not(given: dict[str, Any], missing: str) -> None:
    with pytest.raises(TypeError, match=f"late_inputs: the input {missing} is missing"):
        op()(**given)
