"""The stable forms of rows: softmax and its kin, divergences, norms, determinants, products."""

from __future__ import annotations

from typing import Any

from mpmath import mp, mpf

from tests import stable_truth as exact
from tests.stable_cases import Form

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
MASKS = [*([[True, False, True], [True, True, False], [False, True, False]] * 3)[:8], [False, False, False]]
LABELS = [0, 1, 2, 2, 0, 1, 2, 0, 1]
MATRICES = [
    [[s * n for n in row] for row in ([2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 3.0])]
    for s in (1.0, 1e-6, 1e-4, 20.0, 88.0, 200.0, 1e4)
]


def of_rows(*others: list[Any]) -> list[tuple[Any, ...]]:
    return list(zip(ROWS, *others))


def shifted(rows: list[list[float]]) -> list[list[float]]:
    """Each row with entries of its own in another order, moved a little."""
    return [[row[1] + 0.5, row[2], row[0] - 0.25] for row in rows]


OF_X = "{x: [n, i]}"
OF_TWO = "{x: [n, i], y: [n, i]}"
MASKED = "{x: [n, i], m: {indices: [n, i], kind: bool}}"
LABELLED = "{x: [n, i], t: {indices: [n], kind: label, labels: i}}"

# Its derivative is one of terms that cancel, exactly where the row is along an axis.
NORMALISED = (
    "y[n,i] = x[n,i]/sqrt(x[n,j]*x[n,j])",
    "y[n,i] = x[n,i]*sum[j](x[n,j]^2)^(-1/2)",
    "{a: [b, k]} => s[b] = norm[l](a[b,l]); y[b,k] = a[b,k]/s[b]",
    "{a: [b, k]} => s[b] = a[b,l]*a[b,l]; y[b,k] = a[b,k]*rsqrt(s[b])",
)

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
            "y[n,i] = log(exp(x[n,i] - logsumexp[j](x[n,j])))",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); p[b,k] = e[b,k]/(one[l]*e[b,l]); y[b,k] = log(p[b,k])",
        ),
        of_rows(),
        OF_X,
        terms=1.0,
    ),
    "logit less logsumexp": Form(
        exact.log_softmax,
        (
            "y[n,i] = x[n,i] - log(sum[j](exp(x[n,j])))",
            "y[n,i] = -log(one[j]*exp(x[n,j])) + x[n,i]",
            "{a: [b, k]} => e[b,k] = exp(a[b,k]); s[b] = one[k]*e[b,k]; l[b] = log(s[b]); y[b,k] = a[b,k] - l[b]",
        ),
        of_rows(),
        OF_X,
        terms=1.0,
        digit=1.0,
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
        exact.masked_softmax,
        (
            "y[n,i] = [m[n,i]]*exp(x[n,i])/sum[j]([m[n,j]]*exp(x[n,j]))",
            "y[n,i] = [m[n,i]]*softmax[i](where(m[n,i], x[n,i], -inf))",
            (
                "{a: [b, k], c: {indices: [b, k], kind: bool}} => e[b,k] = where(c[b,k], exp(a[b,k]), 0);"
                " s[b] = one[k]*e[b,k]; p[b,k] = e[b,k]/s[b]"
            ),
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
            (
                "{a: [b, k], t: {indices: [b], kind: label, labels: k}} => e[b,k] = exp(a[b,k]);"
                " p[b,k] = e[b,k]/(one[l]*e[b,l]); q[b,k] = log(p[b,k]); y[b] = -delta[k,t[b]]*q[b,k]"
            ),
        ),
        of_rows(LABELS),
        LABELLED,
        terms=1.0,
        digit=1.0,
    ),
    "cross-entropy of sure logits": Form(
        lambda x, t: -exact.log_softmax(x)[t],
        (
            "y[n] = log(one[j]*exp(x[n,j])) - x[n,t[n]]",
            "e[n,i] = exp(x[n,i]); y[n] = -log(e[n,t[n]]/(one[j]*e[n,j]))",
            (
                "{a: [b, k], t: {indices: [b], kind: label, labels: k}} => p[b] = a[b,t[b]];"
                " m[b] = logsumexp[k](a[b,k]); y[b] = 2*m[b] - p[b] - m[b]"
            ),
        ),
        [([7.0 + m, m, -1.0 - m], 0) for m in (0.0, 20.0, 88.0, 200.0, 1e4)],
        LABELLED,
        terms=0.02,
    ),
    "log of what a label leaves": Form(
        lambda x, t: exact.logsumexp([u for k, u in enumerate(x) if k != t]) - exact.logsumexp(x),
        (
            "p[n,i] = softmax[i](x[n,i]); y[n] = log(1 - p[n,t[n]])",
            "e[n,i] = exp(x[n,i]); p[n,i] = e[n,i]/(one[j]*e[n,j]); y[n] = log1p(-p[n,t[n]])",
            (
                "{a: [b, k], t: {indices: [b], kind: label, labels: k}} => p[b,k] = softmax[k](a[b,k]);"
                " q[b] = 1 - p[b,t[b]]; y[b] = log(q[b])"
            ),
        ),
        [([7.0 + m, m, -1.0 - m], 0) for m in (0.0, 20.0, 88.0, 200.0, 1e4)],
        LABELLED,
        terms=1.0,
    ),
    "cross-entropy of sure similarities": Form(
        lambda s: [-exact.log_softmax(row)[k] for k, row in enumerate(s)],
        (
            "y[n,i] = logsumexp[j](x[n,i,j]) - x[n,i,i]",
            "y[n,i] = -log(exp(x[n,i,i])/sum[j](exp(x[n,i,j])))",
            (
                "{a: [b, k, k]} => e[b,k,l] = exp(a[b,k,l]); p[b,k] = e[b,k,k]; s[b,k] = one[l]*e[b,k,l];"
                " y[b,k] = log(s[b,k]/p[b,k])"
            ),
        ),
        [([[7.0 + m, m], [1.0 - m, m]],) for m in (0.0, 20.0, 88.0, 200.0, 1e4)],
        "{x: [n, i, i]}",
        terms=0.02,
    ),
    "cross-entropy with smoothed labels": Form(
        lambda x, t: -mp.fsum((mpf(3) / 4 * (k == t) + mpf(1) / 12) * z for k, z in enumerate(exact.log_softmax(x))),
        (
            "p[n,i] = softmax[i](x[n,i]); y[n] = -(3/4*delta[i,t[n]] + 1/12)*log(p[n,i])",
            "l[n,i] = x[n,i] - log(one[j]*exp(x[n,j])); y[n] = -3/4*l[n,t[n]] - 1/12*one[i]*l[n,i]",
            (
                "{a: [b, k], t: {indices: [b], kind: label, labels: k}} => e[b,k] = exp(a[b,k]);"
                " p[b,k] = e[b,k]/(one[l]*e[b,l]); q[b,k] = 3/4*delta[k,t[b]] + one[b]*one[k]/12;"
                " y[b] = -q[b,k]*log(p[b,k])"
            ),
        ),
        of_rows(LABELS),
        LABELLED,
        terms=1.0,
        digit=1.0,
    ),
    "entropy": Form(
        lambda x: -mp.fsum(mp.exp(z) * z for z in exact.log_softmax(x)),
        (
            "p[n,i] = softmax[i](x[n,i]); y[n] = -p[n,i]*log(p[n,i])",
            "l[n,i] = log(exp(x[n,i])/(one[j]*exp(x[n,j]))); y[n] = -exp(l[n,i])*l[n,i]",
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
            (
                "{a: [b, k], c: [b, k]} => p[b,k] = exp(a[b,k])/(one[l]*exp(a[b,l]));"
                " q[b,k] = exp(c[b,k])/(one[l]*exp(c[b,l])); d[b] = one[k]*p[b,k]*(log(p[b,k]) - log(q[b,k]))"
            ),
        ),
        of_rows(shifted(ROWS)),
        OF_TWO,
        terms=1.0,
    ),
    "Jensen-Shannon divergence": Form(
        exact.jsd,
        (
            (
                "p[n,i] = softmax[i](x[n,i]); q[n,i] = softmax[i](y[n,i]); m[n,i] = (p[n,i] + q[n,i])/2;"
                " d[n] = p[n,i]*log(p[n,i]/m[n,i])/2 + q[n,i]*log(q[n,i]/m[n,i])/2"
            ),
            (
                "p[n,i] = softmax[i](x[n,i]); q[n,i] = softmax[i](y[n,i]);"
                " d[n] = sum[i](p[n,i]*log(2*p[n,i]/(p[n,i] + q[n,i])) + q[n,i]*log(2*q[n,i]/(q[n,i] + p[n,i])))/2"
            ),
            (
                "{a: [b, k], c: [b, k]} => p[b,k] = exp(a[b,k])/(one[l]*exp(a[b,l]));"
                " q[b,k] = exp(c[b,k])/(one[l]*exp(c[b,l])); m[b,k] = p[b,k]/2 + q[b,k]/2;"
                " d[b] = 1/2*one[k]*p[b,k]*(log(p[b,k]) - log(m[b,k])) + 1/2*one[k]*q[b,k]*(log(q[b,k]) - log(m[b,k]))"
            ),
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
    "row over its norm": Form(
        lambda x: [z / exact.norm(x) for z in x],
        NORMALISED,
        [([1.0, -20.0, 20.0],), ([88.0, -88.0, 200.0],), ([1e-6, 1e-4, 0.0],), ([0.0, 0.0, -1e4],), ([1e4, 1e4, 9.0],)],
        OF_X,
    ),
    "number over its norm": Form(
        lambda x: [mp.sign(x[0])],
        NORMALISED,
        [([z],) for z in (1e-6, -1e-4, 0.3, 1.0, -3.0, 20.0, 88.0, -200.0, 1e4)],
        OF_X,
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
