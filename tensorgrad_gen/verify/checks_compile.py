"""Section 7: `torch.compile`, `torch.export`, checkpointing, pickle and deepcopy."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from tensorgrad_gen.verify.checks_func import Problem
from tensorgrad_gen.verify.compare import agree, is_float, leaves, pull, required
from tensorgrad_gen.verify.model import FindingError, Outputs, Sample, SkippedError, Subject, Tensors
from tensorgrad_gen.verify.subject import function_classes

TOLERANCE = 1e-9


def _agree_with_eager(subject: Subject, sample: Sample, call: Callable[[Tensors], Outputs], where: str) -> float:
    worst = 0.0
    mine, eager = leaves(subject, sample.tensors), leaves(subject, sample.tensors)
    got, want = call(mine), subject.call(eager, sample.params)
    for place, (one, two) in enumerate(zip(got, want, strict=True)):
        worst = max(worst, agree(f"output {place}", one, two, where, TOLERANCE))
    grads = pull(got, [t for t in mine if t is not None and t.requires_grad], subject.seed)
    right = pull(want, [t for t in eager if t is not None and t.requires_grad], subject.seed)
    for place, found, expected in zip(required(eager), grads, right, strict=True):
        if found is not None and expected is not None:
            name = f"gradient of {subject.input_name(place)}"
            worst = max(worst, agree(name, found, expected, where, TOLERANCE))
    return worst


def compiled(subject: Subject, backend: str, dynamic: bool) -> float:
    """One graph under `torch.compile(fullgraph=True)`, with the values and gradients of eager mode."""
    torch._dynamo.reset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function = torch.compile(subject.op, fullgraph=True, backend=backend, dynamic=dynamic)
            worst = 0.0
            for sample in (subject.samples[0], subject.square) if dynamic else (subject.samples[0],):

                def call(inputs: Tensors, sample: Sample = sample) -> Outputs:
                    value = function(*inputs, **sample.params)
                    return (value,) if isinstance(value, Tensor) else tuple(value)

                worst = max(worst, _agree_with_eager(subject, sample, call, f"compiled by {backend}, {sample.label}"))
            return worst
    finally:
        torch._dynamo.reset()


aot_eager = functools.partial(compiled, backend="aot_eager", dynamic=False)
aot_eager_dynamic = functools.partial(compiled, backend="aot_eager", dynamic=True)
traced = functools.partial(compiled, backend="eager", dynamic=False)
inductor = functools.partial(compiled, backend="inductor", dynamic=False)


class _Module(torch.nn.Module):
    def __init__(self, subject: Subject, sample: Sample) -> None:
        super().__init__()
        self.op, self.params = subject.op, dict(sample.params)

    def forward(self, *inputs: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        value = self.op(*inputs, **self.params)
        return value if isinstance(value, Tensor) else tuple(value)


def export(subject: Subject) -> float:
    """`torch.export` gives a program with the same values."""
    sample = subject.samples[0]
    want = subject.call(sample.tensors, sample.params)
    worst = 0.0
    for strict in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(_Module(subject, sample), sample.tensors, strict=strict)
        got = program.module()(*sample.tensors)
        got = (got,) if isinstance(got, Tensor) else tuple(got)
        where = f"{sample.label}, strict={strict}"
        worst = max(worst, *(agree("the exported op", a, b, where, TOLERANCE) for a, b in zip(got, want, strict=True)))
    return worst


def compiled_autograd(subject: Subject) -> float:
    """With backward itself captured and compiled, the gradients are the same."""
    sample = subject.samples[0]
    torch._dynamo.reset()
    try:
        with torch._dynamo.compiled_autograd._enable(torch.compile(backend="eager")):
            return _agree_with_eager(
                subject, sample, lambda inputs: subject.call(inputs, sample.params), "compiled autograd"
            )
    finally:
        torch._dynamo.reset()


def compiled_transforms(subject: Subject) -> float:
    """`torch.compile` of `func.grad` and of `func.vmap` of the op is one graph, with what plain autograd gives."""
    problem = Problem(subject)
    stacked = tuple(torch.stack([t, t * 0.9]) for t in problem.inputs)
    torch._dynamo.reset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            grad = torch.compile(torch.func.grad(problem.ours, problem.argnums), fullgraph=True, backend="aot_eager")
            pairs = list(zip(grad(*problem.inputs), problem.gradient(), strict=True))
            mapped = torch.compile(torch.func.vmap(problem.ours), fullgraph=True, backend="aot_eager")
            rows = torch.stack([problem.plain(*(s[n] for s in stacked)) for n in (0, 1)])
            pairs.append((mapped(*stacked), rows))
        return max(agree("a compiled transform", a, b, "tiny sample", TOLERANCE) for a, b in pairs)
    finally:
        torch._dynamo.reset()


def checkpoint(subject: Subject) -> float:
    """Under activation checkpointing, values and gradients are the same."""
    from torch.utils.checkpoint import checkpoint as run_again

    sample = subject.samples[0]

    def call(inputs: Tensors) -> Outputs:
        def op(*arguments: Tensor | None) -> Outputs:
            return subject.call(arguments, sample.params)

        return tuple(run_again(op, *inputs, use_reentrant=False))

    return _agree_with_eager(subject, sample, call, "checkpointed")


def copies(subject: Subject) -> float | None:
    """The function and its classes survive deepcopy, and pickle where the module can be imported by name."""
    import sys

    module, op = subject.module, subject.bare or subject.op
    if copy.deepcopy(op) is not op:
        raise FindingError("deepcopy makes another function")
    if module is None or sys.modules.get(module.__name__) is not module:
        raise SkippedError("the module was not imported by name")
    for thing in (op, *function_classes(module)):
        if pickle.loads(pickle.dumps(thing)) is not thing:  # noqa: S301  our own bytes
            raise FindingError("pickle makes another object")
    return None


def operator(subject: Subject) -> float | None:
    """The operator of torch.library passes `opcheck`: schema, derivative, fake tensors; others trace it."""
    registered = getattr(subject.module, "_OPERATOR", None)
    if registered is None:
        raise SkippedError("the target is `function`")
    sample = subject.samples[0]
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    parameters = inspect.signature(subject.bare or subject.op).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = (*leaves(subject, sample.tensors), *(defaults | dict(sample.params)).values())
        torch.library.opcheck(registered.operator, arguments, test_utils=tests)
    return None


def no_grad_modes(subject: Subject) -> float:
    """Under `no_grad` and `inference_mode` the values are the same."""
    sample = subject.samples[0]
    want = subject.call(sample.tensors, sample.params)
    worst = 0.0
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            got = subject.call(sample.tensors, sample.params)
            for one, two in zip(got, want, strict=True):
                if is_float(one):
                    worst = max(worst, agree("the output", one, two, mode.__name__, TOLERANCE))
    return worst
