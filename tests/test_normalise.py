"""Normalising keeps the value, finds stable forms in any spelling, and is finite where the spelling overflows."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad_gen.ir import Reduce, Scan
from tensorgrad_gen.notation import print_expr
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.reference import evaluate

SPEC = """op: form
doc: A stable form.
inputs: {{x: [i], z: [i], t: {{indices: [], kind: label, labels: i}}}}
equations: |
{equations}
"""

# equations -> the last statement's value in canonical form
SPELLINGS = {
    "y[i] = 1/(1 + exp(-x[i]))": "sigmoid(x[i])",
    "y[i] = exp(x[i])/(1 + exp(x[i]))": "sigmoid(x[i])",
    "e[i] = exp(x[i]); y[i] = e[i]/(1 + e[i])": "sigmoid(x[i])",
    "y[i] = reciprocal(exp(-x[i]) + 1)": "sigmoid(x[i])",
    "y[i] = x[i]/(1 + exp(-x[i]))": "x[i] sigmoid(x[i])",
    "y[i] = (exp(x[i]) - exp(-x[i]))/(exp(x[i]) + exp(-x[i]))": "tanh(x[i])",
    "y[i] = (1 - exp(-2*x[i]))/(1 + exp(-2*x[i]))": "tanh(x[i])",
    "a[i] = exp(x[i]); b[i] = exp(-x[i]); y[i] = (a[i] - b[i])/(a[i] + b[i])": "tanh(x[i])",
    "y[i] = log(1 + exp(x[i]))": "softplus(x[i])",
    "y[i] = log1p(exp(x[i]))": "softplus(x[i])",
    "e[i] = exp(x[i]); y[i] = log(e[i] + 1)": "softplus(x[i])",
    "y[i] = log(cosh(x[i]))": "log_cosh(x[i])",
    "y[i] = log(sigmoid(x[i]))": "logsigmoid(x[i])",
    "y[i] = log(1/(1 + exp(-x[i])))": "logsigmoid(x[i])",
    "y[i] = log(1 - sigmoid(x[i]))": "logsigmoid(-x[i])",
    "y[i] = log(exp(x[i]) + exp(z[i]))": "logaddexp(x[i], z[i])",
    "y[i] = log(1 + x[i])": "log1p(x[i])",
    "y[i] = exp(x[i]) - 1": "expm1(x[i])",
    "y[i] = log(sigmoid(x[i]) - sigmoid(z[i]))": "logsigmoid(x[i]) + logsigmoid(-z[i]) + log1mexp(z[i] - x[i])",
    "f[i] = (1 - exp(-x[i]))/x[i]; y[i] = f[i] - exp(-x[i])": "x[i] exp_moment(1, -x[i])",
    "y[i] = x[i]*log(x[i])": "xlogy(x[i], x[i])",
    "y[i] = sin(x[i])/x[i]": "spherical_bessel(0, x[i])",
    "y[i] = (1 - exp(-x[i]))/x[i]": "exp_moment(0, -x[i])",
    "y[i] = elu(x[i]) + 1": "where(x[i] > 0, x[i] + 1, exp(x[i]))",
    "y[i] = x[i]/abs(x[i])": "sign(x[i])",
    "s[i] = sin(x[i]); r[i] = x[i]^-1; y[i] = r[i]*s[i]": "spherical_bessel(0, x[i])",
    "s[i] = sin(x[i]); d[i] = 2*x[i]; y[i] = 2*s[i]/d[i]": "spherical_bessel(0, x[i])",
    "y[i] = exp(x[i])/(one[j]*exp(x[j]))": "softmax_i(x[i])",
    "e[i] = exp(x[i]); s = one[j]*e[j]; y[i] = e[i]/s": "softmax_i(x[i])",
    "y[i] = exp(x[i])/sum[j](exp(x[j]))": "softmax_i(x[i])",
    "y = log(one[j]*exp(x[j]))": "logsumexp_j(x[j])",
    "e[i] = exp(x[i]); s = one[j]*e[j]; y = log(s)": "logsumexp_j(x[j])",
    "s[i] = softmax[i](x[i]); y[i] = log(s[i])": "log_softmax_i(x[i])",
    "y = sqrt(x[j]*x[j])": "norm_j(x[j])",
    "y = (one[j]*x[j]^2)^(1/2)": "norm_j(x[j])",
}


def normalised(equations: str):  # type: ignore[no-untyped-def]
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    return run(SPEC.format(equations=lines), "form", until="normalise")


@pytest.mark.parametrize("equations", SPELLINGS)
def test_spelling_is_recognised(equations: str) -> None:
    compiled = normalised(equations)
    assert print_expr(compiled["normalise"].statements[-1].value, "math") == SPELLINGS[equations]


@pytest.mark.parametrize("equations", SPELLINGS)
def test_value_stays(equations: str) -> None:
    compiled = normalised(equations)
    inputs = {"x": np.array([0.3, 1.7, 0.9]), "z": np.array([-0.4, 0.2, 1.1]), "t": np.array(1)}
    before = evaluate(compiled["elaborate"], inputs)["y"]
    after = evaluate(compiled["normalise"], inputs)["y"]
    np.testing.assert_allclose(before, after, rtol=1e-12)


@pytest.mark.parametrize("equations", [e for e in SPELLINGS if "exp" in e and "1 + x" not in e and " - 1" not in e])
def test_finite_where_the_spelling_overflows(equations: str) -> None:
    compiled = normalised(equations)
    inputs = {"x": np.array([-800.0, 0.5, 800.0]), "z": np.array([-900.0, 0.2, 900.0]), "t": np.array(1)}
    value = evaluate(compiled["normalise"], inputs)["y"]
    grows = "/x[i]" in equations  # (1 - exp(-x))/x has no finite value at -800
    assert np.isfinite(value[1:] if grows else value).all()


def test_log_of_a_chosen_softmax_is_a_difference() -> None:
    compiled = normalised("s[i] = exp(x[i])/(one[j]*exp(x[j])); y = -log(s[t])")
    inputs = {"x": np.array([-800.0, 0.5, 800.0]), "z": np.zeros(3), "t": np.array(0)}
    assert evaluate(compiled["normalise"], inputs)["y"] == 1600.0


@pytest.mark.parametrize(
    ("equations", "targets"),
    [
        ("z[i] = sin(x[i]); y[i] = z[i]", ["y"]),
        ("z[i] = sin(x[i]); w = one[i]*z[i]; y[i] = z[i]*w; v[i] = z[i]", ["v", "w", "y"]),
        ("z[i,j] = x[i]*sin(x[j]); y[j,i] = z[i,j]; v = z[i,j]*z[j,i]*x[i]", ["y", "v"]),
        ("z[i] = sin(x[i]); y[i] = z[i]; v[i] = z[i]", ["y", "v"]),
        ("z[i,j] = x[i]*sin(x[j]); y[i] = z[i,i]; v[i,j] = z[j,i]", ["v", "y"]),
        ("y[i] = x[i]", ["y"]),
    ],
)
def test_a_tensor_that_an_output_names_again_is_that_output(equations: str, targets: list[str]) -> None:
    outputs = [name for name in ("y", "v") if f"{name}[" in equations or f"{name} =" in equations]
    lines = "".join(f"  {line.strip()}\n" for line in equations.split(";"))
    text = f"op: t\ninputs: {{x: [i]}}\nequations: |\n{lines}outputs: [{', '.join(outputs)}]\n"
    compiled = run(text, "t.yaml", until="normalise")
    assert [s.target for s in compiled.program.statements] == targets
    given = {"x": np.array([0.3, -1.7, 0.9])}
    before, after = evaluate(compiled["elaborate"], given), evaluate(compiled.program, given)
    for name in outputs:
        np.testing.assert_allclose(before[name], after[name], rtol=1e-14)


LABELLED = "op: f\ninputs: {x: [n, v], t: {indices: [n], kind: label, labels: v}}\nequations: |\n"


@pytest.mark.parametrize(
    ("equations", "kinds"),
    [
        ("y[n] = logsumexp[v](x[n,v]) - x[n,t[n]]", ["log_softmax"]),
        ("m[n] = logsumexp[v](x[n,v])\n  y[n] = m[n] - x[n,t[n]] + m[n]^2", ["logsumexp"]),
        ("y[n] = logsumexp[v](x[n,v]) - x[n,t[n]]\n  z[n] = logsumexp[v](x[n,v])^2", ["logsumexp"]),
    ],
)
def test_a_share_is_read_at_a_label_unless_its_logarithm_is_read_elsewhere(equations: str, kinds: list[str]) -> None:
    program = run(f"{LABELLED}  {equations}\n", "f", until="normalise")["normalise"]
    values = [s.value for s in program.statements]
    assert [v.kind for v in values if isinstance(v, Reduce | Scan)] == kinds


@pytest.mark.parametrize(
    ("equations", "label"),
    [
        ("p[n,v] = softmax[v](x[n,v]); e = sum[n,v](p[n,v]*log(1/p[n,v])); y[n] = log(p[n,t[n]]) + e", "[n]"),
        ("p[n,v] = softmax[v](x[n,v]); h[n] = -sum[v](p[n,v]*log(p[n,v])); y[n] = -exp(-h[n])*log(p[n,t[n]])", "[n]"),
        ("p[n,v] = softmax[v](x[n,v]); y[n] = log(p[n,t[n]]); h[n] = sum[v](p[n,v]*log(p[n,v]))", "[n]"),
        ("p[v] = softmax[v](x[v]); e = sum[v](p[v]*log(1/p[v])); y = log(p[t]) + e", "[]"),
        ("p[v] = softmax[v](x[v]); y = log(p[t]) + one[v]*p[v]*log(p[v])", "[]"),
    ],
)
def test_a_log_softmax_comes_before_all_who_read_it(equations: str, label: str) -> None:
    axes = "[n, v]" if "n" in label else "[v]"
    lines = "".join(f"  {line.strip()}\n" for line in equations.split(";"))
    text = f"op: f\ninputs: {{x: {axes}, t: {{indices: {label}, kind: label, labels: v}}}}\nequations: |\n{lines}"
    compiled = run(text, "f.yaml", until="simplify")
    scans = [s.value.kind for s in compiled["normalise"].statements if isinstance(s.value, Scan)]
    given = {"x": np.array([[0.3, -1.7, 0.9], [2.0, 0.1, 0.4]]), "t": np.array([2, 0])}
    given = given if "n" in label else {name: array[0] for name, array in given.items()}
    before, after = evaluate(compiled["elaborate"], given), evaluate(compiled["normalise"], given)
    assert scans.count("log_softmax") == 1
    for name in compiled["elaborate"].outputs:
        np.testing.assert_allclose(before[name], after[name], rtol=1e-12)


def test_a_diagonal_of_a_log_softmax_is_read_from_that_of_its_rows() -> None:
    lines = "p[n,v] = softmax[v](x[n,v])\n  h[n] = -sum[v](p[n,v]*log(p[n,v]))\n  y = mean[n](exp(-h[n])*log(p[n,n]))"
    compiled = run(f"op: f\ninputs: {{x: [n, n]}}\nequations: |\n  {lines}\n", "f.yaml", until="simplify")
    given = {"x": np.array([[0.3, -1.7], [2.0, 0.1]])}
    before, after = evaluate(compiled["elaborate"], given), evaluate(compiled["normalise"], given)
    np.testing.assert_allclose(before["y"], after["y"], rtol=1e-12)


def test_the_default_of_a_param_is_no_domain() -> None:
    text = "op: f\ninputs: {x: {indices: [i], domain: positive}}\nparams: {k: 2.0}\nequations: |\n"
    program = run(f"{text}  y = log(prod[i](k*x[i]))\n", "f", until="normalise")["normalise"]
    assert [print_expr(s.value) for s in program.statements][-1] == "log(prod_k_x)"


def test_a_product_of_what_is_not_negative_goes_by_logarithms() -> None:
    def canonical(domain: str, equation: str) -> str:
        spec = f'op: p\ndoc: d.\ninputs: {{x: {{indices: [i], domain: {domain}}}}}\nequations: ["{equation}"]\n'
        return "; ".join(print_expr(s.value) for s in run(spec, "p", until="normalise")["normalise"].statements)

    assert canonical("positive", "y = log(prod[i](x[i]))") == "sum[i](log(x[i]))"
    assert canonical("positive", "y = prod[i](x[i])^(1/size(i))") == "sum[i](log(x[i])); exp(1/size(i)*sum_log_x)"
    # Two negative factors have a product with a logarithm, and no logarithms of their own.
    assert canonical("real", "y = log(prod[i](x[i]))") == "prod[i](x[i]); log(prod_x)"


EXPONENTIALS = ("exp", "expm1", "cosh", "sinh", "sigmoid", "tanh", "softplus", "logsigmoid")


@pytest.mark.parametrize("outer", EXPONENTIALS)
def test_no_rule_undoes_another_in_derivatives_of_compositions(outer: str) -> None:
    for inner in EXPONENTIALS:
        run(SPEC.format(equations=f"  y[i] = {outer}({inner}(x[i]))"), "form.yaml", until="simplify")
