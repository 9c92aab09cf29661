"""The conventions at the edges: of each row of the table in docs/language.md, several spellings and what they give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

INF, NAN = float("inf"), float("nan")
ONE = "x: [i]"
TWO = "x: [i], z: [i]"


@dataclass(frozen=True)
class Case:
    """Equations at one point: the value, the gradient of its sum, the gradient of the sum of that.

    `first` and `second` have a list for each input; `torch` is the function whose value and gradient
    they agree with.
    """

    equations: str
    at: tuple[Any, ...]
    value: Any
    first: tuple[Any, ...]
    second: tuple[Any, ...] | None = None
    torch: Callable[..., Tensor] | None = None
    inputs: str = ONE
    params: str = ""
    given: dict[str, Any] = field(default_factory=dict)


def each(spellings: list[str], *case: Any, **more: Any) -> list[Case]:
    """The same at the same point, however it is spelled."""
    return [Case(text, *case, **more) for text in spellings]


def variance(correction: int) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.var(x, correction=correction)


def powers() -> list[Case]:
    """`x^n` at 0 and -2, the exponent a literal, an int param, a real param."""
    table = {
        0: ([1.0, 1.0], [0.0, 0.0], [0.0, 0.0]),
        1: ([0.0, -2.0], [1.0, 1.0], [0.0, 0.0]),
        2: ([0.0, 4.0], [0.0, -4.0], [2.0, 2.0]),
        3: ([0.0, -8.0], [0.0, 12.0], [0.0, -12.0]),
    }
    found = []
    for n, (value, first, second) in table.items():
        expected = ((([0.0, -2.0],), value, (first,), (second,)), {"torch": lambda x, n=n: torch.pow(x, n)})
        kinds = [
            ("", {}),
            ("params: {n: {default: null, kind: int}}", {"n": n}),
            ("params: {n: null}", {"n": float(n)}),
        ]
        for (params, given), spelled in zip(kinds, (str(n), "n", "n"), strict=True):
            texts = [f"y[i] = x[i]^{spelled}", f"y[i] = pow(x[i], {spelled})"]
            found += each(texts, *expected[0], **expected[1], params=params, given=given)
    for n, by_base in ((0.0, 0.0), (1.0, 1.0), (2.0, 0.0)):  # the exponent's derivative is masked at x = 0
        texts = ["y[i] = x[i]^z[i]", "y[i] = pow(x[i], z[i])", "e[i] = z[i]; y[i] = x[i]**e[i]"]
        found += each(texts, ([0.0], [n]), [float(n == 0)], ([by_base], [0.0]), torch=torch.pow, inputs=TWO)
    return found


def norms() -> list[Case]:
    """Of two zeros, of every order; of one zero where the order has a slope there that is infinite."""
    two = [
        "norm[i](x[i])",
        "sqrt(x[i]*x[i])",
        "(one[i]*x[i]^2)^(1/2)",
        "sqrt(sum[i](x[i]^2))",
        "hypot(x[0], x[1])",
        "sqrt(x[0]^2 + x[1]^2)",
    ]
    found = each([f"y = {text}" for text in two], ([0.0, 0.0],), 0.0, ([0.0, 0.0],), ([0.0, 0.0],))
    for p in (1, 3, 1.5, 0.5, "inf", "p"):
        order = 0.5 if p == "p" else float(p)
        found.append(
            Case(
                f"y = norm[i](x[i], {p})",
                ([0.0, 0.0],),
                0.0,
                ([0.0, 0.0],),
                ([0.0, 0.0],),
                torch=lambda x, order=order: torch.linalg.vector_norm(x, order),
                params="params: {p: 0.5}" if p == "p" else "",
            )
        )
        if order < 2:
            found.append(Case(f"y = norm[i](x[i], {p})", ([0.0, 2.0],), 2.0, ([0.0, 1.0],), params=found[-1].params))
    found += each(["y = std[i](x[i])", "y = sqrt(var[i](x[i]))"], ([1.0, 1.0],), 0.0, ([0.0, 0.0],), ([0.0, 0.0],))
    return found


def products() -> list[Case]:
    """First and second derivatives are the products of the other factors."""
    zeros = {
        (2.0, 0.0, 3.0): ([0.0, 6.0, 0.0], [3.0, 5.0, 2.0]),
        (0.0, 0.0, 3.0): ([0.0, 0.0, 0.0], [3.0, 3.0, 0.0]),
        (0.0, 0.0, 0.0): ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    }
    spelled = ["y = prod[i](x[i])", "y = x[0]*x[1]*x[2]", "c[i] = cumprod[i](x[i]); y = c[2]"]
    found = []
    for at, (first, second) in zeros.items():
        found += each(spelled, (list(at),), 0.0, (first,), (second,), torch=torch.prod)
    return found


NAN_IN = [
    *("relu(x[i])", "max(x[i], 0)", "min(0, x[i])", "clamp(x[i], -1, 1)", "abs(x[i])", "sqrt(x[i])", "x[i]^2"),
    *("where(x[i] <= 1, x[i], x[i]^2)", "leaky_relu(x[i])", "elu(x[i])", "floor(x[i])", "hypot(x[i], 0)"),
    *("xlogy(0, x[i])", "softmax[i](x[i])", "max[j](x[j])*one[i]", "min[j](x[j])*one[i]", "norm[j](x[j])*one[i]"),
    *("prod[j](x[j])*one[i]", "logsumexp[j](x[j])*one[i]", "norm[j](x[j], 3)*one[i]", "cumsum[i](x[i])"),
]
SOFTMAX = ["y[i] = softmax[i](x[i])", "y[i] = exp(x[i])/(one[j]*exp(x[j]))", "y[i] = exp(log_softmax[i](x[i]))"]
MASKED = "x: [i], m: {indices: [i], kind: bool}"
NONE, SOME = torch.tensor([False, False]), torch.tensor([True, False])
LOG_OF_NOTHING = [
    "y = logsumexp[i](where(m[i], x[i], -inf))",
    "z[i] = where(m[i], x[i], -inf); y = logsumexp[i](z[i])",
    "z[i] = where(not m[i], -inf, x[i]); y = log(one[i]*exp(z[i]))",
]
LABELS = "x: [b, v], t: {indices: [b], kind: label, labels: v}"
MASKED_LABELS = [
    "y[b] = where(t[b] != -100, log_softmax[v](x[b,v])*delta[v,t[b]], 0)",
    "y[b] = [t[b] != -100]*log_softmax[v](x[b,v])*delta[v,t[b]]",
    "s[b,v] = log_softmax[v](x[b,v]); y[b] = where(t[b] != -100, s[b,t[b]], 0)",
    "s[b,v] = log_softmax[v](x[b,v]); y[b] = [t[b] != -100]*s[b,t[b]]",
    "y[b] = [t[b] != -100]*(x[b,t[b]] - logsumexp[v](x[b,v]))",
]


def of_labels() -> list[Case]:
    """The row whose label is -100 counts for nothing; the other is a log-softmax, as in PyTorch."""
    labels, x = torch.tensor([-100, 1]), [[1.0, 2.0], [3.0, 4.0]]
    low, high = torch.softmax(torch.tensor(x[1], dtype=torch.float64), -1).tolist()
    value, first = [0.0, math.log(high)], [[0.0, 0.0], [-low, low]]
    second = [[0.0, 0.0], [0.0, 0.0]]
    found = each(MASKED_LABELS, (x, labels), value, (first,), (second,), torch=likelihood, inputs=LABELS)
    hidden, first = [[INF, NAN], [3.0, 4.0]], [[0.0, 0.0], [0.0, 1.0]]
    plain = ["y[b] = where(t[b] != -100, x[b,t[b]], 0)", "y[b] = [t[b] >= 0]*x[b,v]*delta[v,t[b]]"]
    return found + each(plain, (hidden, labels), [0.0, 4.0], (first,), inputs=LABELS)


def likelihood(x: Tensor, t: Tensor) -> Tensor:
    return -torch.nn.functional.cross_entropy(x, t, reduction="none")


def at_zero(value: Any, first: Any) -> tuple[Any, ...]:
    return ([0.0],), [value], ([first],)


CASES: dict[str, list[Case]] = {
    "relu at 0": each(
        ["y[i] = relu(x[i])", "y[i] = where(x[i] > 0, x[i], 0)", "y[i] = [x[i] > 0]*x[i]"],
        ([0.0, -1.0, 2.0],),
        [0.0, 0.0, 2.0],
        ([0.0, 0.0, 1.0],),
        ([0.0, 0.0, 0.0],),
        torch=torch.relu,
    ),
    "abs, sign at 0": [
        *each(
            ["y[i] = abs(x[i])", "y[i] = max(x[i], -x[i])", "y[i] = x[i]*sign(x[i])"],
            ([0.0, -2.0],),
            [0.0, 2.0],
            ([0.0, -1.0],),
            ([0.0, 0.0],),
            torch=torch.abs,
        ),
        *each(["y[i] = sign(x[i])"], ([0.0, -2.0],), [0.0, -1.0], ([0.0, 0.0],), torch=torch.sign),
        *each(
            ["y[i] = x[i]/abs(x[i])", "a[i] = abs(x[i]); y[i] = x[i]/a[i]"], ([0.0, -2.0],), [0.0, -1.0], ([0.0, 0.0],)
        ),
    ],
    "floor, ceil, round, comparisons": [
        *each(["y[i] = floor(x[i])"], ([1.0, -0.5],), [1.0, -1.0], ([0.0, 0.0],), torch=torch.floor),
        *each(["y[i] = ceil(x[i])"], ([1.0, -0.5],), [1.0, 0.0], ([0.0, 0.0],), torch=torch.ceil),
        *each(["y[i] = round(x[i])"], ([1.5, 2.5],), [2.0, 2.0], ([0.0, 0.0],), torch=torch.round),
        *each(["y[i] = [x[i] > 0]", "y[i] = where(x[i] <= 0, 0, 1)"], ([0.0, 1.0],), [0.0, 1.0], ([0.0, 0.0],)),
        *each(["y[i] = floor(x[i])*x[i]"], ([1.0, -0.5],), [1.0, 0.5], ([1.0, -1.0],), ([0.0, 0.0],)),
    ],
    "clamp at an edge": each(
        ["y[i] = clamp(x[i], -1, 1)", "y[i] = where(x[i] < -1, -1, where(x[i] > 1, 1, x[i]))"],
        ([-1.0, 1.0, 2.0],),
        [-1.0, 1.0, 1.0],
        ([1.0, 1.0, 0.0],),
        ([0.0, 0.0, 0.0],),
        torch=lambda x: torch.clamp(x, -1, 1),
    ),
    "max, min over an index, ties": [
        *each(
            ["y = max[i](x[i])", "y = -min[i](-x[i])"], ([1.0, 1.0, 0.0],), 1.0, ([0.5, 0.5, 0.0],), torch=torch.amax
        ),
        *each(["y = min[i](x[i])"], ([1.0, 1.0, 2.0],), 1.0, ([0.5, 0.5, 0.0],), torch=torch.amin),
        *each(["y = norm[i](x[i], inf)"], ([1.0, -1.0, 0.0],), 1.0, ([0.5, -0.5, 0.0],), ([0.0, 0.0, 0.0],)),
    ],
    "max(a, b), min(a, b), ties": [
        *each(["y[i] = max(x[i], z[i])"], ([1.0], [1.0]), [1.0], ([0.5], [0.5]), torch=torch.maximum, inputs=TWO),
        *each(
            ["y[i] = min(x[i], z[i])", "y[i] = -max(-x[i], -z[i])"],
            ([1.0], [1.0]),
            [1.0],
            ([0.5], [0.5]),
            torch=torch.minimum,
            inputs=TWO,
        ),
        *each(["y[i] = max(x[i], 0)", "y[i] = max(0, x[i])"], *at_zero(0.0, 0.5)),
    ],
    "sqrt at 0": [
        *each(
            ["y[i] = sqrt(x[i])", "y[i] = x[i]^(1/2)", "y[i] = pow(x[i], 0.5)"], *at_zero(0.0, INF), torch=torch.sqrt
        ),
        Case("y[i] = x[i]^p", *at_zero(0.0, INF), params="params: {p: 0.5}"),
        *each(["y[i] = rsqrt(x[i])", "y[i] = 1/sqrt(x[i])"], *at_zero(INF, -INF), torch=torch.rsqrt),
    ],
    "norm at 0": norms(),
    "log at 0": [
        *each(["y[i] = log(x[i])"], *at_zero(-INF, INF), ([-INF],), torch=torch.log),
        *each(["y[i] = log(x[i])/log(2)", "y[i] = log2(x[i])"], *at_zero(-INF, INF), torch=torch.log2),
        Case("y[i] = xlogy(x[i], z[i])", ([0.0], [0.0]), [0.0], ([0.0], [0.0]), ([0.0], [0.0]), inputs=TWO),
        *each(["y[i] = x[i]*log(x[i])", "y[i] = xlogy(x[i], x[i])"], *at_zero(0.0, 0.0), ([0.0],)),
    ],
    "x^n, n integer": powers(),
    "prod with zeros": products(),
    "empty sum, empty product, empty logsumexp": [
        *each(["y = one[i]*x[i]", "y = sum[i](x[i])"], ([],), 0.0, ([],), torch=torch.sum),
        *each(["y = prod[i](x[i])"], ([],), 1.0, ([],), ([],), torch=torch.prod),
        *each(["y = logsumexp[i](x[i])", "y = log(one[i]*exp(x[i]))"], ([],), -INF, ([],), ([],)),
    ],
    "NaN in": [Case(f"y[i] = {text}", ([NAN],), [NAN], ()) for text in NAN_IN],
    "-inf row of a softmax": [
        *each(SOFTMAX, ([-INF, -INF],), [NAN, NAN], ([NAN, NAN],), torch=lambda x: torch.softmax(x, -1)),
        *each(SOFTMAX, ([-INF, 1.0],), [0.0, 1.0], ([0.0, 0.0],), ([0.0, 0.0],), torch=lambda x: torch.softmax(x, -1)),
        *each(LOG_OF_NOTHING, ([1.0, 2.0], NONE), -INF, ([0.0, 0.0],), ([0.0, 0.0],), inputs=MASKED),
        *each(LOG_OF_NOTHING, ([1.0, 2.0], SOME), 1.0, ([1.0, 0.0],), ([0.0, 0.0],), inputs=MASKED),
    ],
    "a label masked by a condition": of_labels(),
    "x^(1/3) of a negative": [
        *each(["y[i] = x[i]^(1/3)", "y[i] = pow(x[i], 1/3)"], ([-8.0],), [NAN], ([NAN],), torch=lambda x: x ** (1 / 3)),
        Case("y[i] = x[i]^p", ([-8.0],), [NAN], ([NAN],), params="params: {p: 0.25}", torch=lambda x: x**0.25),
    ],
    "var, std": [
        *each(
            ["y = var[i](x[i])", "y = mean[i]((x[i] - mean[i](x[i]))^2)", "y = var[i](x[i], 0)"],
            ([1.0, 2.0, 6.0],),
            14 / 3,
            ([-4 / 3, -2 / 3, 2.0],),
            ([0.0, 0.0, 0.0],),
            torch=variance(0),
        ),
        *each(["y = var[i](x[i], 1)"], ([1.0, 2.0, 6.0],), 7.0, ([-2.0, -1.0, 3.0],), torch=torch.var),
        *each(["y = std[i](x[i])^2"], ([1.0, 2.0, 6.0],), 14 / 3, ([-4 / 3, -2 / 3, 2.0],), torch=variance(0)),
    ],
}
