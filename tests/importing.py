"""What the tests of imported formulas share: the op that a formula makes, compared with a function of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from tensorgrad_gen import SpecError, compile_spec, load_op
from tensorgrad_gen.importing import import_formula

Function = Callable[..., torch.Tensor]


def agree(text: str, expected: Function, inputs: Sequence[torch.Tensor]) -> None:
    """The op of the spec has the value of the function, and its derivatives of first and second order."""
    assert {d.code for d in compile_spec(text).warnings} <= {"W405"}  # a formula may have a singularity of its own
    op = load_op(text)
    given = [x.detach().double().requires_grad_() for x in inputs]
    ours, theirs = op(*given), expected(*given)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs)
    weights = torch.linspace(0.5, 1.5, ours.numel(), dtype=torch.float64).reshape(ours.shape)
    firsts = [grads((value * weights).sum(), given) for value in (ours, theirs)]
    compare(*firsts)
    seconds = [sum((g * torch.cos(torch.arange(g.numel()).double().reshape(g.shape))).sum() for g in f) for f in firsts]
    if isinstance(seconds[1], torch.Tensor) and seconds[1].requires_grad:
        compare(*(grads(second, given) for second in seconds))


def grads(value: Any, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(value, inputs, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs)]


def compare(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def refusal(notation: str, formula: str, **more: Any) -> tuple[str, str, str]:
    """The code of the first error, the part of its text under the caret, and all of the message."""
    with pytest.raises(SpecError) as caught:
        import_formula(notation, formula, **more)
    error = caught.value
    first = error.diagnostics[0]
    assert first.span is not None, str(error)
    line = error.text.split("\n")[first.span.line - 1] if error.text else ""
    end = first.span.end_column - 1 if first.span.end_line == first.span.line else None
    return first.code, line[first.span.column - 1 : end], str(error)


def builds_or_is_refused(notation: str, formula: str, **more: Any) -> None:
    """Whatever the text: a spec, or an error that points into it."""
    try:
        imported = import_formula(notation, formula, **more)
    except SpecError as error:
        assert error.diagnostics
        assert error.path.startswith("--")
    else:
        assert imported.text.startswith("op: ")
