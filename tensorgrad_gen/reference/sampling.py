"""Inputs to try a program on: every input drawn from its domain, scaled to order one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tensorgrad_gen.ir import Index, Input, Program
from tensorgrad_gen.reference.program import Array, size_value
from tensorgrad_gen.reference.values import EvaluationError

BATCH = (2, 3)  # the axes that `...` stands for
MOST = 8  # extent of a sample


def sample_inputs(
    program: Program, seed: int, extents: Mapping[str, int] | None = None, batch: tuple[int, ...] = BATCH
) -> tuple[dict[str, Array], dict[str, float]]:
    """Inputs and params; `extents` fixes some extents, the others are small and, if they can be, distinct."""
    rng = np.random.default_rng(seed)
    params = {
        p.name: float(p.default) if p.default is not None else (2.0 if p.kind == "int" else 0.5) for p in program.params
    }
    lengths = sample_extents(program, extents or {}, params)
    inputs = {item.name: sample_input(item, lengths, batch, rng) for item in program.inputs}
    return inputs, params


MOST_TURNS = 25  # arrangements of extents that are tried


def sample_extents(program: Program, fixed: Mapping[str, int], params: Mapping[str, float]) -> dict[str, int]:
    """Small hints as they are, else 2, 3, 4, ... in order of first use; then what the spec gives itself."""
    lengths = {symbol: extent for symbol, extent in program.hints if extent <= MOST} | dict(fixed)
    symbols = [symbol for symbol, _ in program.axes if symbol != "..."]
    free = [s for s in symbols if s not in lengths]
    for turn in range(MOST_TURNS):
        # A window must fit into what it slides along: where it does not, the extents change places.
        lengths |= {symbol: 2 + (k + turn * (k + 1)) % 5 for k, symbol in enumerate(free)}
        for symbol, size in program.size_defs:
            lengths[symbol] = size_value(size, lengths, params)
        if all(lengths[symbol] > 0 for symbol, _ in program.size_defs):
            break
    return lengths


def sample_input(item: Input, lengths: Mapping[str, int], batch: tuple[int, ...], rng: np.random.Generator) -> Array:
    """One input from its domain."""
    shape: list[int] = []
    for index in item.indices:
        shape.extend(batch if index.name == "..." else [length_of(index, lengths)])
    if item.kind == "bool":
        return rng.random(shape) < 0.5
    if item.kind == "label":
        above = item.labels if isinstance(item.labels, int) else lengths[str(item.labels)]
        return rng.integers(0, max(above, 1), shape)
    value = draw(item.domain, tuple(shape), rng)
    if item.kind == "complex":
        value = value + 1j * draw(item.domain, tuple(shape), rng)
    return structured(value, item.structure)


def length_of(index: Index, lengths: Mapping[str, int]) -> int:
    """The extent of an index."""
    return index.extent if isinstance(index.extent, int) else lengths[index.extent]


def real(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Normal, each entry at least 0.1 away from 0: most kinks are there."""
    z = rng.standard_normal(shape)
    return np.asarray(z + np.copysign(0.1, z))


def spd(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Symmetric positive definite, eigenvalues of order one."""
    n = shape[-1]
    a = rng.standard_normal(shape)
    return np.asarray(a @ np.swapaxes(a, -1, -2) / max(n, 1) + np.eye(n))


def well_conditioned(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Singular values between 1/2 and 3/2; a square matrix has a positive determinant, so that its log exists."""
    left, sizes, right = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    out = (left * rng.uniform(0.5, 1.5, sizes.shape)[..., None, :]) @ right
    if shape[-1] == shape[-2] > 0:
        out[..., 0, :] *= np.sign(np.linalg.det(out))[..., None]
    return np.asarray(out)


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Orthonormal columns."""
    return np.asarray(np.linalg.qr(rng.standard_normal(shape))[0])


def simplex(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Positive, adding up to 1 over the last index."""
    z = rng.uniform(0.2, 1.0, shape)
    return np.asarray(z / z.sum(-1, keepdims=True))


DOMAINS: dict[str, Callable[[tuple[int, ...], np.random.Generator], Array]] = {
    "real": real,
    "positive": lambda shape, rng: np.exp(0.5 * rng.standard_normal(shape)),
    "unit": lambda shape, rng: rng.uniform(0.05, 0.95, shape),
    "nonzero": lambda shape, rng: rng.uniform(0.3, 2.0, shape) * rng.choice([-1.0, 1.0], shape),
    "simplex": simplex,
    "spd": spd,
    "well_conditioned": well_conditioned,
    "orthogonal": orthogonal,
}


def draw(domain: Any, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """An array of the domain."""
    if isinstance(domain, str):
        if domain not in DOMAINS:
            raise EvaluationError(f"no domain {domain}")
        return np.asarray(DOMAINS[domain](shape, rng), dtype=np.float64)
    lo, hi = map(float, domain)
    margin = (hi - lo) * 0.02
    return rng.uniform(lo + margin, hi - margin, shape)


def structured(array: Array, structure: str) -> Array:
    """The array with the structure in its last two axes."""
    if structure == "symmetric":
        return np.asarray((array + np.swapaxes(array, -1, -2)) / 2)
    if structure == "lower":
        return np.tril(array)
    if structure == "upper":
        return np.triu(array)
    if structure == "diagonal":
        return np.asarray(array * np.eye(array.shape[-1]))
    return array
