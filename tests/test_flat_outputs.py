"""An output whose derivative is 0, a count or an accuracy beside a loss, has no code in backward; its gradient is 0."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tensorgrad_gen import compile_spec, load_op

LOSS = "loss = mean[n](logsumexp[v](s[n,v]) - s[n,t[n]])"
SPEC = """\
op: scored
inputs:
  s: [n, v]
  t: {{indices: [n], kind: label, labels: v}}
equations: |
  {loss}
  rank[n] = sum[v]([s[n,v] > s[n,t[n]]])
  mrr     = mean[n](1/(1 + rank[n]))
  steps   = one[n]*floor(exp(s[n,t[n]]))
outputs: [{outputs}]
"""
S = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
T = torch.tensor([0, 6, 2, 2, 5])


def spec(*outputs: str) -> str:
    return SPEC.format(loss=LOSS, outputs=", ".join(outputs))


def formula(s: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(s, T)


def test_no_code_is_there_for_it() -> None:
    with_more = compile_spec(spec("mrr", "loss", "steps")).source
    assert "grad_rank" not in with_more
    assert "_backward_mrr" not in with_more
    assert "with grad_loss = dl/dloss:" in with_more
    assert "The derivative of mrr and of steps is 0." in with_more
    alone = compile_spec(spec("loss")).source
    assert with_more.count("# grad_s[n,v] = ") == alone.count("# grad_s[n,v] = ") == 1


def test_the_loss_beside_it_has_its_gradient() -> None:
    op: Any = load_op(spec("mrr", "loss", "steps"))
    s = S.clone().requires_grad_()
    mrr, loss, steps = op(s, T)
    want = torch.autograd.grad(formula(s), s)[0]
    for total in (loss, loss + mrr, loss + 3 * steps - mrr):
        assert_close(torch.autograd.grad(total, s, retain_graph=True)[0], want)


def test_its_own_gradient_is_nothing() -> None:
    op: Any = load_op(spec("mrr", "loss", "steps"))
    s = S.clone().requires_grad_()
    mrr, _, steps = op(s, T)
    assert torch.autograd.grad(mrr + steps, s, allow_unused=True)[0] is None
    assert_close(torch.func.grad(lambda x: op(x, T)[0])(S), torch.zeros_like(S))
    _, moved = torch.func.jvp(lambda x: op(x, T), (S,), (torch.ones_like(S),))
    assert_close(torch.stack(moved), torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("outputs", [("mrr",), ("mrr", "steps")])
def test_an_op_may_have_no_other_output(outputs: tuple[str, ...]) -> None:
    op: Any = load_op(spec(*outputs))
    s = S.clone().requires_grad_()
    result = op(s, T)
    first = result[0] if isinstance(result, tuple) else result
    rank = (S.gather(1, T[:, None]) < S).sum(1)
    assert_close(first.detach(), (1 / (1 + rank.double())).mean())


def test_second_derivatives_and_blocks_go_past_it() -> None:
    for more in ("", "chunk: {index: n, count: 2}\n"):
        op: Any = load_op(spec("mrr", "loss") + more)
        s = S.clone().requires_grad_()
        mrr, loss = op(s, T)
        first = torch.autograd.grad(mrr + loss, s, create_graph=True)[0]
        own = torch.autograd.grad(formula(s), s, create_graph=True)[0]
        assert_close(*(torch.autograd.grad(g.square().sum(), s)[0] for g in (first, own)))
