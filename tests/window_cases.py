"""Ops with windows of every kind, each with a formula of PyTorch's and the shapes of its inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as f

KERNEL = "sizes: {K: {index: k, extent: 3}}\n"
BOTH = "sizes: {K: {index: k, extent: 3}, L: {index: l, extent: 2}}\n"


def unfolded(x: Tensor) -> Tensor:
    return x.unfold(-1, 3, 2)


def local_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    keys, values = (f.pad(t, (0, 0, 1, 1)).unfold(0, 3, 1) for t in (k, v))
    return torch.einsum("nw,ndw->nd", torch.softmax(torch.einsum("nd,ndw->nw", q, keys), -1), values)


Case = tuple[tuple[str, ...], Callable[..., Tensor], tuple[tuple[int, ...], ...]]
CASES: dict[str, Case] = {
    "three dimensions": (
        (
            "{x: [b, c, h, v, t], w: [o, c, p, q, r]}",
            "y[b,o,i,j,k] = x[b,c,2*i + p,j + q,k + 2*r]*w[o,c,p,q,r]",
        ),
        lambda x, w: f.conv3d(x, w, stride=(2, 1, 1), dilation=(1, 1, 2)),
        ((2, 2, 5, 4, 5), (3, 2, 2, 2, 2)),
    ),
    "groups": (
        ("{x: [b, g, c, n], w: [g, o, c, k]}", "y[b,g,o,i] = x[b,g,c,2*i + k]*w[g,o,c,k]"),
        lambda x, w: f.conv1d(x.flatten(1, 2), w.flatten(0, 1), stride=2, groups=2).unflatten(1, (2, 3)),
        ((2, 2, 2, 9), (2, 3, 2, 3)),
    ),
    "each channel alone": (
        ("{x: [b, c, h, v], w: [c, k, l]}", "y[b,c,i,j] = x[b,c,i + k,j + l]*w[c,k,l]"),
        lambda x, w: f.conv2d(x, w[:, None], groups=3),
        ((2, 3, 5, 4), (3, 2, 3)),
    ),
    "batch axes": (
        ("{x: [..., c, n], w: [o, c, k]}", "y[...,o,i] = x[...,c,2*i + k]*w[o,c,k]"),
        lambda x, w: f.conv1d(x.flatten(0, 1), w, stride=2).unflatten(0, (2, 3)),
        ((2, 3, 2, 8), (4, 2, 3)),
    ),
    "axes in another order": (
        ("{x: [n, b, c], w: [k, o, c]}", "y[i,o,b] = x[i + k,b,c]*w[k,o,c]"),
        lambda x, w: f.conv1d(x.permute(1, 2, 0), w.permute(1, 2, 0)).permute(2, 1, 0),
        ((6, 2, 3), (2, 4, 3)),
    ),
    "one vector": (
        ("{x: [n], w: [k]}", "y[i] = x[i + k]*w[k]"),
        lambda x, w: f.conv1d(x[None, None], w[None, None])[0, 0],
        ((8,), (3,)),
    ),
    "a reversed kernel": (
        ("{x: [b, c, n], w: [o, c, k]}", "y[b,o,i] = x[b,c,i - k + K - 1]*w[o,c,k]", "sizes: {K: k}\n"),
        lambda x, w: f.conv1d(x, w.flip(-1)),
        ((2, 3, 8), (4, 3, 3)),
    ),
    "a causal one": (
        ("{x: [b, c, n], w: [o, c, k]}", "y[b,o,n] = x[b,c,pad(n - 2*k)]*w[o,c,k]"),
        lambda x, w: f.conv1d(f.pad(x, (4, 0)), w.flip(-1), dilation=2),
        ((2, 3, 8), (4, 3, 3)),
    ),
    "the product of polynomials": (
        ("{x: [n], w: [k]}", "y[i] = x[pad(i - k)]*w[k]", "sizes: {N: n, K: k, I: {index: i, extent: N + K - 1}}\n"),
        lambda x, w: f.conv1d(f.pad(x, (2, 2))[None, None], w.flip(0)[None, None])[0, 0],
        ((5,), (3,)),
    ),
    "a Toeplitz matrix": (
        ("{t: [m], x: [n]}", "y[n] = t[n - j + N - 1]*x[j]", "sizes: {N: n, J: {index: j, extent: N}}\n"),
        lambda t, x: torch.stack([t[torch.arange(4) + 3 - j] for j in range(4)], 1) @ x,
        ((7,), (4,)),
    ),
    "a convolution of a convolution": (
        (
            "{x: [b, c, n], w: [o, c, k], v: [p, o, l]}",
            "u[b,o,i] = x[b,c,i + k]*w[o,c,k]; y[b,p,j] = tanh(u[b,o,2*j + l])*v[p,o,l]",
        ),
        lambda x, w, v: f.conv1d(torch.tanh(f.conv1d(x, w)), v, stride=2),
        ((2, 2, 9), (3, 2, 3), (2, 3, 2)),
    ),
    "transposed": (
        (
            "{x: [b, c, i], w: [c, o, k]}",
            "y[b,o,p] = x[b,c,i]*w[c,o,k]*delta[p,2*i + k]",
            "sizes: {I: i, K: k, P: {index: p, extent: 2*(I - 1) + K}}\n",
        ),
        lambda x, w: f.conv_transpose1d(x, w, stride=2),
        ((2, 3, 4), (3, 2, 3)),
    ),
    "transposed in two dimensions, and longer": (
        (
            "{x: [b, c, i, j], w: [c, o, k, l]}",
            "y[b,o,p,q] = x[b,c,i,j]*w[c,o,k,l]*delta[p,2*i + k]*delta[q,3*j + l + 1]",
            "sizes: {I: i, K: k, J: j, L: l, P: {index: p, extent: 2*I + K}, Q: {index: q, extent: 3*J + L}}\n",
        ),
        lambda x, w: f.pad(f.conv_transpose2d(x, w, stride=(2, 3)), (1, 2, 0, 2)),
        ((2, 2, 3, 2), (2, 2, 3, 2)),
    ),
    "a quadratic form of windows": (
        (
            "{x: [n], a: [k, l]}",
            "y[i] = x[i + k]*a[k,l]*x[i + l]",
            "sizes: {N: n, K: k, I: {index: i, extent: N - K + 1}}\n",
        ),
        lambda x, a: torch.einsum("ik,kl,il->i", x.unfold(0, 3, 1), a, x.unfold(0, 3, 1)),
        ((6,), (3, 3)),
    ),
    "weights of each place": (
        ("{x: [b, c, n], w: [i, o, c, k]}", "y[b,o,i] = x[b,c,2*i + k]*w[i,o,c,k]"),
        lambda x, w: torch.einsum("bcik,iock->boi", unfolded(x), w),
        ((2, 2, 9), (4, 2, 2, 3)),
    ),
    "three indices in one position": (
        ("{x: [n], w: [k, l]}", "y[i] = x[i + 2*k + l]*w[k,l]"),
        lambda x, w: f.conv1d(x[None, None], w.flatten()[None, None])[0, 0],
        ((8,), (2, 2)),
    ),
    "a Hankel matrix": (
        ("{x: [n]}", "y[i,j] = x[i + j]^2", "sizes: {J: {index: j, extent: 4}}\n"),
        lambda x: x.unfold(0, 4, 1).square(),
        ((7,),),
    ),
    "means over windows": (
        ("{x: [n, m]}", "y[i,j] = mean[k,l](x[i + k,2*j + l])^2", BOTH),
        lambda x: f.avg_pool2d(x[None], (3, 2), (1, 2))[0].square(),
        ((6, 5),),
    ),
    "maxima of dilated windows": (
        ("{x: [b, n]}", "y[b,i] = max[k](x[b,2*i + 3*k])^2", KERNEL),
        lambda x: f.max_pool1d(x, 3, 2, dilation=3).square(),
        ((2, 11),),
    ),
    "a window of a window": (
        ("{x: [n]}", "u[i,k] = x[2*i + k]^2; y[j,l,k] = exp(u[j + l,k])", BOTH),
        lambda x: torch.exp(unfolded(x).square().unfold(0, 2, 1)).transpose(1, 2),
        ((9,),),
    ),
    "second differences": (
        ("{x: [n]}", "y[i] = (x[i + 2] - 2*x[i + 1] + x[i])^2"),
        lambda x: x.diff(n=2).square(),
        ((7,),),
    ),
    "a wavelet": (
        ("{x: [b, n]}", "y[b,j] = x[b,2*j]^2 - x[b,2*j + 1]"),
        lambda x: x[:, ::2].square() - x[:, 1::2],
        ((2, 8),),
    ),
    "a reversal": (
        ("{x: [n, b]}", "y[n,b] = x[N - 1 - n,b]*x[n,b]", "sizes: {N: n}\n"),
        lambda x: x.flip(0) * x,
        ((5, 2),),
    ),
    "an image made larger": (
        ("{x: [b, h, v]}", "y[b,i,j] = x[b,i//2,j//3]^2"),
        lambda x: x.repeat_interleave(2, 1).repeat_interleave(3, 2).square(),
        ((2, 3, 2),),
    ),
    "zero outside, of a quotient": (
        ("{x: [n]}", "y[n] = x[pad((n - 1)//2)]^2"),
        lambda x: torch.cat([x.new_zeros(1), x.repeat_interleave(2)[:4]]).square(),
        ((5,),),
    ),
    "a circle": (
        ("{x: [n], w: [k]}", "y[n] = x[mod(n - k)]*w[k]"),
        lambda x, w: x.roll(0) * w[0] + x.roll(1) * w[1] + x.roll(2) * w[2],
        ((5,), (3,)),
    ),
    "attention to neighbours": (
        (
            "{q: [n, d], k: [n, d], v: [n, d]}",
            "s[n,w] = q[n,d]*k[pad(n + w - 1),d]; a[n,w] = softmax[w](s[n,w]); y[n,d] = a[n,w]*v[pad(n + w - 1),d]",
            "sizes: {W: {index: w, extent: 3}}\n",
        ),
        local_attention,
        ((5, 2), (5, 2), (5, 2)),
    ),
}
