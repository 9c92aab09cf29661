"""Language, section 8: positions as subscripts, and the ranges of the indices in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tensorgrad_gen import load_op
from tests.elaborating import build, codes, spec, value

RNG = np.random.default_rng(11)
N = 9
X, Z = RNG.normal(size=N), RNG.normal(size=N)
IMAGES, KERNEL = RNG.normal(size=(2, 3, N)), RNG.normal(size=(4, 3, 3))
DILATED = "params: {s: {default: 2, kind: int}, d: {default: 3, kind: int}}"
SIZES = "sizes: {N: n}"
PADDED = np.pad(IMAGES, ((0, 0), (0, 0), (1, 1)))


def convolved(images: Any, stride: int = 1, dilation: int = 1) -> Any:
    count = (images.shape[2] - 2 * dilation - 1) // stride + 1
    parts = [images[:, :, k * dilation :][:, :, : stride * count : stride] for k in range(3)]
    return np.einsum("kbci,ock->boi", np.stack(parts), KERNEL)


CONVOLUTION = {"x": "[b, c, n]", "w": "[o, c, k]"}
CASES: dict[str, tuple[str, dict[str, str], str, dict[str, Any], Any]] = {
    "convolution": ("y[b,o,i] = x[b,c,i+k]*w[o,c,k]", CONVOLUTION, "", {"x": IMAGES, "w": KERNEL}, convolved(IMAGES)),
    "stride": ("y[b,o,i] = x[b,c,2*i+k]*w[o,c,k]", CONVOLUTION, "", {"x": IMAGES, "w": KERNEL}, convolved(IMAGES, 2)),
    "params as coefficients": (
        "y[b,o,i] = x[b,c,s*i + d*k]*w[o,c,k]",
        CONVOLUTION,
        DILATED,
        {"x": IMAGES, "w": KERNEL},
        convolved(IMAGES, 2, 3),
    ),
    "padding": (
        "y[b,o,n] = x[b,c,pad(n+k-1)]*w[o,c,k]",
        CONVOLUTION,
        "",
        {"x": IMAGES, "w": KERNEL},
        convolved(PADDED),
    ),
    "difference": ("y[i] = x[i+1] - x[i]", {"x": "[n]"}, "", {"x": X}, np.diff(X)),
    "two differences": ("u[i] = x[i+1] - x[i]\ny[i] = u[i+1] - u[i]", {"x": "[n]"}, "", {"x": X}, np.diff(X, 2)),
    "reversal": ("y[i] = x[N-1-i]", {"x": "[n]"}, SIZES, {"x": X}, X[::-1]),
    "reversal of a declared letter": ("y[n] = x[N-1-n]", {"x": "[n]"}, SIZES, {"x": X}, X[::-1]),
    "upsampling": ("y[i] = x[i//2]", {"x": "[n]"}, "", {"x": X}, np.repeat(X, 2)),
    "upsampling by three": ("y[i] = x[(i+1)//3]", {"x": "[n]"}, "", {"x": X}, np.repeat(X, 3)[1:]),
    "a masked read": ("y[n] = where(n > 0, x[n-1], 0)", {"x": "[n]"}, "", {"x": X}, np.r_[0, X[:-1]]),
    "clamp": ("y[n] = x[clamp(n-1)]", {"x": "[n]"}, "", {"x": X}, np.concatenate([X[:1], X[:-1]])),
    "mod": ("y[n] = x[mod(n-2)]", {"x": "[n]"}, "", {"x": X}, np.roll(X, 2)),
    "pad of a quotient": ("y[n] = x[pad((n-1)//2)]", {"x": "[n]"}, "", {"x": X}, np.r_[0, np.repeat(X, 2)[: N - 1]]),
    "first and last": ("y = x[0]*x[N-1] - x[2]", {"x": "[n]"}, SIZES, {"x": X}, X[0] * X[-1] - X[2]),
    "a constant subscript beside a sum": ("y = x[n]*x[n]*x[0]", {"x": "[n]"}, "", {"x": X}, X @ X * X[0]),
    "a window summed over": ("y = x[2*i]*one[i]", {"x": "[n]"}, "", {"x": X}, X[::2].sum()),
    "one access with an index twice": ("y = m[i,i+1]", {"m": "[n, n]"}, "", {"m": np.outer(X, Z)}, X[:-1] @ Z[1:]),
    "a range that is set": ("y[i] = x[i+1]", {"x": "[n]"}, "sizes: {M: {index: i, extent: 4}}", {"x": X}, X[1:5]),
    "a range given by another tensor": (
        "y[i] = x[i+1]*z[i]",
        {"x": "[n]", "z": "[m]"},
        "",
        {"x": X, "z": Z[1:]},
        X[1:] * Z[1:],
    ),
    "max pooling": (
        "y[i] = max[k](x[2*i+k])",
        {"x": "[n]"},
        "sizes: {K: {index: k, extent: 3}}",
        {"x": X},
        np.array([X[i : i + 3].max() for i in range(0, N - 2, 2)]),
    ),
    "a delta of a position": (
        "y[p] = delta[p,2*n+1]*x[n]",
        {"x": "[n]"},
        "sizes: {P: {index: p, extent: 2*size(n)}}",
        {"x": X},
        np.stack([0 * X, X], 1).ravel(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_window_reads_where_it_says(name: str) -> None:
    equations, inputs, extra, arrays, expected = CASES[name]
    np.testing.assert_allclose(value(spec(equations, inputs, extra), arrays), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("equation", "code"),
    [
        ("y[n] = x[n+1]", "E402"),
        ("y[n] = x[n-1]", "E402"),
        ("y[i] = x[i-1]", "E402"),
        ("y[i] = x[N+i]", "E402"),
        ("y = x[-1]", "E404"),
        ("y[i] = x[i/2]", "E207"),
        ("y[i] = x[i*i]", "E207"),
        ("y[i] = x[2.5*i]", "E207"),
        ("y[i] = x[a*i]", "E207"),
        ("y[i] = x[i+r]", "E207"),
        ("y[n] = x[pad(n+1)+1]", "E207"),
        ("y[i] = one[i+1]*x[i]", "E207"),
    ],
)
def test_a_bad_position_is_an_error(equation: str, code: str) -> None:
    inputs = {"x": "[n]", "a": "[]"}
    assert codes(spec(equation, inputs, "params: {r: 2}\nsizes: {N: n}")) == [code]


def test_two_unknown_ranges_in_one_position_are_an_error() -> None:
    assert codes(spec("y[i,k] = x[i+k]", {"x": "[n]"})) == ["E401", "E401"]


def test_ranges_that_cannot_be_compared_are_an_error() -> None:
    assert codes(spec("y[i] = x[2*i]*z[3*i]", {"x": "[n]", "z": "[m]"})) == ["E901"]


def test_a_range_that_is_a_whole_axis_is_that_axis() -> None:
    program, _ = build(spec("y[i] = x[N-1-i]", {"x": "[n]"}, SIZES))
    assert program.size_defs == ()
    assert program.statement("y").indices[0].extent == "n"


@pytest.mark.parametrize(
    ("right", "wanted"),
    [
        ("x[mod(n + 1)]", lambda x: x.roll(-1)),
        ("x[clamp(n + 1)]", lambda x: torch.cat((x[1:], x[-1:]))),
        ("[mod(n, 2) == 1]*x[n]", lambda x: x * (torch.arange(len(x)) % 2)),
    ],
)
def test_positions_beyond_what_float32_counts(right: str, wanted: Callable[[torch.Tensor], torch.Tensor]) -> None:
    op = load_op(f"op: far\ninputs: {{x: [n]}}\nequations: |\n  y[n] = {right}\n")
    x = (torch.arange(2**24 + 8) % 97).float()
    assert torch.equal(op(x), wanted(x))
