"""The reference interpreter against NumPy written by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Report, SpecError
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Delta,
    Expr,
    Extent,
    Index,
    Input,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Param,
    Parameter,
    Position,
    Program,
    Reduce,
    Scan,
    Size,
    Special,
    Statement,
    Sub,
    Sum,
    Where,
    add,
    const,
    div,
    inverse,
    mul,
    neg,
    power,
    sub,
)
from tensorgrad_gen.reference import (
    Env,
    EvaluationError,
    evaluate,
    evaluate_expr,
    kink_distance,
    numeric_gradient,
    sample_inputs,
    sample_smooth,
)
from tensorgrad_gen.spec import load_file
from tests.references import REFERENCES

B, H, I, J, K, V = (Index(n, n) for n in "bhijkv")  # noqa: E741 - indices are what mathematics calls them
REST = Index("...", "...")
RNG = np.random.default_rng(0)


def at(tensor: str, *subs: Sub) -> Expr:
    """An access."""
    return Access(tensor, subs)


def value(expr: Expr, indices: tuple[Index, ...], **tensors: Any) -> np.ndarray:
    """The value of an expression with the axes in a given order; extents from 2 on in the order of letters."""
    extents = {"b": 2, "h": 5, "i": 3, "j": 4, "k": 3, "v": 6}
    array, found = evaluate_expr(expr, Env({k: np.asarray(v) for k, v in tensors.items()}, {"eps": 0.5}, extents))
    assert set(found) == set(indices)
    return np.transpose(array, [found.index(i) for i in indices])


def program(statements: list[Statement], inputs: list[Input], **more: Any) -> Program:
    """A program whose axes are read off its inputs."""
    axes: dict[str, list[tuple[str, int]]] = {}
    for item in inputs:
        for k, index in enumerate(item.indices):
            if index.name != "...":
                axes.setdefault(str(index.extent), []).append((item.name, k - len(item.indices)))
    return Program(
        name="op",
        doc="",
        inputs=tuple(inputs),
        params=more.pop("params", ()),
        constants=(),
        statements=tuple(statements),
        outputs=(statements[-1].target,),
        axes=tuple((k, tuple(v)) for k, v in axes.items()),
        **more,
    )


def layer_norm() -> Program:
    """The example of the language."""
    size = Extent("h")
    x = at("x", B, H)
    return program(
        [
            Statement("m", (B,), mul(inverse(size), Sum((H,), x))),
            Statement("mu", (B, H), sub(x, at("m", B))),
            Statement("v", (B,), mul(inverse(size), Sum((H,), power(at("mu", B, H), 2)))),
            Statement("sigma", (B,), Apply("sqrt", (add(at("v", B), Param("eps", "real")),))),
            Statement("y", (B, H), add(mul(at("mu", B, H), inverse(at("sigma", B)), at("gamma", H)), at("beta", H))),
        ],
        [Input("x", (B, H)), Input("gamma", (H,)), Input("beta", (H,), default=0)],
        params=(Parameter("eps", Fraction(1, 10), "real"),),
    )


def test_layer_norm() -> None:
    x, gamma = RNG.standard_normal((2, 5)), RNG.standard_normal(5)
    centred = x - x.mean(1, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 0.1) * gamma
    out = evaluate(layer_norm(), {"x": x, "gamma": gamma, "beta": None})
    np.testing.assert_allclose(out["y"], expected, rtol=1e-13)
    assert list(out) == ["m", "mu", "v", "sigma", "y"]


def test_extents_must_agree() -> None:
    with pytest.raises(EvaluationError, match="index h is 4 in gamma, 5 elsewhere"):
        evaluate(layer_norm(), {"x": np.ones((2, 5)), "gamma": np.ones(4), "beta": None})


def test_contraction_is_einsum() -> None:
    a, b = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 5))
    found = value(Sum((J,), mul(at("a", I, J), at("b", J, H))), (I, H), a=a, b=b)
    np.testing.assert_allclose(found, a @ b, rtol=1e-13)


def test_a_sum_over_an_absent_index_multiplies_by_its_extent() -> None:
    assert value(Sum((J, H), const(2)), ()) == 40


def test_repeated_index_is_the_diagonal() -> None:
    a = RNG.standard_normal((3, 3))
    np.testing.assert_array_equal(value(at("a", I, I), (I,), a=a), np.diag(a))


def test_delta_and_levi_civita() -> None:
    np.testing.assert_array_equal(value(Delta(I, Index("p", "i")), (I, Index("p", "i"))), np.eye(3))
    a, b = RNG.standard_normal(3), RNG.standard_normal(3)
    i, j, k = (Index(n, 3) for n in "ijk")
    cross = Sum((j, k), mul(LeviCivita((i, j, k)), at("a", j), at("b", k)))
    np.testing.assert_allclose(value(cross, (i,), a=a, b=b), np.cross(a, b), rtol=1e-13)


def test_positions_compare() -> None:
    found = value(Iverson(Compare("<=", Position(J), Position(I))), (I, J))
    np.testing.assert_array_equal(found, np.tri(3, 4))


def test_labels_select() -> None:
    s, t = RNG.standard_normal((2, 6)), np.array([5, 0])
    np.testing.assert_array_equal(value(at("s", B, at("t", B)), (B,), s=s, t=t), s[[0, 1], t])
    np.testing.assert_array_equal(value(Delta(V, at("t", B)), (B, V), t=t), np.eye(6)[t])


def test_label_out_of_range_names_itself() -> None:
    with pytest.raises(EvaluationError, match=r"t\[b\] is outside axis 1 of s, which has length 6"):
        value(at("s", B, at("t", B)), (B,), s=np.zeros((2, 6)), t=[6, 0])


def masked_choice() -> tuple[Expr, Expr]:
    """A condition on labels, and what it lets be read."""
    return Compare("!=", at("t", B), const(-100)), at("s", B, at("t", B))


def test_masked_labels_are_not_read() -> None:
    seen, chosen = masked_choice()
    s, t = RNG.standard_normal((2, 6)), np.array([-100, 3])
    expected = [0, s[1, 3]]
    np.testing.assert_array_equal(value(mul(Iverson(seen), chosen), (B,), s=s, t=t), expected)
    np.testing.assert_array_equal(value(Where(seen, chosen, const(0)), (B,), s=s, t=t), expected)
    other = Where(Logic("not", (seen,)), const(0), chosen)
    np.testing.assert_array_equal(value(other, (B,), s=s, t=t), expected)
    both = Iverson(Logic("and", (seen, Compare(">", chosen, const(-(10**9))))))
    np.testing.assert_array_equal(value(both, (B,), s=s, t=t), [0, 1])


def test_masks_reach_into_sums() -> None:
    seen, _ = masked_choice()
    w, t = RNG.standard_normal((6, 5)), np.array([-100, 3])
    inner = Sum((H,), at("w", at("t", B), H))
    np.testing.assert_allclose(value(mul(Iverson(seen), inner), (B,), w=w, t=t), [0, w[3].sum()])


def test_masked_nan_does_not_leak() -> None:
    x = np.array([np.nan, 2.0])
    positive = Compare(">", at("x", B), const(0))
    np.testing.assert_array_equal(value(mul(Iverson(positive), at("x", B)), (B,), x=x), [0, 2])


def test_nan_passes_through_relu() -> None:
    assert np.isnan(value(Apply("relu", (at("x"),)), (), x=np.nan))


def test_windows() -> None:
    x = np.arange(6.0)
    i, n = Index("i", 3), const(6)
    strided = add(mul(const(2), Position(i)), const(1))
    np.testing.assert_array_equal(value(at("x", strided), (i,), x=x), x[1::2])
    flipped = sub(const(5), Position(V))
    np.testing.assert_array_equal(value(at("x", flipped), (V,), x=x), x[::-1])
    halved = Apply("floor", (div(Position(V), const(2)),))
    np.testing.assert_array_equal(value(at("x", halved), (V,), x=x), x[[0, 0, 1, 1, 2, 2]])
    place = sub(Position(V), const(1))
    padded = mul(Iverson(Logic("and", (Compare(">=", place, const(0)), Compare("<", place, n)))), at("x", place))
    np.testing.assert_array_equal(value(padded, (V,), x=x), [0, 0, 1, 2, 3, 4])
    with pytest.raises(EvaluationError, match="outside axis 0 of x"):
        value(at("x", place), (V,), x=x)


@pytest.mark.parametrize("kind", ["prod", "max", "min", "any", "all"])
def test_reductions_are_numpys(kind: str) -> None:
    z = RNG.standard_normal((2, 5))
    body: Expr = at("z", B, H)
    if kind in ("any", "all"):
        body, z = Compare(">", body, const(0)), z > 0
        found = value(Reduce(kind, (H,), body), (B,), z=z.astype(float))
    else:
        found = value(Reduce(kind, (H,), body), (B,), z=z)
    np.testing.assert_allclose(found, getattr(np, kind)(z, axis=1))


def test_norm_and_logsumexp() -> None:
    z = RNG.standard_normal((2, 5))
    np.testing.assert_allclose(value(Reduce("norm", (H,), at("z", B, H)), (B,), z=z), np.linalg.norm(z, axis=1))
    both = value(Reduce("logsumexp", (B, H), at("z", B, H)), (), z=z + 1000)
    np.testing.assert_allclose(both, np.log(np.exp(z).sum()) + 1000)
    minus = np.full((2, 5), -np.inf)
    assert np.all(value(Reduce("logsumexp", (H,), at("z", B, H)), (B,), z=minus) == -np.inf)


def test_argmax_is_a_label() -> None:
    z = RNG.standard_normal((2, 5))
    found = value(at("w", Reduce("argmax", (H,), at("z", B, H))), (B,), z=z, w=np.arange(5.0) * 10)
    np.testing.assert_array_equal(found, z.argmax(1) * 10)


def test_scans() -> None:
    z = RNG.standard_normal((2, 5))
    e = np.exp(z)
    expected = {
        "softmax": e / e.sum(1, keepdims=True),
        "log_softmax": z - np.log(e.sum(1, keepdims=True)),
        "cumsum": z.cumsum(1),
        "cumprod": z.cumprod(1),
        "flip": z[:, ::-1],
        "sort": np.sort(z, 1),
        "argsort": np.argsort(z, 1),
    }
    for kind, array in expected.items():
        np.testing.assert_allclose(value(Scan(kind, (H,), at("z", B, H)), (B, H), z=z), array, rtol=1e-12)
    joint = value(Scan("softmax", (B, H), at("z", B, H)), (B, H), z=z)
    np.testing.assert_allclose(joint, e / e.sum(), rtol=1e-12)
    hidden = Scan("softmax", (H,), neg(Special("inf")))
    assert np.all(np.isnan(value(hidden, (H,))))


def empty(kind: str) -> dict[str, np.ndarray]:
    """A reduction of nothing."""
    body = at("z", B, H)
    expr = Sum((H,), body) if kind == "sum" else Reduce(kind, (H,), body)
    return evaluate(program([Statement("y", (B,), expr)], [Input("z", (B, H))]), {"z": np.zeros((2, 0))})


@pytest.mark.parametrize(("kind", "expected"), [("sum", 0), ("prod", 1), ("logsumexp", -np.inf), ("norm", 0)])
def test_reductions_of_nothing(kind: str, expected: float) -> None:
    np.testing.assert_array_equal(empty(kind)["y"], [expected, expected])


def test_maximum_of_nothing_names_the_index() -> None:
    with pytest.raises(EvaluationError, match="max over index h, which is empty"):
        empty("max")


def test_linear_algebra() -> None:
    m = RNG.standard_normal((2, 3, 3)) + 3 * np.eye(3)
    c = RNG.standard_normal((2, 3, 4))
    matrix = at("m", B, I, K)
    inv = Linalg("inverse", matrix, (I,), (K,), None)
    np.testing.assert_allclose(value(inv, (B, K, I), m=m), np.linalg.inv(m))
    transposed = Linalg("inverse", matrix, (K,), (I,), None)
    np.testing.assert_allclose(value(transposed, (B, K, I), m=m), np.linalg.inv(m))  # M^-1[k,i] either way
    solve = Linalg("solve", matrix, (I,), (K,), at("c", B, I, J))
    np.testing.assert_allclose(value(solve, (B, K, J), m=m, c=c), np.linalg.solve(m, c))
    vector = Linalg("solve", matrix, (I,), (K,), at("c", I))
    expected = np.stack([np.linalg.solve(m[b], c[0, :, 0]) for b in range(2)])
    np.testing.assert_allclose(value(vector, (B, K), m=m, c=c[0, :, 0]), expected)
    np.testing.assert_allclose(value(Linalg("det", matrix, (I,), (K,), None), (B,), m=m), np.linalg.det(m))


def test_batch_axes() -> None:
    body = Scan("softmax", (H,), at("x", REST, H))
    mean = mul(inverse(Extent("...")), Sum((REST,), at("x", REST, H)))
    p = program([Statement("m", (H,), mean), Statement("y", (REST, H), body)], [Input("x", (REST, H))])
    for shape in ((5,), (2, 5), (2, 3, 5)):
        x = RNG.standard_normal(shape)
        e = np.exp(x)
        out = evaluate(p, {"x": x})
        np.testing.assert_allclose(out["y"], e / e.sum(-1, keepdims=True))
        np.testing.assert_allclose(out["m"], x.reshape(-1, 5).mean(0))


def test_sizes() -> None:
    half = Size("ceil", (Size("size", ("h",)), Size("int", (2,))))
    more = Size("-", (Size("*", (half, Size("param", ("n",)))), Size("int", (1,))))
    p = program(
        [Statement("y", (I,), at("x"))],
        [Input("x", ()), Input("z", (H,))],
        size_defs=(("i", more),),
        params=(Parameter("n", Fraction(2), "int"),),
    )
    assert evaluate(p, {"x": np.array(3.0), "z": np.zeros(5)})["y"].shape == (5,)
    assert evaluate(p, {"x": np.array(3.0), "z": np.zeros(5)}, {"n": 1})["y"].shape == (2,)


def test_numeric_gradient_of_a_quadratic_form() -> None:
    a, x = RNG.standard_normal((3, 3)), RNG.standard_normal(3)
    p_index = Index("p", "i")
    form = Sum((I, p_index), mul(at("x", I), at("a", I, p_index), at("x", p_index)))
    p = program([Statement("y", (), form)], [Input("x", (I,)), Input("a", (I, p_index))])
    out = numeric_gradient(p, {"x": x, "a": a}, {}, {"y": 2.0})
    np.testing.assert_allclose(out["x"], 2 * (a + a.T) @ x, rtol=1e-9)
    np.testing.assert_allclose(out["a"], 2 * np.outer(x, x), rtol=1e-9)


def test_samples_lie_in_their_domains() -> None:
    domains = ["real", "positive", "unit", "nonzero", "simplex", "spd", "well_conditioned", "orthogonal"]
    square = (B, I, Index("k", "i"))
    inputs = [Input(d, square, domain=d) for d in domains]
    inputs += [Input("ranged", square, domain=(Fraction(2), Fraction(3)))]
    inputs += [Input("flags", (B,), kind="bool", grad=False), Input("t", (B,), kind="label", grad=False, labels="i")]
    p = program([Statement("y", (B,), at("t", B))], inputs)
    found, _ = sample_inputs(p, 0)
    again, _ = sample_inputs(p, 0)
    assert all(np.array_equal(found[k], again[k]) for k in found)
    assert found["positive"].min() > 0
    assert 0 < found["unit"].min() < found["unit"].max() < 1
    assert np.abs(found["nonzero"]).min() > 0.2
    np.testing.assert_allclose(found["simplex"].sum(-1), 1)
    assert np.linalg.eigvalsh(found["spd"]).min() > 0.5
    assert np.linalg.cond(found["well_conditioned"]).max() < 3.1
    assert np.linalg.det(found["well_conditioned"]).min() > 0
    np.testing.assert_allclose(
        found["orthogonal"].mT @ found["orthogonal"], np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-12
    )
    assert 2 < found["ranged"].min() < found["ranged"].max() < 3
    assert found["flags"].dtype == np.bool_
    assert found["t"].max() < 3
    bigger, _ = sample_inputs(p, 0, {"i": 7})
    assert bigger["real"].shape == (2, 7, 7)


def test_smooth_samples_keep_away_from_kinks() -> None:
    size = Statement("y", (B, H), Apply("abs", (at("x", B, H),)))
    largest = Statement("z", (B,), Reduce("max", (H,), at("y", B, H)))
    p = program([size, largest], [Input("x", (B, H))])
    inputs, params = sample_smooth(p, 1)
    assert kink_distance(p, inputs, params) >= 0.02
    tied = {"x": np.ones((2, 3))}
    assert kink_distance(p, tied, {}) == 0


SPECS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "specs").rglob("*.yaml"))}


@pytest.mark.parametrize("name", SPECS)
def test_the_oracle_equals_the_references_of_the_library(name: str) -> None:
    spec = load_file(SPECS[name])
    try:
        p = elaborate(spec, Report(spec.path, spec.text))
    except SpecError as error:
        if "not built yet" in str(error):
            pytest.skip("not built yet")
        raise
    inputs, params = sample_smooth(p, 0)
    keywords = {q.name: int(params[q.name]) if q.kind == "int" else params[q.name] for q in p.params}
    wanted = REFERENCES[name](*(torch.tensor(inputs[item.name]) for item in p.inputs), **keywords)
    found = evaluate(p, inputs, params)
    for output, want in zip(p.outputs, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        assert found[output].shape == want.shape
        np.testing.assert_allclose(found[output], want.numpy(), rtol=1e-9, atol=1e-10)
