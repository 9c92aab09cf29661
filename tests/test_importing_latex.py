r"""LaTeX in index notation: what it means, what is refused, and that what `explain` prints reads back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import Function, agree, builds_or_is_refused, refusal
from torch.nn import functional as F

from tensorgrad_gen import SpecError
from tensorgrad_gen.importing import import_formula
from tensorgrad_gen.ir import Program
from tensorgrad_gen.notation import print_program
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.reference import evaluate, sample_inputs

ROOT = Path(__file__).resolve().parents[1]
Array = np.ndarray[Any, Any]
einsum = torch.einsum

# formula, the function of torch, the shapes of its inputs in order of appearance
MEANINGS: list[tuple[str, Function, list[tuple[int, ...]]]] = [
    (r"y_{ij} = x_{ik} a_{kj}", lambda x, a: x @ a, [(2, 3), (3, 4)]),
    (r"y_{i,j} = x_{i,k} \, a_{k,j}", lambda x, a: x @ a, [(2, 3), (3, 4)]),
    (r"\[ y_{ij} &= \sum_{k} x_{ik} \cdot a_{kj}, \]", lambda x, a: x @ a, [(2, 3), (3, 4)]),
    (r"s = x_i x_i", lambda x: x @ x, [(3,)]),
    (r"y_i = x_{i}^{2} + 2x_i - 1/2", lambda x: x**2 + 2 * x - 0.5, [(3,)]),
    (r"y_i = x^3_i", lambda x: x**3, [(3,)]),
    (r"y_i = -\frac{x_i}{a_i b_i}", lambda x, a, b: -x / (a * b), [(3,), (3,), (3,)]),
    (r"y_i = \frac12 x_i^2z_i", lambda x, y: x**2 * y / 2, [(3,), (3,)]),
    (r"y_i = \sqrt{x_i} + \sqrt[3]{x_i}", lambda x: x**0.5 + x ** (1 / 3), [(3,)]),
    (r"y_i = e^{-x_i^2} \ln x_i", lambda x: torch.exp(-(x**2)) * torch.log(x), [(3,)]),
    (r"y_i = e \pi x_i", lambda x: np.e * np.pi * x, [(3,)]),
    (r"y_i = \sin^2 x_i + \cos(x_i)^2 \tanh\theta", lambda x, t: x.sin() ** 2 + x.cos() ** 2 * t.tanh(), [(3,), ()]),
    (r"h_j = \sigma\left(w_{ji} x_i + b_j\right)", lambda w, x, b: torch.sigmoid(w @ x + b), [(2, 3), (3,), (2,)]),
    (r"h_j = \operatorname{relu}(w_{ji} x_i)", lambda w, x: F.relu(w @ x), [(2, 3), (3,)]),
    (r"p_{ij} = \mathrm{softmax}_j(x_{ij})", lambda x: x.softmax(1), [(2, 3)]),
    (r"p_i = \frac{\exp x_i}{\sum_j \exp x_j}", lambda x: x.softmax(0), [(3,)]),
    (r"y_i = \log \sum_j e^{x_{ij}}", lambda x: x.logsumexp(1), [(2, 3)]),
    (r"m = \frac{1}{N} \sum_{n=1}^{N} x_n", lambda x: x.mean(), [(4,)]),
    (r"m = 1/N \sum_{n=0}^{N-1} |x_n - c|", lambda x, c: (x - c).abs().mean(), [(4,), ()]),
    (r"y = \prod_{i} x_i", lambda x: x.prod(), [(3,)]),
    (r"y_i = \max_j x_{ij} - \max(a_i, 0)", lambda x, a: x.amax(1) - a.clamp(min=0), [(2, 3), (2,)]),
    (r"c_i = \epsilon_{ijk} a_j b_k", torch.linalg.cross, [(3,), (3,)]),
    (r"y_{ij} = \delta_{ij} v_i + x_{ij}", lambda v, x: torch.diag(v) + x, [(3,), (3, 3)]),
    (r"f = \|a_{ij} x_j - b_i\|^2", lambda a, x, b: ((a @ x - b) ** 2).sum(), [(2, 3), (3,), (2,)]),
    (r"f = \| x_i \|_1 + \lambda \|x_i\|_2", lambda x, c: x.abs().sum() + c * x.norm(), [(3,), ()]),
    (
        r"y_{ik} = {w_1}_{ij} {w_{2}}_{jk} \hat{\mu}_k \mathbf{b}' \mathrm{scale}",
        lambda w, v, m, b, s: (w @ v) * m * b * s,
        [(2, 3), (3, 4), (4,), (), ()],
    ),
    (r"t = A_{\mu\nu} B^{1}_{\nu\mu}", lambda a, b: einsum("ij,ji", a, b), [(2, 3), (3, 2)]),
    (r"y_{i} = \sum_{j} [j \le i] x_{j}", lambda x: x.cumsum(0), [(4,)]),
    (r"y_i = \begin{cases} x_i^2 & \text{if } x_i > 1 \\ x_i & \text{otherwise} \end{cases}",
     lambda x: torch.where(x > 1, x**2, x), [(4,)]),
    (r"y_{\ldots,o} = x_{\ldots,i} w_{oi}", lambda x, w: x @ w.T, [(2, 5, 3), (4, 3)]),
    (r"y_{boi} = x_{b,c,i+k} w_{ock}", F.conv1d, [(2, 3, 6), (4, 3, 2)]),
    ("\\begin{align}\n h_j &= w_{ji} x_i \\\\\n y_k &= v_{kj}\n \\tanh(h_j) \\end{align}",
     lambda w, x, v: v @ torch.tanh(w @ x), [(2, 3), (3,), (4, 2)]),
    ("r_i = a_{ij} x_j % the residual\nf = r_i r_i", lambda a, x: ((a @ x) ** 2).sum(), [(2, 3), (3,)]),
    (r"q = \frac{x_i A_{ij} x_j}{x_k x_k}", lambda x, a: x @ a @ x / (x @ x), [(3,), (3, 3)]),
    (r"y_i = c \, (x_i + 1) x_i (x_i - c)", lambda c, x: c * (x + 1) * x * (x - c), [(), (3,)]),
    (r"y = a_\lambda b_\lambda \lambda_\mu c_\mu", lambda a, b, d, c: (a @ b) * (d @ c), [(3,), (3,), (2,), (2,)]),
    (r"y = (x_i z_i)^2", lambda x, z: (x @ z) ** 2, [(3,), (3,)]),
]  # fmt: skip


def tensors(shapes: list[tuple[int, ...]]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(shape, generator=generator, dtype=torch.float64) + 0.6 for shape in shapes]


@pytest.mark.parametrize(("formula", "function", "shapes"), MEANINGS, ids=[formula for formula, _, _ in MEANINGS])
def test_the_op_has_the_value_of_the_equations(formula: str, function: Function, shapes: list[tuple[int, ...]]) -> None:
    imported = import_formula("latex", formula)
    assert all("W405" in warning for warning in imported.warnings)
    agree(imported.text, function, tensors(shapes))


@pytest.mark.parametrize(
    ("formula", "function"),
    [
        ("y_i = a_{ii}", torch.diagonal),
        ("y_i = a_{ij} a_{ij}", lambda a: (a**2).sum(1)),
        ("y_{ij} = a_{ij} a_{ij}", torch.square),
    ],
)
def test_a_free_index_is_not_summed_and_the_import_says_so(formula: str, function: Function) -> None:
    imported = import_formula("latex", formula)
    looks_summed = "y_i = a_{ij}" not in formula
    assert [("W403" in warning) for warning in imported.warnings] == [True] * looks_summed
    agree(imported.text, function, tensors([(3, 3)]))


REFUSED = [
    (r"s = x_i", "E203", "i"),
    (r"y = \log x y", "E702", r"\log x"),
    (r"y = \log x / y", "E702", r"\log x"),
    (r"y = a / b c", "E702", "c"),
    (r"y_i = f(x_i)", "E702", "f"),
    (r"y_i = relu(x_i)", "E702", "u"),
    (r"y_i = 1 000 x_i", "E702", "000"),
    (r"y_i = \lambda\left(x_i - 1\right)", "E702", r"\lambda"),
    (r"y_i = x_{ij}^T z_j", "E703", "T"),
    (r"y = x^\top", "E703", r"\top"),
    (r"y_i = x^{i}", "E702", "i"),
    (r"y_i = x^{(1)}_i", "E702", "{(1)}"),
    (r"y_i = i x_i", "E702", "i"),
    (r"y = x_{1,2}", "E702", "1"),
    (r"y_i = x_{2i}", "E702", "2i"),
    (r"y = \sum_{i=2}^{N} x_i", "E703", "i=2}^{N}"),
    (r"y = \sum x_i", "E701", r"\sum"),
    (r"y = \sum_{n=1}^{N} x", "E208", r"\sum_{n=1}^{N} x"),
    (r"y_i = \sin^{-1}(x_i)", "E702", "{-1}"),
    (r"y_i = \sigma(x_i) + \sigma", "E702", r"\sigma"),
    (r"y_i = \operatorname{sofmax}_i(x_i)", "E302", r"\operatorname{sofmax}"),
    (r"y_i = \foo x_i", "E703", r"\foo"),
    (r"y = \partial x", "E703", r"\partial"),
    (r"y = \det(x)", "E703", r"\det"),
    (r"y = (x", "E601", ""),
    (r"y = x)", "E601", ")"),
    (r"y = |x", "E601", "|"),
    (r"y", "E601", ""),
    (r"y = 2 \pi", "E701", r"y = 2 \pi"),
    (r"", "E601", ""),
    (r"y = x = z", "E601", "="),
    (r"x + y = z", "E210", "x + y"),
    (r"y = x_i A_{ij} x_j / (x_i x_i)", "E204", "x_i x_i"),
    (r"y = \exp(a_i b_i) c_i", "E204", r"\exp(a_i b_i)"),
    (r"y_i = x_{ij} z_j + z", "E201", "z"),
    (r"y_i = x_{ij} + x_i", "E201", "x_i"),
    (r"y = \begin{pmatrix} a \end{pmatrix}", "E703", r"\begin{pmatrix}"),
    (r"y = \| x \|", "E701", r"\| x \|"),
    (r"y = é", "E701", "é"),
    (r"y = \mathrm{a b!}", "E311", r"\mathrm{a b!}"),
    ("y_i = x_i\n\n z_i = q_j x_i", "E203", "j"),
    (r"y = " + "(" * 200 + "x" + ")" * 200, "E604", "y"),
    (r"y = x" + " + x" * 9000, "E608", "y"),
]


@pytest.mark.parametrize(("formula", "code", "under"), REFUSED, ids=[formula[:60] for formula, _, _ in REFUSED])
def test_what_can_be_read_in_two_ways_or_none_gets_a_caret_under_it(formula: str, code: str, under: str) -> None:
    found, text, message = refusal("latex", formula)
    assert found == code, message
    assert text == under or not under, message


def test_names_that_the_language_uses_get_a_suffix() -> None:
    text = import_formula("latex", r"y_i = \lambda \delta_i \mathit{norm}_i").text
    assert "y[i] = lambda_*delta_[i]*norm_[i]" in text


# What `explain` prints and an import does not read: matrix functions, searches, complex numbers, positions as numbers,
# conditions that are tensors, coefficients of positions that are params, and what has no index in the formula.
NOT_READ = {
    "inverse", "cholesky", "det", "eigvalsh", "gaussian_process_nll", "inverse_quadratic", "logdet", "logdet_gram",
    "mahalanobis", "matrix_sqrt", "pinv", "ridge", "solve", "sylvester", "trace_inverse", "von_neumann_entropy",
    "complex_linear", "complex_mse", "dft", "expectation", "mod_relu", "power_spectrum", "avg_pool", "conv1d", "conv2d",
    "depthwise_conv", "max_pool", "rope", "upsample", "masked_softmax", "gelu_tanh", "softmax_cross_entropy",
    "broadcast", "count", "linear_ode", "matrix_exp", "nuclear_norm", "spectral_norm", "svdvals", "cholesky_factor",
    "deep_equilibrium", "implicit_euler", "kepler", "lambert_w", "soft_top_k",
}  # fmt: skip


def values(program: Program, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs, constants and extents of a program, each by its name."""
    out = {item.name: inputs[item.name] for item in program.inputs}
    for constant in program.constants:
        shape = [int(index.extent) for index in constant.indices]
        out[constant.name] = np.asarray([float(value) for value in constant.values]).reshape(shape)
    extents: dict[str | int, int] = {}
    for item in program.inputs:
        axes = reversed(list(zip(reversed(item.indices), reversed(np.shape(inputs[item.name])))))
        extents |= {index.extent: extent for index, extent in axes}
    return out | {name: np.asarray(extents[symbol]) for name, symbol in program.size_names if symbol in extents}


@pytest.mark.parametrize("path", sorted((ROOT / "specs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_what_explain_prints_has_the_value_that_it_is_of(path: Path) -> None:
    program: Program = run(path.read_text("utf-8"), str(path), until="elaborate")["elaborate"]
    latex = print_program(program, "latex")
    if path.stem in NOT_READ:
        if not any(item.kind == "complex" for item in program.inputs):
            with pytest.raises(SpecError):
                import_formula("latex", latex)
        return
    back: Program = run(import_formula("latex", latex, op="back").text, "back.yaml", until="elaborate")["elaborate"]
    inputs, params = sample_inputs(program, 0)
    known = values(program, inputs) | {name: np.asarray(value) for name, value in params.items()}
    spelled = {"varepsilon": "eps"}
    given = {item.name: known[spelled.get(item.name, item.name)] for item in back.inputs}
    theirs, ours = evaluate(program, inputs, params), evaluate(back, given)
    for name in set(back.outputs) & set(program.outputs):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)


PARTS = [
    "x", "y", "_i", "_{ij}", "^2", "^{", "}", "{", "(", ")", "=", "+", "-", "/", r"\frac", r"\sum_{i}",
    r"\exp", r"\left(", r"\right)", "|", r"\|", r"\\", "\n", r"\sqrt", "[", "]", "1", "2.5", r"\begin{cases}",
    r"\end{cases}", "&", r"\sigma", r"\mathrm{ab}", r"\hat", "'", ",", r"\max_j", r"\ldots", "é", r"\le",
    "\x00", "\\", r"\text{if}", r"\delta_{ij}",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
def test_any_text_is_built_or_refused(text: str) -> None:
    builds_or_is_refused("latex", text)
    builds_or_is_refused("latex", f"y_i = {text}")
