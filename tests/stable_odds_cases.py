"""The stable forms of odds: quotients of weights and exponentials, and of what is positive by its domain."""

from __future__ import annotations

from typing import Any

from mpmath import mp, mpf

from tests import stable_truth as exact
from tests.stable_cases import PAIRS, SCALARS, Form
from tests.stable_row_cases import ROWS, shifted

WEIGHTS = [(w, x) for w in (1e-6, 1e-4, 0.7, 88.0, 1e4) for x in (0.0, -20.0, 20.0, 88.0, -200.0, 200.0, 1e4, -1e4)]
POSITIVE_PAIRS = [(a, b) for a in (1e-6, 0.3, 88.0, 1e4, 1e30) for b in (1e-4, 2.0, 200.0, 1e20)]
BELOW_ONE = [(a, b) for a in (-0.1, -0.7, -20.0, -200.0, -1e4) for b in (-0.3, -2.0, -60.0, -1e4)]
BY_WIDTH = "s[n,i] = exp(r[n,i]); z[n,i] = m[n,i]/s[n,i]; g[n,i] = exp(-z[n,i]^2/2)/(s[n,i]*sqrt(2*pi))"
OF_WEIGHTS = "{w: {indices: [n], domain: positive}, x: [n]}"
OF_POSITIVE = "{w: {indices: [n], domain: positive}, x: {indices: [n], domain: positive}}"

ROWS_OF_TWO = [(row, other) for row, other in zip(ROWS, shifted(ROWS))]


def with_one(row: list[Any]) -> list[Any]:
    """The softmax with one more logit, 0."""
    return exact.softmax([*row, mpf(0)])[:-1]


def weighted_mean(row: list[Any]) -> Any:
    """By weights that fall with what they weigh."""
    return mp.fsum(p * x for p, x in zip(exact.softmax([-3 * x for x in row]), row))


def responsibilities(row: list[Any], width: list[Any], distance: list[Any]) -> list[Any]:
    """Of normal distributions for what lies at these distances from their means."""
    return exact.softmax([a - (d * mp.exp(-b)) ** 2 / 2 - b for a, b, d in zip(row, width, distance)])


ODDS_FORMS = {
    "softmax with a one": Form(
        with_one,
        (
            "y[n,i] = exp(x[n,i])/(1 + sum[j](exp(x[n,j])))",
            "z[n] = 1 + sum[i](exp(x[n,i])); y[n,i] = exp(x[n,i])/z[n]",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); s[b] = sum[k](e[b,k]); z[b] = s[b] + 1; p[b,k] = e[b,k]/z[b]",
        ),
        [*((row,) for row in ROWS), ([-200.0, 200.0, -88.0],), ([88.0, 88.0, -1.0],), ([-200.0, -1e4, -20.0],)],
        inputs="{x: [n, i]}",
        terms=1.0,
    ),
    "what a softmax with a one leaves": Form(
        lambda row: exact.softmax([*row, mpf(0)])[-1],
        (
            "y[n] = 1/(1 + sum[j](exp(x[n,j])))",
            "z[n] = 1 + sum[i](exp(x[n,i])); y[n] = 1/z[n]",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); s[b] = sum[k](e[b,k]); z[b] = s[b] + 1; p[b] = 1/z[b]",
        ),
        [*((row,) for row in ROWS), ([-200.0, 200.0, -88.0],), ([88.0, 88.0, -1.0],), ([-200.0, -1e4, -20.0],)],
        inputs="{x: [n, i]}",
        terms=1.0,
    ),
    "mean with a one": Form(
        lambda row, v: mp.fsum(p * u for p, u in zip(with_one(row), v)),
        (
            "y[n] = v[n,j]*exp(x[n,j])/(1 + one[l]*exp(x[n,l]))",
            "z[n] = sum[i](exp(x[n,i])) + 1; s[n] = exp(x[n,i])*v[n,i]; y[n] = s[n]/z[n]",
            "e[n,i] = exp(x[n,i]); p[n,i] = e[n,i]/(1 + one[j]*e[n,j]); y[n] = p[n,i]*v[n,i]",
        ),
        [(row, [1.0, 2.0, 0.5]) for row in ROWS],
        inputs="{x: [n, i], v: [n, i]}",
        terms=1.0,
    ),
    "masked mean with a one": Form(
        lambda row, v, mask: (
            mp.fsum(mp.exp(x) * u for x, u, m in zip(row, v, mask) if m)
            / (1 + mp.fsum(mp.exp(x) for x, m in zip(row, mask) if m))
        ),
        (
            "e[n,i] = where(m[n,i], exp(x[n,i]), 0); y[n] = e[n,i]*v[n,i]/(1 + one[j]*e[n,j])",
            "y[n] = [m[n,i]]*exp(x[n,i])*v[n,i]/(1 + [m[n,j]]*exp(x[n,j]))",
        ),
        [
            (row, [1.0, 2.0, 0.5], mask)
            for row in ROWS
            for mask in ([True, False, True], [False, False, False])
            if max(map(abs, row)) < 80
        ],
        # The second derivative of a row that is masked whole goes through a softmax that has no value.
        rough=lambda row, v, mask: not any(mask),
        inputs="{x: [n, i], v: [n, i], m: {indices: [n, i], kind: bool}}",
        terms=1.0,
    ),
    "sums of exponentials in a chain": Form(
        lambda a, step, b: exact.logsumexp([p + q + r for p, row in zip(a, step) for q, r in zip(row, b)]),
        (
            "p[n,i] = exp(a[n,i]); q[n,j] = p[n,i]*exp(s[n,i,j])*exp(b[n,j]); z[n] = one[j]*q[n,j]; y[n] = log(z[n])",
            "y[n] = log(exp(a[n,i])*exp(s[n,i,j])*exp(b[n,j]))",
            "m[n,j] = sum[i](exp(a[n,i] + s[n,i,j])); q[n,j] = exp(b[n,j])*m[n,j]; y[n] = -log(1/sum[j](q[n,j]))",
        ),
        [
            ([1.0, -2.0], [[0.5, 1.0], [-1.0, 2.0]], [0.0, 1e-4]),
            ([88.0, -88.0], [[0.0, 20.0], [88.0, 1.0]], [88.0, 1.0]),
            ([-200.0, -200.0], [[-88.0, 0.0], [1.0, -20.0]], [-88.0, -1e4]),
            ([1e4, 1e4], [[-1.0, 1.0], [200.0, -1e4]], [200.0, -200.0]),
        ],
        inputs="{a: [n, i], s: [n, i, j], b: [n, j]}",
        terms=1.0,
    ),
    "softmax of products": Form(
        lambda q, k: exact.softmax([mp.fsum(a * b for a, b in zip(q, row)) for row in k]),
        (
            "e[n,i] = exp(q[n,d]*k[n,i,d]); s[n] = one[j]*e[n,j]; y[n,i] = e[n,i]/s[n]",
            "y[n,i] = exp(q[n,d]*k[n,i,d])/(one[j]*exp(q[n,d]*k[n,j,d]))",
            "w[n,i] = q[n,d]*k[n,i,d]; e[n,i] = exp(w[n,i]); y[n,i] = e[n,i]*(sum[j](e[n,j]))^-1",
        ),
        [
            ([1.0, -2.0], [[0.5, 1.0], [-1.0, 2.0], [0.0, 1e-4]]),
            ([20.0, 1.0], [[8.0, 0.0], [7.0, 20.0], [-8.0, 88.0]]),
            ([-200.0, 1.0], [[1.0, 0.0], [1.0, 1.0], [2.0, 200.0]]),
        ],
        inputs="{q: [n, d], k: [n, i, d]}",
        terms=1.0,
    ),
    "logsumexp with a one": Form(
        lambda row: exact.logsumexp([*row, mpf(0)]),
        (
            "y[n] = log(1 + sum[j](exp(x[n,j])))",
            "z[n] = 1 + sum[i](exp(x[n,i])); s[n] = 1/z[n]; y[n] = -log(s[n])",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); z[b] = sum[k](e[b,k]) + 1; p[b] = log(z[b])",
        ),
        [*((row,) for row in ROWS), ([-200.0, 200.0, -88.0],), ([88.0, 88.0, -1.0],), ([-200.0, -1e4, -20.0],)],
        inputs="{x: [n, i]}",
        terms=1.0,
    ),
    "mean by inverses of exponentials": Form(
        weighted_mean,
        (
            "e[n,i] = exp(3*x[n,i]); y[n] = sum[i](x[n,i]/e[n,i])/sum[i](1/e[n,i])",
            "y[n] = sum[i](x[n,i]*exp(-3*x[n,i]))/sum[i](exp(-3*x[n,i]))",
            "{a: [b, k]} => e[b,k] = exp(3*a[b,k]); w[b,k] = 1/e[b,k]; y[b] = w[b,k]*a[b,k]/sum[k](w[b,k])",
        ),
        [(row,) for row in ROWS if max(row) < 1e3],
        inputs="{x: [n, i]}",
        rough=lambda row: min(row) < -100,  # what is weighed cancels
        terms=1.0,
    ),
    "effective sample size": Form(
        lambda a, b: mp.exp(
            2 * exact.logsumexp([x - z for x, z in zip(a, b)]) - exact.logsumexp([2 * (x - z) for x, z in zip(a, b)])
        ),
        (
            "w[n,i] = exp(x[n,i] - z[n,i]); y[n] = sum[i](w[n,i])^2/sum[i](w[n,i]^2)",
            "y[n] = sum[i](exp(x[n,i] - z[n,i]))^2/sum[i](exp(2*x[n,i] - 2*z[n,i]))",
            "w[n,i] = exp(x[n,i])/exp(z[n,i]); s[n] = sum[i](w[n,i]); t[n] = sum[i](w[n,i]^2); y[n] = s[n]^2/t[n]",
        ),
        [(a, b) for a, b in ROWS_OF_TWO if max(a) < 1e2],
        inputs="{x: [n, i], z: [n, i]}",
        terms=1.0,
    ),
    "responsibilities": Form(
        responsibilities,
        (
            f"{BY_WIDTH}; q[n] = one[i]*exp(w[n,i]); d[n,i] = exp(w[n,i])/q[n]*g[n,i]; y[n,i] = d[n,i]/(one[j]*d[n,j])",
            f"{BY_WIDTH}; d[n,i] = softmax[i](w[n,i])*g[n,i]; t[n] = sum[i](d[n,i]); y[n,i] = d[n,i]/t[n]",
            "y[n,i] = softmax[i](w[n,i] - r[n,i] - m[n,i]^2*exp(-2*r[n,i])/2)",
        ),
        [(row, [0.0, 0.5, -1.0], [0.5, -0.5, 1.5]) for row in ROWS if max(map(abs, row)) < 1e3],
        inputs="{w: [n, i], r: [n, i], m: [n, i]}",
        terms=1.0,
    ),
    "share of a weighted exponential": Form(
        lambda w, x: exact.sigmoid(mp.log(w) + x),
        (
            "y[n] = w[n]*exp(x[n])/(1 + w[n]*exp(x[n]))",
            "o[n] = w[n]*exp(x[n]); y[n] = o[n]/(1 + o[n])",
            "y[n] = 1 - 1/(w[n]*exp(x[n]) + 1)",
            "{v: [m], z: [m]} => e[m] = exp(z[m]); d[m] = v[m]*e[m] + 1; y[m] = e[m]*v[m]/d[m]",
        ),
        WEIGHTS,
        inputs=OF_WEIGHTS,
    ),
    "log of a share of a weighted exponential": Form(
        lambda w, x: -exact.softplus(-mp.log(w) - x),
        (
            "o[n] = w[n]*exp(x[n]); p[n] = o[n]/(1 + o[n]); y[n] = log(p[n])",
            "y[n] = -log(1 + 1/(w[n]*exp(x[n])))",
            "y[n] = log(w[n]*exp(x[n])/(w[n]*exp(x[n]) + 1))",
        ),
        WEIGHTS,
        inputs=OF_WEIGHTS,
    ),
    "log of a share of powers": Form(
        lambda a, c: -exact.softplus((c - a) / 4),
        (
            "p[n] = exp(a[n])^0.25; q[n] = exp(c[n])^0.25; y[n] = log(p[n]/(p[n] + q[n]))",
            "y[n] = a[n]/4 - logaddexp(a[n]/4, c[n]/4)",
            "{u: [m], w: [m]} => p[m] = exp(u[m]/4); y[m] = -log((p[m] + exp(w[m]/4))/p[m])",
        ),
        PAIRS,
        inputs="{a: [n], c: [n]}",
    ),
    "share of a product of two": Form(
        lambda w, x: w * x / (1 + w * x),
        (
            "o[n] = w[n]*x[n]; y[n] = o[n]/(1 + o[n])",
            "y[n] = w[n]*x[n]/(1 + w[n]*x[n])",
            "y[n] = 3*x[n]*w[n]/(3 + 3*w[n]*x[n])",
        ),
        POSITIVE_PAIRS,
        inputs=OF_POSITIVE,
        rough=lambda w, x: max(w, x) > 1e19,  # squares overflow
    ),
    "share of a fourth power": Form(
        lambda w, x: (x / w) ** 4 / (1 + (x / w) ** 4),
        (
            "y[n] = (x[n]/w[n])^4/(1 + (x[n]/w[n])^4)",
            "r[n] = x[n]/w[n]; o[n] = r[n]^4; y[n] = o[n]/(1 + o[n])",
            "o[n] = x[n]^4*w[n]^-4; y[n] = o[n]/(o[n] + 1)",
        ),
        [(w, x) for w, x in POSITIVE_PAIRS if w < 1e20],
        inputs=OF_POSITIVE,
        rough=lambda w, x: x > 1e19,
    ),
    "relaxed bit": Form(
        lambda w, u: exact.sigmoid(10 * (mp.log(w) + mp.log(u) - mp.log1p(-u))),
        (
            "o[n] = (w[n]*u[n]/(1 - u[n]))^10; y[n] = o[n]/(1 + o[n])",
            "y[n] = (w[n]*u[n]/(1 - u[n]))^10/(1 + (w[n]*u[n]/(1 - u[n]))^10)",
            "q[n] = u[n]/(1 - u[n]); r[n] = w[n]*q[n]; o[n] = r[n]^10; y[n] = o[n]/(1 + o[n])",
        ),
        [(w, u) for w in (0.01, 0.7, 88.0, 1e4) for u in (1e-4, 0.25, 0.5, 0.9) if 1e-3 < w * u < 1e3],
        inputs="{w: {indices: [n], domain: positive}, u: {indices: [n], domain: unit}}",
    ),
    "sigmoid of its own odds": Form(
        exact.sigmoid,
        (
            "p[n] = 1/(1 + exp(-x[n])); o[n] = p[n]/(1 - p[n]); y[n] = o[n]/(1 + o[n])",
            "o[n] = sigmoid(x[n])/sigmoid(-x[n]); y[n] = o[n]/(1 + o[n])",
            "{z: [m]} => p[m] = sigmoid(z[m]); q[m] = 1 - p[m]; o[m] = p[m]/q[m]; d[m] = o[m] + 1; y[m] = o[m]/d[m]",
        ),
        SCALARS,
    ),
    "odds of a sigmoid": Form(
        mp.exp,
        (
            "y[n] = sigmoid(x[n])/sigmoid(-x[n])",
            "p[n] = 1/(1 + exp(-x[n])); y[n] = p[n]/(1 - p[n])",
            "{z: [m]} => p[m] = exp(z[m])/(1 + exp(z[m])); q[m] = 1 - p[m]; y[m] = p[m]/q[m]",
        ),
        [(x,) for (x,) in SCALARS if x < 85],
    ),
    "odds beside a softplus": Form(
        lambda x, z: exact.sigmoid(x - exact.softplus(z)),
        (
            "o[n] = exp(x[n])/(1 + exp(z[n])); y[n] = o[n]/(1 + o[n])",
            "q[n] = sigmoid(-z[n]); o[n] = q[n]*exp(x[n]); y[n] = 1 - 1/(1 + o[n])",
            "{a: [m], b: [m]} => d[m] = 1 + exp(b[m]); o[m] = exp(a[m])/d[m]; s[m] = o[m] + 1; y[m] = o[m]/s[m]",
        ),
        PAIRS,
        inputs="{x: [n], z: [n]}",
    ),
    "odds ratio": Form(
        lambda w, v: exact.softplus(v - mp.log(-mp.expm1(v)) - w + mp.log(-mp.expm1(w))),
        (
            "r[n] = exp(w[n])/(1 - exp(w[n]))/(exp(l[n])/(1 - exp(l[n]))); y[n] = log(1 + 1/r[n])",
            "o[n] = exp(w[n])/(1 - exp(w[n])); p[n] = exp(l[n])/(1 - exp(l[n])); y[n] = log(1 + p[n]/o[n])",
            "o[n] = exp(w[n])/(1 - exp(w[n])); p[n] = exp(l[n])/(1 - exp(l[n])); y[n] = -log(o[n]/(o[n] + p[n]))",
        ),
        BELOW_ONE,
        inputs="{w: {indices: [n], domain: [-5, -0.1]}, l: {indices: [n], domain: [-5, -0.1]}}",
    ),
}
