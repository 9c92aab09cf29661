"""Specs with several features of the language side by side, each with its formula in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Formula = Callable[..., Tensor]
MASKED = torch.tensor([1, 0, -100])
LABEL = "{w: [v, d], x: [b, d], t: {indices: [b], kind: label, labels: v}}"


class Case(NamedTuple):
    """A spec's inputs, equations and further keys, the same in torch, and the shapes of the inputs that are numbers."""

    inputs: str
    equations: str
    formula: Formula
    shapes: tuple[tuple[int, ...], ...]
    others: tuple[Tensor, ...] = ()
    more: str = ""


def rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def before(k: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(k[:1]), k[:-1]])


def embedded(w: Tensor) -> Tensor:
    return w[MASKED.clamp(min=0)] * (MASKED != -100).double()[:, None]


CASES = {
    "a gradient as an input": Case(
        "{w: [i], grad_w: [i], grad_grad_w: [i], tangent_w: [i]}",
        "v[i] = mu*w[i] + grad_w[i]*tangent_w[i]; grad_v[i] = w[i] - lr*v[i]^2*grad_grad_w[i]",
        lambda w, g, h, t: w - 0.5 * (2 * w + g * t) ** 2 * h,
        ((4,), (4,), (4,), (4,)),
        more="params: {lr: 0.5, mu: 2}",
    ),
    "a condition that reads at a masked label": Case(
        "{w: [v, d], z: [b], t: {indices: [b], kind: label, labels: v}}",
        "y[b] = [t[b] != -100]*[any[d](w[t[b],d] > 0)]*z[b]; s = [t[b] != -100 and w[t[b],0] > 0]*w[t[b],1]*z[b]*y[b]",
        lambda w, z, _: (embedded(w)[:, 1] * z * z * ((embedded(w) > 0).any(1) & (embedded(w)[:, 0] > 0))).sum(),
        ((4, 2), (3,)),
        (MASKED,),
    ),
    "masked labels summed up to each place": Case(
        "{x: [a, v], t: {indices: [a], kind: label, labels: v}}",
        "y[a] = cumsum[a]([t[a] != -100]*x[a,t[a]]^2)",
        lambda x, _: (x[torch.arange(3), MASKED.clamp(min=0)] ** 2 * (MASKED != -100)).cumsum(0),
        ((3, 2),),
        (MASKED,),
    ),
    "an output called as a gradient": Case("{w: [i]}", "grad_loss[i] = w[i]^3", lambda w: w**3, ((4,),)),
    "a param called as a gradient": Case(
        "{w: [i]}",
        "v[i] = grad_w*w[i]^2; y = tangent_v*one[i]*v[i]*w[i]",
        lambda w: 6 * (w**3).sum(),
        ((4,),),
        more="params: {grad_w: 2, tangent_v: 3}",
    ),
    "a delta on a softmax": Case(
        "{s: [n, m]}", "y = delta[n,m]*softmax[m](s[n,m])", lambda s: s.softmax(1).trace(), ((4, 4),)
    ),
    "a delta on a softmax over its other index": Case(
        "{s: [n, m]}", "y = delta[n,m]*softmax[n](s[n,m])", lambda s: s.softmax(0).trace(), ((4, 4),)
    ),
    "a contrastive loss": Case(
        "{s: [n, m]}",
        "l = -mean[n](delta[n,m]*log_softmax[m](s[n,m]))",
        lambda s: -s.log_softmax(1).trace() / 4,
        ((4, 4),),
    ),
    "a delta on a softmax beside a contraction": Case(
        "{s: [n, m]}",
        "y[n] = softmax[m](s[n,m])*delta[m,n]*one[k]*s[k,n]",
        lambda s: s.softmax(1).diagonal() * s.sum(0),
        ((4, 4),),
    ),
    "a padded read in a contraction": Case(
        "{q: [t, d], k: [t, d]}", "y[t] = q[t,d]*k[pad(t-1),d]", lambda q, k: (q * before(k)).sum(1), ((5, 3), (5, 3))
    ),
    "a masked label in a contraction": Case(
        LABEL,
        "y[b] = [t[b] != -100]*sum[d](w[t[b],d]*x[b,d])",
        lambda w, x, t: (embedded(w) * x).sum(-1),
        ((2, 3), (3, 3)),
        (MASKED,),
    ),
    "a masked label in a reduction": Case(
        LABEL,
        "y[b] = where(t[b] != -100, logsumexp[d](w[t[b],d]*x[b,d]), 0)",
        lambda w, x, t: (embedded(w) * x).logsumexp(-1) * (t != -100),
        ((2, 3), (3, 3)),
        (MASKED,),
    ),
    "a masked label in a maximum": Case(
        LABEL,
        "y[b] = [t[b] != -100]*max[d](w[t[b],d]*x[b,d])",
        lambda w, x, t: (embedded(w) * x).amax(-1),
        ((2, 3), (3, 3)),
        (MASKED,),
    ),
    "a masked label in a clipped gradient": Case(
        LABEL,
        "y[b] = x[b,0]^2 + [t[b] != -100]*clip_gradient(w[t[b],0], -100, 100)",
        lambda w, x, t: x[:, 0].square() + embedded(w)[:, 0],
        ((2, 3), (3, 3)),
        (MASKED,),
    ),
    "a label masked by one of two conditions": Case(
        LABEL,
        "y[b,d] = x[b,d]*[t[b] != -100 and d <= b]*sum[e](w[t[b],e])",
        lambda w, x, t: (x * embedded(w).sum(-1, keepdim=True)).tril(),
        ((2, 3), (3, 3)),
        (MASKED,),
    ),
    "a cardinal sine of a param": Case(
        "{x: [i]}", "y[i] = x[i]^2*sin(c)/c", lambda x: x.square(), ((3,),), more="params: {c: 0}\n"
    ),
    "a softmax under a mask along its own index": Case(
        "{x: [a, b], t: {indices: [a], kind: label, labels: b}}",
        "y[a] = where(x[a,0] > 0, softmax[a](x[a,t[a]]), -1/3)",
        lambda x, t: torch.where(x[:, 0] > 0, x.gather(1, t[:, None])[:, 0].softmax(0), -1 / 3),
        ((3, 2),),
        (torch.tensor([1, 0, 1]),),
    ),
    "a scaled right side": Case(
        "{a: [i, k], q: [i]}",
        "y = x[k]*x[k]",
        lambda a, q: torch.linalg.solve(a, -q / 2).square().sum(),
        ((4, 4), (4,)),
        more='implicit: {unknown: "x[k]", equation: "a[i,k]*x[k] = -q[i]/2"}\n',
    ),
    "an index of the implicit equation that is a tensor's name": Case(
        "{f: [i, j], c: [i]}",
        "k[i] = p[i]*p[i]",
        lambda f, c: torch.linalg.solve(f, c).square(),
        ((4, 4), (4,)),
        more='implicit: {unknown: "p[k]", equation: "f[i,k]*p[k] = c[i]"}\n',
    ),
    "the square of a norm": Case(
        "{x: [i]}", "y = exp(-norm[i](x[i])^2)", lambda x: x.square().sum().neg().exp(), ((4,),)
    ),
    "a cardinal sine of a product": Case(
        "{x: [i], z: [i]}",
        "y[i] = sin(pi*x[i]*z[i])/(pi*x[i]*z[i])",
        lambda x, z: torch.sinc(x * z),
        ((4,), (4,)),
    ),
    "a sum of two sums": Case(
        "{a: [i], b: [j, k]}",
        "y = exp(a[i]*one[i] + sum[j,k](b[j,k]))",
        lambda a, b: (a.sum() + b.sum()).exp(),
        ((3,), (2, 4)),
    ),
    "a mask on an output that nothing else reads": Case(
        "{x: [a, b]}",
        "u[a,b] = tanh(x[a,b]); l = sum[a](exp(x[a,a])) + erf(2*[max[i,j](u[i,j]) > 0.1]) + mean[a,b](u[a,b])",
        lambda x: x.diagonal().exp().sum() + torch.erf(2 * (x.tanh().max() > 0.1).double()) + x.tanh().mean(),
        ((3, 3),),
        more="outputs: [l]\n",
    ),
}

LEADING = {
    "less the sum": ("y[...,c] = x[...,c] - sum[...](x[...,c])^2", lambda x: x - rows(x).sum(0).square()),
    "less the mean": ("y[...,c] = x[...,c]*mean[...](x[...,c])", lambda x: x * rows(x).mean(0)),
    "variance": ("y[c] = var[...](x[...,c])", lambda x: rows(x).var(0, correction=0)),
    "maximum of all": ("y[...,c] = x[...,c]*max[...,c](x[...,c])", lambda x: x * x.max()),
    "norm": ("y[...,c] = x[...,c]/norm[...](x[...,c])", lambda x: x / torch.linalg.vector_norm(rows(x), dim=0)),
    "two reductions": (
        "y = one[c]*mean[...](x[...,c])^2 + norm[...](x[...,c])*one[c]",
        lambda x: (rows(x).mean(0).square() + torch.linalg.vector_norm(rows(x), dim=0)).sum(),
    ),
    "softmax": ("y[...,c] = softmax[...](x[...,c])*x[...,c]", lambda x: rows(x).softmax(0).reshape(x.shape) * x),
    "log-sum-exp": ("y[c] = logsumexp[...](x[...,c])", lambda x: rows(x).logsumexp(0)),
    "batch normalisation": (
        "y[...,c] = (x[...,c] - mean[...](x[...,c]))*rsqrt(var[...](x[...,c]) + 1/10)",
        lambda x: (x - rows(x).mean(0)) * (rows(x).var(0, correction=0) + 0.1).rsqrt(),
    ),
}
