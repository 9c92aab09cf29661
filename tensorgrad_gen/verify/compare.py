"""Derivatives by autograd, and comparing them: relative to the largest component of what is expected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tensorgrad_gen.verify.model import FindingError, Outputs, Params, Sample, Subject, Tensors

EXACT = 1e-10
# Below this size a result counts as this size: the error of cancelling terms of order one is no finding.
FLOOR = 1e-3


def relative_error(got: Tensor, want: Tensor, finite_only: bool = False, floor: float = FLOOR) -> float:
    """Largest difference over the largest expected component; NaN and inf must agree, or are left out."""
    got, want = got.detach(), want.detach()
    if got.is_complex() or want.is_complex():
        got, want = (torch.view_as_real(t.to(torch.complex128).resolve_conj()) for t in (got, want))
    got, want = got.double(), want.double()
    finite = torch.isfinite(want)
    if not finite_only:
        same = (got == want) | (torch.isnan(got) & torch.isnan(want))
        if not bool((same | finite).all()):
            return math.inf
    got, want = got[finite], want[finite]
    if not want.numel():
        return 0.0
    difference = float((got - want).abs().max())
    return math.inf if math.isnan(difference) else difference / max(float(want.abs().max()), floor)


def agree(
    what: str,
    got: Tensor,
    want: Tensor,
    where: str,
    tolerance: float = EXACT,
    finite_only: bool = False,
    floor: float = FLOOR,
) -> float:
    """The relative error, a finding if it is over the tolerance or the shapes differ."""
    if got.shape != want.shape:
        raise FindingError(f"{what} has shape {list(got.shape)}, not {list(want.shape)} ({where})", math.inf)
    error = relative_error(got.detach(), want.detach().to(got.device), finite_only, floor)
    if error > tolerance:
        raise FindingError(f"{what} is off by {error:.1e} relative ({where}); allowed {tolerance:.0e}", error)
    return error


def is_float(tensor: Tensor | None) -> bool:
    """Whether a tensor can have a derivative."""
    return tensor is not None and (tensor.is_floating_point() or tensor.is_complex())


def leaves(subject: Subject, tensors: Sequence[Tensor | None], wanted: Sequence[bool] | None = None) -> Tensors:
    """Fresh copies; those that may (or, given `wanted`, shall) require gradients do."""
    flags = subject.differentiable if wanted is None else wanted
    out: list[Tensor | None] = []
    for tensor, flag in zip(tensors, flags, strict=True):
        copy = None if tensor is None else tensor.detach().clone()
        out.append(copy.requires_grad_() if copy is not None and flag and is_float(copy) else copy)
    return tuple(out)


def required(tensors: Sequence[Tensor | None]) -> list[int]:
    """Positions of the inputs that require gradients."""
    return [k for k, t in enumerate(tensors) if t is not None and t.requires_grad]


def cotangents(outputs: Iterable[Tensor], seed: int) -> list[Tensor]:
    """Random ones, of the outputs' shapes and dtypes, for those that have derivatives."""
    rng = torch.Generator().manual_seed(seed + 1)
    out: list[Tensor] = []
    for output in outputs:
        if is_float(output):
            wide = torch.complex128 if output.is_complex() else torch.float64
            noise = torch.randn(output.shape, generator=rng, dtype=wide)
            out.append(noise.to(dtype=output.dtype, device=output.device))
    return out


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Outputs and, for each input that requires one, its gradient (zero is `None`)."""

    outputs: Outputs
    gradients: tuple[Tensor | None, ...]


def pull(outputs: Outputs, inputs: Sequence[Tensor], seed: int, create_graph: bool = False) -> list[Tensor | None]:
    """Gradients of a random combination of the outputs."""
    floats = [o for o in outputs if is_float(o)]
    pairs = [(o, c) for o, c in zip(floats, cotangents(floats, seed), strict=True) if o.requires_grad]
    if not pairs or not inputs:
        return [None] * len(inputs)
    return list(
        torch.autograd.grad(
            [o for o, _ in pairs], list(inputs), [c for _, c in pairs], create_graph=create_graph, allow_unused=True
        )
    )


def both_gradients(
    subject: Subject, tensors: Tensors, params: Params, wanted: Sequence[bool] | None = None
) -> tuple[Derivatives, Derivatives]:
    """Outputs and gradients of the op and of its plain formula, on the same arguments and cotangents."""
    out = []
    for function in (subject.call, subject.reference):
        inputs = leaves(subject, tensors, wanted)
        outputs = function(inputs, params)
        grads = pull(outputs, [inputs[k] for k in required(inputs)], subject.seed)  # type: ignore[misc]
        out.append(Derivatives(outputs, tuple(grads)))
    return out[0], out[1]


def agree_on_gradients(
    subject: Subject, sample: Sample, wanted: Sequence[bool] | None = None, where: str = "", finite_only: bool = False
) -> float:
    """The largest error of outputs and gradients against the plain formula."""
    where = f"{sample.label}{', ' + where if where else ''}"
    got, want = both_gradients(subject, sample.tensors, sample.params, wanted)
    worst = agree_on_outputs(got.outputs, want.outputs, where, finite_only)
    flags = required(leaves(subject, sample.tensors, wanted))
    for position, one, two in zip(flags, got.gradients, want.gradients, strict=True):
        like = sample.tensors[position]
        assert like is not None
        name = f"gradient of {subject.input_name(position)}"
        worst = max(worst, agree_or_zero(name, one, two, like, where, finite_only=finite_only))
        check_form(name, one, like, where)
    return worst


def agree_or_zero(
    name: str,
    got: Tensor | None,
    want: Tensor | None,
    like: Tensor,
    where: str,
    tolerance: float = EXACT,
    finite_only: bool = False,
) -> float:
    """As `agree`, where `None` is a zero."""
    zero = torch.zeros_like(like)
    return agree(name, zero if got is None else got, zero if want is None else want, where, tolerance, finite_only)


def check_form(name: str, gradient: Tensor | None, like: Tensor, where: str) -> None:
    """A gradient has its tensor's shape, dtype and device."""
    if gradient is not None and (gradient.dtype, gradient.device) != (like.dtype, like.device):
        raise FindingError(f"{name} is {gradient.dtype} on {gradient.device}, its tensor {like.dtype} ({where})")


def agree_on_outputs(got: Outputs, want: Outputs, where: str, finite_only: bool = False) -> float:
    """The largest error of the outputs."""
    if len(got) != len(want):
        raise FindingError(f"{len(got)} outputs, not {len(want)} ({where})")
    worst = 0.0
    for place, (one, two) in enumerate(zip(got, want, strict=True)):
        name = f"output {place}" if len(got) > 1 else "the output"
        worst = max(worst, agree(name, one, two, where, EXACT, finite_only))
    return worst
