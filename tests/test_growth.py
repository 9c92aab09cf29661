"""The work of a build grows with the statements of an op, not as their square."""

from __future__ import annotations

import re
from collections.abc import Callable
from cProfile import Profile
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from benchmarks.programs import PROGRAMS, layers
from tensorgrad_gen.pipeline import Compiled, run
from tensorgrad_gen.plan.planner import MOST_APART
from tensorgrad_gen.render.needs import MOST_SPELLED
from tests.full_road import build_spec

_, ONCE, TWICE = SIZES = (5, 25, 50)  # the first imports what is needed
GROWTH = 2.4  # a doubling of the statements


def built(text: str) -> tuple[Compiled, int]:
    """What a spec comes to, and the number of functions called; those of a compiled module do not count."""
    profile = Profile(builtins=False, subcalls=False)
    compiled = profile.runcall(run, text, "growing.yaml")
    return compiled, sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("kind", PROGRAMS)
def test_work_and_text_grow_as_the_statements(kind: str) -> None:
    work, text = {}, {}
    for size in SIZES:
        # Indices of its own, so that nothing is known from another size.
        spec = re.sub(r"\b([bfgh])\b", rf"\g<1>{size * 10}", PROGRAMS[kind]("growing", size))
        compiled, work[size] = built(spec)
        text[size] = len(compiled.source)
    for amount in (work, text):
        assert amount[TWICE] <= GROWTH * amount[ONCE], amount


def plain(x: Tensor, *weights: Tensor) -> Tensor:
    for weight in weights:
        x = torch.relu(x @ weight)
    return x


def network(count: int) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The op of so many layers, and inputs of it."""
    generator = torch.Generator().manual_seed(count)
    sizes = [2, *(3 + k % 2 for k in range(count + 1))]
    tensors = [
        torch.randn(pair, generator=generator, dtype=torch.float64, requires_grad=True) for pair in pairwise(sizes)
    ]
    op: Callable[..., Tensor] = build_spec(layers("network", 2 * count))[0]
    return op, tensors


def test_many_saved_tensors_have_one_block_of_backward_and_right_second_derivatives() -> None:
    op, tensors = network(MOST_APART + 2)
    assert gradcheck(op, tensors, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(op, tensors)


@pytest.mark.parametrize("place", range(MOST_APART + 3))
def test_cotangents_of_some_saved_tensors_alone(place: int) -> None:
    """The gradient of one input depends on some of what was saved; the cotangents of the rest are none."""
    op, tensors = network(MOST_APART + 2)
    found = []
    for function in (op, plain):
        (gradient,) = torch.autograd.grad(function(*tensors).square().sum(), tensors[place], create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), tensors, allow_unused=True, materialize_grads=True))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("wanted", [{0}, {3, 9}, set(range(1, 16)), set(range(17))])
def test_named_tests_compute_the_gradients_that_are_needed_and_no_others(wanted: set[int]) -> None:
    op, tensors = network(MOST_SPELLED + 4)
    for place, tensor in enumerate(tensors):
        tensor.requires_grad_(place in wanted)
    needed = [tensors[place] for place in sorted(wanted)]
    for ours, theirs in zip(
        *(torch.autograd.grad(function(*tensors).sum(), needed) for function in (op, plain)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
