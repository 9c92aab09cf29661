"""Timings are interleaved, and the formula that is timed is the formula, without its interpreter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tensorgrad_gen.bench import Call, formula, straight
from tensorgrad_gen.bench.timing import Limits, Timing, both_ways, interleaved, limits, threads, timer
from tests.test_counters import case_of


def test_each_side_is_timed_in_each_round_and_each_follows_each_other() -> None:
    """A call that always follows another of the same kind finds its caches and threads awake."""
    order: list[str] = []

    def side(name: str) -> Call:
        def run(times: int) -> float:
            order.append(name)
            return float(times)

        return run

    samples = interleaved({name: side(name) for name in "abc"}, rounds=60)
    assert {name: len(found) for name, found in samples.items()} == dict.fromkeys("abc", 60)
    rounds = ["".join(order[-180:][n : n + 3]) for n in range(0, 180, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert all(rounds.count(each) > 2 for each in ("abc", "acb", "bac", "bca", "cab", "cba"))


def test_a_short_call_is_repeated_until_a_sample_is_a_millisecond() -> None:
    asked: list[int] = []

    def run(times: int) -> float:
        asked.append(times)
        return times * 1e-5

    [samples] = interleaved({"it": run}, rounds=2).values()
    assert asked[-1] == 100
    assert samples == pytest.approx([1e-5, 1e-5])


def test_a_slow_first_call_does_not_decide_how_often_a_short_one_is_repeated() -> None:
    """The first backward of a process starts the engine: a sample of one call would be a cold one."""
    asked: list[int] = []

    def run(times: int) -> float:
        asked.append(times)
        return times * 1e-5 + (1.0 if len(asked) == 1 else 0.0)

    interleaved({"it": run}, rounds=2)
    assert asked[-1] == 100


def test_rounds_go_on_until_they_fill_the_time() -> None:
    def run(times: int) -> float:
        return 1e-3 * times

    [once] = interleaved({"it": run}, rounds=2, fill=1e-9).values()
    [often] = interleaved({"it": run}, rounds=2, fill=60.0).values()
    assert (len(once), len(often)) == (2, 50)


def test_rounds_end_when_the_time_is_up() -> None:
    samples = interleaved({"it": lambda times: 1.0}, rounds=1000, seconds=0.0)
    assert len(samples["it"]) == 1


def test_a_timing_is_the_median_between_its_quartiles() -> None:
    assert Timing.of([5.0, 1.0, 2.0, 3.0, 4.0]) == Timing(3.0, 2.0, 4.0)
    assert Timing.of([7.0]) == Timing(7.0, 7.0, 7.0)


def test_the_limit_is_that_of_memory_or_of_arithmetic() -> None:
    machine = Limits(bandwidth=10.0, flops=100.0)
    assert machine.least(50.0, 10.0) == 5.0
    assert machine.least(1.0, 1000.0) == 10.0


def test_the_limits_of_this_machine_are_above_those_of_any_and_below_those_of_all() -> None:
    found = limits(rounds=1)
    assert 1e8 < found.bandwidth < 1e13
    assert 1e8 < found.flops < 1e16


def test_the_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_forward_and_backward_are_timed_together() -> None:
    called: list[str] = []

    class Noted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            called.append("forward")
            ctx.factor = 2
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            called.append("backward")
            return grad * ctx.factor

    run = both_ways(Noted.apply, [torch.ones(3, requires_grad=True)])
    called.clear()
    assert timer(run)(2) > 0
    assert called == ["forward", "backward"] * 2


@pytest.mark.parametrize("name", ["rms_norm", "cross_entropy", "attention", "conv1d", "inverse", "trace", "lambert_w"])
def test_straight_calls_have_the_value_and_the_gradients_of_the_formula(name: str) -> None:
    case = case_of(name)
    composed = formula(case.program, case.params)
    traced = straight(composed, case.leaves())
    results = []
    for call in (composed, traced):
        leaves = case.leaves()
        [value] = call(*leaves)
        wanted = [t for t in leaves if t is not None and t.requires_grad]
        results.append((value, *torch.autograd.grad(value.sum(), wanted)))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want)


def test_straight_calls_have_no_idle_views() -> None:
    case = case_of("rms_norm")
    traced = straight(formula(case.program, case.params), case.leaves())
    assert isinstance(traced, torch.fx.GraphModule)
    called = [node.target.__name__ for node in traced.graph.nodes if node.op == "call_function"]  # type: ignore[union-attr]
    assert [name.split(".")[0] for name in called] == [
        *("pow", "sum", "mul", "add", "rsqrt", "unsqueeze", "mul", "unsqueeze", "mul")
    ]
