"""What a condition hides is not read, by whatever name it is read."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from full_road import build_spec
from torch import Tensor

from tensorgrad_gen.elaborate import hidden
from tensorgrad_gen.notation import print_expr
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.reference import evaluate, sample_inputs

INPUTS = "x: [n], z: [n, v], keep: {indices: [n], kind: bool}, t: {indices: [n], kind: label, labels: v}"


def text_of(equations: str, outputs: str) -> str:
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    return f"op: masks\ninputs: {{{INPUTS}}}\nequations: |\n{lines}\noutputs: [{outputs}]\n"


def values(equations: str, outputs: str) -> dict[str, str]:
    """The value of each statement, as the elaborated program prints it."""
    program = run(text_of(equations, outputs), "<text>", until="elaborate")["elaborate"]
    return {s.target: print_expr(s.value) for s in program.statements}


def derivatives(equations: str, tensors: dict[str, Tensor], outputs: str = "l") -> list[Tensor]:
    """Values, gradients of x and z, and their gradients once more."""
    op, _ = build_spec(text_of(equations, outputs))
    x, z = (tensors[name].clone().requires_grad_() for name in "xz")
    found = op(x, z, tensors["keep"], tensors["t"])
    value = sum(part.sum() for part in (found if isinstance(found, tuple) else (found,)))
    first = torch.autograd.grad(value, (x, z), create_graph=True, materialize_grads=True)
    second = sum((g * torch.linspace(1, 2, g.numel(), dtype=g.dtype).reshape(g.shape)).sum() for g in first)
    again = torch.autograd.grad(second, (x, z), materialize_grads=True) if second.requires_grad else ()
    return [part.detach() for part in (*(found if isinstance(found, tuple) else (found,)), *first, *again)]


def inputs(hidden_x: float) -> dict[str, Tensor]:
    made = torch.Generator().manual_seed(0)
    x = torch.rand(4, generator=made, dtype=torch.float64) + 0.5
    x[1] = hidden_x
    z = torch.randn(4, 3, generator=made, dtype=torch.float64)
    return {
        "x": x,
        "z": z,
        "keep": torch.tensor([True, False, True, True]),
        "t": torch.tensor([2, -100, 0, 1]),
    }


CROSS_ENTROPY = "(logsumexp[v](z[n,v]) - z[n,t[n]])"
# by names -> inline
LABELS = {
    f"ce[n] = {CROSS_ENTROPY}; l = one[n]*where(t[n] != -100, ce[n], 0)": (
        f"l = one[n]*where(t[n] != -100, {CROSS_ENTROPY}, 0)"
    ),
    f"ce[n] = {CROSS_ENTROPY}; l = one[n]*[t[n] != -100]*ce[n]": f"l = one[n]*[t[n] != -100]*{CROSS_ENTROPY}",
    "p[n] = z[n,t[n]]; q[n] = p[n]^2; l[n] = where(t[n] == -100, 0, q[n] + x[n]*p[n])": (
        "l[n] = where(t[n] == -100, 0, z[n,t[n]]^2 + x[n]*z[n,t[n]])"
    ),
    "p[m,n] = z[m,t[n]]; l[m] = one[n]*[t[n] >= 0 and t[n] < 3]*p[m,n]": (
        "l[m] = one[n]*[t[n] >= 0 and t[n] < 3]*z[m,t[n]]"
    ),
    "p[n] = z[n,t[n]]; count[n] = [t[n] >= 0]; w[n] = count[n]*x[n]; l[n] = where(w[n] > 0, p[n]*w[n], 0)": (
        "count[n] = [t[n] >= 0]; w[n] = count[n]*x[n]; l[n] = where(w[n] > 0, z[n,t[n]]*w[n], 0)"
    ),
}


@pytest.mark.parametrize("named", LABELS)
def test_a_label_is_hidden_through_names_as_it_is_inline(named: str) -> None:
    tensors = inputs(0.75)
    for got, want in zip(derivatives(named, tensors), derivatives(LABELS[named], tensors), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


SINGULAR = (
    "a[n] = log(x[n]); l[n] = where(keep[n], a[n], 0)",
    "a[n] = sqrt(x[n]); b[n] = a[n]^3; l[n] = [keep[n]]*b[n]*z[n,v]*one[v]",
    "a[n] = 1/x[n]; l[n] = where(keep[n], a[n] + a[n]^2, 0)",
    "a[n] = x[n]^(-1/2); b[n] = where(keep[n], a[n], 0); l[n] = b[n] + 2*[keep[n]]*a[n]",
)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("equations", SINGULAR)
def test_nothing_undefined_leaks_through_a_name(equations: str, bad: float) -> None:
    want = derivatives(equations, inputs(0.75))
    for got, other in zip(derivatives(equations, inputs(bad)), want, strict=True):
        assert bool(got.isfinite().all())
        rows = [0, 2, 3]
        torch.testing.assert_close(got[rows], other[rows])


def test_an_output_is_as_it_is_written() -> None:
    assert values("a[n] = log(x[n]); l[n] = where(keep[n], a[n], 0)", "a, l")["a"] == "log(x[n])"


def test_a_reader_without_the_condition_reads_all() -> None:
    equations = "a[n] = log(x[n]); l[n] = where(keep[n], a[n], 0); k[n] = a[n]*x[n]"
    assert values(equations, "l, k")["a"] == "log(x[n])"
    assert values("a[n] = log(x[n]); l[n] = where(keep[n], a[n], a[n]*x[n])", "l")["a"] == "log(x[n])"
    assert values("a[n] = log(x[n]); l[n] = where(a[n] > 0, a[n], 0)", "l")["a"] == "log(x[n])"


def test_a_condition_on_other_indices_is_none() -> None:
    assert values("a[n] = log(x[n]); l[n,m] = where(keep[m], a[n], 0)", "l")["a"] == "log(x[n])"
    assert values("a[n] = log(x[n]); l[n] = where(keep[n], a[t[n]], 0)", "l")["a"] == "log(x[n])"


def test_readers_under_more_give_what_they_share() -> None:
    equations = "a[n] = log(x[n]); l[n] = where(keep[n], a[n], 0); k[n] = where(keep[n] and t[n] > 0, 2*a[n], 0)"
    assert values(equations, "l, k")["a"] == "where(keep[n], log(x[n]), 0)"


def test_what_cannot_be_undefined_needs_no_condition() -> None:
    assert values("a[n] = exp(x[n]); l[n] = where(keep[n], a[n], 0)", "l")["a"] == "exp(x[n])"
    masked = "a[n] = where(keep[n], log(x[n]), 0); l[n] = where(keep[n], a[n], 0)"
    assert values(masked, "l")["a"] == "where(keep[n], log(x[n]), 0)"


def test_a_condition_computed_later_is_known_where_the_tensor_is_read() -> None:
    equations = "a[n] = log(x[n]); b[n] = z[n,v]^2*one[v]; l[n] = where(b[n] > 1, a[n], 0)"
    found = values(equations, "l")
    assert list(found) == ["b", "a", "l"]
    assert found["a"] == "where(b[n] > 1, log(x[n]), 0)"


@pytest.mark.parametrize("equations", [*SINGULAR, *LABELS])
def test_the_values_are_those_without_the_rule(equations: str) -> None:
    after = run(text_of(equations, "l"), "<text>", until="elaborate")["elaborate"]
    with patch.object(hidden, "hide", lambda statements, _: tuple(statements)):
        before = run(text_of(equations, "l"), "<text>", until="elaborate")["elaborate"]
    given: dict[str, Any] = dict(sample_inputs(before, np.random.default_rng(0))[0])
    given["x"] = np.abs(given["x"]) + 0.5
    np.testing.assert_array_equal(evaluate(after, given)["l"], evaluate(before, given)["l"])
    assert after.statements != before.statements


def test_a_label_in_a_condition_is_read_where_the_conditions_beside_it_hold() -> None:
    """`[c[v] > 0] delta[v,t[n]]` is `[c[t[n]] > 0]`, which stands before `[t[n] != -100]`."""
    equations = (
        "c[v] = sum[n](where(t[n] != -100, delta[v,t[n]], 0));"
        "s[v] = sum[n](where(t[n] != -100, delta[v,t[n]]*exp(z[n,v]), 0)); l[v] = where(c[v] > 0, s[v]/c[v], 0)"
    )
    tensors = inputs(0.75)
    z = tensors["z"].clone().requires_grad_()
    rows, labels = torch.tensor([0, 2, 3]), torch.tensor([2, 0, 1])
    first = torch.autograd.grad(z[rows, labels].exp().sum(), z)[0]  # each label occurs once
    torch.testing.assert_close(derivatives(equations, tensors)[-3], first, rtol=1e-12, atol=1e-12)
