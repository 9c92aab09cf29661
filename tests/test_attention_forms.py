"""Attention in many spellings against the plain formula; what nearly is one; rows that have no softmax."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.bench import count, formula
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.runtime import attention as runtime
from tests.attention_cases import NEAR, SPELLINGS, Case
from tests.elaborating import spec

SIZES = {"b": 2, "h": 3, "n": 2, "d": 4, "e": 4, "m": 4, "w": 4, "a": 3}
needs_flash = pytest.mark.skipif(runtime._FLASH_BACKWARD is None, reason="this PyTorch has no such operator")


def text(case: Case) -> str:
    return spec(*case[:3])


@cache
def source(name: str) -> str:
    return compile_spec(text(SPELLINGS[name]), standalone=True).source


def tensors(case: Case, rows: int, columns: int) -> list[Tensor]:
    """Inputs of a spelling, with so many queries and keys."""
    rng = torch.Generator().manual_seed(rows + columns)
    sizes = SIZES | {"i": rows, "j": columns, "t": rows, "c": columns}
    lead = {"...": (2, 3)}
    return [
        torch.randn(
            [n for letter in axes.strip("[]").split(", ") for n in lead.get(letter, (sizes.get(letter, 2),))],
            generator=rng,
            dtype=torch.float64,
        ).requires_grad_()
        for axes in case[1].values()
    ]


def derivatives(function: Any, given: list[Tensor], recorded: bool) -> list[Tensor]:
    """Value and gradients; `recorded`: and derivatives of these."""
    y = function(*given)
    y = y[0] if isinstance(y, tuple) else y
    first = torch.autograd.grad(torch.sin(y).sum(), given, create_graph=recorded)
    second = torch.autograd.grad(sum((g * torch.cos(g)).sum() for g in first), given) if recorded else ()
    return [y, *first, *second]


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_one_call_forward_and_one_backward(name: str) -> None:
    op, _, _ = compile_spec(text(SPELLINGS[name])).source.partition("Dual(")
    assert op.count("_runtime.attention(") == op.count("_runtime.attention_gradients(") == 1
    assert op.count("causal=True") == 2 * SPELLINGS[name][3]
    assert "torch.softmax(" not in op


@pytest.mark.parametrize("name", NEAR)
def test_what_is_nearly_one_is_composed(name: str) -> None:
    assert "_attention(" not in compile_spec(text(NEAR[name]), standalone=True).source


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("recorded", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("sizes", [(5, 7), (7, 5), (1, 1)], ids=str)
def test_value_and_derivatives(name: str, recorded: bool, sizes: tuple[int, int]) -> None:
    program = run(text(SPELLINGS[name]), "<text>", until="elaborate")["elaborate"]
    params = {p.name: float(p.default) for p in program.params}
    given = tensors(SPELLINGS[name], *sizes)
    ours = derivatives(load_module("a", source(name)).test_op, given, recorded)
    theirs = derivatives(formula(program, params), given, recorded)
    assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["as defined", "keys shared by heads", "a query shared by the batch"])
def test_by_finite_differences_in_both_modes_and_in_batches(name: str) -> None:
    op, given = load_module("a", source(name)).test_op, tensors(SPELLINGS[name], 2, 3)
    assert torch.autograd.gradcheck(op, given, check_batched_grad=True, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(op, given, check_batched_grad=True)


def shared(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    rng = torch.Generator().manual_seed(len(shapes))
    return [torch.randn(shape, generator=rng, dtype=dtype) for shape in shapes]


def composed(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
    return runtime._weights(q * scale, k, causal) @ v


def both(monkeypatch: pytest.MonkeyPatch, given: list[Tensor], scale: float, causal: bool) -> None:
    """The fast path is the composed form, value and gradients, each of these alone too."""
    wanted = composed(*given, scale, causal)
    grad = torch.cos(torch.arange(float(wanted.numel()), dtype=wanted.dtype)).reshape(wanted.shape)
    with torch.no_grad():
        plain = runtime._composed_gradients(grad, *given, (True, True, True), scale, causal)
        with monkeypatch.context() as patched:
            patched.setattr(runtime, "_weights", None)  # nothing composed is called
            assert_close(runtime.attention(*given, scale=scale, causal=causal), wanted, rtol=1e-11, atol=1e-11)
            for flags in range(1, 8):
                needed = (bool(flags & 1), bool(flags & 2), bool(flags & 4))
                found = runtime.attention_gradients(grad, *given, needed, scale=scale, causal=causal)
                for got, want, flag in zip(found, plain, needed, strict=True):
                    assert (got is not None) == flag
                    if got is not None:
                        assert_close(got, want, rtol=1e-11, atol=1e-11)


SHAPES = {
    "heads": ((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)),
    "no batch": ((5, 4), (6, 4), (6, 4)),
    "one axis": ((3, 5, 4), (3, 6, 4), (3, 6, 4)),
    "three axes": ((2, 1, 3, 5, 4), (2, 1, 3, 6, 4), (2, 1, 3, 6, 4)),
    "shared keys": ((2, 3, 5, 4), (2, 1, 6, 4), (6, 4)),
    "a shared query": ((5, 4), (2, 3, 6, 4), (1, 3, 6, 4)),
    "more than a block": ((600, 3), (700, 3), (700, 3)),
}


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 0.3, -0.7, 0.0])  # the operators mask before they scale
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("operator", [pytest.param("cpu", marks=needs_flash), "public"])
def test_the_operator_is_the_composed_form(
    shapes: str, scale: float, causal: bool, operator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if operator == "public":  # what other devices are given
        monkeypatch.setattr(runtime, "_flash_gradients", runtime._public_gradients)
        monkeypatch.setattr(runtime, "_flash", lambda *given: (runtime._public(*given), None, 0))
        monkeypatch.setattr(runtime, "_FLASH_BACKWARD", runtime)
    both(monkeypatch, shared(*SHAPES[shapes]), scale, causal)


@pytest.mark.parametrize("causal", [False, True])
def test_tensors_that_do_not_lie_in_order(causal: bool) -> None:
    q, k, v = shared((2, 5, 3, 4), (3, 6, 2, 4), (3, 4, 6))
    given = [q.transpose(1, 2), k.permute(2, 0, 1, 3)[..., :, :], v.mT.expand(2, -1, -1, -1)]
    with torch.no_grad():
        got = runtime.attention(*given, causal=causal)
        assert_close(got, composed(*given, 1.0, causal), rtol=1e-12, atol=1e-12)
        assert got.is_contiguous()
        assert not got._is_view()


@pytest.mark.parametrize("size", [1, 2, 7, 16, 33, 600, 1500])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "what", ["a query of NaN", "a query of inf", "every key -inf", "the first key -inf", "overflow"]
)
def test_a_row_without_a_softmax_is_nan(what: str, causal: bool, dtype: torch.dtype, size: int) -> None:
    q, k, v = (t.abs() for t in shared((2, 9, 4), (2, size, 4), (2, size, 4), dtype=dtype))
    if what.startswith("a query"):
        q[0, 3, 1] = math.nan if what.endswith("NaN") else -math.inf
    elif what == "overflow":
        q[0, 3] = -torch.finfo(dtype).max
        k[0, :] = 9
    else:
        k[0, : 1 if what.startswith("the first") else size, 2] = -math.inf
    with torch.no_grad():
        assert_close(runtime.attention(q, k, v, causal=causal), composed(q, k, v, 1.0, causal), equal_nan=True)
        found = runtime.attention_gradients(torch.ones_like(q), q, k, v, (True, True, True), causal=causal)
        plain = runtime._composed_gradients(torch.ones_like(q), q, k, v, (True, True, True), 1.0, causal)
    lost = composed(q, k, v, 1.0, causal).isnan().any(-1)  # a row's gradient is NaN where the row is
    for by in (found, plain):
        assert by[0] is not None
        assert bool(by[0].isnan().any(-1)[lost].all())
        for gradient in by[1:]:  # and that of the first key, which every row reads
            assert gradient is not None
            assert bool(gradient.isnan().any(-1)[:, 0][lost.any(-1)].all())


def test_tensors_of_a_class_of_their_own_are_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(Tensor):
        pass

    q, k, v = shared((3, 4), (5, 4), (5, 4))
    monkeypatch.setattr(runtime, "_FLASH", None)  # is not called
    with torch.no_grad():
        assert_close(
            runtime.attention(q.as_subclass(Own), k, v).as_subclass(Tensor), composed(q, k, v, 1.0, causal=False)
        )
    assert_close(runtime.attention(q.requires_grad_(), k, v), composed(q, k, v, 1.0, causal=False))


def test_no_features_is_a_mean_of_the_values() -> None:
    module = load_module("a", source("as defined"))
    q, k, v = (t.requires_grad_() for t in shared((1, 1, 3, 0), (1, 1, 5, 0), (1, 1, 5, 2)))
    y = module.test_op(q, k, v)
    assert_close(y, v.mean(-2, keepdim=True).expand_as(y))
    assert_close(torch.autograd.grad(y.sum(), v)[0], torch.full_like(v, 3 / 5))


def test_nothing_of_length_squared_is_saved() -> None:
    module = load_module("a", source("as defined"))
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t.numel()), t)[1], lambda t: t):
        module.test_op(*(t.requires_grad_() for t in shared(*[(1, 1, 50, 4)] * 3)))
    assert kept == [200] * 3


@needs_flash
@pytest.mark.parametrize("name", ["as defined", "causal"])
def test_less_is_moved_than_by_autograd_of_the_formula(name: str) -> None:
    program = run(text(SPELLINGS[name]), "<text>", until="elaborate")["elaborate"]
    given = [torch.ones(1, 4, 256, 32, requires_grad=True) for _ in range(3)]
    ours = count(load_module("a", source(name)).test_op, given)
    theirs = count(formula(program, {}), given)
    assert ours.saved == 0
    assert ours.bytes < 0.3 * theirs.bytes
    assert ours.flops < 1.5 * theirs.flops
