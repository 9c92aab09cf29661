"""Losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.model import Goal, Row, Work, labels, real
from generated import cross_entropy, jsd, kl_div, linear_cross_entropy
from tensorgrad_gen import load_op

CROSS_ENTROPY = """\
op: mean_cross_entropy
doc: The mean of the negative log-probabilities of labels.
inputs:
  x: [n, v]
  t: {indices: [n], kind: label, labels: v}
equations: |
  c[n] = logsumexp[v](x[n,v]) - x[n,t[n]]
  l    = mean[n](c[n])
"""


def composed_cross_entropy(x: Tensor, t: Tensor) -> Tensor:
    return (torch.logsumexp(x, -1) - x.gather(1, t.unsqueeze(1)).squeeze(1)).mean()


def composed_linear(x: Tensor, w: Tensor, t: Tensor) -> Tensor:
    return composed_cross_entropy(x @ w.mT, t)


def composed_kl(x: Tensor, t: Tensor) -> Tensor:
    return (torch.xlogy(t, t) - t * x).sum(-1).mean()


def composed_jsd(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    return (p * torch.log(p / m) / 2 + q * torch.log(q / m) / 2).sum(-1).mean()


def of_logits(n: int, v: int) -> Work:
    sides = {"ours": load_op(CROSS_ENTROPY), "E": composed_cross_entropy, "N": F.cross_entropy}
    return Work((real(n, v), labels(n, v)), sides)


def of_any_labels(n: int, v: int) -> Work:
    """The op of the library, which may leave labels out, weigh and smooth them."""
    sides = {"ours": cross_entropy, "E": composed_cross_entropy, "N": F.cross_entropy}
    return Work((real(n, v), labels(n, v)), sides)


def of_features(n: int, d: int, v: int) -> Work:
    sides = {
        "ours": linear_cross_entropy,
        "E": composed_linear,
        "N": lambda x, w, t: F.cross_entropy(F.linear(x, w), t),
    }
    return Work((real(n, d), real(v, d, grad=False).div_(d**0.5).requires_grad_(), labels(n, v)), sides)


def probabilities(n: int, v: int, seed: int) -> Tensor:
    return torch.softmax(real(n, v, grad=False).roll(seed, 1), -1).requires_grad_()


def kl(n: int, v: int) -> Work:
    sides = {"ours": kl_div, "E": composed_kl, "N": lambda x, t: F.kl_div(x, t, reduction="batchmean")}
    x = torch.log_softmax(real(n, v, grad=False), -1).requires_grad_()
    return Work((x, probabilities(n, v, 1)), sides)


def js(n: int, v: int) -> Work:
    return Work((probabilities(n, v, 1), probabilities(n, v, 2)), {"ours": jsd, "E": composed_jsd})


DIVERGENCE = (Goal("E", 0.8), Goal("", 0, "saved"))
ROWS = (
    Row(
        "cross_entropy",
        (1024, 32000),
        of_logits,
        (Goal("N", 0.75), Goal("N", 0.35, "extra")),
        compiled=True,
        jax="cross_entropy",
    ),
    Row("cross_entropy, with options", (1024, 32000), of_any_labels),
    Row(
        "linear_cross_entropy",
        (1024, 512, 32000),
        of_features,
        (Goal("N", 0.2, "extra"), Goal("N", 1.0)),
        jax="linear_cross_entropy",
    ),
    Row("kl_div", (1024, 8192), kl, DIVERGENCE, compiled=True, jax="kl_div"),
    Row("jsd", (1024, 8192), js, DIVERGENCE, compiled=True, jax="jsd"),
)
