"""Hessians and Hessian-vector products of generated ops beside torch.func and double backward.

    python benchmarks/hessians.py [--rounds 20] [--threads 2]

One table: medians of interleaved rounds, ours over theirs, the goal of each row, and the rows that miss it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, func

from tensorgrad_gen.api import compile_spec, load_module

SPECS = Path(__file__).resolve().parents[1] / "specs"
LOGSUMEXP = "op: log_sum\ndoc: A sum.\ninputs:\n  x: [h]\nequations: y = logsumexp[h](x[h])\nderivatives: [hessian]\n"


@dataclass(frozen=True)
class Row:
    """A measurement: both sides compute the same, and `goal` is the ratio of medians that is wanted."""

    name: str
    goal: float
    ours: Callable[[], Any]
    theirs: Callable[[], Any]


def module(path: str) -> ModuleType:
    text = (SPECS / path).read_text(encoding="utf-8")
    return load_module(Path(path).stem, compile_spec(text, standalone=True).source)


def quadratic(n: int) -> Row:
    x, a = torch.randn(n), torch.randn(n, n)
    text = (
        "op: form\ndoc: A form.\ninputs:\n  x: [i]\n  a: {indices: [i, j], grad: false}\n"
        "equations: y = x[i]*a[i,j]*x[j]\nderivatives: [hessian]\n"
    )
    hessian = load_module("form", compile_spec(text, standalone=True).source).form_hessian
    return Row(f"x a x, {n}", 1 / 8, lambda: hessian(x, a), lambda: func.hessian(lambda z: z @ a @ z)(x))


def logsumexp(n: int) -> Row:
    x = torch.randn(n)
    hessian = load_module("log_sum", compile_spec(LOGSUMEXP, standalone=True).source).log_sum_hessian
    return Row(f"logsumexp, {n}", 1 / 5, lambda: hessian(x), lambda: func.hessian(lambda z: z.logsumexp(0))(x))


def logistic(m: int, n: int) -> Row:
    x, w, y = torch.randn(m, n), torch.randn(n) / n**0.5, torch.randn(m).sign()
    text = (SPECS / "linalg/logistic_nll.yaml").read_text(encoding="utf-8")
    text = text.replace("x: [i, j]", "x: {indices: [i, j], grad: false}")
    hessian = load_module("logistic_nll", compile_spec(text, standalone=True).source).logistic_nll_hessian

    def loss(z: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-y * (x @ z)).sum()

    return Row(f"logistic regression, {m}x{n}", 1 / 5, lambda: hessian(y, x, w), lambda: func.hessian(loss)(w))


def factorisation(n: int, k: int) -> Row:
    t, u, v = torch.randn(n, n), torch.randn(n, k), torch.randn(n, k)
    text = (SPECS / "linalg/matrix_factorization.yaml").read_text(encoding="utf-8")
    text = text.replace("t: [i, j]", "t: {indices: [i, j], grad: false}")
    hessian = load_module("matrix_factorization", compile_spec(text, standalone=True).source)
    ours = hessian.matrix_factorization_hessian

    def loss(u: Tensor, v: Tensor) -> Tensor:
        return ((t - u @ v.mT) ** 2).sum()

    return Row(
        f"matrix factorisation, {n}, {k}", 1 / 100, lambda: ours(t, u, v), lambda: func.hessian(loss, (0, 1))(u, v)
    )


def cross_entropy(n: int, v: int) -> Row:
    x, t, along = torch.randn(n, v), torch.randint(v, (n,)), torch.randn(n, v)
    product = module("losses/cross_entropy.yaml").cross_entropy_hvp

    def theirs() -> Tensor:
        z = x.requires_grad_()
        (grad,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, t), z, create_graph=True)
        return torch.autograd.grad((grad * along).sum(), z)[0]

    return Row(f"cross-entropy times a vector, {n}x{v}", 0.8, lambda: product(x.detach(), t, None, along), theirs)


ROWS: tuple[Callable[[], Row], ...] = (
    *(lambda n=n: quadratic(n) for n in (512, 1024, 2048)),
    *(lambda n=n: logsumexp(n) for n in (1024, 2048)),
    *(lambda n=n: logistic(2048, n) for n in (256, 1024)),
    lambda: factorisation(200, 5),
    lambda: cross_entropy(1024, 8192),
)


def medians(row: Row, rounds: int) -> tuple[float, float]:
    """Milliseconds of each side, measured in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    with torch.no_grad():
        row.ours()
    row.theirs()
    for _ in range(rounds):
        for side, call in zip(times, (row.ours, row.theirs), strict=True):
            start = time.perf_counter()
            call()
            side.append(time.perf_counter() - start)
    return statistics.median(times[0]) * 1e3, statistics.median(times[1]) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'row':44} {'ours ms':>9} {'theirs ms':>10} {'ratio':>8} {'goal':>7}")
    for make in ROWS:
        torch.manual_seed(0)
        row = make()
        ours, theirs = medians(row, options.rounds)
        missed = "" if ours <= row.goal * theirs else "  missed"
        print(f"{row.name:44} {ours:9.2f} {theirs:10.2f} {ours / theirs:8.4f} {row.goal:7.4f}{missed}", flush=True)


if __name__ == "__main__":
    main()
