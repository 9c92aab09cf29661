"""Section 5: which inputs require gradients, how they lie in memory, how large they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from tensorgrad_gen.verify.compare import (
    agree,
    agree_on_gradients,
    agree_on_outputs,
    agree_or_zero,
    both_gradients,
    check_form,
    cotangents,
    is_float,
    leaves,
    pull,
    required,
)
from tensorgrad_gen.verify.model import FindingError, Outputs, Sample, SkippedError, Subject, Tensors

MOST_SUBSETS = 32
MOST_PAIRS = 8


def subsets(subject: Subject) -> float:
    """Every subset of inputs that require gradients gets these gradients, and no other is computed."""
    sample = subject.tiny
    able = required(leaves(subject, sample.tensors))
    if not able:
        raise SkippedError("no input has a derivative")
    worst = 0.0
    for chosen in _subsets(able):
        wanted = [k in chosen for k in range(len(sample.tensors))]
        where = "gradients of " + ", ".join(subject.input_name(k) for k in chosen)
        worst = max(worst, agree_on_gradients(subject, sample, wanted, where))
        _computes_only(subject, sample, wanted, where)
    return worst


def _subsets(able: list[int]) -> list[tuple[int, ...]]:
    everything = [c for n in range(1, len(able) + 1) for c in itertools.combinations(able, n)]
    if len(everything) <= MOST_SUBSETS:
        return everything
    few = [c for c in everything if len(c) in (1, len(able) - 1, len(able))]
    return few[:MOST_SUBSETS]


def _computes_only(subject: Subject, sample: Sample, wanted: list[bool], where: str) -> None:
    if subject.raw is None:
        return
    outputs = subject.call_raw(leaves(subject, sample.tensors, wanted), sample.params)
    node = next((o.grad_fn for o in outputs if is_float(o) and o.requires_grad), None)
    function = getattr(type(node), "_forward_cls", None)
    if node is None or function is None:
        return
    given = iter(cotangents(outputs, subject.seed))
    results = function.backward(node, *(next(given) if is_float(o) else None for o in outputs))
    results = results if isinstance(results, tuple) else (results,)
    # Where two inputs have one gradient, handing it to both computes nothing more.
    asked = [result for flag, result in zip(wanted, results) if flag]
    for position, (flag, result) in enumerate(zip(wanted, results)):
        if not flag and result is not None and not any(result is other for other in asked):
            raise FindingError(f"backward computes the gradient of {subject.input_name(position)} too ({where})")


def edges(subject: Subject) -> float:
    """Extents 0 and 1, and other numbers of batch axes, give the plain formula's values and gradients."""
    if not subject.edges:
        raise SkippedError("the formula has no value there: " + "; ".join(subject.undefined))
    worst = 0.0
    for sample in subject.edges:
        if sample.defined:
            worst = max(worst, agree_on_gradients(subject, sample, finite_only=True))
        else:
            _has_right_shapes(subject, sample)
    return worst


def _has_right_shapes(subject: Subject, sample: Sample) -> None:
    inputs = leaves(subject, sample.tensors)
    try:
        outputs = subject.call(inputs, sample.params)
        grads = pull(outputs, [t for t in inputs if t is not None and t.requires_grad], subject.seed)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return  # a singular matrix, which PyTorch refuses too
    for got, want in zip(outputs, subject.reference(sample.tensors, sample.params), strict=True):
        agree("an output", got, torch.zeros_like(want), sample.label, math.inf)
    for place, gradient in zip(required(inputs), grads, strict=True):
        like = sample.tensors[place]
        if gradient is not None and like is not None:
            agree(f"gradient of {subject.input_name(place)}", gradient, like, sample.label, math.inf)


def same_twice(subject: Subject) -> float:
    """The same tensor as two inputs gets the sum of both gradients."""
    sample = subject.square
    worst, tried = 0.0, 0
    for first, second in itertools.combinations(required(leaves(subject, sample.tensors)), 2):
        one, two = sample.tensors[first], sample.tensors[second]
        assert one is not None
        assert two is not None
        alike = not subject.domains or subject.domains[first] == subject.domains[second]
        twice = tuple(one if k == second else t for k, t in enumerate(sample.tensors))
        if one.shape != two.shape or one.dtype != two.dtype or not alike or not _smooth(subject, sample, twice):
            continue
        if tried == MOST_PAIRS:
            break
        tried += 1
        where = f"{subject.input_name(first)} is {subject.input_name(second)}"
        results = []
        for function in (subject.call, subject.reference):
            inputs = list(leaves(subject, twice))
            inputs[second] = inputs[first]
            outputs = function(tuple(inputs), sample.params)
            grads = pull(outputs, [inputs[first]], subject.seed)  # type: ignore[list-item]
            results.append((outputs, grads[0]))
        worst = max(worst, agree_on_outputs(results[0][0], results[1][0], where))
        worst = max(worst, agree_or_zero("the gradient", results[0][1], results[1][1], one, where))
    if not tried:
        raise SkippedError("no two inputs can be the same tensor")
    return worst


def _smooth(subject: Subject, sample: Sample, tensors: Tensors) -> bool:
    return subject.smooth is None or subject.smooth(tensors, sample.params)


def _transposed(tensor: Tensor) -> Tensor:
    return tensor.mT.contiguous().mT if tensor.dim() > 1 else tensor


def _sliced(tensor: Tensor) -> Tensor:
    if not tensor.dim():
        return torch.stack((tensor, tensor))[1]
    return torch.stack((tensor, tensor), -1).flatten(-2)[..., ::2]


def _expanded(tensor: Tensor) -> Tensor:
    return tensor[:1].expand_as(tensor) if tensor.dim() else tensor


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": _transposed,
    "sliced": _sliced,
    "expanded": _expanded,
}


def layouts(subject: Subject) -> float:
    """Transposed, sliced and expanded inputs give the values and gradients of contiguous ones."""
    worst = 0.0
    for name, sample in _laid_out(subject):
        got, want = both_gradients(subject, sample.tensors, sample.params)
        views = tuple(t if t is None else LAYOUTS[name](t) for t in sample.tensors)
        sources = leaves(subject, sample.tensors)
        inputs = tuple(t if t is None else LAYOUTS[name](t) for t in sources)
        outputs = subject.call(inputs, sample.params)
        places = required(sources)
        grads = pull(outputs, [inputs[k] for k in places], subject.seed)  # type: ignore[misc]
        worst = max(worst, agree_on_outputs(outputs, want.outputs, name))
        for place, one, two in zip(places, grads, want.gradients, strict=True):
            like = views[place]
            assert like is not None
            label = f"gradient of {subject.input_name(place)}"
            worst = max(worst, agree_or_zero(label, one, two, like, name))
            check_form(label, one, like, name)
        worst = max(worst, agree_on_outputs(got.outputs, want.outputs, name))
    return worst


def _laid_out(subject: Subject) -> Iterator[tuple[str, Sample]]:
    for name in LAYOUTS:
        sample = subject.samples[0]
        if name == "expanded":
            tensors = tuple(t if t is None else _expanded(t).contiguous() for t in sample.tensors)
            if any(d in ("spd", "well_conditioned", "orthogonal") for d in subject.domains):
                continue
            if not _smooth(subject, sample, tensors):
                continue
            sample = replace(sample, tensors=tensors)
        yield name, sample


def in_place(subject: Subject) -> float:
    """A tensor changed after the op has run is noticed by backward, or was not needed by it."""
    sample = subject.tiny
    _, want = both_gradients(subject, sample.tensors, sample.params)
    worst = 0.0
    for position, tensor in enumerate(sample.tensors):
        if is_float(tensor):
            worst = max(worst, _changed(subject, sample, want.gradients, position, None))
    for position, output in enumerate(want.outputs):
        if is_float(output):
            worst = max(worst, _changed(subject, sample, want.gradients, None, position))
    return worst


def _changed(
    subject: Subject, sample: Sample, want: tuple[Tensor | None, ...], entry: int | None, output: int | None
) -> float:
    inputs = leaves(subject, sample.tensors)
    outputs = subject.call(inputs, sample.params)
    victim = inputs[entry] if entry is not None else outputs[output or 0]
    where = f"{subject.input_name(entry)} changed" if entry is not None else f"output {output} changed"
    assert victim is not None
    with torch.no_grad():
        victim.add_(1.0)
    places = required(inputs)
    try:
        grads = pull(outputs, [inputs[k] for k in places], subject.seed)  # type: ignore[misc]
    except RuntimeError as error:
        if "inplace" in str(error):  # of what was saved, or of what a saved view is one of
            return 0.0
        raise
    worst = 0.0
    for place, one, two in zip(places, grads, want, strict=True):
        like = sample.tensors[place]
        assert like is not None
        name = f"gradient of {subject.input_name(place)}"
        worst = max(worst, agree_or_zero(name, one, two, like, f"{where} after forward"))
    return worst


PUBLIC = "output"


def no_alias(subject: Subject) -> float | None:
    """No output is a view, or shares memory with an input or another output, an auxiliary one included.

    An auxiliary output may be a view of what nobody else sees: nobody can change it in place.
    """
    sample = subject.samples[0]
    calls = [(PUBLIC, subject.call)] + ([("result of apply", subject.call_raw)] if subject.raw is not None else [])
    for what, call in calls:
        for tensors in (leaves(subject, sample.tensors), sample.tensors):
            _owns_its_outputs(subject, tensors, call(tensors, sample.params), what)
    return None


def _owns_its_outputs(subject: Subject, tensors: Tensors, outputs: Outputs, what: str) -> None:
    owners = [(subject.input_name(k), t) for k, t in enumerate(tensors) if t is not None]
    for position, output in enumerate(outputs):
        if what == PUBLIC and output._is_view():
            raise FindingError(f"{what} {position} is a view")
        for name, other in owners:
            shared = output.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
            if shared and output.numel() and other.numel():
                raise FindingError(f"{what} {position} shares memory with {name}")
        owners.append((f"{what} {position}", output))


def unchanged(subject: Subject) -> float | None:
    """Neither the op nor its backward changes an input or a cotangent."""
    sample = subject.samples[0]
    inputs = leaves(subject, sample.tensors)
    outputs = subject.call(inputs, sample.params)
    floats = [o for o in outputs if is_float(o) and o.requires_grad]
    given = cotangents(floats, subject.seed)
    kept = [c.clone() for c in given]
    wanted = [inputs[k] for k in required(inputs)]
    if floats:
        torch.autograd.grad(floats, wanted, given, allow_unused=True)  # type: ignore[arg-type]
    for position, (before, after) in enumerate(zip(sample.tensors, inputs, strict=True)):
        if before is not None and after is not None and not torch.equal(before, after):
            raise FindingError(f"{subject.input_name(position)} was changed")
    if not all(torch.equal(a, b) for a, b in zip(given, kept, strict=True)):
        raise FindingError("backward changed a cotangent")
    return None
