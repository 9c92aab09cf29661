"""A mean beside a sink: what its backward reads, and rows that a mask hides whole."""

from __future__ import annotations

import torch
from full_road import build_spec

from tensorgrad_gen.notation import print_expr
from tensorgrad_gen.pipeline import run

PLAIN = "num[n] = exp(x[n,i])*v[n,i]; den[n] = exp(s[n]) + one[i]*exp(x[n,i]); y[n] = num[n]/den[n]"
MASKED = (
    "num[n] = [keep[n,i]]*exp(x[n,i])*v[n,i]; den[n] = exp(s[n]) + one[i]*[keep[n,i]]*exp(x[n,i]); y[n] = num[n]/den[n]"
)
ONE = MASKED.replace("exp(s[n])", "1")
BY_HAND = (
    "m[n] = max[i](x[n,i]); top[n] = max(s[n], m[n]); e[n,i] = exp(x[n,i] - top[n]);"
    " z[n] = exp(s[n] - top[n]) + one[i]*e[n,i]; y[n] = e[n,i]*v[n,i]/z[n]"
)


def text_of(equations: str) -> str:
    inputs = {"s": "s: [n]", "keep": "keep: {indices: [n, i], kind: bool}"}
    given = ["x: [n, i]", "v: [n, i]", *(line for name, line in inputs.items() if f"{name}[n" in equations)]
    lines = "".join(f"  {line.strip()}\n" for line in equations.split(";"))
    return f"op: f\ninputs: {{{', '.join(given)}}}\nequations: |\n{lines}"


def gradients(equations: str) -> dict[str, str]:
    adjoint = run(text_of(equations), "<text>", until="simplify")["simplify"].adjoint
    return {s.target: print_expr(s.value) for s in adjoint.statements}


def test_backward_has_no_softmax_of_its_own_and_reads_what_forward_returns() -> None:
    for equations in (PLAIN, MASKED, ONE):
        assert "softmax" not in gradients(equations)["grad_x"]
    assert gradients(MASKED)["grad_x"].endswith("(shown_v[n,i] - y[n])")


def test_a_row_that_is_masked_whole_is_0_and_so_are_two_derivatives() -> None:
    keep = torch.tensor([[True, False, True], [False, False, False]])
    made = torch.Generator().manual_seed(0)
    for equations in (MASKED, ONE):
        x, v = (torch.randn(2, 3, generator=made, dtype=torch.float64, requires_grad=True) for _ in range(2))
        s = torch.randn(2, generator=made, dtype=torch.float64, requires_grad=True)
        given = (x, v, s) if equations is MASKED else (x, v)
        y = build_spec(text_of(equations))[0](*given, keep)
        first = torch.autograd.grad(y.square().sum() + y.sum(), given, create_graph=True)
        second = torch.autograd.grad(sum(g.sin().sum() for g in first), given)
        for part in (y, *first, *second):
            assert bool(part.isfinite().all())
            assert bool((part[1] == 0).all())
            assert bool((part[0] != 0).any())


def test_what_is_stable_by_hand_stays_as_it_is() -> None:
    program = run(text_of(BY_HAND), "<text>", until="normalise")["normalise"]
    assert "logsumexp" not in " ".join(print_expr(s.value) for s in program.statements)
    assert "logsumexp" not in " ".join(gradients(BY_HAND).values())
