"""Rows that a label picks under a condition, in a contraction: backward makes nothing as long as rows and labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tensorgrad_gen import load_op

ROWS, LABELS = 40, 30
HEAD = "op: it\ndoc: It.\ninputs: {{p: [n, j], q: [m, k]{more}, t: {{indices: [n], kind: label, labels: m}}}}\n"


def picked(q: Tensor, t: Tensor) -> Tensor:
    return q[torch.where(t >= 0, t, 0)]


def cross(p: Tensor, q: Tensor, t: Tensor) -> Tensor:
    return torch.where(t[:, None] >= 0, torch.linalg.cross(p, picked(q, t)), 0)


def relation(p: Tensor, q: Tensor, w: Tensor, t: Tensor) -> Tensor:
    return torch.where(t[:, None] >= 0, torch.einsum("rjk,nj,nk->nr", w, p, picked(q, t)), 0)


def score(p: Tensor, q: Tensor, w: Tensor, t: Tensor) -> Tensor:
    return torch.where(t >= 0, torch.einsum("rjk,nj,nk->n", w, p, picked(q, t)), 0)


CASES: dict[str, tuple[str, str, tuple[int, int], Callable[..., Tensor]]] = {
    "cross": ("y[n,i] = where(t[n] >= 0, levi_civita[i,j,k]*p[n,j]*q[t[n],k], 0)", "", (3, 3), cross),
    "relation": ("y[n,r] = where(t[n] >= 0, w[r,j,k]*p[n,j]*q[t[n],k], 0)", ", w: [r, j, k]", (4, 2), relation),
    "score": ("y[n] = where(t[n] >= 0, one[r]*w[r,j,k]*p[n,j]*q[t[n],k], 0)", ", w: [r, j, k]", (4, 2), score),
}


class Largest(TorchDispatchMode):
    """The most elements that a call makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            self.elements = max(self.elements, found.numel())
        return found


@pytest.mark.parametrize("name", CASES)
def test_right_and_never_as_long_as_both(name: str) -> None:
    equation, more, (j, k), formula = CASES[name]
    op = load_op(HEAD.format(more=more) + f"equations: {equation}\n")
    made = torch.Generator().manual_seed(0)
    shapes = [(ROWS, j), (LABELS, k), *([(5, j, k)] if more else [])]
    tensors = [torch.randn(s, generator=made, dtype=torch.float64) for s in shapes]
    label = torch.randint(0, LABELS, (ROWS,), generator=made)
    label[::4] = -100
    tensors[0][::4] = torch.nan  # hidden
    found = []
    for function in (op, formula):
        hidden = tensors[0] if function is op else torch.where(label[:, None] >= 0, tensors[0], 0)
        leaves = [t.clone().requires_grad_() for t in (hidden, *tensors[1:])]
        y = function(*leaves, label)
        with Largest() as largest:
            plain = torch.autograd.grad(y.sin().sum(), leaves, retain_graph=True)
        if function is op:
            assert largest.elements < ROWS * LABELS
        first = torch.autograd.grad(y.sin().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.sin().sum() for g in first), leaves)
        found.append((y, *plain, *first, *second))
    for have, want in zip(*found, strict=True):
        torch.testing.assert_close(have, want)
