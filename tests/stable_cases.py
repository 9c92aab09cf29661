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
ROWS = [
    [0.0, 1e-6, -1e-4],
    [1.0, -20.0, 20.0],
    [88.0, -88.0, 200.0],
    [1e4, -1e4, 0.0],
    [1e4, 1e4, 9999.0],
    [-1e4, -1e4, -9999.0],
    [-200.0, -200.0, -200.5],
    [0.3, -1.25, 0.75],
    [0.0, 0.0, 0.0],
]
MASKS = [[True, False, True], [True, True, False], [False, True, False]] * 3
LABELS = [0, 1, 2, 2, 0, 1, 2, 0, 1]
PAIRS = [(a, b) for a in (0.0, 1e-6, -20.0, 88.0, -200.0, 1e4) for b in (-1e-4, 20.0, -88.0, 200.0, 1e4, -1e4)]
MATRICES = [
    [[s * n for n in row] for row in ([2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 3.0])]
    for s in (1.0, 1e-6, 1e-4, 20.0, 88.0, 200.0, 1e4)
]


@dataclass(frozen=True)
class Form:
    """A function of a row of arguments: `rows` of them make the inputs, their first axis counting the rows.

    What is no number in floats is not differentiated by.  Rows that `rough` finds have a value only.  Where terms of
    order one cancel, their size `terms` is the scale of the error; where logits do, half the last `digit` of the largest
    is allowed, by which the inputs themselves are uncertain.
    """

    truth: Callable[..., Any]
    spellings: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    inputs: str = "{x: [n]}"
    rough: Callable[..., bool] = lambda *_: False
    terms: float = 0.0
    digit: float = 0.0


def of_rows(*others: list[Any]) -> list[tuple[Any, ...]]:
    return list(zip(ROWS, *others))


def shifted(rows: list[list[float]]) -> list[list[float]]:
    """Each row with entries of its own in another order, moved a little."""
    return [[row[1] + 0.5, row[2], row[0] - 0.25] for row in rows]


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
            "{z: [m]} => s[m] = sin(z[m]); i[m] = z[m]^-1; y[m] = i[m]*s[m]",
        ),
        SCALARS,
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
            "y[n] = log(1 + exp(x[n])) - t[n]*x[n]",
            "{z: [m], t: [m]} => p[m] = 1/(1 + exp(-z[m])); q[m] = 1 - p[m];"
            " y[m] = -((1 - t[m])*log(q[m]) + t[m]*log(p[m]))",
        ),
        [(x, k) for (x,) in SCALARS for k in (0.0, 0.25, 1.0)],
        inputs="{x: [n], t: [n]}",
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
}

OF_X = "{x: [n, i]}"
OF_TWO = "{x: [n, i], y: [n, i]}"
MASKED = "{x: [n, i], m: {indices: [n, i], kind: bool}}"
LABELLED = "{x: [n, i], t: {indices: [n], kind: label, labels: i}}"

ROW_FORMS = {
    "softmax": Form(
        exact.softmax,
        (
            "y[n,i] = exp(x[n,i])/(one[j]*exp(x[n,j]))",
            "y[n,i] = exp(x[n,i] - logsumexp[j](x[n,j]))",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); s[b] = sum[k](e[b,k]); p[b,k] = e[b,k]/s[b]",
            "y[n,i] = 1/(one[j]*exp(x[n,j] - x[n,i]))",
        ),
        of_rows(),
        OF_X,
        terms=1.0,
    ),
    "log of softmax": Form(
        exact.log_softmax,
        (
            "y[n,i] = log(exp(x[n,i])/(one[j]*exp(x[n,j])))",
            "y[n,i] = x[n,i] - log(sum[j](exp(x[n,j])))",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); p[b,k] = e[b,k]/(one[l]*e[b,l]); y[b,k] = log(p[b,k])",
        ),
        of_rows(),
        OF_X,
        terms=1.0,
    ),
    "logsumexp": Form(
        exact.logsumexp,
        (
            "y[n] = log(one[j]*exp(x[n,j]))",
            "y[n] = max[j](x[n,j]) + log(sum[i](exp(x[n,i] - max[j](x[n,j]))))",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); s[b] = one[k]*e[b,k]; l[b] = log(s[b])",
        ),
        of_rows(),
        OF_X,
        terms=1.0,
    ),
    "softmax with a temperature": Form(
        lambda x: exact.softmax([z * 2 for z in x]),
        (
            "y[n,i] = exp(x[n,i]/0.5)/(one[j]*exp(x[n,j]/0.5))",
            "y[n,i] = exp(x[n,i])^2/sum[j](exp(x[n,j])^2)",
            "{a: [b, k]} => h[b,k] = a[b,k]*2; e[b,k] = exp(h[b,k]); p[b,k] = e[b,k]/(one[l]*e[b,l])",
        ),
        of_rows(),
        OF_X,
        terms=1.0,
    ),
    "softmax with a mask": Form(
        lambda x, m: (lambda soft: [next(soft) if keep else mpf(0) for keep in m])(
            iter(exact.softmax([z for z, keep in zip(x, m) if keep]))
        ),
        (
            "y[n,i] = [m[n,i]]*exp(x[n,i])/sum[j]([m[n,j]]*exp(x[n,j]))",
            "y[n,i] = softmax[i](where(m[n,i], x[n,i], -inf))",
            "{a: [b, k], c: {indices: [b, k], kind: bool}} => e[b,k] = where(c[b,k], exp(a[b,k]), 0);"
            " s[b] = one[k]*e[b,k]; p[b,k] = e[b,k]/s[b]",
        ),
        of_rows(MASKS),
        MASKED,
        terms=1.0,
    ),
    "cross-entropy": Form(
        lambda x, t: -exact.log_softmax(x)[t],
        (
            "s[n,i] = softmax[i](x[n,i]); y[n] = -log(s[n,t[n]])",
            "y[n] = log(one[j]*exp(x[n,j])) - x[n,t[n]]",
            "{a: [b, k], t: {indices: [b], kind: label, labels: k}} => e[b,k] = exp(a[b,k]);"
            " p[b,k] = e[b,k]/(one[l]*e[b,l]); q[b,k] = log(p[b,k]); y[b] = -delta[k,t[b]]*q[b,k]",
        ),
        of_rows(LABELS),
        LABELLED,
        terms=1.0,
    ),
    "cross-entropy with smoothed labels": Form(
        lambda x, t: -mp.fsum((mpf(3) / 4 * (k == t) + mpf(1) / 12) * z for k, z in enumerate(exact.log_softmax(x))),
        (
            "p[n,i] = softmax[i](x[n,i]); y[n] = -(3/4*delta[i,t[n]] + 1/12)*log(p[n,i])",

            "l[n,i] = x[n,i] - log(one[j]*exp(x[n,j])); y[n] = -3/4*l[n,t[n]] - 1/12*one[i]*l[n,i]",
            "{a: [b, k], t: {indices: [b], kind: label, labels: k}} => e[b,k] = exp(a[b,k]);"
            " p[b,k] = e[b,k]/(one[l]*e[b,l]); q[b,k] = 3/4*delta[k,t[b]] + one[b]*one[k]/12;"
            " y[b] = -q[b,k]*log(p[b,k])",
        ),
        of_rows(LABELS),
        LABELLED,
        terms=1.0,
    ),
    "entropy": Form(
        lambda x: -mp.fsum(mp.exp(z) * z for z in exact.log_softmax(x)),
        (
            "p[n,i] = softmax[i](x[n,i]); y[n] = -p[n,i]*log(p[n,i])",
            "l[n,i] = x[n,i] - log(one[j]*exp(x[n,j])); y[n] = -exp(l[n,i])*l[n,i]",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); p[b,k] = e[b,k]/(one[l]*e[b,l]); y[b] = sum[k](p[b,k]*log(1/p[b,k]))",
        ),
        of_rows(),
        OF_X,
        terms=1.0,
    ),
    "Kullback-Leibler divergence": Form(
        exact.kl,
        (
            "p[n,i] = softmax[i](x[n,i]); q[n,i] = softmax[i](y[n,i]); d[n] = p[n,i]*log(p[n,i]/q[n,i])",
            "d[n] = sum[i](softmax[i](x[n,i])*(log_softmax[i](x[n,i]) - log_softmax[i](y[n,i])))",
            "{a: [b, k], c: [b, k]} => p[b,k] = exp(a[b,k])/(one[l]*exp(a[b,l]));"
            " q[b,k] = exp(c[b,k])/(one[l]*exp(c[b,l])); d[b] = one[k]*p[b,k]*(log(p[b,k]) - log(q[b,k]))",
        ),
        of_rows(shifted(ROWS)),
        OF_TWO,
        terms=1.0,
    ),
    "Jensen-Shannon divergence": Form(
        exact.jsd,
        (
            "p[n,i] = softmax[i](x[n,i]); q[n,i] = softmax[i](y[n,i]); m[n,i] = (p[n,i] + q[n,i])/2;"
            " d[n] = p[n,i]*log(p[n,i]/m[n,i])/2 + q[n,i]*log(q[n,i]/m[n,i])/2",
            "p[n,i] = softmax[i](x[n,i]); q[n,i] = softmax[i](y[n,i]);"
            " d[n] = sum[i](p[n,i]*log(2*p[n,i]/(p[n,i] + q[n,i])) + q[n,i]*log(2*q[n,i]/(q[n,i] + p[n,i])))/2",
            "{a: [b, k], c: [b, k]} => p[b,k] = exp(a[b,k])/(one[l]*exp(a[b,l]));"
            " q[b,k] = exp(c[b,k])/(one[l]*exp(c[b,l])); m[b,k] = p[b,k]/2 + q[b,k]/2;"
            " d[b] = 1/2*one[k]*p[b,k]*(log(p[b,k]) - log(m[b,k])) + 1/2*one[k]*q[b,k]*(log(q[b,k]) - log(m[b,k]))",
        ),
        of_rows(shifted(ROWS)),
        OF_TWO,
        terms=1.0,
    ),
    "norm": Form(
        exact.norm,
        (
            "y[n] = sqrt(x[n,i]*x[n,i])",
            "y[n] = sum[j](square(x[n,j]))^0.5",
            "{a: [b, k]} => s[b] = a[b,k]*a[b,k]; y[b] = sqrt(s[b])",
        ),
        of_rows(),
        OF_X,
        rough=lambda x: not any(x),
    ),
    "log of a determinant": Form(
        exact.log_det,
        (
            "y[n] = log(det(x)[n])",
            "y[n] = -log(1/det(x)[n])",
            "{a: [b, k, l]} => d[b] = det(a)[b]; y[b] = log(d[b])",
        ),
        [(m,) for m in MATRICES],
        "{x: [n, i, j]}",
    ),
    "log of a product": Form(
        lambda x: mp.fsum(mp.log(z) for z in x),
        (
            "y[n] = log(prod[i](x[n,i]))",
            "y[n] = -log(1/prod[i](x[n,i]))",
            "{a: [b, k]} => p[b] = prod[k](a[b,k]); y[b] = log(p[b])",
        ),
        [([1.0, 2.0, 0.5],), ([20.0, 88.0, 200.0],), ([1e-6, 1e-4, 1.0],), ([1e-6, 1e4, 1e-4],), ([1e4, 1e4, 200.0],)],
        OF_X,
    ),
}
FORMS = SCALAR_FORMS | ROW_FORMS
