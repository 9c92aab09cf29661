"""Ratios of sums of exponentials with more below than above: a mean of a row beside a sink, named in every way."""

from __future__ import annotations

from typing import Any

from mpmath import mp, mpf

from tests import stable_truth as exact
from tests.stable_cases import Form
from tests.stable_row_cases import LABELS, MASKS, ROWS

VALUES = [[0.5, -1.25, 2.0], [1.0, 0.25, -0.75], [-2.0, 1.5, 0.5]] * 3
SINKS = [0.5, 19.0, 200.0, 1e4, 9999.5, -1e4, -200.25, 0.0, 88.0]
SOME = [*MASKS[:-1], [False, True, True]]
BESIDE = list(zip(ROWS, VALUES, SINKS))
OF_SINK = "{x: [n, i], v: [n, i], s: [n]}"
MASKED = "{x: [n, i], v: [n, i], s: [n], m: {indices: [n, i], kind: bool}}"


def beside(x: list[Any], v: list[Any], sink: Any) -> Any:
    return mp.fdot(exact.softmax([*x, sink])[:-1], v)


def masked(x: list[Any], v: list[Any], sink: Any, mask: list[bool]) -> Any:
    return mp.fdot(exact.masked_softmax([*x, sink], [*mask, True])[:-1], v)


def at_label(x: list[Any], sink: Any, label: int) -> Any:
    return exact.softmax([*x, sink])[label]


def base_two(x: list[Any], v: list[Any], sink: Any) -> Any:
    with_logs = [mp.log(2) * z for z in (*x, sink)]
    return mp.fdot(exact.softmax(with_logs)[:-1], v)


RATIO_FORMS = {
    "mean beside a sink": Form(
        beside,
        (
            "y[n] = exp(x[n,i])*v[n,i]/(exp(s[n]) + one[j]*exp(x[n,j]))",
            "p[n,i] = exp(x[n,i])/(exp(s[n]) + one[j]*exp(x[n,j])); y[n] = p[n,i]*v[n,i]",
            "t[n] = exp(x[n,i])*v[n,i]; d[n] = exp(s[n]) + one[i]*exp(x[n,i]); y[n] = t[n]/d[n]",
            "e[n,i] = exp(x[n,i]); d[n] = exp(s[n]) + one[i]*e[n,i]; y[n] = e[n,i]*v[n,i]/d[n]",
            "e[n,i] = exp(x[n,i]); y[n] = e[n,i]*v[n,i]/(exp(s[n]) + one[j]*e[n,j])",
            "d[n] = exp(s[n]) + one[i]*exp(x[n,i]); r[n] = 1/d[n]; t[n] = exp(x[n,i])*v[n,i]; y[n] = r[n]*t[n]",
            "a[n] = exp(s[n]); z[n] = one[i]*exp(x[n,i]); t[n] = exp(x[n,i])*v[n,i]; y[n] = t[n]/(z[n] + a[n])",
            "z[n] = one[i]*exp(x[n,i]); d[n] = z[n] + exp(s[n]); t[n] = exp(x[n,i])*v[n,i]; y[n] = 3*t[n]/(3*d[n])",
            (
                "m[n] = max[i](x[n,i]); a[n] = max(s[n], m[n]); e[n,i] = exp(x[n,i] - a[n]);"
                " d[n] = exp(s[n] - a[n]) + one[i]*e[n,i]; y[n] = e[n,i]*v[n,i]/d[n]"
            ),
        ),
        BESIDE,
        OF_SINK,
        terms=1.0,
        digit=8.0,
    ),
    "mean beside a sink, masked": Form(
        masked,
        (
            "y[n] = [m[n,i]]*exp(x[n,i])*v[n,i]/(exp(s[n]) + one[j]*[m[n,j]]*exp(x[n,j]))",
            "t[n] = [m[n,i]]*exp(x[n,i])*v[n,i]; d[n] = exp(s[n]) + one[i]*[m[n,i]]*exp(x[n,i]); y[n] = t[n]/d[n]",
            "e[n,i] = where(m[n,i], exp(x[n,i]), 0); d[n] = exp(s[n]) + one[i]*e[n,i]; y[n] = e[n,i]*v[n,i]/d[n]",
        ),
        list(zip(ROWS, VALUES, SINKS, SOME)),
        MASKED,
        terms=1.0,
        digit=8.0,
    ),
    "mean beside a one, masked": Form(
        lambda x, v, mask: masked(x, v, mpf(0), mask),
        (
            "y[n] = [m[n,i]]*exp(x[n,i])*v[n,i]/(1 + one[j]*[m[n,j]]*exp(x[n,j]))",
            "t[n] = [m[n,i]]*exp(x[n,i])*v[n,i]; d[n] = 1 + one[i]*[m[n,i]]*exp(x[n,i]); y[n] = t[n]/d[n]",
        ),
        list(zip(ROWS, VALUES, SOME)),
        "{x: [n, i], v: [n, i], m: {indices: [n, i], kind: bool}}",
        terms=1.0,
        digit=8.0,
    ),
    "mean beside a number": Form(
        lambda x, v: beside(x, v, mp.log(mpf(1) / 4)),
        (
            "y[n] = exp(x[n,i])*v[n,i]/(1/4 + one[j]*exp(x[n,j]))",
            "t[n] = exp(x[n,i])*v[n,i]; d[n] = one[i]*exp(x[n,i]) + 0.25; y[n] = t[n]/d[n]",
        ),
        list(zip(ROWS, VALUES)),
        "{x: [n, i], v: [n, i]}",
        terms=1.0,
        digit=8.0,
    ),
    "mean beside a sink, of powers of two": Form(
        base_two,
        (
            "y[n] = 2^x[n,i]*v[n,i]/(2^s[n] + one[j]*2^x[n,j])",
            "t[n] = 2^x[n,i]*v[n,i]; d[n] = 2^s[n] + one[i]*2^x[n,i]; y[n] = t[n]/d[n]",
        ),
        BESIDE,
        OF_SINK,
        terms=1.0,
        digit=8.0,
    ),
    "share beside a sink, at a label": Form(
        at_label,
        (
            "y[n] = exp(x[n,t[n]])/(exp(s[n]) + one[j]*exp(x[n,j]))",
            "e[n,i] = exp(x[n,i]); d[n] = exp(s[n]) + one[i]*e[n,i]; y[n] = e[n,t[n]]/d[n]",
        ),
        list(zip(ROWS, SINKS, LABELS)),
        "{x: [n, i], s: [n], t: {indices: [n], kind: label, labels: i}}",
        terms=1.0,
        digit=8.0,
    ),
    "log of a share beside a sink": Form(
        lambda x, sink, label: mp.log(at_label(x, sink, label)),
        (
            "y[n] = log(exp(x[n,t[n]])/(exp(s[n]) + one[j]*exp(x[n,j])))",
            "d[n] = exp(s[n]) + one[j]*exp(x[n,j]); y[n] = x[n,t[n]] - log(d[n])",
            "e[n,i] = exp(x[n,i]); d[n] = exp(s[n]) + one[i]*e[n,i]; p[n,i] = e[n,i]/d[n]; y[n] = log(p[n,t[n]])",
        ),
        list(zip(ROWS, SINKS, LABELS)),
        "{x: [n, i], s: [n], t: {indices: [n], kind: label, labels: i}}",
        terms=1.0,
        digit=8.0,
    ),
}
