"""Half precision: what an op may be off by, beside what rounding alone costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tensorgrad_gen.verify.compare import cotangents, is_float, leaves, required
from tensorgrad_gen.verify.model import FindingError, Outputs, Params, Sample, Subject, Tensors

# How often gradients are drawn and their errors added up: in one draw terms may happen to cancel, and then the
# rounding of what they are computed from shows.
DRAWS = 4
FACTOR = 2.0


def as_precise(tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """The dtype for the tensor's kind of numbers that is as precise as this one."""
    return dtype.to_complex() if tensor.is_complex() else dtype


def cast(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    """The tensors with their numbers in the dtype."""
    return tuple(t.to(as_precise(t, dtype)) if t is not None and is_float(t) else t for t in tensors)


@dataclass(slots=True)
class Errors:
    """Largest errors, added up: of what an op gives, of the formula in float32 rounded; and the last places of both.

    Law: the first is at most twice the second, and one unit in the last place of the largest component.  Where the
    formula in float32 has no digit right, as what is left of terms that cancel, nothing but rounding is compared: a
    finite number says nothing then.
    """

    dtype: torch.dtype
    got: float = 0.0
    rounded: float = 0.0
    unit: float = 0.0
    largest: float = 0.0

    def add(self, got: Tensor, single: Tensor, exact: Tensor) -> None:
        """The same tensor three times: by the op, by the formula in float32, by the formula in float64."""
        single = single.to(as_precise(single, self.dtype))
        got, single, exact = _parts(got), _parts(single), _parts(exact)
        if not bool((exact.isfinite() | (got == exact) | (got.isnan() & exact.isnan())).all()):
            self.got = math.inf
        # What overflows by rounding alone says nothing.
        there = exact.isfinite() & single.isfinite()
        if not bool(there.any()):
            return
        largest = float(exact[there].abs().max())
        self.got += float(torch.nan_to_num((got - exact)[there].abs(), math.inf, math.inf).max())
        self.rounded += float((single - exact)[there].abs().max())
        self.unit += _unit(largest, self.dtype)
        self.largest += largest

    @property
    def allowed(self) -> float:
        """What the first error may be."""
        return FACTOR * self.rounded + self.unit

    def judge(self, what: str) -> float:
        """The error, relative; a finding if it is more than is allowed."""
        if self.rounded > self.largest and math.isfinite(self.got):
            return 0.0
        relative = self.got / self.largest if self.largest else self.got
        if self.got > self.allowed:
            units, best = (error / (self.unit or 1.0) for error in (self.got, self.rounded))
            raise FindingError(
                f"{what} is off by {units:.1f} units in the last place of {self.dtype}, "
                f"where the formula in float32, rounded, is off by {best:.1f}",
                relative,
            )
        return relative


def off_by_rounding(what: str, got: Tensor, single: Tensor, exact: Tensor, dtype: torch.dtype) -> float:
    """The relative error of one tensor; a finding if it is more than is allowed."""
    errors = Errors(dtype)
    errors.add(got, single, exact)
    return errors.judge(what)


def _parts(tensor: Tensor) -> Tensor:
    """The tensor as real numbers of double precision."""
    tensor = tensor.detach()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.double()


def _unit(largest: float, dtype: torch.dtype) -> float:
    """One unit in the last place of a number."""
    info = torch.finfo(dtype)
    return info.eps * 2.0 ** math.floor(math.log2(max(largest, info.tiny)))


Way = Callable[[Tensors, Params], Outputs]


def _ways(subject: Subject, dtype: torch.dtype) -> tuple[tuple[Way, torch.dtype], ...]:
    """The op, its formula in float32, its formula in float64, each with the dtype of its inputs."""
    single = subject.single or subject.reference
    return (subject.call, dtype), (single, torch.float32), (subject.reference, torch.float64)


def check_values_and_gradients(subject: Subject, sample: Sample, dtype: torch.dtype) -> float:
    """The largest error of outputs and gradients, relative; a finding where one is over what is allowed."""
    low = cast(sample.tensors, dtype)
    inputs = [leaves(subject, cast(low, wide)) for _, wide in _ways(subject, dtype)]
    outputs = [way(tensors, sample.params) for (way, _), tensors in zip(_ways(subject, dtype), inputs, strict=True)]
    numbers = [place for place, output in enumerate(outputs[0]) if is_float(output)]
    found: dict[str, Errors] = {}
    for place in numbers:
        _add(found, f"output {place}", dtype, [outs[place] for outs in outputs])
    for draw in range(DRAWS):
        given = cotangents(outputs[0], subject.seed + draw)
        grads = [_pull([outs[k] for k in numbers], ins, given) for outs, ins in zip(outputs, inputs, strict=True)]
        for place, of_one in zip(required(inputs[0]), zip(*grads, strict=True), strict=True):
            if all(grad is not None for grad in of_one):
                _add(found, f"gradient of {subject.input_name(place)}", dtype, of_one)
    return max((errors.judge(what) for what, errors in found.items()), default=0.0)


def _add(found: dict[str, Errors], what: str, dtype: torch.dtype, three: Sequence[Tensor | None]) -> None:
    """One more draw of a tensor, from all three ways."""
    got, single, exact = (tensor for tensor in three if tensor is not None)
    if got.dtype != as_precise(got, dtype):
        raise FindingError(f"{what} is {got.dtype} where the inputs are {dtype}")
    found.setdefault(what, Errors(dtype)).add(got, single, exact)


def _pull(outputs: Sequence[Tensor], inputs: Tensors, given: Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients for these cotangents, which are as precise as the op's outputs."""
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    pairs = [(o, c.to(o.dtype)) for o, c in zip(outputs, given, strict=True) if o.requires_grad]
    if not pairs or not wanted:
        return [None] * len(wanted)
    ends, seeds = [o for o, _ in pairs], [c for _, c in pairs]
    return list(torch.autograd.grad(ends, wanted, seeds, retain_graph=True, allow_unused=True))


def check_tangents(subject: Subject, sample: Sample, dtype: torch.dtype) -> float:
    """As `check_values_and_gradients`, of the tangents of the outputs; drawn again only where they are off."""
    low = cast(sample.tensors, dtype)
    places = required(leaves(subject, low))
    found: dict[str, Errors] = {}
    for draw in range(DRAWS):
        # A direction that the dtype has, so that all are given the same.
        given = cotangents([t for k in places if (t := low[k]) is not None], subject.seed + draw)
        pushed = [_push(way, cast(low, wide), places, given, sample.params) for way, wide in _ways(subject, dtype)]
        for place in [k for k in pushed[0] if all(k in tangents for tangents in pushed)]:
            _add(found, f"the tangent of output {place}", dtype, [tangents[place] for tangents in pushed])
        if all(errors.got <= errors.allowed for errors in found.values()):
            break
    return max((errors.judge(what) for what, errors in found.items()), default=0.0)


def _push(way: Way, tensors: Tensors, places: list[int], given: Sequence[Tensor], params: Params) -> dict[int, Tensor]:
    """Tangents in a direction, of each output that is a number."""
    moved = tuple(t for k in places if (t := tensors[k]) is not None)

    def call(*arguments: Tensor) -> dict[int, Tensor]:
        full = list(tensors)
        for place, argument in zip(places, arguments, strict=True):
            full[place] = argument
        return {place: o for place, o in enumerate(way(tuple(full), params)) if is_float(o)}

    directions = tuple(d.to(t.dtype) for d, t in zip(given, moved, strict=True))
    tangents: dict[int, Tensor] = torch.func.jvp(call, moved, directions)[1]
    return tangents
