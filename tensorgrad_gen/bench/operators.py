"""What operators of ATen do to memory, and their floating-point operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

_aten: Any = torch.ops.aten

# Memory is asked for, nothing is written.
NO_BYTES = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted"})
# Named as if they changed their operand, of which they change the shape: views.
VIEWS_IN_PLACE = frozenset({"squeeze_", "unsqueeze_", "t_", "transpose_", "detach_", "as_strided_"})
# The operand that is written to is not read.
WRITES_ONLY = frozenset({"copy_", "fill_", "zero_"})
# A tensor is asked for like another one, of which nothing is read but its shape and type.
FILLS = frozenset({"zeros_like", "new_zeros", "ones_like", "new_ones", "full_like", "new_full"})
# Of the first operand is read what labels pick.
PICKS = frozenset({"index", "gather", "index_select", "embedding", "take"})
# Elements are moved, or numbers written: nothing is computed.
MOVES = frozenset(
    {
        *("clone", "_to_copy", "copy_", "cat", "stack", "flip", "roll", "repeat", "constant_pad_nd", "diag_embed"),
        *("fill_", "zero_", "zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones", "full", "full_like"),
        *("new_full", "arange", "eye", "scalar_tensor", "select_backward", "slice_backward", "diagonal_backward"),
        *("tril", "triu", "tril_", "triu_", "unfold_backward", "as_strided_scatter", "select_scatter", "slice_scatter"),
    }
)
# Of the first operand is changed, in place, what labels pick.
PUTS = frozenset({"index_put_", "_index_put_impl_", "index_add_", "scatter_add_", "scatter_", "index_copy_"})


def _vector(matrix: Tensor, *_others: Any, **_options: Any) -> int:
    """Of a matrix or a vector times a vector."""
    return 2 * matrix.numel()


def _plus(_added: Tensor, matrix: Tensor, *_others: Any, **_options: Any) -> int:
    return 2 * matrix.numel()


def _cubic(times: float) -> Callable[..., int]:
    """Of a method that takes `times` n^3 operations for a matrix of order n."""

    def formula(matrix: Tensor, *_others: Any, **_options: Any) -> int:
        return int(times * matrix.numel() * min(matrix.shape[-2:], default=0))

    return formula


def _solve(times: float) -> Callable[..., int]:
    """Of a solution with `right`: 2 n^2 a column, beside `times` n^3 of the matrix."""

    def formula(matrix: Tensor, right: Tensor, *others: Any, **_options: Any) -> int:
        return int(times * matrix.numel() * matrix.shape[-1] + 2 * right.numel() * matrix.shape[-1])

    return formula


def _convolution_backward(grad: Tensor, x: Tensor, w: Tensor, *others: Any, **options: Any) -> int:
    """As many as forward, for each of the two gradients that are wanted."""
    transposed, mask = others[4], options.get("output_mask", others[-1])
    places = x if transposed else grad
    return int(2 * places.numel() * math.prod(w.shape[1:]) * (mask[0] + mask[1]))


def _attention(query: Tensor, key: Tensor, *_others: Any, **_options: Any) -> int:
    """Two products of queries and keys: the logits, and the weights by the values."""
    return 2 * 2 * query.numel() * key.shape[-2]


def _attention_backward(_grad: Tensor, query: Tensor, key: Tensor, *_others: Any, **_options: Any) -> int:
    """Five products: the logits again, the weights' cotangent, and three gradients."""
    return 5 * 2 * query.numel() * key.shape[-2]


# Operator -> its floating-point operations: those of PyTorch's own counter, and what that leaves out.
FLOPS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    _aten.mv: _vector,
    _aten.dot: _vector,
    _aten.vdot: _vector,
    _aten.addmv: _plus,
    _aten.linalg_inv_ex: _cubic(2),
    _aten.linalg_lu_factor_ex: _cubic(2 / 3),
    _aten._linalg_det: _cubic(2 / 3),
    _aten._linalg_slogdet: _cubic(2 / 3),
    _aten.linalg_cholesky_ex: _cubic(1 / 3),
    _aten._linalg_eigh: _cubic(9),
    _aten._linalg_svd: _cubic(20),
    _aten.linalg_matrix_exp: _cubic(20),
    _aten._linalg_solve_ex: _solve(2 / 3),
    _aten.linalg_solve_triangular: _solve(0),
    _aten.linalg_lu_solve: lambda matrix, _pivots, right, **_options: _solve(0)(matrix, right),
    _aten.cholesky_solve: lambda right, factor, *_upper, **_options: 2 * _solve(0)(factor, right),
    # PyTorch's own takes no account of groups.
    _aten.convolution_backward: _convolution_backward,
    _aten.cholesky_inverse: _cubic(2),
    _aten.linalg_cross: lambda vectors, *_others, **_options: 3 * vectors.numel(),
}
