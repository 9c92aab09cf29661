"""Rows of products, norms and matrix functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import generated
from tests.opinfo_table import Row


def _components(op: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """An op of two vectors, on the components of two tensors that broadcast."""

    def adapter(a: Tensor, b: Tensor) -> Tensor:
        a, b = torch.broadcast_tensors(a, b)
        return op(a.flatten(), b.flatten()).reshape(a.shape)

    return adapter


def _hadamard(a: Tensor, b: Tensor) -> Tensor | None:
    a, b = torch.broadcast_tensors(a, b)
    return generated.hadamard(a, b) if a.ndim == 2 else None


def _sum2(a: Tensor, b: Tensor, *, alpha: float = 1.0) -> Tensor | None:
    return generated.sum2(a, alpha * b) if a.ndim == b.ndim == 0 else None


def _dot(a: Tensor, b: Tensor, *, dim: int = -1) -> Tensor | None:
    return generated.dot(a, b) if a.ndim == b.ndim == 1 else None


def _broadcast(x: Tensor, shape: Sequence[int]) -> Tensor | None:
    if x.ndim:
        return None
    count = torch.Size(shape).numel()
    return generated.broadcast(x, n=count).reshape(tuple(shape))


def _transpose(x: Tensor, *axes: int) -> Tensor | None:
    return generated.transpose(x) if x.ndim == 2 else None


def _variance(x: Tensor, dim: int | None = None, correction: float | None = None, **options: bool) -> Tensor | None:
    biased = correction == 0 or options.get("unbiased") is False
    if not biased or not (x.ndim == 1 or dim is None):
        return None
    value = generated.variance(x.flatten())
    return value.reshape((1,) * x.ndim) if options.get("keepdim") else value


def _variance_unbiased(x: Tensor, unbiased: bool) -> Tensor | None:
    return None if unbiased else generated.variance(x.flatten())


def _norm(x: Tensor, ord: float = 2, dim: int | None = None, keepdim: bool = False) -> Tensor | None:
    return generated.norm(x.flatten()) if ord == 2 and dim is None and not keepdim else None


def _frobenius(x: Tensor, p: str = "fro", dim: Sequence[int] = (0, 1)) -> Tensor | None:
    return generated.frobenius(x) if p == "fro" and list(dim) == [0, 1] else None


def _dist(a: Tensor, b: Tensor, p: float) -> Tensor | None:
    return generated.norm((a - b).flatten()) if p == 2 else None


def _rows_distance(a: Tensor, b: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor | None:
    if p != 2 or keepdim or a.ndim != 2:
        return None
    return torch.vmap(generated.norm)(a - b + eps)


def _pairwise_distance(x: Tensor, z: Tensor, p: float, mode: str) -> Tensor | None:
    return generated.pairwise_distance(x, z) if p == 2 and x.ndim == z.ndim == 2 else None


def _plain_distance(x: Tensor, z: Tensor, p: float, mode: str) -> Tensor:
    return torch.linalg.vector_norm(x[:, None] - z[None, :], dim=-1)


def _einsum(op: Callable[..., Tensor], wanted: str) -> Callable[[Sequence[Tensor], str], Tensor | None]:
    return lambda tensors, equation: op(*tensors) if equation == wanted else None


def _partial_trace(x: Tensor) -> Tensor:
    return generated.partial_trace(x.transpose(1, 2)) / 22


def _outer_of_matrices(a: Tensor, b: Tensor) -> Tensor:
    return generated.kronecker(a, b).transpose(1, 2)


def _kron(a: Tensor, b: Tensor) -> Tensor:
    rows, columns = a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]
    return generated.kronecker(a, b).reshape(rows, columns)


def _bmm_reversed(a: Tensor, b: Tensor) -> Tensor:
    return generated.bmm_reversed(a.permute(1, 2, 0), b.transpose(1, 2)).permute(2, 0, 1)


def _matrix_chain(matrices: Sequence[Tensor]) -> Tensor | None:
    if len(matrices) != 5:
        return None
    columns = torch.eye(matrices[-1].shape[1], dtype=matrices[-1].dtype)
    return torch.vmap(generated.matrix_chain, (None,) * 5 + (1,), 1)(*matrices, columns)


def _cross(a: Tensor, b: Tensor, dim: int = -1) -> Tensor | None:
    if dim % a.ndim != a.ndim - 1:
        return None
    a, b = torch.broadcast_tensors(a, b)
    return torch.vmap(generated.levi_civita_cross)(a, b)


def _square(x: Tensor) -> bool:
    return x.ndim == 2 and x.shape[0] == x.shape[1]


def _trace(x: Tensor) -> Tensor | None:
    return generated.trace(x) if _square(x) else None


def _diagonal(x: Tensor, **options: int) -> Tensor | None:
    return generated.diagonal(x) if _square(x) and not options else None


def _diag_embed(x: Tensor, **options: int) -> Tensor | None:
    return None if options else torch.vmap(generated.diag_embed)(x)


def _batched(op: Callable[[Tensor], Tensor]) -> Callable[..., Tensor | None]:
    """An op of a batch of matrices, on a matrix or a batch with any number of axes."""

    def adapter(x: Tensor, **options: object) -> Tensor | None:
        if options not in ({}, {"upper": False}):
            return None
        y = op(x.reshape(x.shape[:-2].numel(), *x.shape[-2:]))
        return y.reshape(x.shape[:-2] + y.shape[1:])

    return adapter


def _solve(a: Tensor, c: Tensor) -> Tensor | None:
    if a.ndim != 3:
        return None
    return generated.solve(a, c) if c.ndim == 3 else generated.solve(a, c.unsqueeze(-1)).squeeze(-1)


ROWS = (
    Row("batch_matmul", "bmm", generated.batch_matmul),
    Row("batch_matmul", "einsum", _einsum(generated.batch_matmul, "aij,ajk->aik")),
    Row("bmm_reversed", "bmm", _bmm_reversed),
    Row("broadcast", "expand", _broadcast),
    Row("cholesky", "linalg.cholesky", _batched(generated.cholesky), batched=2),
    Row("det", "linalg.det", _batched(generated.det), batched=2),
    Row("diag_embed", "diag_embed", _diag_embed),
    Row("diagonal", "diagonal", _diagonal),
    Row("dot", "dot", _dot),
    Row("dot", "inner", _dot),
    Row("dot", "linalg.vecdot", _dot),
    Row("frobenius", "norm", _frobenius, variant="fro"),
    Row("hadamard", "mul", _hadamard),
    Row("inverse", "linalg.inv", _batched(generated.inverse), batched=2),
    Row("kronecker", "kron", _kron),
    Row("kronecker", "einsum", _einsum(_outer_of_matrices, "ij,Ab->ijAb")),
    Row("levi_civita_cross", "linalg.cross", _cross),
    Row("linear", "einsum", _einsum(generated.linear, "ij,kj->ik")),
    Row("logdet", "logdet", _batched(generated.logdet), batched=2),
    Row("matmul", "mm", generated.matmul),
    Row("matrix_chain", "linalg.multi_dot", _matrix_chain),
    Row("matvec", "mv", generated.matvec),
    Row("norm", "linalg.vector_norm", _norm),
    Row("norm", "dist", _dist),
    Row("norm", "nn.functional.pairwise_distance", _rows_distance),
    Row("outer", "outer", generated.outer),
    Row("outer", "einsum", _einsum(generated.outer, "i,j->ij")),
    Row(
        "pairwise_distance",
        "cdist",
        _pairwise_distance,
        plain=_plain_distance,
        why="derivative for '_cdist_backward' is not implemented",
    ),
    Row("partial_trace", "einsum", _einsum(_partial_trace, "iji->j")),
    Row("quotient", "div", _components(generated.quotient), variant="no_rounding_mode"),
    Row("solve", "linalg.solve", _solve, batched=2),
    Row("sum2", "add", _sum2),
    Row("trace", "trace", _trace),
    Row("transpose", "t", _transpose),
    Row("transpose", "transpose", _transpose),
    Row("variance", "var", _variance),
    Row("variance", "var", _variance_unbiased, variant="unbiased"),
)
