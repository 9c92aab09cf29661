"""The stable forms of odds: quotients of weights and exponentials, and of what is positive by its domain."""

from __future__ import annotations

from mpmath import mp

from tests import stable_truth as exact
from tests.stable_cases import PAIRS, SCALARS, Form

WEIGHTS = [(w, x) for w in (1e-6, 1e-4, 0.7, 88.0, 1e4) for x in (0.0, -20.0, 20.0, 88.0, -200.0, 200.0, 1e4, -1e4)]
POSITIVE_PAIRS = [(a, b) for a in (1e-6, 0.3, 88.0, 1e4, 1e30) for b in (1e-4, 2.0, 200.0, 1e20)]
BELOW_ONE = [(a, b) for a in (-0.1, -0.7, -20.0, -200.0, -1e4) for b in (-0.3, -2.0, -60.0, -1e4)]
OF_WEIGHTS = "{w: {indices: [n], domain: positive}, x: [n]}"
OF_POSITIVE = "{w: {indices: [n], domain: positive}, x: {indices: [n], domain: positive}}"

ODDS_FORMS = {
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
