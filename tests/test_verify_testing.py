"""`check_op` accepts a right function and names what is wrong with a wrong one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tensorgrad_gen.testing import check_op


def sample(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes)


def plain(x: Tensor, w: Tensor, *, scale: float = 1.0) -> Tensor:
    return scale * torch.sin(x) * w


class _Scaled(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, scale: float) -> Tensor:
        return scale * torch.sin(x) * w

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        x, w, ctx.scale = inputs
        ctx.save_for_backward(x, w)
        ctx.save_for_forward(x, w)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        gx = ctx.scale * g * torch.cos(x) * w if ctx.needs_input_grad[0] else None
        gw = (ctx.scale * g * torch.sin(x)).sum(0) if ctx.needs_input_grad[1] else None
        return gx, gw, None

    @staticmethod
    def jvp(ctx: Any, tx: Tensor | None, tw: Tensor | None, _scale: None) -> Tensor:
        from torch.autograd.forward_ad import _set_fwd_grad_enabled, unpack_dual

        with _set_fwd_grad_enabled(True):  # noqa: FBT003  torch's own signature
            x, w = (unpack_dual(t, level=0).primal for t in ctx.saved_tensors)  # type: ignore[no-untyped-call]
            out = torch.zeros_like(x * w)
            if tx is not None:
                out = out + ctx.scale * torch.cos(x) * w * tx
            if tw is not None:
                out = out + ctx.scale * torch.sin(x) * tw
            return out


def scaled(x: Tensor, w: Tensor, *, scale: float = 1.0) -> Tensor:
    return _Scaled.apply(x, w, scale)  # type: ignore[no-any-return, no-untyped-call]


def test_a_right_function_passes() -> None:
    results = check_op(scaled, plain, [sample((2, 3), (3,)), sample((0, 3), (3,))], scale=0.5)
    assert {r.status for r in results} == {"passed", "skipped"}


def test_a_wrong_derivative_is_named() -> None:
    with pytest.raises(AssertionError, match=r"vjp: gradient of w is off by"):
        check_op(scaled, lambda x, w, scale: plain(x, w.detach(), scale=scale), [sample((2, 3), (3,))], scale=0.5)


def test_a_plain_function_may_be_checked_too() -> None:
    check_op(plain, plain, [sample((2,), (2,))], quick=True)


def test_no_sample_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a sample"):
        check_op(plain, plain, [])
