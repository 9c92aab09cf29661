"""Inputs for an op of the library, sampled from its spec's indices, kinds and domains.

Extents are small; letters that only a matrix's being square ties together are listed in `SQUARE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.spec.model import InputSpec, OpSpec

# Groups of letters with one extent, that the spec's inputs name apart.
SQUARE: dict[str, str] = {
    "cholesky": "ij",
    "det": "ij",
    "diagonal": "ij",
    "eigvalsh": "ij",
    "gru_cell": "jk",
    "inverse": "ik",
    "inverse_quadratic": "ik",
    "linear_ode": "ij",
    "logdet": "ij",
    "lstm_cell": "jk",
    "mahalanobis": "ik",
    "partial_trace": "ij",
    "quadratic_form": "ij",
    "six_index": "fh",
    "solve": "ik",
    "sylvester": "ik lj",
    "symmetric_quadratic": "ij",
    "trace": "ij",
    "trace_axbxtc": "kl",
    "trace_inverse": "ik",
    "trace_x2": "ij",
    "trace_x2b": "ij",
    "trace_x3": "ij",
    "trace_xtbxc": "jk il",
    "von_neumann_entropy": "ij",
}
FIXED: dict[str, dict[str, int]] = {
    "avg_pool": {"n": 7},
    "conv1d": {"n": 7, "k": 3},
    "conv2d": {"h": 7, "v": 6, "p": 3, "q": 2},
    "depthwise_conv": {"k": 3},
    "max_pool": {"n": 7},
    "levi_civita_cross": {"i": 3},
    "logdet_gram": {"n": 6, "i": 3},  # more rows than columns, or the Gram matrix is singular
    "rope": {"c": 2},
}
# Keyword arguments to try; without an entry, the defaults.
PARAMS: dict[str, list[dict[str, Any]]] = {
    "avg_pool": [{}, {"kernel": 3, "stride": 1}],
    "conv1d": [{}, {"stride": 2}],
    "conv2d": [{}, {"stride": 2}, {"stride": 2, "dilation": 2}],
    "depthwise_conv": [{}, {"left": 0}, {"left": 2}],
    "max_pool": [{}, {"kernel": 3, "stride": 2}],
    "broadcast": [{"n": 4}, {"n": 1}],
    "clamp_op": [{}, {"lo": -0.3, "hi": 0.2}],
    "count": [{"length": 3}],
    "cross_entropy": [{}, {"ignore_index": 1}, {"smoothing": 0.1}, {"ignore_index": 1, "smoothing": 0.3}],
    "dpo": [{}, {"beta": 0.7}],
    "elu": [{}, {"alpha": 0.4}],
    "focal": [{}, {"alpha": 0.6, "gamma": 1.5}],
    "huber": [{}, {"threshold": 0.3}],
    "leaky_relu": [{}, {"slope": 0.2}],
    "log_softmax": [{}, {"temperature": 0.7}],
    "lora": [{}, {"scale": 0.5}],
    "quantile_loss": [{}, {"tau": 0.9}],
    "rope": [{}, {"base": 100.0}],
    "softmax": [{}, {"temperature": 0.7}],
    "softplus": [{}, {"beta": 2.0}],
}
SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    # extents of the letters in order of appearance, repeated; leading axes for `...`
    ((2, 3, 4, 5), (2,)),
    ((3, 2, 5, 4), (2, 3)),
    ((1,), ()),
)


@dataclass(frozen=True)
class Sample:
    """Positional tensors (`None`: omitted) and keyword arguments of one call."""

    name: str
    tensors: tuple[Tensor | None, ...]
    params: dict[str, Any] = field(default_factory=dict)


def samples(spec: OpSpec) -> Iterator[Sample]:
    """Every shape with every set of keyword arguments, then the first without its optional inputs."""
    name = spec.name.text
    for number, (extents, lead) in enumerate(SHAPES):
        for params in PARAMS.get(name, [{}]):
            yield Sample(f"shape {number} {params}", draw(spec, extents, lead), params)
    if any(item.default is not None for item in spec.inputs):
        full = draw(spec, *SHAPES[0])
        without = tuple(None if i.default is not None else t for i, t in zip(spec.inputs, full, strict=True))
        yield Sample("optional inputs left out", without, PARAMS.get(name, [{}])[0])


def draw(spec: OpSpec, extents: tuple[int, ...], lead: tuple[int, ...]) -> tuple[Tensor, ...]:
    """One tensor an input, float64, the same each time."""
    source = torch.Generator().manual_seed(sum(spec.name.text.encode()))
    lengths = _lengths(spec, extents)
    return tuple(_tensor(item, lengths, lead, source) for item in spec.inputs)


def _lengths(spec: OpSpec, extents: tuple[int, ...]) -> dict[str, int]:
    lengths: dict[str, int] = {}
    for item in spec.inputs:
        for index in item.indices:
            if index.text != "...":
                lengths.setdefault(index.text, extents[len(lengths) % len(extents)])
    for group in SQUARE.get(spec.name.text, "").split():
        lengths.update(dict.fromkeys(group, lengths[group[0]]))
    lengths.update(FIXED.get(spec.name.text, {}))
    return lengths


def _tensor(item: InputSpec, lengths: dict[str, int], lead: tuple[int, ...], source: torch.Generator) -> Tensor:
    shape: tuple[int, ...] = ()
    for index in item.indices:
        shape += lead if index.text == "..." else (lengths[index.text],)
    if item.kind == "label":
        assert item.labels is not None
        return torch.randint(lengths[item.labels.text], shape, generator=source)
    if item.kind == "complex":
        return torch.complex(*(_in_domain(item.domain, shape, source) for _ in "ri"))
    if item.kind == "bool":
        return torch.rand(shape, generator=source) > 0.4
    value = _in_domain(item.domain, shape, source)
    return (value + value.mT) / 2 if item.structure == "symmetric" else value


def _in_domain(domain: Any, shape: tuple[int, ...], source: torch.Generator) -> Tensor:
    normal = torch.randn(shape, generator=source, dtype=torch.float64)
    uniform = torch.rand(shape, generator=source, dtype=torch.float64)
    match domain:
        case "real":
            return normal
        case "positive":
            return uniform + 0.5
        case "unit":
            return 0.1 + 0.8 * uniform
        case "nonzero":
            return (uniform + 0.3) * normal.sign()
        case "simplex":
            return normal.softmax(-1)
        case "spd":
            return normal @ normal.mT + torch.eye(shape[-1], dtype=torch.float64)
        case "well_conditioned":
            return normal + 3 * torch.eye(*shape[-2:], dtype=torch.float64)
        case (low, high):
            return float(low) + float(high - low) * uniform
    raise ValueError(f"no sampler for the domain {domain}")
