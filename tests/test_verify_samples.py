"""The samples that `verify` runs on show what a spec says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch

from tensorgrad_gen.api import load_module
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.verify.extents import extents
from tensorgrad_gen.verify.model import CheckResult, Subject
from tensorgrad_gen.verify.run import run_check
from tensorgrad_gen.verify.samples import distance_from_trouble
from tensorgrad_gen.verify.subject import make_subject, on_module
from tensorgrad_gen.verify.table import CHECKS

POOL = """\
op: pool
inputs: {x: [b, n]}
params: {kernel: {default: 2, kind: int}, stride: {default: 2, kind: int}}
sizes:
  K: {index: k, extent: kernel}
equations: y[b,i] = max[k](x[b, stride*i + k])
"""
CHOSEN = """\
op: chosen
inputs: {x: [n, v], t: {indices: [n], kind: label, labels: v}}
params: {ignore: {default: -100, kind: int}}
equations: y[n] = [t[n] != ignore]*x[n,t[n]]
"""


@cache
def subject(text: str) -> Subject:
    compiled = run(text, "<text>", meta={"spec_path": "<text>", "standalone": True})
    program = compiled["elaborate"]
    return make_subject(program, load_module(program.name, compiled.source))


def test_a_window_has_several_places_so_that_its_stride_is_seen() -> None:
    program = run(POOL, "<text>", until="elaborate")["elaborate"]
    for sample in subject(POOL).samples:
        [x] = sample.tensors
        sizes = extents(program, {"x": x}, sample.params)
        assert sizes["i"] >= 2


def test_whole_numbers_among_the_params_are_moved_too() -> None:
    params = [sample.params for sample in subject(POOL).samples]
    assert params == [{"kernel": 2, "stride": 2}, {"kernel": 3, "stride": 3}]


def test_some_labels_are_those_that_the_spec_ignores_and_some_are_not() -> None:
    for sample in subject(CHOSEN).samples:
        _, labels = sample.tensors
        assert labels is not None
        ignored = labels == sample.params["ignore"]
        assert bool(ignored.any())
        assert not bool(ignored.all())


def test_a_label_that_is_compared_but_looked_up_all_the_same_stays_in_range() -> None:
    text = CHOSEN.replace("[t[n] != ignore]*x[n,t[n]]", "x[n,t[n]] + [t[n] != ignore]")
    for sample in subject(text).samples:
        _, labels = sample.tensors
        assert labels is not None
        assert bool((labels >= 0).all())


def test_another_module_is_put_to_the_same_samples() -> None:
    program = run(POOL, "<text>", until="elaborate")["elaborate"]
    ours = subject(POOL)
    other = run(POOL.replace("max", "sum"), "<text>", meta={"spec_path": "<text>", "standalone": True})
    theirs = on_module(ours, program, load_module("pool", other.source))
    [x] = ours.samples[0].tensors
    assert theirs.samples is ours.samples
    assert not torch.equal(theirs.call((x,), ours.samples[0].params)[0], ours.call((x,), ours.samples[0].params)[0])


def result(text: str, check: str, **replaced: Callable[..., object]) -> CheckResult:
    [row] = [row for row in CHECKS if row.name == check]
    return run_check(row, replace(subject(text), **replaced))


@pytest.mark.parametrize("eps", ["1e-4", "1e-12"])
@pytest.mark.parametrize("function", ["sqrt", "log"])
def test_what_is_near_a_pole_whatever_the_inputs_are_is_compared_but_not_by_finite_differences(
    function: str, eps: str
) -> None:
    text = f"op: near\ninputs: {{z: [n, d]}}\nequations: y[n,m] = {function}(one[d]*(z[n,d] - z[m,d])^2 + {eps})\n"
    assert [sample.cramped for sample in subject(text).samples] == [True]
    assert result(text, "vjp").status == "passed"
    assert result(text, "gradcheck").status == "skipped"


@pytest.mark.parametrize(
    ("inputs", "equations"),
    [
        ("{w: [r, i], t: [r, i]}", "y[r] = w[r,i]*w[r,j]*abs(t[r,i] - t[r,j])"),
        ("{x: [c]}", "y[c] = exp(clamp(x[c] - min[c](x[c]), 0, 1))"),
        ("{z: [n, d]}", "y[n,m] = norm[d](z[n,d] - z[m,d])"),
    ],
)
def test_an_argument_that_is_at_a_kink_for_all_inputs_is_constant_and_no_trouble(inputs: str, equations: str) -> None:
    text = f"op: still\ninputs: {inputs}\nequations: {equations}\n"
    assert not any(sample.cramped for sample in subject(text).samples)
    for name in ("vjp", "higher orders", "gradcheck"):
        assert result(text, name).status == "passed"


def test_a_kink_behind_stop_gradient_is_no_trouble_but_a_jump_is() -> None:
    text = "op: stopped\ninputs: {x: [c]}\nequations: |\n  z[c] = FUNCTION(x[c])\n  y[c] = stop_gradient(z[c]) + x[c]\n"
    at_kinks = (torch.zeros(3, dtype=torch.float64),)
    for function, distance in (("abs", math.inf), ("sqrt", math.inf), ("floor", 0.0)):
        program = run(text.replace("FUNCTION", function), "<text>", until="elaborate")["elaborate"]
        assert distance_from_trouble(program, at_kinks, {})[0] == distance
    seen = run(text.replace("FUNCTION", "abs").replace("stop_gradient", ""), "<text>", until="elaborate")["elaborate"]
    assert distance_from_trouble(seen, at_kinks, {}) == (0.0, "kink")


def test_the_same_tensor_twice_is_at_a_kink_of_their_difference() -> None:
    text = "op: apart\ninputs: {a: [i], b: [i]}\nequations: y[i] = abs(a[i] - b[i])\n"
    program = run(text, "<text>", until="elaborate")["elaborate"]
    x = torch.rand(3, dtype=torch.float64)
    assert distance_from_trouble(program, (x, x), {}) == (0.0, "kink")


def test_log_of_a_sum_of_two_has_a_second_derivative_where_one_is_minus_infinity() -> None:
    text = (
        "op: shifted\ninputs: {a: [s]}\nequations: |\n  b[s] = where(s >= 1, a[clamp(s - 1)], -inf)\n"
        "  y[s] = logaddexp(a[s], b[s])\n"
    )
    assert result(text, "higher orders").status == "passed"
    assert result(text, "hessians").status == "passed"


def test_a_sample_has_finite_derivatives() -> None:
    text = (
        "op: nests\ninputs: {u: [j], a: {indices: [n], domain: positive}, g: {indices: [j], kind: label, labels: n}}\n"
        "equations: |\n  iv[n] = logsumexp[j](where(g[j] == n, u[j], -inf))\n  y[n] = softmax[n](a[n]*iv[n])\n"
    )
    for sample in subject(text).samples:
        _, lam, g = sample.tensors
        assert lam is not None
        assert g is not None
        assert set(g.tolist()) == set(range(len(lam)))  # the sum of an empty nest is -inf, and lam's derivative 0/0


EXTREME = "extreme inputs"


def test_a_formula_that_overflows_is_told_from_an_op_that_does() -> None:
    by_nature = result("op: odds\ninputs: {x: [i]}\nequations: y[i] = log(exp(x[i]) + exp(2*x[i]) + 3)\n", EXTREME)
    assert by_nature.status == "skipped"
    assert "the formula itself overflows in float32 at 88" in by_nature.message
    stable = "op: soft\ninputs: {x: [i]}\nequations: y[i] = exp(x[i])/(one[j]*exp(x[j]))\n"
    assert result(stable, EXTREME).status == "passed"
    unstable = result(stable, EXTREME, op=lambda x: x.exp() / x.exp().sum())
    assert unstable.status == "failed"
    singular = "op: inverted\ninputs: {x: [i, j]}\nequations: y[j,k] = inv(m)[j,k]\n"
    singular = singular.replace("equations: ", "equations: |\n  m[i,k] = x[i,j]*x[k,j] + 1e-6*delta[i,k]\n  ")
    assert result(singular, EXTREME).status in ("passed", "skipped")


SCALED = """
op: scaled
inputs: {x: [n], t: {indices: [n], kind: label, labels: c}, w: {indices: [c], domain: positive}}
sizes: {C: {index: c, extent: "1"}}
equations: |
  total = one[n]*w[t[n]]
  loss = w[t[n]]*sigmoid(x[n])*exp(x[n]/3)/total
"""


def test_the_rounding_of_a_gradient_that_is_0_is_no_finding() -> None:
    """One weight for all scales nothing: what its gradient's terms leave is luck, in the formula as in the op."""
    assert result(SCALED, EXTREME).status == "passed"


def test_a_tail_that_is_lost_is_a_finding_that_says_what_was_compared() -> None:
    text = "op: soft\ninputs: {x: [i]}\nequations: y[i] = log(1 + exp(x[i]))\n"
    found = result(text, EXTREME, op=lambda x: (1 + x.clamp(max=80).exp()).log() + (x - 80).relu())
    assert found.status == "failed"
    for part in ("the op in float32", "inputs of domain `real` (`x`)", "the formula in float64", "`domain`"):
        assert part in found.message


def test_a_clip_passes_every_check() -> None:
    text = (
        "op: clip\ninputs: {x: [i]}\nequations: |\n  c[i] = clip_gradient(x[i], -1, 1)\n  y[i] = c[i]*norm[j](c[j])\n"
    )
    for row in (check for check in CHECKS if check.quick):
        found = result(text, row.name)
        assert found.status != "failed", found
