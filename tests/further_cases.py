"""Ops with all further derivatives, each beside its formula in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.api import compile_spec, load_module

BLOCK = "\n  "
F = torch.nn.functional


@cache
def built(name: str, text: str) -> ModuleType:
    """The module of a spec."""
    return load_module(name, compile_spec(text, standalone=True).source)


@dataclass(frozen=True)
class Case:
    """A spec by its parts, the formula, and how the inputs are drawn; `moved` are those that have a derivative."""

    name: str
    inputs: str
    equations: str
    plain: Callable[..., Any]
    shapes: tuple[Any, ...]
    more: str = ""
    moved: tuple[int, ...] = (0,)
    params: dict[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("jacobian", "hessian", "hvp")

    def text(self) -> str:
        inputs = BLOCK.join(part.strip() for part in self.inputs.split(";"))
        equations = BLOCK.join(part.strip() for part in self.equations.split(";"))
        return (
            f"op: {self.name}\ndoc: A case.\ninputs:\n  {inputs}\nequations: |\n  {equations}\n"
            f"derivatives: [{', '.join(self.kinds)}]\n{self.more}\n"
        )

    def module(self) -> ModuleType:
        return built(self.name, self.text())

    def tensors(self, seed: int = 0) -> tuple[Any, ...]:
        """Numbers near 1 where a shape is given, the tensor or None itself where that is."""
        rng = torch.Generator().manual_seed(seed)
        return tuple(
            0.4 + torch.rand(shape, generator=rng, dtype=torch.float64) if isinstance(shape, tuple) else shape
            for shape in self.shapes
        )


def square(n: int, batch: tuple[int, ...] = ()) -> Tensor:
    """A well conditioned matrix."""
    rng = torch.Generator().manual_seed(3)
    return torch.rand((*batch, n, n), generator=rng, dtype=torch.float64) + 2 * torch.eye(n, dtype=torch.float64)


def _layer_norm(x: Tensor, gamma: Tensor, beta: Tensor | None = None) -> Tensor:
    # Not `F.layer_norm`: its second derivative under vmap is wrong (docs/correctness.md).
    mu = x - x.mean(-1, keepdim=True)
    y = mu / (mu.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gamma
    return y if beta is None else y + beta


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.mT / 2, -1) @ v


def _mlp(x: Tensor, w: Tensor, u: Tensor) -> Tensor:
    return torch.tanh(x @ w.mT) @ u


LABELS = torch.tensor([2, 0, -100])
KEPT = torch.tensor([2, 0, 1])
MASK = torch.tensor([[True, False, True], [False, True, True]])
LAYER_NORM = (
    "m[b] = 1/H * one[h] * x[b,h]; mu[b,h] = x[b,h] - one[h]*m[b]; v[b] = 1/H * one[h] * mu[b,h]^2;"
    "s[b] = sqrt(v[b] + eps); y[b,h] = mu[b,h]/s[b]*gamma[h] + one[b]*beta[h]"
)

POINTWISE = (
    Case("wave", "x: [i]", "y[i] = sin(x[i])*x[i]", lambda x: torch.sin(x) * x, ((4,),)),
    Case("table", "x: [i, j]", "y[i,j] = exp(x[i,j])", torch.exp, ((2, 3),)),
    Case("both", "x: [i]; z: [i]", "y[i] = logaddexp(x[i], z[i])", torch.logaddexp, ((3,), (3,)), moved=(0, 1)),
    Case(
        "outer",
        "x: [i]; z: [j]",
        "y[i,j] = x[i]*z[j]^2",
        lambda x, z: torch.outer(x, z * z),
        ((2,), (3,)),
        moved=(0, 1),
    ),
    Case(
        "bent", "x: [i]", "y[i] = where(x[i] > 1, x[i]^2, 3*x[i])", lambda x: torch.where(x > 1, x * x, 3 * x), ((5,),)
    ),
    Case("turned", "x: [i, j]", "y[j,i] = x[i,j]", lambda x: x.mT.clone(), ((2, 3),)),
    Case("power", "x: [i]", "y[i] = x[i]^p", lambda x, p: x**p, ((3,),), more="params: {p: 2.5}", params={"p": 2.5}),
    Case(
        "own_gelu",
        "x: [i]",
        "y[i] = my_gelu(x[i])",
        F.gelu,
        ((4,),),
        more='functions:\n  my_gelu(z): "z/2 * (1 + erf(z/sqrt(2)))"',
    ),
    Case("stopped", "x: [i]", "y[i] = x[i]^2*stop_gradient(x[i])", lambda x: x * x * x.detach(), ((3,),)),
    Case("scaled", "x: [i]", "y[i] = scale_gradient(x[i], 3)^2", lambda x: (3 * x - (2 * x).detach()) ** 2, ((3,),)),
    Case(
        "straight",
        "x: [i]",
        "y[i] = straight_through(round(x[i]), x[i])*x[i]",
        lambda x: (x + (x.round() - x).detach()) * x,
        ((3,),),
    ),
    Case("number", "x: []", "y = x^3", lambda x: x**3, ((),)),
)
REDUCTIONS = (
    Case("squares", "x: [i, j]", "y = x[i,j]*x[i,j]", lambda x: (x * x).sum(), ((2, 3),)),
    Case("log_sum", "x: [i]", "y = logsumexp[i](x[i])", lambda x: x.logsumexp(0), ((4,),)),
    Case("root", "x: [i]", "y = sqrt(x[i]*x[i])", lambda x: (x * x).sum().sqrt(), ((3,),)),
    Case("size_of", "x: [b, i]", "y[b] = norm[i](x[b,i])", lambda x: x.norm(dim=-1), ((2, 3),)),
    Case("largest", "x: [b, i]", "y[b] = max[i](x[b,i]^2)", lambda x: (x * x).amax(-1), ((2, 3),)),
    Case("product", "x: [b, i]", "y[b] = prod[i](x[b,i])", lambda x: x.prod(-1), ((2, 3),)),
    Case("spread", "x: [b, i]", "y[b] = var[i](x[b,i])", lambda x: x.var(-1, correction=0), ((2, 3),)),
    Case("running", "x: [b, i]", "y[b,i] = cumsum[i](x[b,i]^2)", lambda x: (x * x).cumsum(-1), ((2, 3),)),
    Case("triangle", "x: [i]", "y[i] = [j <= i]*x[j]^2", lambda x: (x * x).cumsum(-1), ((4,),)),
    Case("soft", "x: [b, i]", "y[b,i] = softmax[i](x[b,i])", lambda x: x.softmax(-1), ((2, 3),)),
    Case("log_soft", "x: [i]", "y[i] = log_softmax[i](x[i])", lambda x: x.log_softmax(-1), ((3,),)),
    Case(
        "normed",
        "x: [b, h]; gamma: [h]; beta: {indices: [h], default: 0}",
        LAYER_NORM,
        _layer_norm,
        ((2, 3), (3,), (3,)),
        more="params: {eps: 1.0e-5}\nsizes: {H: h}",
        moved=(0, 1, 2),
    ),
    Case(
        "left_out",
        "x: [b, h]; gamma: [h]; beta: {indices: [h], default: 0}",
        LAYER_NORM,
        _layer_norm,
        ((2, 3), (3,), None),
        more="params: {eps: 1.0e-5}\nsizes: {H: h}",
        moved=(0, 1),
    ),
    Case(
        "left_out_and_read",
        "x: [i]; t: {indices: [i], default: 0}",
        "y[i] = x[i]*x[i]*(1 + t[i])",
        lambda x, t: x * x,
        ((3,), None),
    ),
)
CONTRACTIONS = (
    Case("product_of", "a: [i, j]; b: [j, k]", "y[i,k] = a[i,j]*b[j,k]", torch.matmul, ((2, 3), (3, 2)), moved=(0, 1)),
    Case("form", "x: [i]; a: [i, j]", "y = x[i]*a[i,j]*x[j]", lambda x, a: x @ a @ x, ((3,), (3, 3)), moved=(0, 1)),
    Case(
        "fixed_form",
        "x: [i]; a: {indices: [i, j], grad: false}",
        "y = x[i]*a[i,j]*x[j]",
        lambda x, a: x @ a @ x,
        ((3,), (3, 3)),
    ),
    Case("powers", "x: [i, j]", "y = x[i,j]*x[j,k]*x[k,i]", lambda x: (x @ x @ x).trace(), ((3, 3),)),
    Case("diagonal_of", "x: [i, i]", "y[i] = x[i,i]^2", lambda x: x.diagonal() ** 2, ((3, 3),)),
    Case(
        "logistic",
        "x: [i, j]; w: [j]",
        "l = one[i]*log(1 + exp(-x[i,j]*w[j]))",
        lambda x, w: F.softplus(-(x @ w)).sum(),
        ((4, 3), (3,)),
        moved=(0, 1),
    ),
    Case(
        "factors",
        "t: {indices: [i, j], grad: false}; u: [i, k]; v: [j, k]",
        "r[i,j] = t[i,j] - u[i,k]*v[j,k]; y = r[i,j]*r[i,j]",
        lambda t, u, v: ((t - u @ v.mT) ** 2).sum(),
        ((3, 4), (3, 2), (4, 2)),
        moved=(1, 2),
    ),
    Case(
        "known_only",
        "m: {indices: [i, j], kind: bool}; u: [i, k]; v: [j, k]",
        "y = [m[i,j]]*(u[i,k]*v[j,k])^2",
        lambda m, u, v: (torch.where(m, u @ v.mT, 0) ** 2).sum(),
        (MASK, (2, 2), (3, 2)),
        moved=(1, 2),
    ),
    Case(
        "network",
        "x: [b, i]; w: [j, i]; u: [j]",
        "h[b,j] = tanh(w[j,i]*x[b,i]); y[b] = h[b,j]*u[j]",
        _mlp,
        ((2, 3), (2, 3), (2,)),
        moved=(0, 1, 2),
    ),
    Case(
        "attended",
        "q: [i, d]; k: [j, d]; v: [j, e]",
        "s[i,j] = 1/2*q[i,d]*k[j,d]; p[i,j] = softmax[j](s[i,j]); y[i,e] = p[i,j]*v[j,e]",
        _attention,
        ((2, 3), (3, 3), (3, 2)),
        moved=(0, 1, 2),
    ),
    Case(
        "crossed",
        "a: [i]; b: [i]",
        "c[k] = levi_civita[i,j,k]*a[i]*b[j]",
        torch.linalg.cross,
        ((3,), (3,)),
        moved=(0, 1),
    ),
    Case(
        "distances",
        "x: [n, d]",
        "y[n,m] = one[d]*(x[n,d] - x[m,d])^2",
        lambda x: ((x[:, None] - x) ** 2).sum(-1),
        ((3, 2),),
        more="",
    ),
)
CHOSEN = (
    Case(
        "chosen",
        "x: [b, v]; t: {indices: [b], kind: label, labels: v}",
        "y[b] = x[b,t[b]]^2",
        lambda x, t: x.gather(1, t[:, None])[:, 0] ** 2,
        ((3, 3), KEPT),
    ),
    Case(
        "embedded",
        "w: [v, h]; t: {indices: [b], kind: label, labels: v}",
        "y[b,h] = exp(w[t[b],h])",
        lambda w, t: w[t].exp(),
        ((3, 2), KEPT),
    ),
    Case(
        "entropy",
        "x: [b, v]; t: {indices: [b], kind: label, labels: v}",
        "p[b,v] = log_softmax[v](x[b,v]); l = -one[b]*[t[b] != -100]*p[b,t[b]]",
        lambda x, t: F.cross_entropy(x, t, reduction="sum"),
        ((3, 4), LABELS),
    ),
    Case(
        "with_place",
        "x: [b, v]",
        "k[b] = argmax[v](x[b,v]); y[b] = x[b,k[b]]^3",
        lambda x: x.amax(-1) ** 3,
        ((2, 3),),
        more="outputs: [y, k]",
    ),
    Case(
        "filtered",
        "x: [c, i]; w: [o, c, k]",
        "y[o,j] = x[c,j+k]*w[o,c,k]",
        lambda x, w: F.conv1d(x[None], w)[0],
        ((2, 5), (2, 2, 3)),
        moved=(0, 1),
    ),
    Case(
        "strided",
        "x: [i]; w: [k]",
        "y[j] = x[2*j+k]*w[k]",
        lambda x, w: F.conv1d(x[None, None], w[None, None], stride=2)[0, 0],
        ((7,), (3,)),
        moved=(0, 1),
    ),
    Case(
        "padded",
        "x: [i]; w: [k]",
        "y[i] = x[pad(i+k-1)]*w[k]",
        lambda x, w: F.conv1d(x[None, None], w[None, None], padding=1)[0, 0],
        ((5,), (3,)),
        moved=(0, 1),
    ),
    Case("steps", "x: [i]", "d[k] = (x[k+1] - x[k])^2", lambda x: x.diff() ** 2, ((5,),)),
    Case(
        "reversed_order", "x: [i]", "y[i] = x[N - 1 - i]*x[i]", lambda x: x.flip(0) * x, ((4,),), more="sizes: {N: i}"
    ),
    Case(
        "kernel",
        "x: [i]",
        "y[j] = x[j+k]*c[k]*x[j]",
        lambda x: (x[:-2] - 2 * x[1:-1] + x[2:]) * x[:-2],
        ((5,),),
        more="constants: {c: [1, -2, 1]}",
    ),
)
LINALG = (
    Case("inverse_of", "x: [i, j]", "y[j,i] = inv(x)[j,i]", torch.linalg.inv, (square(3),)),
    Case("solved", "a: [i, j]; c: [i]", "y[j] = solve(a, c)[j]", torch.linalg.solve, (square(3), (3,)), moved=(0, 1)),
    Case("volume", "x: [i, j]", "y = det(x)", torch.linalg.det, (square(3),)),
    Case("log_volume", "x: [b, i, j]", "y[b] = logdet(x)[b]", torch.logdet, (square(2, (2,)),)),
    Case(
        "symmetric_form",
        "x: [i]; a: {indices: [i, j], structure: symmetric}",
        "y = x[i]*a[i,j]*a[j,k]*x[k]",
        lambda x, a: x @ ((a + a.mT) / 2) @ ((a + a.mT) / 2) @ x,
        ((3,), square(3) + square(3).mT),
        moved=(0, 1),
    ),
    Case(
        "lower_form",
        "x: [i]; a: {indices: [i, j], structure: lower}",
        "y = x[i]*a[i,j]*a[j,k]*x[k]",
        lambda x, a: x @ a.tril() @ a.tril() @ x,
        ((3,), square(3).tril()),
        moved=(0, 1),
    ),
    Case(
        "diagonal_form",
        "x: [i]; a: {indices: [i, j], structure: diagonal}",
        "y[i] = a[i,j]*a[j,k]*x[k]",
        lambda x, a: a.diagonal().diag() @ a.diagonal().diag() @ x,
        ((3,), square(3).diagonal().diag()),
        moved=(0, 1),
    ),
)
SEVERAL = (
    Case(
        "two",
        "x: [i]; z: [i]",
        "s = x[i]*z[i]; d[i] = x[i]/z[i]",
        lambda x, z: (x @ z, x / z),
        ((3,), (3,)),
        more="outputs: [s, d]",
        moved=(0, 1),
    ),
    Case(
        "in_a_row",
        "x: [b, i]",
        "m[b] = logsumexp[i](x[b,i]); y[b,i] = x[b,i]*m[b]",
        lambda x: (x.logsumexp(-1), x * x.logsumexp(-1, keepdim=True)),
        ((2, 3),),
        more="outputs: [m, y]",
    ),
    Case(
        "apart",
        "x: [i]; z: [j]",
        "a[i] = x[i]^2; b = z[j]*z[j]",
        lambda x, z: (x * x, (z * z).sum()),
        ((2,), (3,)),
        more="outputs: [a, b]",
        moved=(0, 1),
    ),
)
LEADING = tuple(
    case
    for lead in ((), (2,), (2, 2))
    for case in (
        Case(
            "rms",
            "x: [..., h]; w: [h]",
            "r[...] = (1/H*one[h]*x[...,h]^2 + 1/10)^(-1/2); y[...,h] = x[...,h]*r[...]*w[h]",
            lambda x, w: x * (x.square().mean(-1, keepdim=True) + 0.1).rsqrt() * w,
            ((*lead, 3), (3,)),
            more="sizes: {H: h}",
            moved=(0, 1),
        ),
        Case("per_row", "x: [..., h]", "y[...] = logsumexp[h](x[...,h])", lambda x: x.logsumexp(-1), ((*lead, 3),)),
        Case(
            "mean_of_all",
            "x: [..., h]",
            "y[h] = mean[...](x[...,h]^2)",
            lambda x: (x * x).reshape(-1, 3).mean(0),
            ((*lead, 3),),
        ),
    )
)
CASES = (*POINTWISE, *REDUCTIONS, *CONTRACTIONS, *CHOSEN, *LINALG, *SEVERAL, *LEADING)
