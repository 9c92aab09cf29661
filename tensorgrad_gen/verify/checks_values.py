"""Section 1: values and first derivatives against references."""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.verify.compare import agree_on_gradients, agree_on_outputs
from tensorgrad_gen.verify.extents import UndefinedValueError
from tensorgrad_gen.verify.model import SkippedError, Subject


def value(subject: Subject) -> float:
    """The outputs are those of the NumPy oracle."""
    if subject.oracle is None:
        raise SkippedError("there is no oracle beside the plain formula")
    worst = 0.0
    for sample in (*subject.samples, *(edge for edge in subject.edges if edge.defined)):
        try:
            want = subject.oracle(sample.tensors, sample.params)
        except UndefinedValueError:
            if sample.regular:
                raise
            continue
        got = subject.call(sample.tensors, sample.params)
        worst = max(worst, agree_on_outputs(got, want, sample.label, finite_only=not sample.regular))
    return worst


def vjp(subject: Subject) -> float:
    """Outputs and gradients are those of autograd of the plain formula."""
    if subject.bare is not None:
        subject = replace(subject, op=subject.bare)
    return max(agree_on_gradients(subject, sample) for sample in (*subject.samples, subject.tiny, subject.square))
