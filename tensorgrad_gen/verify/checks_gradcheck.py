"""Sections 2 and 3: finite differences, and second and third derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from tensorgrad_gen.verify.compare import agree_or_zero, is_float, leaves, pull, required
from tensorgrad_gen.verify.model import FindingError, Outputs, Params, Sample, SkippedError, Subject, Tensors

RTOL, ATOL = 1e-6, 1e-8
MOST_QUICK = 20
# Every further derivative multiplies what cancels.
HIGHER = {2: 1e-9, 3: 1e-8}
# What gradcheck says of a derivative that is not the limit of differences.
_MISMATCH = "Jacobian mismatch"

Call = Callable[[Tensors, Params], Outputs]


def gradcheck_op(subject: Subject) -> float | None:
    """Gradients and directional derivatives are the limits of finite differences."""
    _compared(gradcheck, subject, subject.call, subject.samples[0])
    return None


def gradcheck_raw(subject: Subject) -> float | None:
    """So are those of the Function itself, for its auxiliary outputs too."""
    _compared(gradcheck, subject, subject.call_raw, subject.tiny)
    return None


def gradgradcheck_op(subject: Subject) -> float | None:
    """Gradients of gradients are the limits of finite differences of gradients."""
    _needs_second_order(subject)
    _compared(gradgradcheck, subject, subject.call, subject.tiny)
    return None


def gradgradcheck_raw(subject: Subject) -> float | None:
    """So are those of the Function itself."""
    _needs_second_order(subject)
    _compared(gradgradcheck, subject, subject.call_raw, subject.tiny)
    return None


def higher_orders(subject: Subject) -> float:
    """Second and third derivatives are those of autograd of the plain formula."""
    _needs_second_order(subject)
    worst = 0.0
    for sample in (subject.tiny, subject.samples[0]):
        chains = [_chain(subject, function, sample) for function in (subject.call, subject.reference)]
        for order, (got, want) in enumerate(zip(*chains, strict=True), start=2):
            for position, one, two in zip(_positions(subject, sample), got, want, strict=True):
                like = sample.tensors[position]
                assert like is not None
                name = f"derivative {order} in {subject.input_name(position)}"
                worst = max(worst, agree_or_zero(name, one, two, like, sample.label, tolerance=HIGHER[order]))
    return worst


def _positions(subject: Subject, sample: Sample) -> list[int]:
    return required(leaves(subject, sample.tensors))


def _chain(subject: Subject, function: Call, sample: Sample) -> list[list[Tensor | None]]:
    """Derivatives 2 and 3: each pulls a random combination of the last ones back.

    The first is of a curved function of the outputs, so that backward gets all its cotangents at once.
    """
    inputs = leaves(subject, sample.tensors)
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    if not wanted:
        raise SkippedError("no input has a derivative")
    current = tuple(map(_curved, function(inputs, sample.params)))
    out: list[list[Tensor | None]] = []
    for order in (1, 2, 3):
        out.append(pull(current, wanted, subject.seed + order, create_graph=order < 3))
        # A zero gradient may be None on one side only, so its cotangent must not shift the others'.
        current = tuple(torch.zeros_like(w) if g is None else g for g, w in zip(out[-1], wanted, strict=True))
    return out[1:]


def _curved(output: Tensor) -> Tensor:
    return torch.sin(output) if is_float(output) and bool(torch.isfinite(output).all()) else output


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield


def _prepared(subject: Subject, function: Call, sample: Sample) -> tuple[Callable[..., Outputs], list[Tensor]]:
    """A function of the inputs that have derivatives alone, which returns the outputs that have."""
    if subject.surrogate:
        raise SkippedError("the spec replaces derivatives, so finite differences do not apply")
    if sample.cramped:
        raise SkippedError("a value is near a kink or pole whatever the inputs are: finite differences say nothing")
    inputs = leaves(subject, sample.tensors)
    places = _moved(subject, inputs)
    if not places:
        raise SkippedError("no input has a derivative")
    probe = function(inputs, sample.params)
    # An auxiliary output may be infinite (the maximum of a masked row): it has no finite differences.
    kept = [k for k, o in enumerate(probe) if is_float(o) and o.requires_grad and bool(torch.isfinite(o).all())]
    if not kept:
        raise SkippedError("no output has a derivative")

    def call(*arguments: Tensor) -> Outputs:
        full = list(inputs)
        for place, argument in zip(places, arguments, strict=True):
            full[place] = argument
        outputs = function(tuple(full), sample.params)
        return tuple(outputs[k] for k in kept)

    return call, [inputs[k] for k in places]  # type: ignore[misc]


def _moved(subject: Subject, inputs: Tensors) -> list[int]:
    """The inputs that finite differences move: all, or in a quick run a few, which ones by the seed.

    Comparison with the plain formula differentiates every input in every run.
    """
    places = required(inputs)
    if not subject.quick:
        return places
    start = subject.seed % max(len(places), 1)
    chosen: list[int] = []
    elements = 0
    for place in places[start:] + places[:start]:
        tensor = inputs[place]
        assert tensor is not None
        if chosen and elements + tensor.numel() > MOST_QUICK:
            continue
        chosen.append(place)
        elements += tensor.numel()
    return sorted(chosen)


def _compared(check: Callable[..., bool], subject: Subject, function: Call, sample: Sample) -> None:
    """`gradcheck` or `gradgradcheck`; where the plain formula fails it too, differences are too coarse to tell."""
    forward = "check_forward_ad" if check is gradcheck else "check_fwd_over_rev"
    options = {forward: subject.forward, "check_undefined_grad": True, "check_batched_grad": True}
    if check is gradcheck:
        options["check_batched_forward_grad"] = subject.forward
    try:
        _differences(check, subject, function, sample, options)
    except FindingError as error:
        if _MISMATCH in str(error) and _too_coarse(check, subject, sample):
            raise SkippedError("finite differences of the plain formula are as far off: it bends too fast") from error
        raise


def _too_coarse(check: Callable[..., bool], subject: Subject, sample: Sample) -> bool:
    try:
        _differences(check, subject, subject.reference, sample, {})
    except FindingError as error:
        return _MISMATCH in str(error)
    return False


def _differences(
    check: Callable[..., bool], subject: Subject, function: Call, sample: Sample, options: dict[str, bool]
) -> None:
    call, inputs = _prepared(subject, function, sample)
    with _quiet(subject.seed), _reported(sample):
        check(call, inputs, rtol=RTOL, atol=ATOL, check_grad_dtypes=True, **options)


def _needs_second_order(subject: Subject) -> None:
    if subject.orders < 2:
        raise SkippedError("the spec says `differentiable: once`")


@contextmanager
def _reported(sample: Sample) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # GradcheckError is one
        text = " ".join(str(error).split())
        raise FindingError(f"{text[:300]}{'...' if len(text) > 300 else ''} ({sample.label})") from error
