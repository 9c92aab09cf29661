"""The stable forms, each with its truth and at least three spellings, one of them over several equations.

A spelling is the equations of a spec, after `=>` where it has inputs of its own: other letters, other names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

from tests import stable_truth as exact

SIZES = (0.0, 1e-6, 1e-4, 20.0, 88.0, 200.0, 1e4)
MIDDLE = (0.3, 0.7, 1.0, 2.0, 5.0)
POSITIVE = [(x,) for x in (*SIZES[1:], *MIDDLE)]
SCALARS = [(0.0,), *POSITIVE, *((-x,) for (x,) in POSITIVE)]
PRODUCTS = [([1e-6, 1e4, 20.0],), ([1e-6, 1e-6, 0.3],), ([1e4, 88.0, 1.0],), ([0.3, 0.7, 2.0],), ([1e30, 1e20, 1e4],)]
PAIRS = [(a, b) for a in (0.0, 1e-6, -20.0, 88.0, -200.0, 1e4) for b in (-1e-4, 20.0, -88.0, 200.0, 1e4, -1e4)]


@dataclass(frozen=True)
class Form:
    """A function of a row of arguments: `rows` of them make the inputs, their first axis counting the rows.

    What is no number in floats is not differentiated by.  Rows that `rough` finds have a value only.  Where terms of
    order one cancel, their size `terms` is the scale of the error; where logits do, half the last `digit` of the
    largest is allowed, by which the inputs themselves are uncertain.
    """

    truth: Callable[..., Any]
    spellings: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    inputs: str = "{x: [n]}"
    rough: Callable[..., bool] = lambda *_: False
    terms: float = 0.0
    digit: float = 0.0


SCALAR_FORMS = {
    "sigmoid": Form(
        exact.sigmoid,
        (
            "y[n] = 1/(1 + exp(-x[n]))",
            "y[n] = exp(x[n])/(1 + exp(x[n]))",
            "{z: [m]} => e[m] = exp(-z[m]); d[m] = e[m] + 1; s[m] = reciprocal(d[m])",
            "y[n] = 0.5*tanh(x[n]/2) + 1/2",
        ),
        SCALARS,
    ),
    "derivative of sigmoid": Form(
        lambda x: exact.sigmoid(x) * exact.sigmoid(-x),
        (
            "y[n] = sigmoid(x[n])*(1 - sigmoid(x[n]))",
            "y[n] = exp(-x[n])/(1 + exp(-x[n]))^2",
            "{z: [m]} => s[m] = 1/(exp(-z[m]) + 1); y[m] = s[m] - s[m]^2",
        ),
        SCALARS,
    ),
    "softplus": Form(
        exact.softplus,
        (
            "y[n] = log(1 + exp(x[n]))",
            "y[n] = -log(sigmoid(-x[n]))",
            "{z: [m]} => e[m] = exp(z[m]); f[m] = e[m] + 1; y[m] = log(f[m])",
            "y[n] = relu(x[n]) + log1p(exp(-abs(x[n])))",
        ),
        SCALARS,
    ),
    "log of sigmoid": Form(
        lambda x: -exact.softplus(-x),
        (
            "y[n] = log(sigmoid(x[n]))",
            "y[n] = log(exp(x[n])/(exp(x[n]) + 1))",
            "{z: [m]} => p[m] = 1/(1 + exp(z[m])); y[m] = log(1 - p[m])",
            "y[n] = x[n] - log(1 + exp(x[n]))",
        ),
        SCALARS,
    ),
    "tanh": Form(
        mp.tanh,
        (
            "y[n] = (exp(x[n]) - exp(-x[n]))/(exp(x[n]) + exp(-x[n]))",
            "y[n] = 1 - 2/(exp(2*x[n]) + 1)",
            "{z: [m]} => p[m] = exp(z[m]); q[m] = 1/p[m]; y[m] = (p[m] - q[m])/(q[m] + p[m])",
            "y[n] = sinh(x[n])/cosh(x[n])",
        ),
        SCALARS,
    ),
    "log of cosh": Form(
        exact.log_cosh,
        (
            "y[n] = log(cosh(x[n]))",
            "y[n] = log((exp(x[n]) + exp(-x[n]))/2)",
            "{z: [m]} => e[m] = exp(-2*z[m]); y[m] = log1p(e[m]) + z[m] - log(2)",
        ),
        SCALARS,
    ),
    "log(1 + x)": Form(
        mp.log1p,
        (
            "y[n] = log(1 + x[n])",
            "y[n] = -log(1/(x[n] + 1))",
            "{z: [m]} => u[m] = z[m] + 1; y[m] = log2(u[m])*log(2)",
        ),
        [(0.0,), *POSITIVE, (-1e-6,), (-1e-4,), (-0.7,)],
    ),
    "exp(x) - 1": Form(
        mp.expm1,
        (
            "y[n] = exp(x[n]) - 1",
            "y[n] = -(1 - exp(x[n]))",
            "{z: [m]} => e[m] = exp(z[m]/2); y[m] = e[m]^2 - 1",
        ),
        SCALARS,
    ),
    "x/|x|": Form(
        mp.sign,
        (
            "y[n] = x[n]/abs(x[n])",
            "y[n] = x[n]/sqrt(x[n]^2)",
            "{z: [m]} => a[m] = abs(z[m]); y[m] = 1/a[m]*z[m]",
        ),
        SCALARS,
        rough=lambda x: x == 0,
    ),
    "(1 - exp(-x))/x": Form(
        lambda x: exact.quotient(lambda z: -mp.expm1(-z), x),
        (
            "y[n] = (1 - exp(-x[n]))/x[n]",
            "y[n] = -expm1(-x[n])/x[n]",
            "{z: [m]} => e[m] = exp(-z[m]); d[m] = 1 - e[m]; y[m] = 1/z[m]*d[m]",
        ),
        SCALARS,
    ),
    "sin(x)/x": Form(
        lambda x: exact.quotient(mp.sin, x),
        (
            "y[n] = sin(x[n])/x[n]",
            "y[n] = reciprocal(x[n])*sin(x[n])",
            "{z: [m]} => s[m] = sin(z[m]); t[m] = 3*s[m]; y[m] = 1/z[m]*t[m]/3",
        ),
        SCALARS,
    ),
    "sinh(x)/x": Form(
        lambda x: exact.quotient(mp.sinh, x),
        (
            "y[n] = sinh(x[n])/x[n]",
            "y[n] = (exp(x[n]) - exp(-x[n]))/(2*x[n])",
            "{z: [m]} => e[m] = exp(z[m]); r[m] = 1/(2*z[m]); y[m] = r[m]*e[m] - r[m]/e[m]",
        ),
        [(x,) for (x,) in SCALARS if abs(x) <= 88],
        rough=lambda x: abs(x) > 20,
        terms=1.0,
    ),
    "log of sinh(x)/x": Form(
        lambda x: mp.log(exact.quotient(mp.sinh, x)),
        (
            "y[n] = log(sinh(x[n])/x[n])",
            "y[n] = log(sinh(x[n])) - log(x[n])",
            "{z: {indices: [m], domain: positive}} => d[m] = exp(z[m]) - exp(-z[m]); y[m] = log(d[m]/z[m]) - log(2)",
        ),
        POSITIVE,
        terms=1.0,
    ),
    "log of (1 - exp(-x))/x": Form(
        lambda x: mp.log(exact.quotient(lambda z: -mp.expm1(-z), x)),
        (
            "y[n] = log((1 - exp(-x[n]))/x[n])",
            "y[n] = log(1 - exp(-x[n])) - log(x[n])",
            "{z: {indices: [m], domain: positive}} => p[m] = 1 - exp(-z[m]); q[m] = z[m]/p[m]; y[m] = -log(q[m])",
        ),
        POSITIVE,
        terms=1.0,
    ),
    "log of 1 - exp(-exp(x))": Form(
        lambda x: mp.log(-mp.expm1(-mp.exp(x))),
        (
            "y[n] = log(1 - exp(-exp(x[n])))",
            "y[n] = log1p(-exp(-exp(x[n])))",
            "{z: [m]} => h[m] = exp(z[m]); p[m] = 1 - exp(-h[m]); y[m] = log(p[m])",
        ),
        [(x,) for (x,) in SCALARS if x < 5],
    ),
    "tanh(x)/x": Form(
        lambda x: exact.quotient(mp.tanh, x),
        (
            "y[n] = tanh(x[n])/x[n]",
            "y[n] = reciprocal(x[n])*(1 - 2/(exp(2*x[n]) + 1))",
            "{z: [m]} => t[m] = tanh(z[m]); y[m] = t[m]/z[m]",
        ),
        SCALARS,
        terms=1.0,
    ),
    "1/(exp(x) - 1)": Form(
        lambda x: 1 / mp.expm1(x),
        (
            "y[n] = 1/(exp(x[n]) - 1)",
            "y[n] = exp(-x[n])/(1 - exp(-x[n]))",
            "{z: [m]} => e[m] = exp(z[m]); d[m] = e[m] - 1; y[m] = 1/d[m]",
        ),
        [x for x in SCALARS if 0 < abs(x[0]) < 100],
    ),
    "p log(p)": Form(
        lambda p: p * mp.log(p) if p else mpf(0),
        (
            "y[n] = x[n]*log(x[n])",
            "y[n] = -log(1/x[n])*x[n]",
            "{p: [m]} => l[m] = log2(p[m]); y[m] = l[m]*log(2)*p[m]",
        ),
        [(0.0,), *POSITIVE],
        rough=lambda p: p == 0,
    ),
    "log(1 - exp(-x))": Form(
        lambda x: mp.log(-mp.expm1(-x)),
        (
            "y[n] = log(1 - exp(-x[n]))",
            "y[n] = log1p(-exp(-x[n]))",
            "{z: [m]} => q[m] = exp(-z[m]/2); y[m] = log((1 - q[m])*(1 + q[m]))",
        ),
        POSITIVE,
    ),
    "focal loss": Form(
        lambda x: exact.sigmoid(-x) ** 2 * exact.softplus(-x),
        (
            "y[n] = -(1 - sigmoid(x[n]))^2*log(sigmoid(x[n]))",
            "y[n] = (1 - 1/(1 + exp(-x[n])))^2*log(1 + exp(-x[n]))",
            "{z: [m]} => p[m] = exp(z[m])/(exp(z[m]) + 1); c[m] = -log(p[m]); y[m] = square(1 - p[m])*c[m]",
        ),
        SCALARS,
    ),
    "binary cross-entropy": Form(
        lambda x, t: t * exact.softplus(-x) + (1 - t) * exact.softplus(x),
        (
            "y[n] = -t[n]*log(sigmoid(x[n])) - (1 - t[n])*log(1 - sigmoid(x[n]))",
            "p[n] = sigmoid(x[n]); y[n] = -((1 - t[n])*log(1 - p[n]) + log(p[n])*t[n])",
            (
                "{z: [m], t: [m]} => p[m] = 1/(1 + exp(-z[m])); q[m] = 1 - p[m];"
                " y[m] = -((1 - t[m])*log(q[m]) + t[m]*log(p[m]))"
            ),
        ),
        [(x, k) for (x,) in SCALARS for k in (0.0, 0.25, 1.0)],
        inputs="{x: [n], t: [n]}",
    ),
    "binary cross-entropy, logits times targets": Form(
        lambda x, t: t * exact.softplus(-x) + (1 - t) * exact.softplus(x),
        (
            "y[n] = log(1 + exp(x[n])) - t[n]*x[n]",
            "y[n] = relu(x[n]) - x[n]*t[n] + log1p(exp(-abs(x[n])))",
            "{z: [m], t: [m]} => p[m] = sigmoid(z[m]); l[m] = log(1 - p[m]); y[m] = -t[m]*z[m] - l[m]",
        ),
        [(x, k) for (x,) in SCALARS for k in (0.0, 0.25, 1.0)],
        inputs="{x: [n], t: [n]}",
        digit=1.0,
    ),
    "log(exp(a) + exp(b))": Form(
        lambda a, b: exact.logsumexp([a, b]),
        (
            "y[n] = log(exp(a[n]) + exp(b[n]))",
            "y[n] = b[n] + log(1 + exp(a[n] - b[n]))",
            "{u: [m], v: [m]} => p[m] = exp(u[m]); q[m] = exp(v[m]); s[m] = q[m] + p[m]; y[m] = log(s[m])",
            "y[n] = max(a[n], b[n]) + log1p(exp(-abs(a[n] - b[n])))",
        ),
        PAIRS,
        inputs="{a: [n], b: [n]}",
    ),
    "log(1 + w^2 exp(x))": Form(
        lambda x, w: mp.log1p(w * w * mp.exp(x)),
        (
            "y[n] = log(1 + w[n]^2*exp(x[n]))",
            "y[n] = log1p((w[n]*exp(x[n]/2))^2)",
            "{a: [m], b: [m]} => z[m] = b[m]*exp(a[m]/2); y[m] = log(z[m]^2 + 1)",
            "{a: [m], b: [m]} => q[m] = b[m]^2*exp(a[m]); u[m] = 1/(1 + q[m]); y[m] = -log(u[m])",
        ),
        [(x, w) for (x,) in SCALARS for w in (0.0, 1e-6, -0.7, 20.0, 1e4) if abs(x) <= 88],
        inputs="{x: [n], w: [n]}",
        digit=1.0,
    ),
    "odds of a product": Form(
        lambda x: 1 / (1 + 1 / mp.fprod(x)),
        (
            "o[n] = prod[j](x[n,j]); y[n] = o[n]/(1 + o[n])",
            "y[n] = prod[j](x[n,j])/(prod[j](x[n,j]) + 1)",
            "{z: {indices: [m, k], domain: positive}} => o[m] = prod[k](z[m,k]); y[m] = 1 - 1/(1 + o[m])",
        ),
        PRODUCTS,
        inputs="{x: {indices: [n, j], domain: positive}}",
    ),
    "log(1 + a product)": Form(
        lambda x: mp.log1p(mp.fprod(x)),
        (
            "o[n] = prod[j](x[n,j]); y[n] = log(1 + o[n])",
            "y[n] = log1p(prod[j](x[n,j]))",
            "{z: {indices: [m, k], domain: positive}} => o[m] = prod[k](z[m,k]); s[m] = o[m] + 1; y[m] = log(s[m])",
        ),
        PRODUCTS,
        inputs="{x: {indices: [n, j], domain: positive}}",
    ),
    "length of a vector of two": Form(
        mp.hypot,
        (
            "y[n] = sqrt(a[n]^2 + b[n]^2)",
            "y[n] = 0.5*sqrt(4*a[n]^2 + 4*b[n]^2)",
            "{u: [m], v: [m]} => s[m] = u[m]^2; t[m] = v[m]*v[m] + s[m]; y[m] = sqrt(t[m])",
        ),
        [*((a, b) for a in (-3.0, 1e-6, 1e4) for b in (0.0, 1.0, -200.0, 1e-30)), (1e-30, 2e-30), (1e30, -1e30)],
        inputs="{a: [n], b: [n]}",
        rough=lambda x, y: abs(x) in (1e30, 1e-30),
    ),
    "x/(exp(x) - 1)": Form(
        lambda x: x / mp.expm1(x) if x else mpf(1),
        (
            "y[n] = x[n]/(exp(x[n]) - 1)",
            "y[n] = -x[n]/(1 - exp(x[n]))",
            "y[n] = -x[n]/2*(1 - 1/tanh(x[n]/2))",
            "{z: [m]} => e[m] = exp(z[m]); d[m] = e[m] - 1; y[m] = z[m]/d[m]",
        ),
        SCALARS,
    ),
    "x/(1 - exp(-x))": Form(
        lambda x: -x / mp.expm1(-x) if x else mpf(1),
        (
            "y[n] = x[n]/(1 - exp(-x[n]))",
            "y[n] = x[n]*exp(x[n])/(exp(x[n]) - 1)",
            "{z: [m]} => e[m] = exp(-z[m]); d[m] = 1 - e[m]; y[m] = z[m]/d[m]",
        ),
        SCALARS,
    ),
    "x^3/(exp(x) - 1)": Form(
        lambda x: x**3 / mp.expm1(x) if x else mpf(0),
        (
            "y[n] = x[n]^3/(exp(x[n]) - 1)",
            "y[n] = x[n]^3*exp(-x[n])/(1 - exp(-x[n]))",
            "{z: [m]} => e[m] = exp(z[m]); c[m] = z[m]^3; y[m] = c[m]/(e[m] - 1)",
        ),
        SCALARS,
    ),
}
