"""Reductions, scans and matrix functions of arrays, each by its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tensorgrad_gen.ir import Index, Linalg
from tensorgrad_gen.reference.values import Env, EvaluationError, Value, spread, with_indices

Array: TypeAlias = "np.ndarray[Any, Any]"


def _axes(value: Value, indices: tuple[Index, ...]) -> tuple[int, ...]:
    return tuple(value.indices.index(i) for i in indices)


def _logsumexp(z: Array, axes: tuple[int, ...]) -> Array:
    if not all(z.shape[a] for a in axes):
        return np.asarray(np.sum(z, axis=axes) - np.inf)
    top = np.max(z, axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    return np.asarray(np.log(np.sum(np.exp(z - top), axis=axes)) + np.squeeze(top, axis=axes))


def _softmax(z: Array, axes: tuple[int, ...]) -> Array:
    e = np.exp(z - np.max(z, axis=axes, keepdims=True, initial=-np.inf))
    return np.asarray(e / np.sum(e, axis=axes, keepdims=True))


def _log_softmax(z: Array, axes: tuple[int, ...]) -> Array:
    top = np.max(z, axis=axes, keepdims=True, initial=-np.inf)
    return np.asarray(z - top - np.log(np.sum(np.exp(z - top), axis=axes, keepdims=True)))


def _prod_others(z: Array, axes: tuple[int, ...]) -> Array:
    """At each place the product of all the others along the axes."""
    out = np.ones_like(z)
    for place in np.ndindex(*(z.shape[a] for a in axes)):
        at = [slice(None)] * z.ndim
        rest = z.copy()
        for axis, number in zip(axes, place, strict=True):
            at[axis] = slice(number, number + 1)
        rest[tuple(at)] = 1
        out[tuple(at)] = np.prod(rest, axis=axes, keepdims=True)
    return out


REDUCTION: dict[str, Callable[[Array, tuple[int, ...]], Any]] = {
    "prod": lambda z, axes: np.prod(z, axis=axes),
    "max": lambda z, axes: np.max(z, axis=axes),
    "min": lambda z, axes: np.min(z, axis=axes),
    "logsumexp": _logsumexp,
    "norm": lambda z, axes: np.sqrt(np.sum(np.abs(z) ** 2, axis=axes)),
    "any": lambda z, axes: np.any(z, axis=axes),
    "all": lambda z, axes: np.all(z, axis=axes),
    "argmax": lambda z, axes: np.argmax(z, axis=axes[0]),
    "argmin": lambda z, axes: np.argmin(z, axis=axes[0]),
}
NOT_OF_NOTHING = ("max", "min", "argmax", "argmin")

SCAN: dict[str, Callable[[Array, tuple[int, ...]], Any]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "cumsum": lambda z, axes: np.cumsum(z, axis=axes[0]),
    "cumprod": lambda z, axes: np.cumprod(z, axis=axes[0]),
    "flip": lambda z, axes: np.flip(z, axis=axes),
    "sort": lambda z, axes: np.sort(z, axis=axes[0], kind="stable"),
    "prod_others": _prod_others,
    "argsort": lambda z, axes: np.argsort(z, axis=axes[0], kind="stable"),
}


def total(value: Value, indices: tuple[Index, ...], env: Env) -> Value:
    """Sum over the indices; one that the value lacks multiplies by its extent."""
    value = with_indices(value, indices, env)
    kept = tuple(i for i in value.indices if i not in indices)
    return Value(np.sum(value.array, axis=_axes(value, indices)), kept)


def reduction(kind: str, value: Value, indices: tuple[Index, ...], env: Env) -> Value:
    """The reduction over the indices."""
    value = with_indices(value, indices, env)
    kept = tuple(i for i in value.indices if i not in indices)
    for index in indices:
        if kind in NOT_OF_NOTHING and env.extent(index) == 0:
            raise EvaluationError(f"{kind} over index {index.name}, which is empty")
    return Value(np.asarray(REDUCTION[kind](value.array, _axes(value, indices))), kept)


def scan(kind: str, value: Value, indices: tuple[Index, ...], env: Env) -> Value:
    """The scan along the indices."""
    value = with_indices(value, indices, env)
    return Value(np.asarray(SCAN[kind](value.array, _axes(value, indices))), value.indices)


def _logdet(m: Array) -> Array:
    sign, size = np.linalg.slogdet(m)
    if np.iscomplexobj(m):
        return np.asarray(size + 1j * np.angle(sign))
    return np.asarray(np.where(sign < 0, np.nan, size))


def _matrix_sqrt(m: Array) -> Array:
    values, vectors = np.linalg.eig(m)
    root = (vectors * np.sqrt(values.astype(np.complex128))[..., None, :]) @ np.linalg.inv(vectors)
    return np.asarray(root if np.iscomplexobj(m) else root.real)


def _matrix_exp(m: Array) -> Array:
    """By its series, of a matrix halved until it is small, then squared as often."""
    largest = float(np.max(np.sum(np.abs(m), axis=-1), initial=0.0))
    halvings = max(0, int(np.ceil(np.log2(largest))) + 1) if 0 < largest < np.inf else 0
    small = m / 2.0**halvings
    out = term = np.broadcast_to(np.eye(m.shape[-1]), m.shape)
    for k in range(1, 25):
        term = term @ small / k
        out = out + term
    for _ in range(halvings):
        out = out @ out
    return np.asarray(out)


def _exp_change(m: Array, change: Array) -> Array:
    """The derivative of exp(m + t change) by t: the upper right block of exp([[m, change], [0, m]])."""
    size = m.shape[-1]
    block = np.block([[m, change], [np.zeros_like(m), m]])
    return _matrix_exp(block)[..., :size, size:]


SCALAR_LINALG: dict[str, Callable[[Array], Any]] = {
    "det": np.linalg.det,
    "logdet": _logdet,
    "slogdet_sign": lambda m: np.linalg.slogdet(m)[0],
}


MATRIX_LINALG: dict[str, Callable[[Array], Array]] = {
    "inverse": np.linalg.inv,
    "pinv": np.linalg.pinv,
    "cholesky": np.linalg.cholesky,
    "matrix_sqrt": _matrix_sqrt,
    "matrix_exp": _matrix_exp,
    "singular_values": lambda m: np.linalg.svd(m, compute_uv=False),
    "left_vectors": lambda m: np.linalg.svd(m, full_matrices=False)[0],
    "right_vectors": lambda m: np.swapaxes(np.linalg.svd(m, full_matrices=False)[2], -1, -2).conj(),
    "eigenvalues": lambda m: np.linalg.eigh(m)[0],
    "eigenvectors": lambda m: np.linalg.eigh(m)[1],
}


def matrix_function(expr: Linalg, matrix: Value, rhs: Value | None, env: Env) -> Value:
    """The matrix function over `rows` and `cols`, each flattened to one axis; the rest is batch."""
    rows, cols = expr.rows, expr.cols
    batch = tuple(i for i in matrix.indices if i not in (*rows, *cols))
    if expr.kind == "exp_change" and rhs is not None:
        batch += tuple(i for i in rhs.indices if i not in (*batch, *rows, *cols))
    lengths = [env.extent(i) for i in batch]
    size = int(np.prod([env.extent(i) for i in rows], dtype=int))
    width = int(np.prod([env.extent(i) for i in cols], dtype=int))
    m = spread(matrix, (*batch, *rows, *cols), env).reshape(*lengths, size, width)
    if expr.kind in SCALAR_LINALG:
        return Value(np.asarray(SCALAR_LINALG[expr.kind](m)), batch)
    col_lengths = [env.extent(i) for i in cols]
    if expr.kind == "exp_change" and rhs is not None:
        change = spread(with_indices(rhs, (*rows, *cols), env), (*batch, *rows, *cols), env).reshape(m.shape)
        return Value(
            _exp_change(m, change).reshape(*lengths, *[env.extent(i) for i in (*rows, *cols)]), batch + rows + cols
        )
    if expr.kind in MATRIX_LINALG:
        found = MATRIX_LINALG[expr.kind](m)
        return Value(found.reshape(*lengths, *[env.extent(i) for i in expr.axes]), (*batch, *expr.axes))
    assert rhs is not None
    columns = tuple(i for i in rhs.indices if i not in (*batch, *rows))
    widths = [env.extent(i) for i in columns]
    right = spread(with_indices(rhs, rows, env), (*batch, *rows, *columns), env)
    solved = np.linalg.solve(m, right.reshape(*lengths, size, int(np.prod(widths, dtype=int))))
    return Value(solved.reshape(*lengths, *col_lengths, *widths), (*batch, *cols, *columns))
