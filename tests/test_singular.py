"""Building warns of a singular derivative where inputs surely reach it, and only there."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest

from tensorgrad_gen.errors import Diagnostic, Report
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.functions.values import VALUES
from tensorgrad_gen.ir import Access
from tensorgrad_gen.normalise.ranges import Ranges, power
from tensorgrad_gen.normalise.singular import warn_singular
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.reference import evaluate, sample_inputs

SPECS = sorted((Path(__file__).resolve().parents[1] / "specs").glob("*/*.yaml"))
X = "x: [i]"


def closed(domain: str) -> str:
    return f"x: {{indices: [i], domain: {domain}}}"


def text_of(equations: str, inputs: str = X, more: str = "") -> str:
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    return f"op: edge\ninputs: {{{inputs}}}\n{more}\nequations: |\n{lines}\n"


def warned(equations: str, inputs: str = X, more: str = "") -> list[Diagnostic]:
    compiled = run(text_of(equations, inputs, more), "<text>", until="normalise")
    return [d for d in compiled.warnings if d.code == "W405"]


# equations, inputs -> the function and the point, when inputs reach it, the text under the caret
REACHED = {
    ("y[i] = sqrt(relu(x[i]))", X): ("`sqrt(z)` at 0", "`x[i]` is 0", "sqrt"),
    ("y[i] = sqrt(max(x[i], 0))", X): ("`sqrt(z)` at 0", "`x[i]` is 0", "sqrt"),
    ("y[i] = rsqrt(abs(x[i]))", X): ("`1/sqrt(z)` at 0", "`x[i]` is 0", "rsqrt"),
    ("y[i] = pow(relu(x[i]), 1/3)", X): ("`z^0.333333` at 0", "`x[i]` is 0", "pow"),
    ("y[i] = 2 + abs(x[i])^0.3", X): ("`z^0.3` at 0", "`x[i]` is 0", "abs(x[i])^0.3"),
    ("y[i] = sqrt(x[i]^2 + z[j]^2*one[j])", "x: [i], z: [j]"): (
        "`sqrt(z)` at 0",
        "`x[i]` and every `z[j]` are 0",
        "sqrt",
    ),
    ("v = one[i]*abs(x[i]); y = 3*sqrt(v)", X): ("`sqrt(z)` at 0", "every `x[i]` is 0", "sqrt"),
    ("y[i] = log(relu(x[i]))", X): ("`log(z)` at 0", "`x[i]` is 0", "log"),
    ("y[i] = x[i] + log(abs(sinh(x[i])))", X): ("`log(z)` at 0", "`x[i]` is 0", "log"),
    ("y[i] = log(x[i])", closed("[0, 1]")): ("`log(z)` at 0", "`x[i]` is 0", "log"),
    ("y[i] = log1p(-x[i])", closed("[0, 1]")): ("`log1p(z)` at -1", "`x[i]` is 1", "log1p"),
    ("y[i] = 3/relu(x[i])", X): ("`1/z` at 0", "`x[i]` is 0", "relu(x[i])"),
    ("y[i] = x[i]/(1 - x[i])^2", closed("[0, 1]")): ("`1/z^2` at 0", "`x[i]` is 1", "(1 - x[i])^2"),
    ("y[i] = x[i]/norm[j](x[j])", X): ("`1/z` at 0", "every `x[i]` is 0", "norm[j](x[j])"),
    ("y[i] = relu(x[i])/(one[j]*relu(x[j]))", X): ("`1/z` at 0", "every `x[i]` is 0", "(one[j]*relu(x[j]))"),
    ("y[i] = acos(cos(x[i]))", X): ("`acos(z)` at 1", "`x[i]` is 0", "acos"),
    ("y[i] = asin(x[i])", closed("[-1, 1]")): ("`asin(z)` at -1", "`x[i]` is -1", "asin"),
    ("y[i] = atanh(clamp(x[i], -1, 1))", X): ("`atanh(z)` at 1", "`x[i]` is 1", "atanh"),
    ("y[i] = acosh(cosh(x[i]))", X): ("`acosh(z)` at 1", "`x[i]` is 0", "acosh"),
    ("y[i] = erfinv(1 - relu(x[i])*0)*x[i] + erfinv(x[i])", closed("[0, 1]")): (
        "`erfinv(z)` at 1",
        "`x[i]` is 1",
        "erfinv",
    ),
    ("y[i] = lgamma(x[i]^2)", X): ("`lgamma(z)` at 0", "`x[i]` is 0", "lgamma"),
    ("y[i] = digamma(abs(x[i]))", X): ("`digamma(z)` at 0", "`x[i]` is 0", "digamma"),
    ("y[i] = where(x[i] < 1, sqrt(relu(x[i])), 0)", X): ("`sqrt(z)` at 0", "`x[i]` is 0", "sqrt"),
    ("y[i] = where(x[i] >= 0, sqrt(x[i]), 0)", X): ("`sqrt(z)` at 0", "`x[i]` is 0", "sqrt"),
    ("y[i] = [m[i]]*sqrt(relu(x[i]))", "x: [i], m: {indices: [i], kind: bool}"): (
        "`sqrt(z)` at 0",
        "`x[i]` is 0",
        "sqrt",
    ),
    ("a[i] = where(x[i] > 0, x[i], 0); y[i] = log(a[i])", X): ("`log(z)` at 0", "every `x[i]` is 0", "log"),
}


@pytest.mark.parametrize(("equations", "inputs"), REACHED, ids=lambda v: v)
def test_a_point_that_inputs_reach_is_named(equations: str, inputs: str) -> None:
    (found,) = warned(equations, inputs)
    function, when, marked = REACHED[equations, inputs]
    letter = "u" if "z:" in inputs else "z"
    shown, _, point = function.replace("(z)", f"({letter})").partition(" at ")
    assert (
        found.message
        == f"where {when}, the derivative of {shown} is infinite, at {letter} = {point}: a gradient there is inf or NaN"
    )
    assert found.help is not None
    assert "hide the point with `where`" in found.help
    assert found.span is not None
    line = text_of(equations, inputs).split("\n")[found.span.line - 1]
    assert line[found.span.column - 1 : found.span.end_column - 1] == marked


QUIET = [
    *("log(x[i])", "sqrt(x[i])", "1/x[i]", "acos(x[i])", "log(1 - x[i]^2)", "log(x[i]^2 + 2*x[i] + 2)"),  # who knows
    *("x[i]/abs(x[i])", "sin(x[i])/x[i]", "x[i]*log(x[i])", "x[i]*norm[j](x[j])", "sqrt(x[j]*x[j])*x[i]"),  # stable
    *("x[i]*std[j](x[j])", "x[i]*var[j](x[j], 1)", "hypot(x[i], 0)", "atan2(x[i], x[i])", "xlogy(abs(x[i]), 2)"),
    *("sqrt(relu(x[i]) + 1e-5)", "log(1 + abs(x[i]))", "x[i]/max(norm[j](x[j]), 1e-12)", "1/(1 + x[i]^2)"),  # away
    *("log(sigmoid(x[i]))", "1/softmax[i](x[i])", "log(exp(x[i]) + 1)", "atanh(tanh(x[i])/2)", "acos(cos(x[i])/2)"),
    *("where(x[i] > 0, sqrt(x[i]), 0)", "where(x[i] != 0, log(abs(x[i])), 0)", "[x[i] > 0]*log(relu(x[i]))"),  # hidden
    *(
        "where(not (x[i] > 0), 0, 1/relu(x[i]))",
        "log(where(x[i] > 0, x[i], 1))",
        "where(x[i] > 0 and x[i] < 9, sqrt(x[i]), 0)",
    ),
    *("relu(x[i])^2", "abs(x[i])^1.5", "relu(x[i])^0"),  # finite
    *("sqrt(stop_gradient(relu(x[i])))", "straight_through(sqrt(relu(x[i])), x[i])", "sqrt(i)*x[i]"),  # no derivative
    "log(abs(x[i]) + abs(x[i] - 1))",  # never both
]


@pytest.mark.parametrize("value", QUIET)
def test_what_inputs_do_not_surely_reach_draws_no_warning(value: str) -> None:
    assert not warned(f"y[i] = {value}")


@pytest.mark.parametrize("domain", ["positive", "unit", "simplex", "nonzero", "[0.1, 1]"])
def test_a_domain_without_the_point_is_the_remedy(domain: str) -> None:
    assert warned("y[i] = log(abs(x[i])) + 1/x[i]^2", closed("real"))
    assert not warned("y[i] = log(abs(x[i])) + 1/x[i]^2", closed(domain))


def test_the_default_of_a_param_counts() -> None:
    equations = "v[i] = x[i]^2; y[i] = sqrt(v[i] + eps)*relu(x[i])^p"
    assert not warned(equations, more="params: {eps: 1e-6, p: 2}")
    assert not warned(equations, more="params: {eps: null, p: null}")
    assert ["`sqrt(z)`" in d.message for d in warned(equations, more="params: {eps: 0, p: 1}")] == [True]
    assert ["`z^p`" in d.message for d in warned(equations, more="params: {eps: 1, p: 0.5}")] == [True]


def test_an_input_that_is_not_differentiated_has_no_singular_derivative() -> None:
    assert not warned("y[i] = sqrt(relu(x[i]))*z[i]", "x: {indices: [i], grad: false}, z: [i]")
    assert warned("y[i] = sqrt(relu(x[i])*relu(z[i]))", "x: {indices: [i], grad: false}, z: [i]")


def test_the_same_argument_is_warned_of_once() -> None:
    assert len(warned("r = norm[i](x[i]); y[i] = x[i]/r + x[i]^2/r; z = 1/r")) == 1


def test_a_function_of_the_users_own_is_marked_where_it_is_called() -> None:
    (found,) = warned("y[i] = x[i] + rooted(x[i])", more="functions: {rooted(z): sqrt(relu(z))}")
    assert found.span is not None
    assert (found.span.column, found.span.end_column) == (17, 23)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_ranges_hold_every_value_of_the_library_and_it_draws_no_warning(path: Path) -> None:
    compiled = run(path.read_text("utf-8"), str(path), until="normalise")
    assert not [d for d in compiled.warnings if d.code == "W405"]
    program = compiled.program
    ranges = Ranges(program, {})
    for seed in range(2):
        inputs, params = sample_inputs(program, seed)
        for name, value in evaluate(program, inputs, params).items():
            known = value[~np.isnan(value)]
            if program.statement(name).kind == "real" and known.size and not np.iscomplexobj(value):
                low, high = ranges.of(program.statement(name).value)
                assert low - 1e-9 <= known.min() <= known.max() <= high + 1e-9, name


@pytest.mark.parametrize("name", VALUES)
def test_the_floats_of_a_function_are_its_values(name: str) -> None:
    row, values = FUNCTIONS[name], VALUES[name]
    points = np.linspace(-0.95, 4, 34) if name != "acosh" else np.linspace(1, 4, 34)
    points = np.append(points, [0.0, 1.0])
    rest = [np.full_like(points, k) for k in range(1, len(row.parameters))]
    exact = np.real(row.evaluate(points, *rest))
    for k, want in enumerate(exact):
        if math.isfinite(want):
            at = [float(a[k]) for a in (points, *rest)]
            assert values.of(tuple((a, a) for a in at)) == pytest.approx((want, want), abs=1e-12)
            assert values.image[0] <= want <= values.image[1]
    if values.rising:
        assert np.all(np.diff(exact[np.isfinite(exact)][:-2]) >= 0)


def test_every_singular_function_has_edges_or_a_convention() -> None:
    for row in FUNCTIONS.values():
        if row.singular and not row.complex:
            assert row.taken or row.domain(*(Access(name, ()) for name in row.parameter_names)), row.name


@pytest.mark.parametrize("exponent", [-2, -1, -0.5, 0.5, 1, 2, 3])
@pytest.mark.parametrize("base", [(-2.0, -1.0), (-2.0, 0.0), (-1.0, 2.0), (0.0, 2.0), (1.0, 3.0), (0.0, 0.0)])
def test_a_power_of_an_interval_holds_the_powers(base: tuple[float, float], exponent: float) -> None:
    low, high = power(base, exponent)
    for value in np.linspace(*base, 41):
        if not (value < 0 and exponent % 1) and not (value == 0 and exponent < 0):
            assert low - 1e-12 <= value**exponent <= high + 1e-12


def test_the_search_ends_soon_whatever_the_op() -> None:
    nested = "x[i]"
    for k in range(6):
        nested = f"where({nested} > {k}, sqrt(relu({nested})), {k}*{nested})"
    equations = [f"y{k}[i] = log(relu(x[i]) + abs({k}*x[i]))/relu(sin({k}*x[i]))" for k in range(80)]
    source = text_of(";".join([*equations, f"z[i] = {nested}"]))
    compiled = run(source, "<text>", until="normalise")
    began = time.process_time()
    warn_singular(compiled.program, compiled["spec"], Report("<text>", source))
    assert time.process_time() - began < 3
