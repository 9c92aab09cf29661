"""Hessians and products with them, beside `torch.func` and double backward."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, func
from torch.nn import functional as F

from benchmarks.model import Goal, Row, Work, labels, real
from tensorgrad_gen import load_op

SPECS = Path(__file__).resolve().parents[2] / "specs"
LOGSUMEXP = "op: log_sum\ndoc: A sum.\ninputs:\n  x: [h]\nequations: y = logsumexp[h](x[h])\nderivatives: [hessian]\n"
FORM = """\
op: form
doc: A form.
inputs:
  x: [i]
  a: {indices: [i, j], grad: false}
equations: y = x[i]*a[i,j]*x[j]
derivatives: [hessian]
"""


def quadratic(n: int) -> Work:
    ours = load_op(FORM, derivative="hessian")
    theirs = func.hessian(lambda x, a: x @ a @ x)
    return Work((real(n, grad=False), real(n, n, grad=False)), {"ours": ours, "F": theirs})


def logsumexp(n: int) -> Work:
    ours = load_op(LOGSUMEXP, derivative="hessian")
    return Work((real(n, grad=False),), {"ours": ours, "F": func.hessian(lambda x: x.logsumexp(0))})


def held(path: str, old: str, new: str) -> str:
    """A spec of the library with one input that is not differentiated."""
    text = (SPECS / path).read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new)


def logistic(m: int, n: int) -> Work:
    spec = held("linalg/logistic_nll.yaml", "x: [i, j]", "x: {indices: [i, j], grad: false}")
    theirs = func.hessian(lambda y, x, w: F.softplus(-y * (x @ w)).sum(), 2)
    tensors = (real(m, grad=False).sign(), real(m, n, grad=False), real(n, grad=False) / n**0.5)
    return Work(tensors, {"ours": load_op(spec, derivative="hessian"), "F": theirs})


def factorisation(n: int, k: int) -> Work:
    spec = held("linalg/matrix_factorization.yaml", "t: [i, j]", "t: {indices: [i, j], grad: false}")
    hessian = load_op(spec, derivative="hessian")

    def loss(t: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return ((t - u @ v.mT) ** 2).sum()

    def ours(t: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        return tuple(block for row in hessian(t, u, v) for block in row if block is not None)

    def theirs(t: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        return tuple(block for row in func.hessian(loss, (1, 2))(t, u, v) for block in row)

    tensors = (real(n, n, grad=False), real(n, k, grad=False), real(n, k, grad=False).flip(0))
    # At the larger size `torch.func` would need 20,000 passes, each with a batch of cotangents.
    sides = {"ours": ours, "F": theirs} if n * k <= 2000 else {"ours": ours}
    return Work(tensors, sides)


def cross_entropy(n: int, v: int) -> Work:
    product = load_op(SPECS / "losses" / "cross_entropy.yaml", derivative="hvp")

    def theirs(x: Tensor, t: Tensor, along: Tensor) -> Tensor:
        z = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad(F.cross_entropy(z, t), z, create_graph=True)
        return torch.autograd.grad((grad * along).sum(), z)[0]

    tensors = (real(n, v, grad=False), labels(n, v), real(n, v, grad=False).flip(0))
    return Work(tensors, {"ours": lambda x, t, along: product(x, t, None, along), "D": theirs})


ROWS = (
    *(Row("hessian of a quadratic form", (n,), quadratic, (Goal("F", 1 / 8),), jax="quadratic") for n in (512, 1024)),
    Row("hessian of a quadratic form", (2048,), quadratic, (Goal("F", 1 / 8),), jax="quadratic"),
    *(Row("hessian of logsumexp", (n,), logsumexp, (Goal("F", 0.2),), jax="logsumexp") for n in (1024, 2048)),
    *(
        Row("hessian of logistic regression", (2048, n), logistic, (Goal("F", 0.2),), jax="logistic")
        for n in (256, 1024)
    ),
    Row("hessian of matrix factorisation", (200, 5), factorisation, (Goal("F", 0.01),)),
    Row("hessian of matrix factorisation", (1000, 10), factorisation, (Goal("", 50),)),
    Row("hessian-vector product of cross_entropy", (1024, 8192), cross_entropy, (Goal("D", 0.8),)),
)
