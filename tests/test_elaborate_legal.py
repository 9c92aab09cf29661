"""Specs that the language page allows: each builds, is legal, and has the value that is written beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensorgrad_gen.reference import evaluate, sample_inputs
from tests.elaborating import build, spec

Arrays = dict[str, Any]
Case = tuple[str, dict[str, str], str, Callable[..., Any]]

X, XY = {"x": "[i]"}, {"x": "[i]", "y": "[i]"}
MATRIX = {"x": "{indices: [b, i, k], domain: well_conditioned}"}
LOGITS = {"x": "[b, v]", "t": "{indices: [b], kind: label, labels: v}"}
MASKED = {"x": "[b, i]", "m": "{indices: [b, i], kind: bool}"}


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def picked(x: Any, t: Any) -> Any:
    return x[np.arange(len(t)), t]


LAYER_NORM = """
m[b]     = 1/H * one[h] * x[b,h]
mu[b,h]  = x[b,h] - one[h] * m[b]
v[b]     = 1/H * one[h] * mu[b,h]^2
sigma[b] = sqrt(v[b] + eps)
y[b,h]   = mu[b,h] / sigma[b] * gamma[h] + one[b] * beta[h]
"""


def layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * gamma + beta


def ridge(a: Any, c: Any) -> Any:
    y = np.linalg.solve(a.T @ a + 2 * np.eye(a.shape[1]), c)
    return y @ y, y


CASES: dict[str, Case] = {
    "layer_norm": (
        LAYER_NORM,
        {"x": "[b, h]", "gamma": "[h]", "beta": "{indices: [h], default: 0}"},
        "params: {eps: 1e-5}\nsizes: {H: h}",
        layer_norm,
    ),
    "sum_of_two": ("y = x1 + x2", {"x1": "[]", "x2": "[]"}, "", lambda x1, x2: x1 + x2),
    "several_outputs": ("u = a[i]*a[i]\nz[i] = u*a[i]", {"a": "[i]"}, "outputs: [z, u]", lambda a: (a @ a * a, a @ a)),
    "outer": ("y[i,j] = a[i]*b[j]", {"a": "[i]", "b": "[j]"}, "", np.outer),
    "transposed_access": ("y[i,k] = x[i,k] - x[k,i]", {"x": "[i, k]"}, "", lambda x: x - x.T),
    "bilinear": (
        "y[b,o] = x[b,i]*w[o,i,j]*z[b,j]",
        {"x": "[b, i]", "w": "[o, i, j]", "z": "[b, j]"},
        "",
        lambda x, w, z: np.einsum("bi,oij,bj->bo", x, w, z),
    ),
    "six_index": (
        "d[a,b,c] = a1[a,e,f,c,f,g]*b1[g,b,e] + alpha*c1[c,a,b]",
        {"a1": "[a, e, f, c, f, g]", "b1": "[g, b, e]", "c1": "[c, a, b]"},
        "params: {alpha: 3}",
        lambda a1, b1, c1: np.einsum("aefcfg,gbe->abc", a1, b1) + 3 * c1.transpose(1, 2, 0),
    ),
    "diag_embed": ("y[i,j] = delta[i,j]*v[i]", {"v": "[i]"}, "", np.diag),
    "cross_product": ("c[k] = levi_civita[i,j,k]*a[i]*b[j]", {"a": "[i]", "b": "[j]"}, "", np.cross),
    "determinant_by_levi_civita": (
        "d = levi_civita[i,j,k]*x[p,i]*x[q,j]*x[r,k]*levi_civita[p,q,r]/6",
        {"x": "[p, i]"},
        "",
        np.linalg.det,
    ),
    "size_of_an_index": ("y = size(i)*(x[i]*x[i])", X, "", lambda x: len(x) * (x @ x)),
    "extent_by_a_param": (
        "y[i] = one[i]*x",
        {"x": "[]"},
        "params: {n: {default: 3, kind: int}}\nsizes: {N: {index: i, extent: n}}",
        lambda x: np.full(3, x),
    ),
    "extent_by_arithmetic": (
        "y[j] = one[j]*(x[i]*x[i])*N",
        X,
        "sizes: {M: i, N: {index: j, extent: ceil(M/2) + 2*M - 1}}",
        lambda x: np.full(-(-len(x) // 2) + 2 * len(x) - 1, x @ x * (-(-len(x) // 2) + 2 * len(x) - 1)),
    ),
    "a_constant_tensor": (
        "y[i] = k[j]*x[i,j]",
        {"x": "[i, n]"},
        "constants: {k: [1, -2, 1]}",
        lambda x: x @ [1, -2, 1],
    ),
    "a_constant_number": ("y[i] = c*x[i]", X, "constants: {c: 2.5}", lambda x: 2.5 * x),
    "a_function_of_the_users": (
        "y[i] = my_gelu(x[i])",
        X,
        "functions:\n  my_gelu(z): z/2 * (1 + tanh(z/sqrt(2)))",
        lambda x: x / 2 * (1 + np.tanh(x / np.sqrt(2))),
    ),
    "functions_that_call_each_other": (
        "y = one[i]*f(x[i], 2)",
        X,
        "params: {s: 3}\nfunctions:\n  f(z, n): g(z)^n + g(z)*s\n  g(z): where(z > 0, z, s*z)",
        lambda x: np.where(x > 0, x**2 + 3 * x, 9 * x**2 + 9 * x).sum(),
    ),
    "a_function_never_sums": (
        "y = f(x[i]*y1[i])",
        {"x": "[i]", "y1": "[i]"},
        "functions: {'f(z)': z*z}",
        lambda x, y1: (x @ y1) ** 2,
    ),
    "causal_attention_scores": (
        "s[i,j] = where(j <= i, q[i,d]*k[j,d]/sqrt(D), -inf)\na[i,j] = softmax[j](s[i,j])\no[i,d] = a[i,j]*v[j,d]",
        {"q": "[i, d]", "k": "[j, d]", "v": "[j, d]"},
        "sizes: {D: d}",
        lambda q, k, v: softmax(np.where(np.tri(len(q), len(k)) > 0, q @ k.T / np.sqrt(q.shape[1]), -np.inf)) @ v,
    ),
    "alibi_by_positions": (
        "y[i,j] = x[i,j] - slope*(i - j)",
        {"x": "[i, j]"},
        "params: {slope: 0.5}",
        lambda x: x - 0.5 * (np.arange(x.shape[0])[:, None] - np.arange(x.shape[1])),
    ),
    "cross_entropy": (
        "l[b] = logsumexp[v](x[b,v]) - x[b,t[b]]\nc = mean[b](l[b])",
        LOGITS,
        "",
        lambda x, t: (np.log(np.exp(x).sum(1)) - picked(x, t)).mean(),
    ),
    "ignored_labels": (
        "n = one[b]*[t[b] != -100]\nl = [t[b] != -100]*x[b,t[b]]/n",
        LOGITS,
        "",
        lambda x, t: picked(x, t).mean(),
    ),
    "one_hot": ("y[b,v] = delta[v,t[b]]*x[b,v]", LOGITS, "", lambda x, t: x * (np.arange(x.shape[1]) == t[:, None])),
    "a_label_compared_with_an_index": (
        "y[b,v] = [t[b] == v]*x[b,v]",
        LOGITS,
        "",
        lambda x, t: x * (np.arange(x.shape[1]) == t[:, None]),
    ),
    "a_bare_label_wins_over_an_index": (
        "y = x[i]*x[i] - x[t]",
        {"x": "[i]", "t": "{indices: [], kind: label, labels: i}"},
        "",
        lambda x, t: x @ x - x[t],
    ),
    "embedding": (
        "y[b,s,d] = w[t[b,s],d]",
        {"w": "[v, d]", "t": "{indices: [b, s], kind: label, labels: v}"},
        "",
        lambda w, t: w[t],
    ),
    "argmax_as_a_label": (
        "k[b] = argmax[v](x[b,v])\ny[b] = x[b,k[b]]\nw[b] = s[k[b]]",
        {"x": "[b, v]", "s": "[v]"},
        "outputs: [y, w, k]",
        lambda x, s: (x.max(1), s[x.argmax(1)], x.argmax(1)),
    ),
    "a_mask_as_condition_and_as_number": (
        "y[b] = m[b,i]*x[b,i]\nz[b,i] = where(not m[b,i] or x[b,i] > 1, 0, x[b,i])",
        MASKED,
        "outputs: [y, z]",
        lambda x, m: ((m * x).sum(1), np.where(~m | (x > 1), 0, x)),
    ),
    "any_and_all": (
        "p[b] = any[i](m[b,i] and x[b,i] > 0)\ny[b] = [p[b]] + 2*all[i](m[b,i])",
        MASKED,
        "",
        lambda x, m: (m & (x > 0)).any(1) + 2.0 * m.all(1),
    ),
    "masked_softmax": (
        "y[b,i] = softmax[i](where(m[b,i], x[b,i], -1e4))",
        MASKED,
        "",
        lambda x, m: softmax(np.where(m, x, -1e4)),
    ),
    "reductions": (
        "y = prod[i](x[i]) + max[i](x[i]) - min[i](x[i]) + logsumexp[i](x[i]) + norm[i](x[i]) + norm[i](x[i], 1)",
        X,
        "",
        lambda x: x.prod() + x.max() - x.min() + np.log(np.exp(x).sum()) + np.linalg.norm(x) + np.linalg.norm(x, 1),
    ),
    "variances": (
        "y = var[i](x[i]) + std[i](x[i], 1) + var[i,j](z[i,j])",
        {"x": "[i]", "z": "[i, j]"},
        "",
        lambda x, z: x.var() + x.std(ddof=1) + z.var(),
    ),
    "norm_of_any_order": (
        "y = norm[i](x[i], 3) + norm[i](x[i], inf)",
        X,
        "",
        lambda x: np.linalg.norm(x, 3) + np.linalg.norm(x, np.inf),
    ),
    "log_softmax": ("y[b,v] = log_softmax[v](x[b,v]/2)", {"x": "[b, v]"}, "", lambda x: np.log(softmax(x / 2))),
    "optional_parameters": (
        "y[i] = leaky_relu(x[i]) + elu(x[i], 2) + clamp(x[i], -1, 1/2)",
        X,
        "",
        lambda x: np.where(x > 0, x, x / 100) + np.where(x > 0, x, 2 * np.expm1(x)) + np.clip(x, -1, 0.5),
    ),
    "max_of_three": (
        "y[i] = max(x[i], 0, 1/4) - min(x[i], 1)",
        X,
        "",
        lambda x: np.maximum(x, 0.25) - np.minimum(x, 1),
    ),
    "gradient_surgery": (
        "y[i] = straight_through(round(x[i]), x[i]) + stop_gradient(scale_gradient(clip_gradient(x[i], -1, 1), 2))",
        X,
        "",
        lambda x: x + np.round(x),
    ),
    "leading_axes": (
        "m[...] = mean[h](x[...,h])\ny[...,h] = (x[...,h] - m[...])*g[h]",
        {"x": "[..., h]", "g": "[h]"},
        "",
        lambda x, g: (x - x.mean(-1, keepdims=True)) * g,
    ),
    "implicit_inverse": (
        "",
        MATRIX,
        'implicit: {unknown: "y[b,k,j]", equation: "x[b,i,k]*y[b,k,j] = one[b]*delta[i,j]"}',
        np.linalg.inv,
    ),
    "implicit_solve_with_the_free_indices_stated": (
        "",
        {**MATRIX, "c": "[b, i, j]"},
        "implicit:\n  unknown: y[b,k,j]\n  equation: x[b,i,k]*y[b,k,j] = c[b,i,j]\n  free: [b, i, j]",
        np.linalg.solve,
    ),
    "implicit_among_equations": (
        "r = y[k]*y[k]\ng[i,k] = a[n,i]*a[n,k]",
        {"a": "[n, k]", "c": "[k]"},
        "params: {lam: 2}\nimplicit:\n  unknown: y[k]\n  equation: g[i,k]*y[k] + lam*y[i] = c[i]\noutputs: [r, y]",
        ridge,
    ),
    "matrix_functions": (
        "y[b] = logdet(s)[b] + inv(x)[b,k,i]*x[b,i,k] + det(x)[b]*slogdet_sign(x)[b]",
        {**MATRIX, "s": "{indices: [b, i, k], domain: spd}"},
        "",
        lambda x, s: np.linalg.slogdet(s)[1] + x.shape[1] + abs(np.linalg.det(x)),
    ),
    "solve": (
        "z[i,k] = x[k,i] + 4*delta[i,k]\ny[k] = solve(z, c)[k]",
        {"x": "[i, k]", "c": "[i]"},
        "",
        lambda x, c: np.linalg.solve(x.T + 4 * np.eye(len(x)), c),
    ),
    "a_size_that_an_axis_has_too": (
        "y[i] = [j >= i]*x[j] + x[i]",
        {"x": "[t]"},
        "sizes: {T: t, I: {index: i, extent: T}}",
        lambda x: np.cumsum(x[::-1])[::-1] + x,
    ),
    "a_tensor_may_share_its_letter_with_an_index": ("y = t[t]*t[t]", {"t": "[t]"}, "", lambda t: t @ t),
    "exact_numbers": ("y = .5e1 + 1/2 + 2**-1 - +0.25*4 + pi", {}, "", lambda: 5 + np.pi),
    "a_line_continues_in_a_bracket": ("y = sum[i](x[i]\n    + 1)\n    + 2", X, "", lambda x: (x + 1).sum() + 2),
    "no_inputs": ("y = 1/2 + pi", {}, "", lambda: 0.5 + np.pi),
}


@pytest.mark.parametrize("name", CASES)
def test_a_legal_spec_has_its_value(name: str) -> None:
    equations, inputs, extra, expected = CASES[name]
    program, _ = build(spec(equations, inputs, extra))
    arrays, params = sample_inputs(program, 3)
    found = evaluate(program, arrays, params)
    wanted = expected(*arrays.values())
    for output, want in zip(program.outputs, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(found[output], want, rtol=1e-9, atol=1e-9)
