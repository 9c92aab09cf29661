"""The table of functions: every row's derivative is the derivative of its value."""

from __future__ import annotations

import subprocess
import sys

import mpmath
import numpy as np
import pytest
import sympy

from tensorgrad_gen.functions import FUNCTIONS, Function
from tensorgrad_gen.ir import Access, Const, Expr, Index, const
from tensorgrad_gen.reference import Env, evaluate_expr
from tensorgrad_gen.reference.gradient import richardson

ROWS = [f for f in FUNCTIONS.values() if not f.complex]
SMOOTH = [f for f in ROWS if f.surgery is None]
INDEX = Index("i", "i")
ORDER = 2  # of the families polygamma, spherical_bessel, exprel


def arguments(row: Function) -> tuple[Expr, ...]:
    """A tensor for each parameter; a constant for the order of a family."""
    return tuple(const(ORDER) if name == "n" else Access(name, (INDEX,)) for name in row.parameter_names)


def evaluated(expr: Expr | None, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """The expression at each point; `None` is zero."""
    count = len(next(iter(tensors.values())))
    if expr is None:
        return np.zeros(count)
    array, _ = evaluate_expr(expr, Env(dict(tensors), {}, {"i": count}))
    return np.broadcast_to(array, count)


def points(row: Function, count: int = 20) -> dict[str, np.ndarray]:
    """Points inside the domain and away from every kink."""
    rng = np.random.default_rng(sum(map(ord, row.name)))
    names = [n for n in row.parameter_names if n != "n"]
    tensors = {n: rng.uniform(-3, 3, 5000) for n in names}
    if "lo" in tensors:
        tensors["lo"], tensors["hi"] = np.full(5000, -1.0), np.full(5000, 1.5)
    keep = np.ones(5000, bool)
    for kink in row.kinks(*arguments(row)):
        keep &= np.abs(evaluated(kink, tensors)) > 0.05
    for condition in row.domain(*arguments(row)):
        keep &= evaluated(condition, tensors).astype(bool)
    if row.name in ("softplus", "mod"):
        keep &= np.abs(tensors[names[1]]) > 0.2
    if row.name == "hypot":
        keep &= np.hypot(tensors["a"], tensors["b"]) > 0.3
    for condition in row.domain(*arguments(row)):  # not at the very edge either
        for name in names:
            moved = {**tensors, name: tensors[name] * 1.03}, {**tensors, name: tensors[name] - 0.02}
            for near in moved:
                keep &= evaluated(condition, near).astype(bool)
    return {n: t[keep][:count] for n, t in tensors.items()}


def exact(row: Function, tensors: dict[str, np.ndarray], order: tuple[int, ...]) -> list[float]:
    """Mixed derivative of the SymPy definition, by mpmath's numerical differentiation."""
    symbols = sympy.symbols(list(tensors), real=True)
    definition = row.sympy(sympy, *([ORDER, *symbols] if "n" in row.parameter_names else symbols))
    function = sympy.lambdify(symbols, definition, "mpmath")
    with mpmath.workdps(40):
        return [
            float(
                mpmath.re(
                    mpmath.diff(function, tuple(map(mpmath.mpf, point)), order) if any(order) else function(*point)
                )
            )
            for point in zip(*tensors.values(), strict=True)
        ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_numpy_value_is_the_sympy_definition(row: Function) -> None:
    tensors = points(row)
    args = [ORDER, *tensors.values()] if "n" in row.parameter_names else tensors.values()
    zero = (0,) * len(tensors)
    np.testing.assert_allclose(row.evaluate(*args), exact(row, tensors, zero), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_partials_are_derivatives(row: Function) -> None:
    tensors = points(row)
    assert len(next(iter(tensors.values()))) == 20
    names = list(tensors)
    for name, partial in zip(row.parameter_names, row.partials(arguments(row)), strict=True):
        if name == "n":
            continue
        order = tuple(int(n == name) for n in names)
        np.testing.assert_allclose(evaluated(partial, tensors), exact(row, tensors, order), rtol=1e-10, atol=1e-12)


def slope(partial: Expr | None, tensors: dict[str, np.ndarray], name: str, place: int) -> float:
    """Derivative of an expression at one point by one tensor, by finite differences."""

    def moved(by: float) -> float:
        return float(evaluated(partial, {**tensors, name: tensors[name] + by})[place])

    return richardson(moved, 1e-3)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_partials_differentiate_to_second_derivatives(row: Function) -> None:
    tensors = points(row, 5)
    names = list(tensors)
    for name, partial in zip(row.parameter_names, row.partials(arguments(row)), strict=True):
        for other in names if name != "n" else ():
            order = tuple((n == name) + (n == other) for n in names)
            found = [slope(partial, tensors, other, k) for k in range(5)]
            np.testing.assert_allclose(found, exact(row, tensors, order), rtol=1e-6, atol=1e-8)


def at(name: str, *numbers: float) -> list[float]:
    """The partial derivatives of a function at one point."""
    row = FUNCTIONS[name]
    tensors = {n: np.array([x]) for n, x in zip(row.parameter_names, numbers, strict=True)}
    return [float(evaluated(p, tensors)[0]) for p in row.partials(arguments(row))]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (("relu", 0.0), [0.0]),
        (("abs", 0.0), [0.0]),
        (("sign", 0.0), [0.0]),
        (("floor", 2.0), [0.0]),
        (("round", 0.5), [0.0]),
        (("clamp", -1.0, -1.0, 2.0), [1.0, 0.0, 0.0]),
        (("clamp", 2.0, -1.0, 2.0), [1.0, 0.0, 0.0]),
        (("clamp", 3.0, -1.0, 2.0), [0.0, 0.0, 1.0]),
        (("clamp", 0.0, 2.0, 1.0), [0.0, 0.0, 1.0]),
        (("max", 1.0, 1.0), [0.5, 0.5]),
        (("min", 1.0, 1.0), [0.5, 0.5]),
        (("sqrt", 0.0), [np.inf]),
        (("log", 0.0), [np.inf]),
        (("xlogy", 0.0, 0.0), [0.0, 0.0]),
        (("xlogy", 0.0, 2.0), [np.log(2.0), 0.0]),
        (("pow", 0.0, 0.0), [0.0, 0.0]),
        (("pow", 0.0, 2.0), [0.0, 0.0]),
        (("hypot", 0.0, 0.0), [0.0, 0.0]),
        (("leaky_relu", 0.0, 0.1), [0.1, 0.0]),
        (("stop_gradient", 2.0), [0.0]),
        (("scale_gradient", 2.0, 3.0), [3.0, 0.0]),
        (("straight_through", 2.0, 3.0), [0.0, 1.0]),
    ],
    ids=lambda v: "-".join(map(str, v)) if isinstance(v, tuple) else "",
)
def test_conventions(call: tuple[str, float], expected: list[float]) -> None:
    assert at(*call) == expected


def test_power_zero_has_derivative_zero_everywhere() -> None:
    assert FUNCTIONS["pow"].partials((Access("a", ()), const(0))) == (None, None)


@pytest.mark.parametrize("row", [f for f in SMOOTH if "n" not in f.parameter_names], ids=lambda row: row.name)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_derivatives_are_finite_at_extreme_arguments(row: Function, dtype: type) -> None:
    sizes = np.array([1e-6, 1e-4, 20, 88, 200, 1e4])
    z = np.concatenate([-sizes, [0], sizes]).astype(dtype)
    rest = {n: np.ones_like(z) for n in row.parameter_names[1:]}
    for tensors in ({row.parameter_names[0]: z, **rest}, {row.parameter_names[0]: z, **dict.fromkeys(rest, -z)}):
        if len(rest) == 2:
            tensors.update(lo=-np.ones_like(z), hi=np.ones_like(z))
        inside = np.isfinite(row.evaluate(*tensors.values()))
        for condition in row.domain(*arguments(row)):
            inside &= evaluated(condition, tensors).astype(bool)
        if row.name in ("softplus", "mod", "atan2", "pow"):
            inside &= z != 0  # no function there
        for partial in row.partials(arguments(row)):
            assert np.all(np.isfinite(evaluated(partial, tensors)[inside])), row.name


@pytest.mark.parametrize(
    "name", ["softplus", "sigmoid", "logsigmoid", "silu", "gelu", "gelu_tanh", "mish", "tanh", "elu"]
)
def test_slopes_of_activations_at_1e4_are_those_of_their_asymptotes(name: str) -> None:
    rest = [1.0] * (len(FUNCTIONS[name].parameters) - 1)
    right = {"sigmoid": 0.0, "logsigmoid": 0.0, "tanh": 0.0}.get(name, 1.0)
    left = 1.0 if name == "logsigmoid" else 0.0
    assert at(name, 1e4, *rest)[0] == right
    assert at(name, -1e4, *rest)[0] == left


def test_gelu_tanh_is_not_nan_where_the_cubic_overflows() -> None:
    assert at("gelu_tanh", 1e200) == [1.0]


@pytest.mark.parametrize("name", ["spherical_bessel", "exprel", "exp_moment"])
def test_removable_singularities_are_removed(name: str) -> None:
    row = FUNCTIONS[name]
    near = {"z": np.array([0.0, 1e-12, 1e-3])}
    for order in range(4):
        partial = row.partials((const(order), Access("z", (INDEX,))))[1]
        values = evaluated(partial, near)
        assert np.all(np.isfinite(values))
        np.testing.assert_allclose(values[0], values[1], atol=1e-11)
        np.testing.assert_allclose(values[0], values[2], atol=1e-2)


@pytest.mark.parametrize("row", FUNCTIONS.values(), ids=lambda row: row.name)
def test_a_row_is_complete(row: Function) -> None:
    low, high = row.arity
    assert 1 <= low <= high == len(row.parameters)
    assert all(isinstance(p, str) for p in row.parameters[:low])
    assert row.latex
    assert row.title
    assert row.latex.startswith(("\\", "{", "#", "j_"))


LANGUAGE = """
exp expm1 log log1p log2 sqrt rsqrt abs sign square reciprocal sin cos tan asin acos atan sinh cosh tanh asinh acosh
atanh erf erfc erfinv lgamma digamma sigmoid logsigmoid relu silu gelu gelu_tanh mish floor ceil round softplus
leaky_relu elu max min pow atan2 hypot logaddexp xlogy clamp mod complex conj real imag abs angle stop_gradient
scale_gradient clip_gradient straight_through
"""


def test_the_language_is_covered() -> None:
    assert sorted(set(LANGUAGE.split())) == sorted(f.name for f in FUNCTIONS.values() if not f.internal)


def test_the_table_imports_neither_numpy_nor_sympy() -> None:
    code = "import sys, tensorgrad_gen.functions; print({'numpy', 'sympy', 'mpmath'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_constant_is_no_tensor() -> None:
    assert isinstance(FUNCTIONS["clip_gradient"].partials(arguments(FUNCTIONS["clip_gradient"]))[0], Const)


@pytest.mark.parametrize("name", ["tanh", "softplus", "gelu_tanh", "log_cosh", "silu", "lgamma", "erfinv", "asinh"])
def test_sympy_differentiates_by_the_row_as_by_the_definition(name: str) -> None:
    from tensorgrad_gen.functions.sympy_bridge import sympy_function

    x = sympy.Symbol("x", positive=True)
    args = [x / 3, *map(sympy.Rational, FUNCTIONS[name].defaults)]
    ours = sympy_function(name)(*args)
    theirs = FUNCTIONS[name].sympy(sympy, *args)
    for order in (1, 2):
        found = sympy.diff(ours, x, order).subs(x, sympy.Rational(7, 5)).evalf(20)
        expected = sympy.diff(theirs, x, order).subs(x, sympy.Rational(7, 5)).evalf(20)
        assert abs(float(found) - float(expected)) < 1e-13
