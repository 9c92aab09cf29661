"""A param is a Python number of its kind: whatever else is given raises what names the op, the param and the value."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tensorgrad_gen import load_op

SPEC = """\
op: shifted
inputs:
  x: [n]
  w: [k]
params:
  stride: {default: 1, kind: int}
  scale: 2
equations: |
  y[i] = scale*x[stride*i + k]*w[k]
"""
ENERGY = """\
op: energy
inputs: {x: [n]}
params: {scale: 2, power: {default: 2, kind: int}}
equations: y = scale*one[n]*x[n]^power
derivatives: [vjp, jvp, hessian]
"""
X, W = torch.arange(9.0, dtype=torch.float64), torch.tensor([1.0, 0.5], dtype=torch.float64)


@cache
def op() -> Any:
    return load_op(SPEC)


def formula(x: torch.Tensor, w: torch.Tensor, stride: int, scale: float) -> torch.Tensor:
    return scale * x.unfold(0, len(w), stride) @ w


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (4.5, "4.5 (float)"),
        (4.0, "4.0 (float)"),
        ("4", "'4' (str)"),
        (True, "True (bool)"),
        (None, "None (NoneType)"),
        (torch.tensor(4), "a tensor"),
        (np.float64(4), f"{np.float64(4)!r} (float64)"),
    ],
)
def test_what_is_no_int_is_refused(given: Any, shown: str) -> None:
    with pytest.raises(TypeError, match=re.escape(f"shifted: the param stride must be an int, not {shown}")):
        op()(X, W, stride=given)


@pytest.mark.parametrize(
    ("given", "shown"),
    [("4", "'4' (str)"), (True, "True (bool)"), (None, "None (NoneType)"), (1j, "1j (complex)"), (W[0], "a tensor")],
)
def test_what_is_no_number_is_refused(given: Any, shown: str) -> None:
    words = f"shifted: the param scale must be a float or an int, not {shown}"
    with pytest.raises(TypeError, match=re.escape(words)):
        op()(X, W, scale=given)


@pytest.mark.parametrize("stride", [2, np.int64(2), np.uint8(2)])
@pytest.mark.parametrize("scale", [3, 3.0, np.float32(3), np.int64(3)])
def test_every_number_of_the_kind_is_taken(stride: Any, scale: Any) -> None:
    assert_close(op()(X, W, stride=stride, scale=scale), formula(X, W, 2, 3.0))


def test_a_wrong_extent_is_still_found_beside_numbers_of_numpy() -> None:
    with pytest.raises(TypeError, match="shifted: w is real"):
        op()(X, W.long(), stride=np.int64(2))


def test_transforms_take_params() -> None:
    xs = torch.stack([X, X + 1])
    mapped = torch.func.vmap(lambda x: op()(x, W, stride=2, scale=3))(xs)
    assert_close(mapped, torch.stack([formula(x, W, 2, 3.0) for x in xs]))
    got = torch.func.grad(lambda w: op()(X, w, stride=2).square().sum())(W)
    assert_close(got, torch.func.grad(lambda w: formula(X, w, 2, 2.0).square().sum())(W))


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_compiled_op_takes_params_in_one_graph(dynamic: bool) -> None:
    loaded = op()

    def strided(x: torch.Tensor, w: torch.Tensor, scale: float) -> Any:
        return loaded(x, w, stride=x.shape[0] // 4, scale=scale)

    compiled = torch.compile(strided, fullgraph=True, dynamic=dynamic, backend="eager")
    for x in (X, torch.arange(13.0, dtype=torch.float64)):
        assert_close(compiled(x, W, 3.5), formula(x, W, len(x) // 4, 3.5))


def test_a_symbolic_size_is_an_int() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    def strided(x: torch.Tensor, w: torch.Tensor) -> Any:
        return op()(x, w, stride=x.shape[0] // 4)

    traced = make_fx(strided, tracing_mode="symbolic")(X, W)
    assert_close(traced(X, W), formula(X, W, 2, 2.0))


def test_further_derivatives_refuse_them_too() -> None:
    hessian: Any = load_op(ENERGY, derivative="hessian")
    with pytest.raises(TypeError, match=r"energy_hessian: the param power must be an int, not 2\.5"):
        hessian(X, power=2.5)


def test_what_is_shown_of_a_value_is_short() -> None:
    with pytest.raises(TypeError) as error:
        op()(X, W, stride="4" * 10_000)
    assert len(str(error.value)) < 200
