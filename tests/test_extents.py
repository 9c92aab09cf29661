"""Extents that the spec states: axes are compared with them, and with each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tensorgrad_gen.api import compile_spec, load_module, load_op
from tensorgrad_gen.elaborate.poly import polynomial, same
from tensorgrad_gen.ir import Program, Size
from tensorgrad_gen.reference import EvaluationError
from tensorgrad_gen.reference.program import evaluate, size_value
from tensorgrad_gen.verify.composed import compose
from tensorgrad_gen.verify.extents import UndefinedValueError
from tensorgrad_gen.verify.subject import make_subject
from tests.elaborating import build, codes, spec

Z = "params: {z: {default: 2, kind: int}}\n"
S_IS_Z = Z + 'sizes: {S: {index: s, extent: "z"}}'
CONV = spec(
    "y[n,m] = x[clamp(n + m - r)] + w[m]",
    {"x": "[n]", "w": "[m]"},
    'params: {r: {default: 1, kind: int}}\nsizes: {M: {index: m, extent: "2*r + 1"}}',
)
TWICE = spec("y[s] = a*x[s]", {"x": "[n]", "w": "[k]", "a": "[]"}, 'sizes: {K: k, S: {index: s, extent: "2*K"}}')
HALF = spec("y[...,s] = x[...,s]*S", {"x": "[..., n]", "w": "[k]"}, 'sizes: {K: k, S: {index: s, extent: "ceil(K/2)"}}')
# Spec, shapes that do not fit, what the op says of them, shapes that fit.
CASES: dict[str, tuple[str, list[tuple[int, ...]], str, list[tuple[int, ...]]]] = {
    "number": (
        spec("y[s] = x[s]", {"x": "[n]"}, 'sizes: {S: {index: s, extent: "2"}}'),
        [(5,)],
        "index n is 5 in x (axis 0) but must be 2",
        [(2,)],
    ),
    "param": (spec("y[s] = S*x[s]", {"x": "[n]"}, S_IS_Z), [(5,)], "n is 5 in x (axis 0) but must be z = 2", [(2,)]),
    "position": (spec("y[s] = x[s] + s", {"x": "[n]"}, S_IS_Z), [(5,)], "is 5 in x (axis 0) but must be z = 2", [(2,)]),
    "broadcast": (spec("y[s] = x[s] + s", {"x": "[n]"}, S_IS_Z), [(1,)], "is 1 in x (axis 0) but must be z", [(2,)]),
    "one": (CONV, [(4,), (1,)], "index m is 1 in w (axis 0) but must be 2 * r + 1 = 3", [(4,), (3,)]),
    "two": (CONV, [(4,), (2,)], "index m is 2 in w (axis 0) but must be 2 * r + 1 = 3", [(4,), (3,)]),
    "other": (TWICE, [(4,), (3,), ()], "n is 4 in x (axis 0) but must be 2 * w.shape[-1] = 6", [(6,), (3,), ()]),
    "batch": (HALF, [(3, 4), (5,)], "n is 4 in x (axis 1) but must be -(-w.shape[-1] // 2) = 3", [(4, 3), (5,)]),
}


@pytest.mark.parametrize("name", CASES)
def test_an_axis_that_is_not_as_long_as_stated_is_refused_with_index_tensor_axis_and_sizes(name: str) -> None:
    text, wrong, message, right = CASES[name]
    op = load_op(text)
    with pytest.raises(ValueError) as caught:
        op(*map(torch.ones, wrong))
    assert message in str(caught.value)
    program, _ = build(text)
    [want] = compose(
        program, [torch.ones(shape) for shape in right], {p.name: float(p.default or 0) for p in program.params}
    )
    torch.testing.assert_close(op(*map(torch.ones, right)), want.float())


def _interpreted(program: Program, shapes: list[tuple[int, ...]]) -> None:
    evaluate(program, {i.name: np.ones(shape) for i, shape in zip(program.inputs, shapes, strict=True)})


def _composed(program: Program, shapes: list[tuple[int, ...]]) -> None:
    compose(program, [torch.ones(shape) for shape in shapes], {p.name: float(p.default or 0) for p in program.params})


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("oracle", "error"), [(_interpreted, EvaluationError), (_composed, UndefinedValueError)])
def test_the_oracles_refuse_what_the_op_refuses(
    name: str, oracle: Callable[[Program, list[tuple[int, ...]]], None], error: type[Exception]
) -> None:
    text, wrong, _, right = CASES[name]
    program, _ = build(text)
    oracle(program, right)
    with pytest.raises(error):
        oracle(program, wrong)


def test_the_stated_extent_follows_the_param() -> None:
    op = load_op(CASES["param"][0])
    assert op(torch.ones(5), z=5).tolist() == [5.0] * 5
    with pytest.raises(ValueError, match="must be z = 3"):
        op(torch.ones(2), z=3)


def test_axes_are_compared_with_each_other_first_and_with_what_is_stated_then() -> None:
    op = load_op(spec("y[s] = x[s]*w[s]", {"x": "[n]", "w": "{indices: [n], default: 1}"}, S_IS_Z))
    with pytest.raises(ValueError, match=r"index n is 5 in x \(axis 0\) but 4 in w \(axis 0\)"):
        op(torch.ones(5), torch.ones(4))
    with pytest.raises(ValueError, match=r"index n is 5 in x \(axis 0\) but must be z = 2"):
        op(torch.ones(5))


def test_an_axis_that_may_be_left_out_is_compared_where_it_is_there() -> None:
    inputs = {"x": "[]", "v": "{indices: [n], default: 1}", "w": "{indices: [n], default: 1}"}
    op = load_op(spec("y[s] = x*v[s]*w[s]", inputs, S_IS_Z))
    assert op(torch.ones(())).tolist() == [1.0, 1.0]
    for arguments in ({"v": torch.ones(3)}, {"w": torch.ones(3)}):
        with pytest.raises(ValueError, match=rf"index n is 3 in {next(iter(arguments))} \(axis 0\) but must be z = 2"):
            op(torch.ones(()), **arguments)


def test_an_extent_that_is_that_of_another_axis_is_compared_with_it() -> None:
    text = spec("y[n,m] = x[n]*w[m]", {"x": "[n]", "w": "[m]"}, "sizes: {N: n, M: {index: m, extent: N}}")
    op = load_op(text)
    assert op(torch.ones(3), torch.ones(3)).shape == (3, 3)
    with pytest.raises(ValueError, match=r"index m is 1 in w \(axis 0\) but must be x.shape\[-1\] = 3"):
        op(torch.ones(3), torch.ones(1))


def test_further_derivatives_refuse_it_too() -> None:
    text = spec("y = x[s]*x[s]*x[s]", {"x": "[n]"}, S_IS_Z + "\nderivatives: [vjp, hvp]")
    hvp = load_op(text, derivative="hvp")
    assert hvp(torch.ones(2), torch.ones(2)).tolist() == [6.0, 6.0]
    with pytest.raises(ValueError, match=r"test_op_hvp: index n is 5 in x \(axis 0\) but must be z = 2"):
        hvp(torch.ones(5), torch.ones(5))


@pytest.mark.parametrize("name", ["number", "one", "other", "batch"])
def test_verify_draws_axes_that_are_as_long_as_stated(name: str) -> None:
    compiled = compile_spec(CASES[name][0], standalone=True)
    program = compiled["elaborate"]
    subject = make_subject(program, load_module(program.name, compiled.source))
    for sample in (*subject.samples, subject.tiny, subject.square, *subject.edges):
        subject.op(*sample.tensors, **sample.params)


def test_stated_extents_that_are_one_expression_agree() -> None:
    extra = Z + 'sizes: {S: {index: s, extent: "2*(z + 1)"}, T: {index: t, extent: "z + 2 + z"}}'
    program, _ = build(spec("h[s,t] = x[s + t]\ny = det(h)", {"x": "[n]"}, extra))
    assert [symbol for symbol, _ in program.size_defs] == ["s"]
    assert program.size_names == (("S", "s"), ("T", "s"))
    sizes = 'sizes: {P: {index: p, extent: "3"}, Q: {index: q, extent: "3"}}'
    op = load_op(spec("y = delta[p,q]*delta[p,q]*x", {"x": "[]"}, sizes))
    assert op(torch.tensor(2.0)).item() == 6


def test_a_stated_extent_may_repeat_that_of_a_constant() -> None:
    sizes = 'constants: {k: [1, 2, 3]}\nsizes: {P: {index: p, extent: "4 - 1"}}'
    op = load_op(spec("y = k[p]*x[p]", {"x": "[n]"}, sizes))
    assert op(torch.ones(3)).item() == 6


def test_stated_extents_that_may_differ_are_refused() -> None:
    extra = 'params: {z: {default: 2, kind: int}, w: {default: 2, kind: int}}\nsizes: {S: {index: s, extent: "z"}, '
    for other in ("w", "z + 1", "z*z", "z//2*2"):
        text = spec("h[s,t] = x[s + t]\ny = det(h)", {"x": "[n]"}, f'{extra}T: {{index: t, extent: "{other}"}}}}')
        assert codes(text) == ["E405"]


def test_sizes_with_one_polynomial_have_one_value() -> None:
    n, z, two = Size("size", ("n",)), Size("param", ("z",)), Size("int", (2,))
    sizes = [
        Size("ceil", (Size("+", (n, z)), two)),
        Size("-", (Size("//", (Size("-", (Size("-", (n,)), z)), two)),)),
        Size("*", (Size("+", (n, z)), Size("-", (n, z)))),
        Size("-", (Size("*", (n, n)), Size("*", (z, z)))),
        Size("min", (Size("*", (two, n)), z)),
        Size("min", (Size("+", (n, n)), z)),
        Size("//", (n, two)),
        Size("*", (Size("//", (n, two)), two)),
    ]
    values = [tuple(size_value(s, {"n": a}, {"z": b}) for a in range(1, 7) for b in range(1, 7)) for s in sizes]
    for a, left in zip(values, sizes, strict=True):
        for b, right in zip(values, sizes, strict=True):
            assert (polynomial(left) == polynomial(right)) == (a == b)


def test_a_vast_product_is_not_multiplied_out() -> None:
    long = Size("param", ("p0",))
    for k in range(1, 40):
        long = Size("+", (long, Size("param", (f"p{k}",))))
    power = long
    for _ in range(20):
        power = Size("*", (power, long))
    assert same(power, power)
    assert not same(power, Size("+", (power, Size("int", (0,)))))
