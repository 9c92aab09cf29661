"""Functions of matrices that lowered code calls beside torch's.

Law: as in `ops`: pure, differentiable to any order, right under every transform.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import (
    forward_mode,
    primal,
    recording,
)


def matrix_sqrt(a: Tensor) -> Tensor:
    """The principal `x` with `x @ x = a`, for a matrix without eigenvalues below or at 0.

    Newton's iteration for the root and its inverse together, scaled by determinants so that it
    takes few steps however `a` is conditioned (Higham, Functions of Matrices, 2008, chapter 6).
    """
    size = a.shape[-1]
    root, inverse = a, torch.eye(size, dtype=a.dtype, device=a.device).expand(a.shape)
    for _ in range(_STEPS_OF_ROOT):
        logs = torch.linalg.slogdet(root).logabsdet + torch.linalg.slogdet(inverse).logabsdet
        scale = torch.exp(logs / (-2 * max(size, 1)))[..., None, None]
        root, inverse = (
            (scale * root + torch.linalg.inv(inverse) / scale) / 2,
            (scale * inverse + torch.linalg.inv(root) / scale) / 2,
        )
    return root


_STEPS_OF_ROOT = 12


def sylvester(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The solution of `a @ x + x @ b = c`, for `a` and `b` whose eigenvalues are right of 0."""
    if torch.compiler.is_compiling():  # Dynamo traces no Function that has forward mode
        return _half_of_sign(a, b, c)
    solution: Tensor = _Sylvester.apply(a, b, c)  # type: ignore[no-untyped-call]
    return solution


def _half_of_sign(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Half of a block of the sign of [[a, c], [0, -b]].

    By Newton's iteration, scaled as that for the root (Roberts, Linear model reduction and solution
    of the algebraic Riccati equation by use of the sign function, 1980).
    """
    size = max(a.shape[-1] + b.shape[-1], 1)
    for _ in range(_STEPS_OF_ROOT):
        logs = torch.linalg.slogdet(a).logabsdet + torch.linalg.slogdet(b).logabsdet
        scale = torch.exp(logs / -size)[..., None, None]
        left, right = torch.linalg.inv(a), torch.linalg.inv(b)
        c = (scale * c + left @ c @ right / scale) / 2
        a, b = (scale * a + left / scale) / 2, (scale * b + right / scale) / 2
    return c / 2


class _Sylvester(torch.autograd.Function):
    """A solution whose derivatives are solutions again: right to any order, under any transform."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return _half_of_sign(a, b, c)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs[0], inputs[1], output)
        ctx.save_for_forward(inputs[0], inputs[1], output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return None, None, None
        a, b, x = ctx.saved_tensors
        grad_c = sylvester(a.mH, b.mH, grad)
        return -grad_c @ x.mH, -x.mH @ grad_c, grad_c

    @staticmethod
    def jvp(
        ctx: Any, tangent_a: Tensor | None, tangent_b: Tensor | None, tangent_c: Tensor | None
    ) -> Tensor:
        a, b, x = ctx.saved_tensors
        with forward_mode():
            a, b, x = primal(a), primal(b), primal(x)
            change = torch.zeros_like(x) if tangent_c is None else tangent_c
            change = change if tangent_a is None else change - tangent_a @ x
            change = change if tangent_b is None else change - x @ tangent_b
            return sylvester(a, b, change)


def exp_change(a: Tensor, change: Tensor) -> Tensor:
    """The derivative of `exp(a + t change)` by `t` at 0: a block of exp([[a, change], [0, a]])."""
    size = a.shape[-1]
    if recording(a, change):
        above = torch.cat((a, change), -1)
        below = torch.cat((torch.zeros_like(a), a), -1)
        whole = torch.cat((above, below), -2)
    else:
        whole = a.new_zeros((*a.shape[:-2], 2 * size, 2 * size))
        whole[..., :size, :size] = a
        whole[..., size:, size:] = a
        whole[..., :size, size:] = change
    exponential: Tensor = torch.linalg.matrix_exp(whole)
    return exponential[..., :size, size:]


def svd(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left vectors, values and right vectors with `a = u @ diag(s) @ v.mH`, of a complex matrix."""
    if not torch.compiler.is_compiling():
        parts: tuple[Tensor, Tensor, Tensor] = _Svd.apply(a)  # type: ignore[no-untyped-call]
        return parts
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    return u, s, vh.mH


class _Svd(torch.autograd.Function):
    """A decomposition to be differentiated where the phases of its vectors cancel.

    PyTorch's own looks at the numbers to see whether they do, which no `vmap` of a second
    derivative allows; what the laws make of the vectors always has them cancel.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, s, vh = torch.linalg.svd(a, full_matrices=False)
        return u, s, vh.mH.resolve_conj()

    @staticmethod
    def setup_context(ctx: Any, _inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        ctx.save_for_backward(*output)
        ctx.save_for_forward(*output)

    @staticmethod
    def backward(ctx: Any, grad_u: Tensor, grad_s: Tensor, grad_v: Tensor) -> tuple[Tensor]:
        u, s, v = ctx.saved_tensors
        turn_u, turn_v = _skew(u.mH @ grad_u), _skew(v.mH @ grad_v)
        phase = turn_u.diagonal(dim1=-2, dim2=-1) / (2 * s)
        inner = (turn_u * s[..., None, :] + s[..., None] * turn_v) * _inverse_gaps(s)
        inner = inner + torch.diag_embed(grad_s + phase)
        left = u @ inner + (grad_u - u @ (u.mH @ grad_u)) / s[..., None, :]
        beyond = (grad_v - v @ (v.mH @ grad_v)) / s[..., None, :]
        return (left @ v.mH + u @ beyond.mH,)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, s, v = ctx.saved_tensors
        with forward_mode():
            u, s, v = primal(u), primal(s), primal(v)
            change = u.mH @ tangent @ v
            diagonal = change.diagonal(dim1=-2, dim2=-1)
            right, left = change * s[..., None, :], change * s[..., None]
            phase = torch.diag_embed((diagonal - diagonal.conj()) / (4 * s))
            turn_u = (right + right.mH) * _inverse_gaps(s) + phase
            turn_v = (left + left.mH) * _inverse_gaps(s) - phase
            beyond_u = (tangent @ v - u @ change) / s[..., None, :]
            beyond_v = (tangent.mH @ u - v @ change.mH) / s[..., None, :]
            return u @ turn_u + beyond_u, diagonal.real, v @ turn_v + beyond_v


def _skew(a: Tensor) -> Tensor:
    return a - a.mH


def _inverse_gaps(s: Tensor) -> Tensor:
    """`1/(s[j]^2 - s[i]^2)`, 0 on the diagonal."""
    gaps = (s[..., None, :] - s[..., None]) * (s[..., None, :] + s[..., None])
    same = torch.eye(s.shape[-1], dtype=torch.bool, device=s.device)
    return torch.where(same, 0, 1 / torch.where(same, 1, gaps))
