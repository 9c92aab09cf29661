"""Factorisations that functions of one matrix share, and that forward keeps for backward.

Law: what is made of factors equals what is made of the matrix, whose derivatives go by the matrix:
where something looks on, factors are neither made nor read.
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


def lu_factor(a: Tensor, *, singular: bool = False) -> tuple[Tensor, Tensor]:
    """LU factors and pivots that functions of `a` share; nothing where something looks on.

    A singular matrix is an error, as it is to `solve` and `inverse`, unless it may be one.
    """
    if torch.is_grad_enabled() or in_transform() or (not compiling() and legacy_batched(a)):
        return a.new_empty(0), a.new_empty(0)
    if singular:
        lu, pivots, _ = torch.linalg.lu_factor_ex(a)
        return lu, pivots
    return _factors(a)


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


def _slogdet_with_factors() -> Any:
    """The operator of `torch.linalg.slogdet`, if it returns factors of the transpose; else None."""
    operator: Any = getattr(torch.ops.aten, "_linalg_slogdet", None)
    a = torch.tensor([[1.0, 2.0], [4.0, 12.0]], device="cpu")
    try:
        expected = torch.linalg.lu_factor(a.mT)
        _, _, lu, pivots = operator(a)
        same = torch.equal(lu, expected.LU) and torch.equal(pivots, expected.pivots)
    except (
        RuntimeError,
        TypeError,
    ):  # there is none, or a mode is on in which no tensor has a value
        return None
    return operator if same else None


_SLOGDET = _slogdet_with_factors()


def logdet_and_factor(a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logarithm of the determinant, and the LU factors of the transpose with their pivots.

    (PyTorch factorises the transpose of a contiguous matrix: that of others may be copied.)
    """
    if in_transform():
        return torch.logdet(a), a.new_empty(0), a.new_empty(0)
    if compiling() or not (a.is_cpu or a.is_cuda) or _SLOGDET is None:
        lu, pivots, _ = torch.linalg.lu_factor_ex(a.mT)
        return _log_determinant(lu, pivots), lu, pivots
    sign, logarithm, lu, pivots = _SLOGDET(a.contiguous())
    return logarithm + sign.log(), lu, pivots


def _log_determinant(lu: Tensor, pivots: Tensor) -> Tensor:
    """`log |det|` where the determinant is not negative, else NaN."""
    diagonal = lu.diagonal(dim1=-2, dim2=-1)
    logarithm = diagonal.abs().log().sum(-1)
    return torch.where(_negative(diagonal, pivots), math.nan, logarithm)


def _negative(diagonal: Tensor, pivots: Tensor) -> Tensor:
    """Whether the determinant of the matrix with these factors is."""
    own = torch.arange(1, diagonal.shape[-1] + 1, device=diagonal.device)
    return ((pivots != own).sum(-1) + (diagonal < 0).sum(-1)) % 2 == 1


def logdet(a: Tensor, lu: Tensor, pivots: Tensor) -> Tensor:
    """The logarithm of the determinant, by factors where nothing looks on."""
    return _log_determinant(lu, pivots) if _by_factors(lu, a) else torch.logdet(a)


def det(a: Tensor, lu: Tensor, pivots: Tensor, *, sign: bool = False) -> Tensor:
    """The determinant, or its sign, by factors where nothing looks on."""
    result: Tensor
    if _by_factors(lu, a):
        diagonal = lu.diagonal(dim1=-2, dim2=-1)
        result = (diagonal.abs().sign() if sign else diagonal.abs()).prod(-1)
        return torch.where(_negative(diagonal, pivots), -result, result)
    result = torch.linalg.slogdet(a).sign if sign else torch.linalg.det(a)
    return result


def inverse(a: Tensor, lu: Tensor, pivots: Tensor, *, transposed: bool = False) -> Tensor:
    """`a^-1`, by factors of `a`, or of what it is the transpose of, where nothing looks on."""
    result: Tensor
    if _by_factors(lu, a):
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


def _by_factors(lu: Tensor | None, a: Tensor) -> bool:
    """Whether these are factors of a matrix as large, and may be read."""
    if lu is None or lu.shape[-1] != a.shape[-1] or not _readable(lu, a):
        return False
    return compiling() or not legacy_batched(a)


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
    if _by_factors(lu, a) and (compiling() or not legacy_batched(c)):
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
