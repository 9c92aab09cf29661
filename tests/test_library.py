"""Every op of `specs/` equals its reference in value and gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tensorgrad_gen import load_op
from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Report
from tensorgrad_gen.reference import evaluate
from tensorgrad_gen.spec import load_file
from tensorgrad_gen.spec.model import OpSpec
from tests.references import REFERENCES
from tests.sampling import samples

SPECS = Path(__file__).parents[1] / "specs"
PATHS = {path.stem: path for path in sorted(SPECS.rglob("*.yaml"))}
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@cache
def spec_of(name: str) -> OpSpec:
    return load_file(PATHS[name])


@cache
def op_of(name: str) -> Callable[..., Any]:
    return load_op(PATHS[name])


def outputs_and_gradients(
    function: Callable[..., Any], spec: OpSpec, tensors: tuple[Tensor | None, ...], params: dict[str, Any]
) -> tuple[list[Tensor], list[Tensor]]:
    """Values, and the gradients of all differentiable inputs for random cotangents."""
    leaves = [None if t is None else t.clone() for t in tensors]
    wanted = [
        leaf.requires_grad_()
        for leaf, item in zip(leaves, spec.inputs, strict=True)
        if leaf is not None and item.kind in ("real", "complex") and item.grad
    ]
    result = function(*leaves, **params)
    values = list(result) if isinstance(result, tuple) else [result]
    source = torch.Generator().manual_seed(7)
    cotangents = [torch.randn(v.shape, generator=source, dtype=v.dtype) for v in values]
    gradients = torch.autograd.grad(values, wanted, cotangents, allow_unused=True, materialize_grads=True)
    return [v.detach() for v in values], list(gradients)


def test_every_spec_has_a_reference_and_every_reference_a_spec() -> None:
    assert sorted(PATHS) == sorted(REFERENCES)


@pytest.mark.parametrize("name", PATHS)
def test_file_stem_is_the_op_name(name: str) -> None:
    assert spec_of(name).name.text == name


@pytest.mark.parametrize("name", PATHS)
def test_what_the_spec_says_equals_the_reference(name: str) -> None:
    spec = spec_of(name)
    program = elaborate(spec, Report(spec.path, spec.text))
    for sample in samples(spec):
        arrays = {i.name.text: None if t is None else t.numpy() for i, t in zip(spec.inputs, sample.tensors)}
        got = evaluate(program, arrays, sample.params)
        result = REFERENCES[name](*sample.tensors, **sample.params)
        for output, want in zip(program.outputs, result if isinstance(result, tuple) else (result,), strict=True):
            np.testing.assert_allclose(got[output], want.numpy(), rtol=1e-10, atol=1e-12, err_msg=sample.name)


@pytest.mark.parametrize("name", PATHS)
def test_op_equals_its_reference_in_value_and_gradient(name: str) -> None:
    spec = spec_of(name)
    for sample in samples(spec):
        values, gradients = outputs_and_gradients(op_of(name), spec, sample.tensors, sample.params)
        wanted, wanted_gradients = outputs_and_gradients(REFERENCES[name], spec, sample.tensors, sample.params)
        for got, want in zip(values + gradients, wanted + wanted_gradients, strict=True):
            assert_close(got, want, **EXACT, equal_nan=True, msg=lambda text, s=sample: f"{s.name}: {text}")
