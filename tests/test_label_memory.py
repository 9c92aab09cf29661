"""A label is never made dense: what an op with labels keeps alive, in multiples of its largest input."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from generated import cross_entropy, embedding, linear_cross_entropy
from tensorgrad_gen import load_op

ROWS, WORDS = 256, 32_000


class Live(TorchDispatchMode):
    """The most bytes that tensors made inside hold at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.count(tensor.untyped_storage(), given)
        return out

    def count(self, storage: Any, given: set[int]) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if not size or place in given or place in self.known:
            return
        self.known.add(place)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self.freed, place, size)

    def freed(self, place: int, size: int) -> None:
        self.known.discard(place)
        self.now -= size


def peak(run: Callable[[], Tensor], leaf: Tensor) -> float:
    """The most that forward and backward hold beside the inputs, in multiples of the leaf."""
    with Live() as live:
        run().sum().backward()
    assert leaf.grad is not None
    leaf.grad = None
    return live.peak / (leaf.numel() * leaf.element_size())


def labels(count: int, upto: int) -> Tensor:
    return torch.randint(upto, (count,), generator=torch.Generator().manual_seed(0))


def test_the_counter_sees_what_is_made_dense() -> None:
    x = torch.zeros(1000, requires_grad=True)
    assert 3 <= peak(lambda: x.exp().sin(), x) < 4
    assert peak(lambda: torch.nn.functional.one_hot(labels(1000, 50), 50).float() @ x[:50], x) > 100


FORM = """op: case
doc: A case.
inputs: {x: [n, v], t: {indices: [n], kind: label, labels: v}}
sizes: {N: n}
equations: |
"""
SPELLINGS = {
    "s[n,v] = exp(x[n,v])/(one[j]*exp(x[n,j]))\n  l = -1/N*one[n]*log(s[n,t[n]])": 2,
    "l = 1/N*one[n]*(logsumexp[v](x[n,v]) - x[n,t[n]])": 2,
    "p[n,v] = log_softmax[v](x[n,v])\n  l[n] = -p[n,t[n]]": 2,
    "p[n,v] = log_softmax[v](x[n,v])\n  l = -1/N*delta[v,t[n]]*p[n,v]": 2,
}


@pytest.mark.parametrize("equations", SPELLINGS)
def test_cross_entropy_holds_twice_its_input(equations: str) -> None:
    x, t = torch.randn(ROWS, WORDS, requires_grad=True), labels(ROWS, WORDS)
    op = load_op(f"{FORM}  {equations}\n")
    assert peak(lambda: op(x, t), x) < SPELLINGS[equations] + 0.01  # PyTorch's own holds 3


def test_the_library_s_cross_entropy_holds_twice_its_input() -> None:
    x, t = torch.randn(ROWS, WORDS, requires_grad=True), labels(ROWS, WORDS)
    assert peak(lambda: cross_entropy(x, t), x) < 2.01
    assert peak(lambda: cross_entropy(x, t, smoothing=0.1), x) < 2.01
    # With weights there is a product of a row's and a class's number beside the gradient, for a moment.
    assert peak(lambda: cross_entropy(x, t, torch.rand(WORDS), smoothing=0.1), x) < 3.01


def test_an_embedding_holds_twice_its_table() -> None:
    w, t = torch.randn(WORDS, 64, requires_grad=True), labels(ROWS, WORDS)
    assert peak(lambda: embedding(t[None], w), w) < 2.01


@pytest.mark.parametrize("upto", [1, 4000])
def test_repeated_labels_hold_no_more_than_different_ones(upto: int) -> None:
    op = load_op(
        "op: case\ndoc: A case.\ninputs: {x: [b, v], t: {indices: [b, k], kind: label, labels: v}}\n"
        "equations: |\n  y[b,k] = x[b,t[b,k]]^2\n"
    )
    x, t = torch.randn(64, 4000, requires_grad=True), labels(512, upto).reshape(64, 8)
    assert peak(lambda: op(x, t), x) < 2.01


def test_a_linear_layer_with_cross_entropy_holds_three_blocks_of_its_logits_beside_gradients() -> None:
    x, w = (torch.randn(count, 64, requires_grad=True) for count in (ROWS, WORDS))
    logits = ROWS * WORDS / w.numel()
    assert peak(lambda: linear_cross_entropy(x, w, labels(ROWS, WORDS)), w) < 3 * logits / 8 + 2.1


def test_a_masked_bag_adds_up_at_labels() -> None:
    text = """op: bag
inputs: {u: [w, d], c: {indices: [b, l], kind: label, labels: w}, n: {indices: [b], grad: false}}
equations: "h[b,d] = [l < n[b]]*u[c[b,l],d]"
"""
    u, c, n = torch.randn(WORDS, 8, requires_grad=True), labels(512 * 4, WORDS).reshape(512, 4), torch.full((512,), 3.0)
    assert peak(lambda: load_op(text)(u, c, n), u) < 2.2  # dense, it would be 64 times the table
