"""Section 6: lower precision, autocast, mixed dtypes, extreme inputs."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import torch

from tensorgrad_gen.verify.compare import agree, is_float, leaves, pull, required
from tensorgrad_gen.verify.model import FindingError, Sample, SkippedError, Subject
from tensorgrad_gen.verify.rounding import as_precise, cast, check_tangents, check_values_and_gradients

SINGLE = 2e-4  # the largest relative error in float32
# What cancels to less than this is compared with this: its rounding error is that of terms of order one.
FLOOR = 0.3
EXTREMES = (0.0, 1e-6, 1e-4, 20.0, 88.0, 200.0, 1e4)


def float32(subject: Subject) -> float:
    """Values and gradients are near those of float64."""
    sample = subject.samples[0]
    low = cast(sample.tensors, torch.float32)
    inputs, exact = leaves(subject, low), leaves(subject, cast(low, torch.float64))
    outputs, expected = subject.call(inputs, sample.params), subject.reference(exact, sample.params)
    grads, want = (
        pull(outs, [t for t in ins if t is not None and t.requires_grad], subject.seed)
        for outs, ins in ((outputs, inputs), (expected, exact))
    )
    names = [f"gradient of {subject.input_name(place)}" for place in required(inputs)]
    pairs = [(f"output {k}", *both) for k, both in enumerate(zip(outputs, expected, strict=True))]
    pairs += [(name, a, b) for name, a, b in zip(names, grads, want, strict=True) if a is not None and b is not None]
    worst = 0.0
    for what, got, right in pairs:
        if is_float(got) and got.dtype != as_precise(got, torch.float32):
            raise FindingError(f"{what} is {got.dtype} where all inputs are float32")
        worst = max(worst, agree(what, got, right, "float32", SINGLE, floor=FLOOR))
    return worst


def _half(check: Callable[[Subject, Sample, torch.dtype], float], subject: Subject, dtype: torch.dtype) -> float:
    """A check in half precision; skipped where PyTorch has no kernel."""
    if dtype == torch.bfloat16 and any(t is not None and t.is_complex() for t in subject.tiny.tensors):
        raise SkippedError("PyTorch has no complex numbers of bfloat16")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "ComplexHalf support is experimental")
            return check(subject, subject.samples[0], dtype)
    except (RuntimeError, NotImplementedError) as error:
        if "not implemented for" in str(error) or "Low precision dtypes not supported" in str(error):
            raise SkippedError(f"PyTorch has no kernel: {error}") from error
        raise


def half(subject: Subject, dtype: torch.dtype) -> float:
    """Values and gradients are as exact as those of the formula in float32, rounded."""
    return _half(check_values_and_gradients, subject, dtype)


bfloat16 = functools.partial(half, dtype=torch.bfloat16)
float16 = functools.partial(half, dtype=torch.float16)


def tangents(subject: Subject) -> float:
    """In half precision too the tangent of an output has the output's dtype, and is as exact as the output."""
    if not subject.forward:
        raise SkippedError("the spec derives no jvp")
    if not required(leaves(subject, subject.samples[0].tensors)):
        raise SkippedError("no input has a derivative")
    return _half(check_tangents, subject, torch.bfloat16)


def labels(subject: Subject) -> float:
    """Labels may be of any integer dtype."""
    sample = subject.samples[0]
    narrow = tuple(t.int() if t is not None and t.dtype == torch.int64 else t for t in sample.tensors)
    if all(one is two for one, two in zip(narrow, sample.tensors, strict=True)):
        raise SkippedError("no input holds labels")
    inputs, wide = leaves(subject, narrow), leaves(subject, sample.tensors)
    got, want = subject.call(inputs, sample.params), subject.call(wide, sample.params)
    worst = max(agree(f"output {k}", a, b, "int32 labels") for k, (a, b) in enumerate(zip(got, want, strict=True)))
    pairs = zip(*(pull(o, [i[k] for k in required(i)], subject.seed) for o, i in ((got, inputs), (want, wide))))  # type: ignore[misc]
    for one, two in pairs:
        if one is not None and two is not None:
            worst = max(worst, agree("a gradient", one, two, "int32 labels"))
    return worst


def mixed(subject: Subject) -> float | None:
    """One input in float32 beside float64 ones: the outputs are float64, each gradient has its tensor's dtype."""
    sample = subject.tiny
    floats = [k for k, t in enumerate(sample.tensors) if is_float(t)]
    if len(floats) < 2:
        raise SkippedError("fewer than two real inputs")
    worst = 0.0
    for chosen in floats:
        narrow = cast(sample.tensors, torch.float32)
        tensors = tuple(narrow[k] if k == chosen else t for k, t in enumerate(sample.tensors))
        inputs = leaves(subject, tensors)
        outputs = subject.call(inputs, sample.params)
        wide = subject.reference(cast(tensors, torch.float64), sample.params)
        where = f"{subject.input_name(chosen)} in float32"
        for place, (one, two) in enumerate(zip(outputs, wide, strict=True)):
            if is_float(one) and one.dtype != as_precise(one, torch.float64):
                raise FindingError(f"output {place} is {one.dtype}, not promoted to float64 ({where})")
            worst = max(worst, agree(f"output {place}", one, two, where, 1e-6))
        wanted = [t for t in inputs if t is not None and t.requires_grad]
        for tensor, gradient in zip(wanted, pull(outputs, wanted, subject.seed), strict=True):
            if gradient is not None and gradient.dtype != tensor.dtype:
                raise FindingError(f"a gradient is {gradient.dtype}, its tensor {tensor.dtype} ({where})")
    return worst


def autocast(subject: Subject) -> float:
    """Under autocast the op computes as it does outside, with backward inside the region or after it."""
    sample = subject.samples[0]
    tensors = cast(sample.tensors, torch.float32)
    worst = 0.0
    for inside in (False, True):
        inputs = leaves(subject, tensors)
        wanted = [t for t in inputs if t is not None and t.requires_grad]
        outputs = subject.call(inputs, sample.params)
        want = pull(outputs, wanted, subject.seed)
        with torch.autocast(torch.device(subject.device).type, dtype=torch.bfloat16):
            within = subject.call(inputs, sample.params)
            if inside:
                got = pull(within, wanted, subject.seed)
        if not inside:
            got = pull(within, wanted, subject.seed)
        where = f"autocast, backward {'inside' if inside else 'after'} it"
        for place, (one, two) in enumerate(zip(within, outputs, strict=True)):
            if one.dtype != two.dtype:
                raise FindingError(f"output {place} is {one.dtype}, not {two.dtype} ({where})")
            worst = max(worst, agree(f"output {place}", one, two, where, 1e-5))
        for one_gradient, two_gradient in zip(got, want, strict=True):
            if one_gradient is not None and two_gradient is not None:
                worst = max(worst, agree("a gradient", one_gradient, two_gradient, where, 1e-5))
    return worst
