"""A Cholesky factor beside other functions of its matrix, of one matrix and of a batch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tensorgrad_gen import load_op

# Equations of a batch, what is returned, the same in PyTorch; without the batch, `b` is left out of both.
CASES: dict[str, tuple[str, str, Callable[[Tensor, Tensor], tuple[Tensor, ...]]]] = {
    "its determinant": (
        "ch[b,n,m] = cholesky(s)[b,n,m]; l[b] = logdet(s)[b]; y[b,n] = one[n]*l[b]*e[b,n,n]",
        "ch, y",
        lambda s, e: (torch.linalg.cholesky(s), torch.logdet(s)[..., None] * e.diagonal(dim1=-2, dim2=-1)),
    ),
    "its inverse": (
        "ch[b,n,m] = cholesky(s)[b,n,m]; a[b,n,m] = inv(s)[b,n,m]*e[b,n,m]",
        "ch, a",
        lambda s, e: (torch.linalg.cholesky(s), torch.linalg.inv(s) * e),
    ),
    "a solution": (
        "ch[b,n,m] = cholesky(s)[b,n,m]; x[b,n,m] = solve(s, e)[b,n,m]",
        "ch, x",
        lambda s, e: (torch.linalg.cholesky(s), torch.linalg.solve(s, e)),
    ),
    "a draw": (
        "d[b,n,c] = cholesky(s)[b,n,m]*e[b,m,c]; l[b] = logdet(s)[b]; y[b,n,c] = d[b,n,c]*l[b]",
        "y",
        lambda s, e: (torch.linalg.cholesky(s) @ e * torch.logdet(s)[..., None, None],),
    ),
    "a product with the inverse": (
        "q[b,n] = cholesky(s)[b,n,m]*inv(s)[b,n,m]; y[b,n] = q[b,n]*e[b,n,n]",
        "y",
        lambda s, e: ((torch.linalg.cholesky(s) * torch.linalg.inv(s)).sum(-1) * e.diagonal(dim1=-2, dim2=-1),),
    ),
}


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_right_to_second_order(name: str, batched: bool) -> None:
    equations, outputs, formula = CASES[name]
    inputs = "s: {indices: [b, n, m], domain: spd}, e: [b, m, c]" if " d[" in f" {equations}" else ""
    inputs = inputs or "s: {indices: [b, n, m], domain: spd}, e: [b, n, m]"
    text = f"op: beside\ndoc: It.\ninputs: {{{inputs}}}\nequations: |\n  "
    text += "\n  ".join(equations.split("; ")) + f"\noutputs: [{outputs}]\n"
    if not batched:
        text = text.replace("[b]", "").replace("b,", "").replace("[b, ", "[")
    op = load_op(text)
    made = torch.Generator().manual_seed(0)
    shape = (2, 3, 3) if batched else (3, 3)
    root, e = (torch.randn(shape, generator=made, dtype=torch.float64) for _ in range(2))
    inputs_ = [(root @ root.mT + 3 * torch.eye(3)).requires_grad_(), e.requires_grad_()]

    def results(function: Callable[..., tuple[Tensor, ...] | Tensor]) -> tuple[Tensor, ...]:
        s, e = inputs_
        found = function((s + s.mT) / 2, e)
        found = found if isinstance(found, tuple) else (found,)
        loss = sum((k + 1) * part.sin().sum() for k, part in enumerate(found))
        plain = torch.autograd.grad(loss, inputs_, retain_graph=True)
        first = torch.autograd.grad(loss, inputs_, create_graph=True)
        second = torch.autograd.grad(sum(g.sin().sum() for g in first), inputs_)
        return (*found, *plain, *first, *second)

    for have, want in zip(results(op), results(formula), strict=True):
        torch.testing.assert_close(have, want)
