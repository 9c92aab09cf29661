"""Blocks of rows: what is worked in them is what is worked at once, and only where nothing looks on."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.verify.checks_rows import rows
from tensorgrad_gen.verify.subject import make_subject
from tests.test_library import PATHS

NORM = """op: norm
doc: Rows of length one.
inputs: {x: [n, h], w: [h]}
sizes: {N: n}
equations: |
  s[n]   = sqrt(sum[h](x[n,h]^2) + 1)
  y[n,h] = x[n,h]/s[n]*w[h]
  l      = 1/N*one[n]*s[n]
outputs: [y, l]
"""


GENERATED = Path(__file__).parents[1] / "generated"
BLOCKED = [
    name
    for name, path in PATHS.items()
    if "by_rows" in (GENERATED / path.parent.name / f"{name}.py").read_text("utf-8")
]


@pytest.mark.parametrize("name", BLOCKED)
def test_an_op_in_blocks_of_one_row_is_the_op(name: str) -> None:
    program = run(PATHS[name].read_text("utf-8"), str(PATHS[name]), until="elaborate")["elaborate"]
    rows(make_subject(program, import_module(f"generated.{PATHS[name].parent.name}.{name}")))


def test_the_library_has_ops_that_are_worked_in_blocks() -> None:
    assert len(BLOCKED) > 60


def norm() -> ModuleType:
    return load_module("norm", compile_spec(NORM, standalone=True).source)


def blocks_of(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of the body of forward gets from now on."""
    monkeypatch.setattr(module, "_ROWS_BYTES", 1 << 10)
    seen: list[int] = []
    body = module._forward_rows

    def counted(x: Tensor, *rest: object) -> object:
        seen.append(x.shape[0])
        return body(x, *rest)

    monkeypatch.setattr(module, "_forward_rows", counted)
    return seen


def test_large_tensors_go_in_blocks_and_small_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = norm()
    seen = blocks_of(module, monkeypatch)
    torch.set_num_threads(1)
    y, loss = module.norm(torch.randn(100, 16), torch.ones(16))
    assert seen == [16] * 6 + [4]
    assert y.shape == (100, 16)
    assert loss.shape == ()
    seen.clear()
    module.norm(torch.randn(10, 16), torch.ones(16))
    assert seen == [10]


def test_transforms_and_compilers_see_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    module = norm()
    x, w = torch.randn(100, 16), torch.randn(16)

    def transformed() -> list[Tensor]:
        loss = torch.compile(lambda z: module.norm(z, w)[1], backend="eager", fullgraph=True)
        return [
            torch.func.grad(lambda z: module.norm(z, w)[1])(x),
            torch.func.vmap(lambda z: module.norm(z, w)[0])(x.expand(2, 100, 16)),
            torch.func.vmap(torch.func.grad(lambda z: module.norm(z, w)[1]))(x.expand(2, 100, 16)),
            torch.func.jvp(lambda z: module.norm(z, w)[0], (x,), (x,))[1],
            loss(x),
            torch.jit.trace(lambda z: module.norm(z, w)[0], x)(x[:50]),
        ]

    want = transformed()
    monkeypatch.setattr(module, "_ROWS_BYTES", 1 << 10)
    torch.testing.assert_close(transformed(), want)


def test_second_derivatives_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    module = norm()
    x, w = torch.randn(40, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)

    def second() -> list[Tensor]:
        z = x.clone().requires_grad_()
        y, loss = module.norm(z, w)
        (first,) = torch.autograd.grad(y.sin().sum() + loss, z, create_graph=True)
        return [y.detach(), first.detach(), *torch.autograd.grad(first.cos().sum(), z)]

    want = second()
    monkeypatch.setattr(module, "_ROWS_BYTES", 1)
    torch.testing.assert_close(second(), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", ["transposed", "expanded", "sliced"])
def test_any_layout_will_do(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = norm()
    whole = {
        "transposed": torch.randn(16, 100).mT,
        "expanded": torch.randn(16).expand(100, 16),
        "sliced": torch.randn(100, 32)[:, ::2],
    }[layout]
    want = module.norm(whole, torch.ones(16))
    monkeypatch.setattr(module, "_ROWS_BYTES", 1 << 10)
    torch.testing.assert_close(module.norm(whole, torch.ones(16)), want)
