"""Matrix products with an operand in common: one product of a sum, where that is no larger than the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from tensorgrad_gen import load_op

GRAM = "g[i,j] = x[n,i]*x[n,j]; y = one[i]*one[j]*tanh(g[i,j])*w[i,j]"


def gram(x: Tensor, w: Tensor) -> Tensor:
    return ((x.mT @ x).tanh() * w).sum()


def added(x: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return x @ u.mT + x @ v.mT


def apart(x: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return x @ u.mT + (x @ v.mT).sin()


# The equations, the inputs, hints, the shapes, the same in PyTorch, products in backward for the first input.
CASES: dict[str, tuple[str, str, str, tuple[tuple[int, int], ...], Callable[..., Tensor], int]] = {
    "a matrix and its transpose": (
        GRAM, "x: [n, i], w: [i, j]", "hints: {n: 512, i: 16}", ((7, 3), (3, 3)), gram, 1
    ),
    "a matrix larger than the result": (
        GRAM, "x: [n, i], w: [i, j]", "hints: {n: 4, i: 512}", ((3, 7), (7, 7)), gram, 2
    ),
    "two weights of one input": (
        "p[b,o] = x[b,i]*u[o,i]; q[b,o] = x[b,i]*v[o,i]; y[b,o] = p[b,o] + q[b,o]",
        "x: [b, i], u: [o, i], v: [o, i]", "hints: {b: 512, i: 32, o: 32}", ((7, 4), (3, 4), (3, 4)), added, 1,
    ),
    "two weights, one inside of a function": (
        "p[b,o] = x[b,i]*u[o,i]; q[b,o] = sin(x[b,i]*v[o,i]); y[b,o] = p[b,o] + q[b,o]",
        "x: [b, i], u: [o, i], v: [o, i]", "hints: {b: 512, i: 32, o: 32}", ((7, 4), (3, 4), (3, 4)), apart, 2,
    ),
}  # fmt: skip


class Products(TorchDispatchMode):  # type: ignore[misc]
    """Counts matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ in ("mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_as_few_products_as_are_said_and_right_to_second_order(case: str) -> None:
    equations, inputs, hints, shapes, plain, count = CASES[case]
    lines = "\n  ".join(equations.split("; "))
    op = load_op(f"op: it\ndoc: It.\ninputs: {{{inputs}}}\nequations: |\n  {lines}\noutputs: [y]\n{hints}\n")
    made = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=made, dtype=torch.float64) for shape in shapes]
    alone = [tensors[0].clone().requires_grad_(), *tensors[1:]]
    y = op(*alone)
    with Products() as products:
        torch.autograd.grad(y.sum(), alone[0])
    assert products.count == count
    found = []
    for call in (op, plain):
        leaves = [t.clone().requires_grad_() for t in tensors]
        first = torch.autograd.grad(call(*leaves).sin().sum(), leaves, create_graph=True)
        found.append((*first, *torch.autograd.grad(sum(g.sin().sum() for g in first), leaves)))
    assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)
