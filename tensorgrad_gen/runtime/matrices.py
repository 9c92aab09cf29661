"""Functions of matrices that lowered code calls beside torch's.

Law: as in `ops`: pure, differentiable to any order, right under every transform.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.core import (
    compiling,
    forward_mode,
    in_transform,
    legacy_batched,
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


def requires_grad(*tensors: Tensor | None) -> bool:
    """Whether one of them does: under a transform none, whatever is differentiated there."""
    return any(tensor is not None and tensor.requires_grad for tensor in tensors)


def solve_triangular(a: Tensor, c: Tensor, *, upper: bool) -> Tensor:
    """The solution of `a @ x = c` for triangular `a`; as any other where something looks on."""
    if recording(a, c):
        return solve(a, c)
    result: Tensor = torch.linalg.solve_triangular(a, c, upper=upper)
    return result


def solve_and_factor(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The solution of `a @ x = c`, and the LU factors of `a` with their pivots.

    Nothing is kept under a transform.  (`_linalg_solve_ex` returns factors too: on some devices
    those of the transpose.)
    """
    if in_transform():
        return solve(a, c), a.new_empty(0), a.new_empty(0)
    lu, pivots = _factors(a)
    return torch.linalg.lu_solve(lu, pivots, c), lu, pivots


def _factors(a: Tensor) -> tuple[Tensor, Tensor]:
    """LU factors and pivots of matrices that must not be singular."""
    if compiling():  # in a loop Dynamo traces no check: the solution is not finite then
        lu, pivots, _ = torch.linalg.lu_factor_ex(a)
        return lu, pivots
    try:
        lu, pivots = torch.linalg.lu_factor(a)
    except RuntimeError as error:
        if "is zero" not in str(error):
            raise
        singular = "solve: the matrix is singular"
        raise torch.linalg.LinAlgError(singular) from error  # type: ignore[attr-defined]
    return lu, pivots


def logdet_and_factor(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logarithm of the determinant, and the LU factors as `solve_and_factor` keeps them."""
    if in_transform():
        return torch.logdet(a), a.new_empty(0), a.new_empty(0)
    lu, pivots, _ = torch.linalg.lu_factor_ex(a)
    diagonal = lu.diagonal(dim1=-2, dim2=-1)
    own = torch.arange(1, a.shape[-1] + 1, device=a.device)
    minus = (pivots != own).sum(-1) + (diagonal < 0).sum(-1)
    return torch.where(minus % 2 == 1, math.nan, diagonal.abs().log().sum(-1)), lu, pivots


def inverse(a: Tensor, lu: Tensor, pivots: Tensor, *, transposed: bool = False) -> Tensor:
    """`a^-1`, by factors of `a`, or of what it is the transpose of, where nothing looks on."""
    result: Tensor
    if _kept(lu, a) and (compiling() or not legacy_batched(a)):
        one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        result = torch.linalg.lu_solve(lu, pivots, one, adjoint=transposed)
    else:
        result = torch.linalg.inv(a)
    return result


def eigvalsh(a: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    """The eigenvalues of symmetric matrices; the vectors beside them if they are to be kept."""
    if not keep:
        return torch.linalg.eigvalsh(a), a.new_empty(0)
    values, vectors = torch.linalg.eigh(a)
    return values, vectors


def eigenvectors(a: Tensor, kept: Tensor) -> Tensor:
    """The eigenvectors: those that are kept, or of the matrix where something looks on."""
    return kept if _readable(kept, a) else torch.linalg.eigh(a).eigenvectors


def svdvals(a: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The singular values between the left vectors and the right, if those are to be kept."""
    if not keep:
        return a.new_empty(0), torch.linalg.svdvals(a), a.new_empty(0)
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    return u, s, vh


def singular_vectors(a: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The left vectors and the right: those that are kept, or of the matrix."""
    if _readable(left, a):
        return left, right
    u, _, vh = torch.linalg.svd(a, full_matrices=False)
    return u, vh


def _readable(kept: Tensor, a: Tensor) -> bool:
    """Whether this has been kept of the matrix, and is not differentiated."""
    return kept.dim() == a.dim() and not torch.is_grad_enabled() and not in_transform()


def _kept(lu: Tensor | None, a: Tensor) -> bool:
    """Whether these are factors of a matrix as large, and may be read."""
    return lu is not None and bool(lu.shape[-1] == a.shape[-1]) and _readable(lu, a)


def solve(
    a: Tensor,
    c: Tensor,
    lu: Tensor | None = None,
    pivots: Tensor | None = None,
    *,
    transposed: bool = False,
) -> Tensor:
    """The solution of `a @ x = c`, for as many systems of each as of the other.

    By factors of `a`, or of what it is the transpose of, where nothing is differentiated.
    """
    if _kept(lu, a) and (compiling() or not (legacy_batched(a) or legacy_batched(c))):
        result: Tensor = torch.linalg.lu_solve(lu, pivots, c, adjoint=transposed)
        return result
    if not torch.compiler.is_compiling():
        solution: Tensor = _LinearSolve.apply(a, c)  # type: ignore[no-untyped-call]
    elif a.requires_grad or c.requires_grad:  # Dynamo traces no Function that has forward mode
        solution = torch.linalg.lu_solve(*torch.linalg.lu_factor(a), c)
    else:  # nor, in a loop, the check for a singular matrix: the solution is not finite then
        factors = torch.linalg.lu_factor_ex(a)
        solution = torch.linalg.lu_solve(factors.LU, factors.pivots, c)
    return solution


class _LinearSolve(torch.autograd.Function):
    """`a^-1 c`, whose derivatives are solves again: right to any order, under any transform.

    PyTorch's own are not: forward mode of `solve` is wrong when it is differentiated again
    (pytorch#192540), and `lu_solve` is wrong for matrices that broadcast inside a batch of right
    sides, which `vmap` of a Hessian makes of them.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, c: Tensor) -> Tensor:
        solution: Tensor = torch.linalg.solve(a, c)
        return solution

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs[0], output)
        ctx.save_for_forward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return None, None
        a, x = ctx.saved_tensors
        grad_c = solve(a.mH, grad)
        return (-grad_c @ x.mH if ctx.needs_input_grad[0] else None), grad_c

    @staticmethod
    def jvp(ctx: Any, tangent_a: Tensor | None, tangent_c: Tensor | None) -> Tensor:
        a, x = ctx.saved_tensors
        with forward_mode():
            a, x = primal(a), primal(x)
            change = torch.zeros_like(x) if tangent_c is None else tangent_c
            return solve(a, change if tangent_a is None else change - tangent_a @ x)
