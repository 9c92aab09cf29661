"""Trains a small network made only of generated ops, beside the same network made of PyTorch's own.

The two start from the same weights and see the same mini-batches, so their losses must agree: to 1e-4 in
float32 and to 1e-9 in float64 over the first 20 steps.  Then the generated one is trained on scikit-learn's
digits until it reads 96 % of the test images.  The exit status is 1 if any of this fails.

    python examples/train_digits.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that `generated` is found from anywhere

from generated import cross_entropy, gelu, layer_norm_affine, linear

HIDDEN = 96
BATCH = 64
EPOCHS = 12
STEPS = 20
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
TARGET = 0.96

Op = Callable[..., Tensor]


@dataclass(frozen=True)
class Ops:
    """The ops a network is made of."""

    linear: Op
    layer_norm: Op
    gelu: Op
    cross_entropy: Op


GENERATED = Ops(linear, layer_norm_affine, gelu, cross_entropy)
PYTORCH = Ops(F.linear, lambda x, gamma, beta: F.layer_norm(x, x.shape[-1:], gamma, beta), F.gelu, F.cross_entropy)


class Network(torch.nn.Module):
    """Two hidden layers: linear, layer norm, GELU; then the scores of the ten digits."""

    def __init__(self, ops: Ops, dtype: torch.dtype) -> None:
        super().__init__()
        self.ops = ops
        source = torch.Generator().manual_seed(0)
        widths = (64, HIDDEN, HIDDEN, 10)
        self.weights = torch.nn.ParameterList(
            torch.randn(after, before, generator=source, dtype=torch.float64).to(dtype) / before**0.5
            for before, after in pairwise(widths)
        )
        self.biases = torch.nn.ParameterList(torch.zeros(width, dtype=dtype) for width in widths[1:])
        self.gammas = torch.nn.ParameterList(torch.ones(HIDDEN, dtype=dtype) for _ in widths[2:])
        self.betas = torch.nn.ParameterList(torch.zeros(HIDDEN, dtype=dtype) for _ in widths[2:])

    def forward(self, x: Tensor) -> Tensor:
        for layer, (gamma, beta) in enumerate(zip(self.gammas, self.betas, strict=True)):
            x = self.ops.linear(x, self.weights[layer], self.biases[layer])
            x = self.ops.gelu(self.ops.layer_norm(x, gamma, beta))
        return self.ops.linear(x, self.weights[-1], self.biases[-1])


def digits(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, test images and labels: every fifth is for the test."""
    data = load_digits()
    images, labels = torch.tensor(data.data / 16, dtype=dtype), torch.tensor(data.target)
    test = torch.arange(len(labels)) % 5 == 0
    return images[~test], labels[~test], images[test], labels[test]


def batches(count: int) -> Iterator[Tensor]:
    """The mini-batches of all epochs, as positions: the same ones each time."""
    source = torch.Generator().manual_seed(1)
    for _ in range(EPOCHS):
        yield from torch.randperm(count, generator=source).split(BATCH)


def train(network: Network, images: Tensor, labels: Tensor, steps: int | None = None) -> list[float]:
    """The losses of the steps, taken by gradient descent with momentum."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    losses: list[float] = []
    for rows in batches(len(labels)):
        optimiser.zero_grad()
        loss = network.ops.cross_entropy(network(images[rows]), labels[rows])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if len(losses) == steps:
            break
    return losses


def compare(dtype: torch.dtype) -> bool:
    """Whether the first losses of the two networks agree; prints them side by side."""
    images, labels, _, _ = digits(dtype)
    ours = train(Network(GENERATED, dtype), images, labels, STEPS)
    theirs = train(Network(PYTORCH, dtype), images, labels, STEPS)
    print(f"{dtype}\n  step       generated         pytorch     relative")
    worst = 0.0
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True), start=1):
        worst = max(worst, abs(a - b) / abs(b))
        print(f"  {step:4}  {a:14.10f}  {b:14.10f}  {abs(a - b) / abs(b):11.1e}")
    fine = worst <= TOLERANCE[dtype]
    print(f"  largest difference {worst:.1e}, allowed {TOLERANCE[dtype]:.0e}: {'equal' if fine else 'NOT EQUAL'}\n")
    return fine


def main() -> int:
    torch.set_num_threads(1)  # the tensors are small: threads cost more than they bring
    equal = [compare(dtype) for dtype in TOLERANCE]
    images, labels, test_images, test_labels = digits(torch.float32)
    network = Network(GENERATED, torch.float32)
    losses = train(network, images, labels)
    with torch.no_grad():
        accuracy = (network(test_images).argmax(-1) == test_labels).double().mean().item()
    print(f"{len(losses)} steps, loss {losses[0]:.3f} -> {losses[-1]:.3f}, test accuracy {accuracy:.1%}")
    return 0 if all(equal) and accuracy >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
