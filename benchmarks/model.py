"""A row of the benchmark: an op at one size, what it is compared with, and what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tensorgrad_gen.bench import Call

# Who computes it: key -> what it is.
PEERS = {
    "ours": "the generated op",
    "compiled": "the generated op under `torch.compile`",
    "E": "autograd of the composed formula",
    "N": "PyTorch's own op",
    "C": "`torch.compile` of the composed formula",
    "F": "`torch.func`",
    "J": "JAX, `jit`",
    "H": "a hand-written `autograd.Function`",
    "D": "double backward of PyTorch's own op",
    "L": "matrix products from left to right",
    "S": "an einsum for each gradient",
}


@dataclass(frozen=True)
class Goal:
    """`what` of `of` is at most `at_most` times that of `peer`; with no peer, at most that number itself.

    `what` is `time`, or a counter: `saved`, `extra`, `flops`, `gradient flops`; without a peer times are milliseconds.
    """

    peer: str
    at_most: float
    what: str = "time"
    of: str = "ours"

    def __str__(self) -> str:
        if not self.peer:
            unit = {"time": " ms", "saved": " B"}[self.what]
            return f"{self.what} ≤ {self.at_most:,.0f}{unit}" if self.at_most else f"{self.what} nothing"
        head = "" if self.of == "ours" else f"{self.of}: "
        return f"{head}{self.what} ≤ {self.at_most:g} {self.peer}"


@dataclass(frozen=True)
class Work:
    """What is measured: every side takes the tensors; gradients are taken by those that require them."""

    tensors: tuple[Tensor, ...]
    sides: dict[str, Call]


@dataclass(frozen=True)
class Row:
    """An op at one size.  `compiled` adds both compiled sides, `jax` names a function of `benchmarks.with_jax`."""

    name: str
    sizes: tuple[int, ...]
    make: Callable[..., Work]
    goals: tuple[Goal, ...] = ()
    compiled: bool = False
    jax: str = ""

    @property
    def title(self) -> str:
        """What it is called: no other row is called so."""
        return title_of(self.name, self.sizes)

    def work(self) -> Work:
        """The tensors and sides of this size."""
        return self.make(*self.sizes)

    def tiny(self) -> Work:
        """The same where it is cheap to compare values: all extents small, and different where they may be."""
        return self.make(*(min(n, 3 + place) for place, n in enumerate(self.sizes)))


def title_of(name: str, sizes: Sequence[int]) -> str:
    """`rms_norm 4096x2048`."""
    return f"{name} {'x'.join(map(str, sizes))}"


def real(*shape: int, grad: bool = True) -> Tensor:
    """Normal numbers, the same on each run."""
    source = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=source).requires_grad_(grad)


def labels(count: int, below: int) -> Tensor:
    """Labels below an extent."""
    return torch.randint(below, (count,), generator=torch.Generator().manual_seed(count))
