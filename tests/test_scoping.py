"""Language, section 3: which indices are summed, every row of its tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.elaborating import build, codes, spec, value, warnings

INPUTS = {
    **dict.fromkeys(("a", "b", "c", "d", "e", "x", "y", "z"), "[i]"),
    "m": "[i, j]",
    "q": "[i, i]",
    "h": "[b, i]",
    "s": "[b, v]",
    "t": "{indices: [b], kind: label, labels: v}",
    "u": "{indices: [], kind: label, labels: i}",
    "p": "{indices: [b], kind: label, labels: b}",
}
N, B, V = 4, 3, 5
RNG = np.random.default_rng(7)
SHAPES = {"m": (N, N), "q": (N, N), "h": (B, N), "s": (B, V)}
ARRAYS: dict[str, Any] = {n: RNG.uniform(0.5, 1.5, SHAPES.get(n, (N,))) for n in INPUTS if n not in "tup"}
ARRAYS |= {"t": np.array([4, 0, 2]), "u": np.array(1), "p": np.array([2, 0, 1])}
g = type("Arrays", (), ARRAYS)
BELOW = np.tril(np.ones((N, N)))

Rows = list[tuple[str, Any]]
TABLE: Rows = [
    ("r = b[i]*c[i] + d[i]*e[i]", g.b @ g.c + g.d @ g.e),
    ("r = sqrt(x[i]*x[i])", np.sqrt(g.x @ g.x)),
    ("r = one[j]*exp(x[j])", np.exp(g.x).sum()),
    ("r[b] = 1/H*one[i]*(h[b,i] - s[b,v]*s[b,v])^2", ((g.h - (g.s**2).sum(1)[:, None]) ** 2).mean(1)),
    ("r = (x[i]*y[i])^2", (g.x @ g.y) ** 2),
    ("r = (a[i]*b[i])*(c[i]*d[i])", (g.a * g.b * g.c * g.d).sum()),
    ("r = sqrt(x[i]*x[i])*sqrt(z[i]*z[i])", np.sqrt(g.x @ g.x) * np.sqrt(g.z @ g.z)),
    ("r = one[i]*(1 - m[i,i])^2", ((1 - np.diag(g.m)) ** 2).sum()),
    ("r = exp(a[i]*b[i])*c[i]", (np.exp(g.a * g.b) * g.c).sum()),
    ("r = m[i,i]", np.trace(g.m)),
    ("r = log(m[i,i])", np.log(np.trace(g.m))),
    ("r[i] = [j <= i]*x[j]", BELOW @ g.x),
    ("r[b] = s[b, t[b]]", g.s[np.arange(B), g.t]),
]
FREE: Rows = [
    ("r[i] = m[i,i]", np.diag(g.m)),
    ("r[i] = x[i]/sqrt(x[i]*x[i])", np.sign(g.x)),
    ("r[i] = a[i]*b[i]", g.a * g.b),
    ("r[i] = (a[i]*b[i])^2", (g.a * g.b) ** 2),
]
BROADCAST: Rows = [
    ("r[i,j] = x[i] - m[j,j]", g.x[:, None] - np.diag(g.m)),
    ("r[i,j] = x[i] - one[i]*y[j]", g.x[:, None] - g.y),
    ("r[i] = one[i]*3", np.full(N, 3.0)),
]
REDUCTIONS: Rows = [
    ("r = mean[i](a[i]*b[i])", (g.a * g.b).mean()),
    ("r[i,j] = m[i,j] - max[j](m[i,j])", g.m - g.m.max(1, keepdims=True)),
    ("r = sum[i](a[i])*sum[i](b[i])", g.a.sum() * g.b.sum()),
    ("r = x[i]*y[i]/sum[i](z[i])", g.x @ g.y / g.z.sum()),
    ("r = mean[i](m[i,j]*y[j])", (g.m @ g.y).mean()),
    ("r = sum[i](m[i,j])*y[j]", g.m.sum(0) @ g.y),
    ("r = softmax[i](x[i])*y[i]", np.exp(g.x) @ g.y / np.exp(g.x).sum()),
    ("r[i] = softmax[i](x[i]*x[i])", np.exp(g.x**2) / np.exp(g.x**2).sum()),
    ("r = exp(softmax[i](x[i])*y[i])", np.exp(np.exp(g.x) @ g.y / np.exp(g.x).sum())),
    ("r[i] = cumsum[i](x[i])", np.cumsum(g.x)),
    ("r[i] = cumprod[i](x[i] - 1)*cumsum[i](m[i,i])", np.cumprod(g.x - 1) * np.cumsum(np.diag(g.m))),
    ("r[b,i] = flip[i](h[b,i])", g.h[:, ::-1]),
    ("r[i] = cumsum[i](cumsum[i](x[i])*y[i])", np.cumsum(np.cumsum(g.x) * g.y)),
    ("r[b,i] = sort[i](h[b,i])", np.sort(g.h)),
    ("r = sort[i](x[i]*y[i])*z[i]", np.sort(g.x * g.y) @ g.z),
    ("o[b,i] = argsort[i](h[b,i])\nr[b,i] = h[b,o[b,i]]", np.sort(g.h)),
    ("r = cumsum[i](x[i])*y[i]", np.cumsum(g.x) @ g.y),
    ("r = max[i,j](m[i,j])", g.m.max()),
    ("r = norm[i](one[i]*a[j]*b[j]) + logsumexp[i](one[i])", 2 * (g.a @ g.b) + np.log(N) + 1),
    ("r = prod[i,j](one[i]*x[j]) + max[i](one[i]*3)", g.x.prod() ** N + 3),
    ("r = softmax[i,j](one[i]*x[j])*m[i,j]", np.exp(g.x) @ g.m.sum(0) / np.exp(g.x).sum() / N),
    ("r = log_softmax[i](one[i]*2)*x[i]", -np.log(N) * g.x.sum()),
]
MORE: Rows = [
    ("r = x[i]*y[i]*m[j,j]", g.x @ g.y * np.trace(g.m)),
    ("r = 1/m[i,i]", (1 / np.diag(g.m)).sum()),
    ("r = 1/(m[i,i])", 1 / np.trace(g.m)),
    ("r = a[i]/b[i]", (g.a / g.b).sum()),
    ("r = a[j]*b[j]/(x[i]*x[i])", g.a @ g.b / (g.x @ g.x)),
    ("r = -(a[i]*b[i])", -(g.a @ g.b)),
    ("r = a[i]*-b[i]", -(g.a @ g.b)),
    ("r = ((a[i]*b[i]))", g.a @ g.b),
    ("r = (a[i]*b[i] + 1)*2", (g.a @ g.b + 1) * 2),
    ("r = (a[i]*b[i] + 1)*(c[i]*d[i] + 1)", (g.a @ g.b + 1) * (g.c @ g.d + 1)),
    ("r = x[i]^2*y[i]", (g.x**2) @ g.y),
    ("r = m[i,i]^2", (np.diag(g.m) ** 2).sum()),
    ("r = (m[i,i] + 0)^2", np.trace(g.m) ** 2),
    ("r = exp(log(a[i]*b[i]))", g.a @ g.b),
    ("r = exp(log(a[i]*b[i]))*sqrt(c[i]*d[i])", g.a @ g.b * np.sqrt(g.c @ g.d)),
    ("r = max(a[i]*b[i], c[j]*d[j])", max(g.a @ g.b, g.c @ g.d)),
    ("r = i*x[i]", np.arange(N) @ g.x),
    ("r[i] = i*x[i]", np.arange(N) * g.x),
    ("r[i] = [a[j]*b[j] > x[i]]*y[i]", (g.a @ g.b > g.x) * g.y),
    ("r = where(a[i]*b[i] > 0, c[i]*d[i], 0)", g.c @ g.d),
    ("r = one[i]*where(x[i] > 1, y[i], z[i])", np.where(g.x > 1, g.y, g.z).sum()),
    ("r = one[b]*s[b, t[b]]", g.s[np.arange(B), g.t].sum()),
    ("r = x[u]", g.x[1]),
    ("r[b] = s[b, t[p[b]]]", g.s[np.arange(B), g.t[g.p]]),
    ("r[b] = delta[v, t[b]]*s[b,v]", g.s[np.arange(B), g.t]),
    ("r = one[i]*one[i]", N),
    ("r = delta[i,j]*m[i,j]", np.trace(g.m)),
    ("r = delta[i,i]*x[j]*y[j]", N * (g.x @ g.y)),
    ("r[i,j] = q[i,k]*q[k,j]", g.q @ g.q),
    ("r = 2^(x[i]*y[i])", 2 ** (g.x @ g.y)),
]


@pytest.mark.parametrize(("equation", "expected"), [*TABLE, *FREE, *BROADCAST, *REDUCTIONS, *MORE])
def test_an_equation_means_what_section_3_says(equation: str, expected: Any) -> None:
    np.testing.assert_allclose(value(spec(equation, INPUTS, "sizes: {H: i}"), ARRAYS), expected, rtol=1e-12)


@pytest.mark.parametrize(
    "equation",
    [
        "r = (y[i] - x[i])^2",
        "r = x[i]",
        "r = exp(x[i])",
        "r = x[i]^2",
        "r = i",
        "r = softmax[i](x[i])",
        "r = a[i]*b[i] + c[i]",
        "r = x[i]*sum[i](y[i])",
        "r = [x[i] > 0]",
        "r = s[b, t[b]]",
        "r[i] = x[j]*one[i]",
        "r = one[i]*x[u]",
    ],
)
def test_an_index_that_occurs_once_is_an_error(equation: str) -> None:
    assert codes(spec(equation, INPUTS)) == ["E203"]


@pytest.mark.parametrize(
    "equation",
    [
        "r = x[i]*m[i,j]*x[j]/(x[i]*x[i])",
        "r = sqrt(x[i]*x[i])*a[i]*b[i]",
        "r = m[i,i]*exp(a[i]*b[i])",
        "r = a[i]*sqrt(x[i]*x[i])*sqrt(y[i]*y[i])",
        "r = one[i]*one[i]*sqrt(x[i]*x[i])",
    ],
)
def test_a_closed_box_beside_factors_that_can_sum_is_ambiguous(equation: str) -> None:
    assert codes(spec(equation, INPUTS)) == ["E204"]


def test_an_ambiguous_sum_shows_both_spellings() -> None:
    with pytest.raises(Exception, match=r"inside: `\(x\[k\]\*x\[k\]\)`; .* `sum\[i\]\(x\[i\]\*m\[i,j\]\*x\[j\]/"):
        build(spec("r = x[i]*m[i,j]*x[j]/(x[i]*x[i])", INPUTS))


@pytest.mark.parametrize(
    ("equation", "code"),
    [
        ("r[i] = m[i,i]", "W403"),
        ("r[i] = x[i]/sqrt(x[i]*x[i])", "W403"),
        ("r = exp(a[i]*b[i])*c[i]", "W404"),
        ("r = x[i]/(y[i]*y[i])", "W404"),
    ],
)
def test_what_is_easily_misread_gets_a_warning(equation: str, code: str) -> None:
    assert warnings(spec(equation, INPUTS)) == [code]


@pytest.mark.parametrize(
    "equation",
    [
        "r[i] = a[i]*b[i]",
        "r = one[i]*(1 - m[i,i])^2",
        "r[b] = sqrt(h[b,i]*h[b,i])",
        "r[b,i] = h[b,i]/sqrt(h[b,j]*h[b,j])",
        "r = sqrt(x[i]*x[i])*sqrt(z[i]*z[i])",
        "r[b] = s[b, t[b]]",
    ],
)
def test_what_is_plain_gets_none(equation: str) -> None:
    assert warnings(spec(equation, INPUTS)) == []


def test_bound_indices_have_names_of_their_own() -> None:
    equations = "r[j] = b[i]*c[i] + d[i]*e[i]*x[j]\nw[i] = m[i,j]*one[j] - max[i](m[i,j]*one[j])*one[j]"
    program, _ = build(spec(equations, INPUTS))
    assert [s.target for s in program.statements] == ["r", "w"]


def test_leading_axes_are_never_summed_implicitly() -> None:
    inputs = {"x": "[..., i]", "w": "[i]"}
    assert codes(spec("r = x[...,i]*x[...,i]", inputs)) == ["E209"]
    x, w = RNG.normal(size=(2, 3, N)), RNG.normal(size=N)
    arrays = {"x": x, "w": w}
    np.testing.assert_allclose(value(spec("r[...] = x[...,i]*w[i]", inputs), arrays), x @ w)
    np.testing.assert_allclose(value(spec("r[i] = mean[...](x[...,i])*w[i]", inputs), arrays), x.mean((0, 1)) * w)
    centred = value(spec("r[...,i] = x[...,i] - mean[...](x[...,i])*w[i]", inputs), arrays)
    np.testing.assert_allclose(centred, x - x.mean((0, 1)) * w)
