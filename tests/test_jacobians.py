"""Jacobians, Hessians and Hessian-vector products as functions: each is what torch.func makes of the plain formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from further_cases import CASES, Case
from torch import Tensor, func

from tensorgrad_gen.api import compile_spec

EXACT = {"rtol": 1e-9, "atol": 1e-10}


def ident(case: Case) -> str:
    return f"{case.name}{list(case.shapes[0]) if isinstance(case.shapes[0], tuple) else ''}"


def plain_of(case: Case, tensors: tuple[Any, ...]) -> Any:
    """The formula as a function of the inputs that have a derivative."""

    def plain(*moved: Tensor) -> Any:
        given = list(tensors)
        for place, tensor in zip(case.moved, moved, strict=True):
            given[place] = tensor
        return case.plain(*given, **case.params)

    return plain


def one(items: list[Any]) -> Any:
    """What a tuple of one is."""
    return items[0] if len(items) == 1 else tuple(items)


def as_ours(found: Any, outputs: int, levels: int) -> Any:
    """A nesting of torch.func with `argnums` a tuple, as the functions return it."""
    if outputs > 1:
        return tuple(as_ours(part, 1, levels) for part in found)
    if levels == 0:
        return found
    return one([as_ours(part, 1, levels - 1) for part in found])


def given_only(found: Any) -> Any:
    """The nesting without what an input that was left out has."""
    if not isinstance(found, tuple):
        return found
    parts = [given_only(part) for part in found if part is not None]
    return one([part for part in parts if part != ()])


def agree(got: Any, want: Any) -> None:
    if isinstance(want, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(want)
        for mine, other in zip(got, want, strict=True):
            agree(mine, other)
    else:
        assert got.shape == want.shape
        torch.testing.assert_close(got, want, **EXACT)


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_jacobian_is_jacrev(case: Case) -> None:
    tensors = case.tensors()
    plain, moved = plain_of(case, tensors), tuple(tensors[k] for k in case.moved)
    outputs = len(plain(*moved)) if isinstance(plain(*moved), tuple) else 1
    want = func.jacrev(plain, tuple(range(len(moved))))(*moved)
    got = getattr(case.module(), f"{case.name}_jacobian")(*tensors, **case.params)
    agree(given_only(got), as_ours(want, outputs, 1))


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_hessian_is_jacrev_of_jacrev(case: Case) -> None:
    tensors = case.tensors()
    plain, moved = plain_of(case, tensors), tuple(tensors[k] for k in case.moved)
    outputs = len(plain(*moved)) if isinstance(plain(*moved), tuple) else 1
    argnums = tuple(range(len(moved)))
    want = func.jacrev(func.jacrev(plain, argnums), argnums)(*moved)
    got = getattr(case.module(), f"{case.name}_hessian")(*tensors, **case.params)
    agree(given_only(got), as_ours(want, outputs, 2))


def product(case: Case, tensors: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
    """Cotangents, tangents in the order of the inputs, and the product by double backward."""
    rng = torch.Generator().manual_seed(9)
    plain, moved = plain_of(case, tensors), tuple(tensors[k].clone().requires_grad_() for k in case.moved)
    outputs = plain(*moved)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = tuple(torch.randn(y.shape, generator=rng, dtype=y.dtype) for y in outputs)
    scalar = len(outputs) == 1 and "hvp" in case.kinds and is_number(case)
    loss = outputs[0] if scalar else sum((w * y).sum() for w, y in zip(weights, outputs, strict=True))
    along = {k: torch.randn(tensors[k].shape, generator=rng, dtype=torch.float64) for k in case.moved}
    grads = torch.autograd.grad(loss, moved, create_graph=True, allow_unused=True, materialize_grads=True)
    slope = sum((g * along[k]).sum() for g, k in zip(grads, case.moved, strict=True))
    zeros = [torch.zeros_like(x) for x in moved]
    found = (
        torch.autograd.grad(slope, moved, allow_unused=True, materialize_grads=True) if slope.requires_grad else zeros
    )
    tangents = [along.get(k) for k in range(len(tensors)) if k in along or tensors[k] is None]
    return () if scalar else weights, tuple(tangents), one(list(found))


def is_number(case: Case) -> bool:
    """Whether the op's one output has no axes, whatever its leading axes are."""
    info = compile_spec(case.text()).program
    return len(info.outputs) == 1 and not info.tensors[info.outputs[0]].indices


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_hvp_is_double_backward(case: Case) -> None:
    tensors = case.tensors()
    weights, tangents, want = product(case, tensors)
    got = getattr(case.module(), f"{case.name}_hvp")(*tensors, *weights, *tangents, **case.params)
    agree(given_only(got), want)
