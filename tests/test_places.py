"""Results of blocks of rows, computed where they belong: the same numbers, without a copy of each block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.runtime import blocks

F = torch.nn.functional
HEAD = "op: test_op\ndoc: It.\n"
# The spec's equations, inputs and params, its inputs' shapes, the formula, what its code says.
CASES: dict[str, tuple[str, str, tuple[tuple[int, ...], ...], Callable[..., Tensor], str]] = {
    "a product": (
        "y[...] = silu(a[...])*b[...]",
        "inputs: {a: [...], b: [...]}",
        ((7, 3), (7, 3)),
        lambda a, b: F.silu(a) * b,
        "torch.mul(torch.nn.functional.silu(a), b, out=out_y)",
    ),
    "a number first": (
        "y[...] = 3*(sin(a[...])*exp(a[...]))",
        "inputs: {a: [...]}",
        ((7, 3),),
        lambda a: 3 * a.sin() * a.exp(),
        "out=out_y",
    ),
    "a param first": (
        "y[...] = s*sin(a[...]*b[...])",
        "inputs: {a: [...], b: [...]}\nparams: {s: 2.0}",
        ((7, 3), (7, 3)),
        lambda a, b: 2.0 * (a * b).sin(),
        "torch.mul(torch.sin(a * b), s, out=out_y)",
    ),
    "from a number": (
        "y[...] = 2 - sin(a[...])*exp(b[...])",
        "inputs: {a: [...], b: [...]}",
        ((7, 3), (7, 3)),
        lambda a, b: 2 - a.sin() * b.exp(),
        "y",
    ),
    "a quotient": (
        "y[b,h] = exp(x[b,h])/sqrt(sum[k](x[b,k]^2) + 1)",
        "inputs: {x: [b, h]}",
        ((7, 3),),
        lambda x: x.exp() / (x.square().sum(-1, keepdim=True) + 1).sqrt(),
        "out=out_y",
    ),
    "a function": (
        "y[...] = tanh(a[...]*b[...] + 1)",
        "inputs: {a: [...], b: [...]}",
        ((7, 3), (7, 3)),
        lambda a, b: torch.tanh(a * b + 1),
        "torch.tanh(a * b + 1, out=out_y)",
    ),
    "a name that is taken": (
        "out_y[...] = exp(a[...]*b[...]); y[...] = out_y[...]*sin(b[...])",
        "inputs: {a: [...], b: [...]}",
        ((7, 3), (7, 3)),
        lambda a, b: (a * b).exp() * b.sin(),
        "out=out_y_",
    ),
    "a softmax": (
        "y[b,h] = softmax[h](2*x[b,h])",
        "inputs: {x: [b, h]}",
        ((7, 3),),
        lambda x: torch.softmax(2 * x, -1),
        "torch.softmax(",
    ),
    "a sum over rows": (
        "y[b,h] = sin(x[b,h])*w[h]; l = sum[b,h](y[b,h])",
        "inputs: {x: [b, h], w: [h]}",
        ((7, 3), (3,)),
        lambda x, w: (x.sin() * w).sum(),
        "l",
    ),
}


@cache
def source(name: str) -> str:
    equations, inputs = CASES[name][:2]
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    last = equations.rsplit(";", 1)[-1].strip().split("=")[0].split("[")[0].strip()
    return compile_spec(f"{HEAD}{inputs}\nequations: |\n{lines}\noutputs: [{last}]\n", standalone=True).source


def tensors(name: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    made = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=made, dtype=torch.float64).to(dtype).requires_grad_() for s in CASES[name][2]]


class Copies(TorchDispatchMode):
    """The operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("size", [1, 48, 1 << 19])
@pytest.mark.parametrize("name", CASES)
def test_the_same_in_blocks(name: str, size: int) -> None:
    module, formula = load_module("places", source(name)), CASES[name][3]
    if hasattr(module, "_ROWS_BYTES"):
        module._ROWS_BYTES = size
    for dtype in (torch.float64, torch.float32):
        inputs = tensors(name, dtype)
        have, want = module.test_op(*inputs), formula(*inputs)
        torch.testing.assert_close(have, want)
        assert not have._is_view()
        weight = torch.linspace(-1, 2, want.numel(), dtype=dtype).view(want.shape)
        expected = torch.autograd.grad(want, inputs, weight)
        torch.testing.assert_close(torch.autograd.grad(have, inputs, weight), expected)
        graph = torch.autograd.grad(module.test_op(*inputs), inputs, weight, create_graph=True)
        torch.testing.assert_close(graph, expected)
        if dtype == torch.float64:
            twice = torch.autograd.grad(sum(g.sin().sum() for g in graph), inputs)
            graph = torch.autograd.grad(formula(*inputs), inputs, weight, create_graph=True)
            torch.testing.assert_close(twice, torch.autograd.grad(sum(g.sin().sum() for g in graph), inputs))


@pytest.mark.parametrize("name", CASES)
def test_what_the_code_says(name: str) -> None:
    assert CASES[name][4] in source(name)


def test_no_block_but_the_first_is_copied() -> None:
    module, inputs = load_module("places", source("a product")), tensors("a product")
    module._ROWS_BYTES = 1
    with Copies() as called:
        y = module.test_op(*inputs)
    assert called.names["copy_"] == 1  # of seven
    with Copies() as called:
        torch.autograd.grad(y.sum(), inputs)
    assert called.names["copy_"] <= 2  # of each gradient


def test_a_body_may_pay_no_heed_to_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ROWS_BYTES", 1)
    x = torch.randn(9, 3)

    def body(x: Tensor, out: Tensor | None = None) -> Tensor:
        return x.exp()

    with torch.no_grad():
        torch.testing.assert_close(blocks.by_rows(body, (1,), (1,), x, places=(0,)), x.exp())


def test_one_row_for_all_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ROWS_BYTES", 48)  # four rows or more
    x, w = torch.randn(9, 3), torch.randn(1, 3)
    given: list[Tensor | None] = []

    def body(x: Tensor, w: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        given.append(out)
        return x * w, w.exp()

    with torch.no_grad():
        y, row = blocks.by_rows(body, (1, 1), (1, 1), x, w, places=(1,))
    torch.testing.assert_close(y, x * w)
    torch.testing.assert_close(row, w.exp().expand(9, 3))
    assert not any(out is not None for out in given)


@pytest.mark.parametrize("name", ["a product", "a function"])
def test_under_transforms(name: str) -> None:
    module, formula = load_module("places", source(name)), CASES[name][3]
    module._ROWS_BYTES = 1
    inputs = [t.detach() for t in tensors(name)]
    many = [torch.stack([t, 2 * t]) for t in inputs]
    torch.testing.assert_close(torch.func.vmap(module.test_op)(*many), formula(*many))
    torch.testing.assert_close(torch.compile(module.test_op, fullgraph=True)(*inputs), formula(*inputs))
