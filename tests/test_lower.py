"""Lowered code computes what the mathematics says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from lower_cases import CASES, CONDITIONS, LABELS, POINTWISE, REDUCTIONS, SUMS, spec
from lowered import RUNTIME, arguments_of, function, lowered, plain_plan, program_of, source, steps_of

from tensorgrad_gen.ir import Access, Apply, Const, Index, Input, Linalg, Program, Reduce, Scan, Statement, Sum, mul
from tensorgrad_gen.lower import lower_plan, print_texpr
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Lit, Method, Prefix, Tup, Var
from tensorgrad_gen.reference import evaluate, sample_inputs
from tensorgrad_gen.render.ownership import owned


def has_batch(program: Program) -> bool:
    return any(item.indices and item.indices[0].name == "..." for item in program.inputs)


def has_labels(program: Program) -> bool:
    return any(item.kind == "label" for item in program.inputs)


def samples(program: Program) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """Extents several, 1 and 0; two, no and empty batch axes."""
    symbols = [symbol for symbol, _ in program.axes if symbol != "..."]
    found = []
    for extent in (None, 1, 0):
        for batch in ((2, 3), (), (0,)):
            if (batch != (2, 3) and not has_batch(program)) or (extent == 0 and has_labels(program)):
                continue
            fixed = {} if extent is None else dict.fromkeys(symbols, extent)
            try:
                drawn = sample_inputs(program, 0, fixed, batch)
                evaluate(program, *drawn)
            except Exception:  # noqa: BLE001, S112 - an empty max, an extent that cannot be
                continue
            found.append(drawn)
    return found


def tensors(program: Program, inputs: dict[str, Any], params: dict[str, float]) -> list[Any]:
    values: list[Any] = [torch.as_tensor(inputs[item.name]) for item in program.inputs]
    return values + [params[p.name] if p.kind == "real" else int(params[p.name]) for p in program.params]


def agree(program: Program, got: tuple[torch.Tensor, ...], expected: dict[str, Any]) -> None:
    for name, value in zip(program.outputs, got, strict=True):
        assert tuple(value.shape) == expected[name].shape
        assert value.dtype in (torch.float64, torch.int64, torch.bool)
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-9, atol=1e-11)


def run(program: Program) -> None:
    body = function(lowered(program).forward, arguments_of(program))
    drawn = samples(program)
    assert drawn
    for inputs, params in drawn:
        agree(program, body(*tensors(program, inputs, params)), evaluate(program, inputs, params))


@pytest.mark.parametrize("case", CASES)
def test_lowered_code_equals_the_oracle(case: str) -> None:
    run(program_of(spec(case)))


@pytest.mark.parametrize("case", [*SUMS[:8], *REDUCTIONS[:6], *LABELS[:6], *CONDITIONS[2:6], POINTWISE[0]])
def test_lowered_code_maps_over_a_batch(case: str) -> None:
    program = program_of(spec(case))
    inputs, params = samples(program)[0]
    body = function(lowered(program).forward, arguments_of(program))
    given = tensors(program, inputs, params)
    count = len(program.inputs)
    stacked = [torch.stack([t, t.flip(0) if t.dim() else t]) for t in given[:count]]
    mapped = torch.func.vmap(body, in_dims=(*(0 for _ in stacked), *(None for _ in given[count:])))(
        *stacked, *given[count:]
    )
    for k in range(2):
        single = body(*(t[k] for t in stacked), *given[count:])
        for one, all_ in zip(single, mapped, strict=True):
            torch.testing.assert_close(all_[k], one, equal_nan=True)


@pytest.mark.parametrize("case", [*SUMS[2:8], *LABELS[:4], CONDITIONS[2], CONDITIONS[4]])
def test_autograd_differentiates_lowered_code(case: str) -> None:
    program = program_of(spec(case))
    inputs, params = samples(program)[0]
    body = function(lowered(program).forward, arguments_of(program))
    given = tensors(program, inputs, params)
    for t in given:
        if isinstance(t, torch.Tensor) and t.is_floating_point():
            t.requires_grad_()

    def real(*args: Any) -> tuple[torch.Tensor, ...]:
        return tuple(y for y in body(*args) if y.is_floating_point())

    assert torch.autograd.gradcheck(real, given, check_batched_grad=True, check_forward_ad=True)


@pytest.mark.parametrize("case", CASES[:12])
def test_a_result_is_never_an_input_nor_a_view_of_one(case: str) -> None:
    program = program_of(spec(case))
    inputs, params = samples(program)[0]
    given = tensors(program, inputs, params)
    results = function(lowered(program).forward, arguments_of(program))(*given)
    held = {t.untyped_storage().data_ptr() for t in given if isinstance(t, torch.Tensor) and t.numel()}
    for result in results:
        assert not result.numel() or result.untyped_storage().data_ptr() not in held


MASKED = (
    "inputs: {x: [i], m: {indices: [i], kind: bool}} | y[i] = [m[i]]*x[i]",
    "inputs: {x: [i], m: {indices: [i], kind: bool}} | y[i] = where(m[i], log(x[i])/sqrt(x[i]), 0)",
    "inputs: {x: [i], m: {indices: [i], kind: bool}} | y = [m[i]]*x[i]",
    "inputs: {x: [i], m: {indices: [i], kind: bool}, a: [i, j]} | y[j] = [m[i]]*x[i]*a[i,j]",
)


@pytest.mark.parametrize("case", MASKED)
@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_what_is_masked_leaks_neither_value_nor_gradient(case: str, bad: float) -> None:
    program = program_of(spec(case))
    body = function(lowered(program).forward, arguments_of(program))
    x = torch.tensor([1.5, bad, 2.0], dtype=torch.float64, requires_grad=True)
    given = [x, torch.tensor([True, False, True]), torch.ones(3, 2, dtype=torch.float64)][: len(program.inputs)]
    (value,) = body(*given)
    assert torch.isfinite(value).all()
    (grad,) = torch.autograd.grad(value.sum(), x)
    assert torch.isfinite(grad).all()
    assert grad[1] == 0


@pytest.mark.parametrize("case", MASKED)
def test_masked_nan_is_not_read(case: str) -> None:
    program = program_of(spec(case))
    body = function(lowered(program).forward, arguments_of(program))
    x = torch.tensor([1.5, torch.nan, 2.0], dtype=torch.float64)
    given = [x, torch.tensor([True, False, True]), torch.ones(3, 2, dtype=torch.float64)][: len(program.inputs)]
    assert torch.isfinite(body(*given)[0]).all()


def test_a_masked_label_is_not_looked_up_and_a_bad_one_raises() -> None:
    label = "t: {indices: [n], kind: label, labels: v}"
    program = program_of(spec(f"inputs: {{x: [n, v], {label}}} | y[n] = [t[n] != -100]*x[n,t[n]]"))
    body = function(lowered(program).forward, arguments_of(program))
    x = torch.arange(6.0).reshape(2, 3)
    assert body(x, torch.tensor([2, -100]))[0].tolist() == [2.0, 0.0]
    for bad in (-1, 3):
        with pytest.raises((IndexError, RuntimeError), match="out of"):
            body(x, torch.tensor([0, bad]))


P, J, K, L = (Index(name, name) for name in "pjkl")


def by_hand(value: Any, indices: tuple[Index, ...], inputs: tuple[Input, ...], kind: str = "real") -> Program:
    axes: dict[str, list[tuple[str, int]]] = {}
    for item in inputs:
        for place, index in enumerate(item.indices):
            axes.setdefault(str(index.extent), []).append((item.name, place - len(item.indices)))
    table = tuple((symbol, tuple(places)) for symbol, places in axes.items())
    return Program("case", "", inputs, (), (), (Statement("y", indices, value, kind),), ("y",), table)


X = Access("x", (P, J, K))
HAND = (
    (Scan("cumsum", (J,), X), (P, J, K)),
    (Scan("cumprod", (P,), X), (P, J, K)),
    (Scan("flip", (K,), X), (J, P, K)),
    (Scan("sort", (J,), X), (P, J, K)),
    (Reduce("norm", (J,), mul(Const(Fraction(2)), X)), (K, P)),
    (Sum((J, L), X), (P, K)),
    (Apply("log_cosh", (X,)), (P, J, K)),
    (Apply("polygamma", (Const(Fraction(1)), Apply("exp", (X,)))), (P, J, K)),
    (Apply("exprel", (Const(Fraction(2)), X)), (P, J, K)),
    (Apply("spherical_bessel", (Const(Fraction(1)), X)), (P, J, K)),
    (mul(X, Sum((K,), mul(X, Apply("exp", (Reduce("max", (J,), X),))))), (P, J, K)),
)


@pytest.mark.parametrize(("value", "indices"), HAND, ids=[str(k) for k in range(len(HAND))])
def test_nodes_that_specs_seldom_write(value: Any, indices: tuple[Index, ...]) -> None:
    run(by_hand(value, indices, (Input("x", (P, J, K)), Input("z", (L,)))))


@pytest.mark.parametrize("kind", ["inverse", "solve", "det", "logdet", "slogdet_sign"])
def test_matrices_of_several_indices_a_side(kind: str) -> None:
    k1, l1 = Index("k1", "k"), Index("l1", "l")
    rhs = Access("c", (K, L, J)) if kind == "solve" else None
    value = Linalg(kind, Access("x", (P, K, L, k1, l1)), (K, L), (k1, l1), rhs)
    free = {"inverse": (P, k1, l1, K, L), "solve": (P, J, k1, l1)}.get(kind, (P,))
    inputs = (Input("x", (P, K, L, k1, l1)), Input("c", (K, L, J)))
    program = by_hand(value, free, inputs)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 2, 3, 2, 3)) + 4 * np.eye(6).reshape(2, 3, 2, 3)
    given = {"x": x, "c": rng.normal(size=(2, 3, 5))}
    body = function(lowered(program).forward, arguments_of(program))
    agree(program, body(*(torch.as_tensor(v) for v in given.values())), evaluate(program, given))


def test_the_text_of_a_body_is_the_same_every_time() -> None:
    for case in CASES:
        program = program_of(spec(case))
        texts = {source(lower_plan(plain_plan(program)).forward, "f", []) for _ in range(2)}
        assert len(texts) == 1


def test_every_helper_a_body_calls_exists() -> None:
    for case in CASES:
        for name in lowered(program_of(spec(case))).forward.helpers:
            assert callable(getattr(RUNTIME, name))


def test_each_statement_stands_under_its_formula() -> None:
    program = program_of(spec("inputs: {x: [b, h]} sizes: {H: h} | m[b] = 1/H*one[h]*x[b,h]; y[b,h] = x[b,h] - m[b]"))
    text = source(lowered(program).forward, "forward", ["x"])
    assert "    # m[b] = 1/H sum_h x[b,h]\n    m = x.sum(-1, keepdim=True) / H\n" in text
    assert "    # y[b,h] = x[b,h] - m[b]\n    y = x - m\n" in text
    assert len(steps_of(program.statements)) == 2


a, b, c = Var("a"), Var("b"), Var("c")
PRINTED = (
    (Infix("*", Infix("+", a, b), c), "(a + b) * c"),
    (Infix("-", a, Infix("-", b, c)), "a - (b - c)"),
    (Infix("-", Infix("-", a, b), c), "a - b - c"),
    (Infix("/", a, Infix("*", b, c)), "a / (b * c)"),
    (Infix("@", a, Infix("@", b, c)), "a @ (b @ c)"),
    (Infix("*", Infix("@", a, b), c), "(a @ b) * c"),
    (Infix("&", Infix("<", a, b), Prefix("~", c)), "(a < b) & ~c"),
    (Method(Infix("*", a, b), "sum", (Lit(-1),), (("keepdim", Lit(value=True)),)), "(a * b).sum(-1, keepdim=True)"),
    (Attr(Prefix("-", a), "mT"), "(-a).mT"),
    (Call("f", (Lit((1, 2)), Tup((a,)), Prefix("*", b))), "f((1, 2), (a,), *b)"),
    (Infix("**", Prefix("-", a), Lit(2)), "(-a) ** 2"),
    (Infix("*", Lit(-1), a), "-1 * a"),
)


@pytest.mark.parametrize(("expr", "text"), PRINTED)
def test_printed_expressions_have_the_parentheses_they_need(expr: Any, text: str) -> None:
    assert print_texpr(expr) == text


@pytest.mark.parametrize("case", [*SUMS, *REDUCTIONS, *LABELS])
def test_an_output_is_no_view_but_of_all_of_a_tensor_that_nothing_else_sees(case: str) -> None:
    program = program_of(spec(case))
    inputs, params = samples(program)[0]
    body, given = lowered(program).forward, tensors(program, inputs, params)
    results = function(body, arguments_of(program))(*given)
    held = {tensor.untyped_storage().data_ptr() for tensor in given if isinstance(tensor, torch.Tensor)}
    for (name, _), result in zip(body.results, results, strict=True):
        if result._is_view():
            assert owned(body)[name] == "own"  # which render writes
            assert result.untyped_storage().nbytes() == result.numel() * result.element_size()
            assert result.untyped_storage().data_ptr() not in held
            held.add(result.untyped_storage().data_ptr())


@pytest.mark.parametrize("case", [SUMS[4], REDUCTIONS[3], LABELS[3], LABELS[-1], CONDITIONS[2], POINTWISE[0]])
def test_lowered_code_is_one_graph_with_symbolic_sizes(case: str) -> None:
    program = program_of(spec(case))
    inputs, params = samples(program)[0]
    given = tensors(program, inputs, params)
    body = function(lowered(program).forward, arguments_of(program))
    torch._dynamo.reset()
    compiled = torch.compile(body, backend="eager", fullgraph=True, dynamic=True)
    for one, other in zip(compiled(*given), body(*given), strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)
