"""Every row of the table of conventions in docs/language.md is a test: a spec built, run, compared with PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from convention_cases import CASES, LABELS, NAN, Case
from torch import Tensor
from torch.testing import assert_close

from tensorgrad_gen import compile_spec, load_op

ROOT = Path(__file__).resolve().parents[1]
DTYPES = (torch.float64, torch.float32)
ROWS = [pytest.param(row, case, id=f"{row}: {case.equations}") for row, cases in CASES.items() for case in cases]
# The rows that say something other than a value and its derivatives at a point, each a test below.
OTHER = (
    "label out of range",
    "complex",
    "integer or bool input",
    "float16, bfloat16",
    "mixed floating dtypes",
    "under autocast",
)


def text_of(equations: str, inputs: str, params: str = "") -> str:
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    last = re.split(r"[\s\[]", lines.rsplit("\n", 1)[-1].strip())[0]
    head = f"op: edge\ndoc: A case.\ninputs: {{{inputs}}}\n{params}\n"
    return f"{head}equations: |\n{lines}\noutputs: [{last}]\n"


@cache
def built(equations: str, inputs: str = "x: [i]", params: str = "") -> Callable[..., Any]:
    """The op, built as by a user, but unformatted: black would take half the time."""
    with patch("tensorgrad_gen.render.layout._blackened", lambda line: line):
        return load_op(text_of(equations, inputs, params))


def tensors(at: tuple[Any, ...], dtype: torch.dtype) -> list[Tensor]:
    """Numbers as tensors that want a gradient; labels and masks as they are."""
    return [a if isinstance(a, Tensor) else torch.tensor(a, dtype=dtype, requires_grad=True) for a in at]


def gradients(total: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    """Of a total; zeros where nothing reaches an input."""
    if not total.requires_grad:
        return [torch.zeros_like(t) for t in wanted]
    found = torch.autograd.grad(total, wanted, create_graph=True, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=True)]


def derivatives(function: Callable[..., Tensor], given: list[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The value, the gradient of its sum, the gradient of the sum of that."""
    value = function(*given)
    wanted = [t for t in given if t.requires_grad]
    first = gradients(value.sum(), wanted)
    return value, first, gradients(torch.stack([g.sum() for g in first]).sum(), wanted)


def tangents(function: Callable[..., Tensor], given: list[Tensor]) -> list[Tensor]:
    """The gradient again, by forward mode: the sum of the tangent along each component of each input."""
    found = []
    for place, tensor in enumerate(given):
        if tensor.requires_grad:
            plain = [t.detach() for t in given]
            count = tensor.numel()
            units = torch.eye(count, dtype=tensor.dtype).reshape(count, *tensor.shape)

            def moved(x: Tensor, place: int = place, plain: list[Tensor] = plain) -> Tensor:
                return function(*plain[:place], x, *plain[place + 1 :])

            slopes = [torch.func.jvp(moved, (plain[place],), (unit,))[1].sum() for unit in units]
            found.append(torch.stack(slopes).reshape(tensor.shape) if slopes else torch.zeros_like(tensor))
    return found


def check(got: list[Tensor], want: tuple[Any, ...] | list[Tensor], what: str) -> None:
    wanted = [torch.as_tensor(w, dtype=g.dtype) for g, w in zip(got, want, strict=True)]
    detached = [(g.detach(), w.detach()) for g, w in zip(got, wanted, strict=True)]
    for g, w in detached:
        assert_close(g, w, rtol=1e-5, atol=1e-6, equal_nan=True, msg=lambda text: f"{what}: {text}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("row", "case"), ROWS)
def test_the_value_and_its_derivatives_are_those_of_the_row(row: str, case: Case, dtype: torch.dtype) -> None:
    op = built(case.equations, case.inputs, case.params)
    given = tensors(case.at, dtype)
    value, first, second = derivatives(lambda *args: op(*args, **case.given), given)
    assert value.dtype == dtype
    check([value], (case.value,), "value")
    if case.first:
        check(first, case.first, "gradient")
        check(tangents(lambda *args: op(*args, **case.given), given), case.first, "forward mode")
    if case.second is not None:
        check(second, case.second, "second derivative")
    if case.torch is not None:
        theirs, their_first, _ = derivatives(case.torch, given)
        check([value], [theirs], "value of torch")
        check(first, their_first, "gradient of torch")


def test_each_row_of_the_table_is_tested() -> None:
    text = (ROOT / "docs" / "language.md").read_text("utf-8")
    table = text.split("| case | value |\n| --- | --- |\n")[1].split("\n\n")[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.split("\n")]
    assert sorted(rows) == sorted((*CASES, *OTHER))


def test_an_empty_maximum_is_an_error_that_names_the_index() -> None:
    of_rows = built("y[b] = max[i](x[b,i])", "x: [b, i]")
    assert of_rows(torch.ones(0, 3)).shape == (0,)
    for equations in ("y[b] = max[i](x[b,i])", "s[b] = min[i](x[b,i]); y[b] = 2*s[b]", "y[b] = argmax[i](x[b,i])"):
        kind = re.search("argmax|max|min", equations)
        assert kind is not None
        with pytest.raises(IndexError, match=rf"^edge: {kind.group()} over nothing: index i, which is 0 in x$"):
            built(equations, "x: [b, i]")(torch.ones(3, 0))


def test_xlogy_says_its_convention_in_the_docstring() -> None:
    source = " ".join(compile_spec(text_of("y[i] = xlogy(x[i], z[i])", "x: [i], z: [i]")).source.split())
    assert (
        "The derivatives of xlogy(0, 0) are taken as 0, where that by its first argument has the limit -inf." in source
    )


def test_nan_is_not_lost_through_the_gradient_of_a_product() -> None:
    x = torch.tensor([NAN, 2.0], requires_grad=True)
    built("y[i] = relu(x[i])*x[i]")(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isnan().tolist() == [True, False]


@pytest.mark.parametrize("given", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize(
    ("equations", "formula"),
    [
        ("a[i] = sqrt(x[i]); b[i] = x[i]^2; c[i] = 3*b[i]", lambda x: (x.sqrt(), x**2, 3 * x**2)),
        ("a[i] = log(x[i]); b[i] = x[i]^2; c[i] = 3*x[i]", lambda x: (x.log(), x**2, 3 * x)),
        ("a[i] = 2*x[i]; b[i] = exp(1000*x[i]); c[i] = x[i]^2", lambda x: (2 * x, (1000 * x).exp(), x**2)),
    ],
)
def test_an_output_without_a_cotangent_contributes_nothing(
    equations: str, formula: Callable[[Tensor], tuple[Tensor, ...]], given: tuple[int, ...]
) -> None:
    """Its cotangent is no 0, which would be NaN times an infinite derivative."""
    text = text_of(equations, "x: [i]").replace("outputs: [c]", "outputs: [a, b, c]")
    op, x = load_op(text), torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64, requires_grad=True)
    found = [torch.autograd.grad(sum(f(x)[k].sum() for k in given), x)[0] for f in (op, formula)]
    assert_close(*found)


def test_the_masked_softmax_of_the_library_is_0_where_nothing_is_let_through() -> None:
    op = load_op(ROOT / "specs" / "nn" / "masked_softmax.yaml")
    mask = torch.tensor([[False, False], [True, False]])
    given = [torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64, requires_grad=True), mask]
    value, first, second = derivatives(lambda x, m: op(x, m) ** 2, given)
    check([value], ([[0.0, 0.0], [1.0, 0.0]],), "value")
    check([*first, *second, *tangents(op, given)], ([[0.0, 0.0], [0.0, 0.0]],) * 3, "derivatives")


@pytest.mark.parametrize("label", [2, -1, -100])
def test_a_label_out_of_range_is_named_with_its_extent(label: int) -> None:
    words = "edge: a label in t is outside the axis that it is a position along: t is along index v, which is 2 in x"
    words += f"; t holds {label}: where(t[b] != {label}, ..., 0) leaves one out"
    x, t = torch.ones(2, 2, requires_grad=True), torch.tensor([0, label])
    for equations in ("y[b] = x[b,t[b]]", "y[b] = x[b,v]*delta[v,t[b]]"):
        with pytest.raises(IndexError) as error:
            built(equations, LABELS)(x, t)
        assert str(error.value) == words
    with pytest.raises(IndexError, match=r"labels? in s or t .* s is along index v, which is 2 in x and t is along"):
        built("y[b] = x[b,t[b]] - x[b,s[b]]", LABELS.replace("t:", "s: {indices: [b], kind: label, labels: v}, t:"))(
            x, t, t
        )


COMPLEX = {
    "y[n] = abs(z[n])": torch.abs,
    "y[n] = abs(z[n])^2": lambda z: (z * z.conj()).real,
    "y[n] = real(z[n]*conj(z[n]))": lambda z: (z * z.conj()).real,
    "y[n] = angle(z[n])": torch.angle,
    "y[n] = real(exp(z[n]^2))": lambda z: torch.exp(z**2).real,
    "y = norm[n](z[n])": torch.linalg.vector_norm,
}


@pytest.mark.parametrize("equations", COMPLEX)
def test_a_complex_gradient_is_that_of_torch(equations: str) -> None:
    z = torch.tensor([1 + 2j, -0.5 + 0.25j], dtype=torch.complex128, requires_grad=True)
    ours, theirs = built(equations, "z: {indices: [n], kind: complex}"), COMPLEX[equations]
    got, want = (torch.autograd.grad(f(z).sum(), z, create_graph=True)[0] for f in (ours, theirs))
    assert_close(got, want)
    again = [torch.autograd.grad((g * (1 - 2j)).real.sum(), z)[0] for g in (got, want)]
    assert_close(*again)
    forward = [torch.func.jvp(f, (z.detach(),), (torch.tensor([1j, 2 - 1j]).to(z),))[1] for f in (ours, theirs)]
    assert_close(*forward)


def test_a_magnitude_has_derivative_0_at_0_and_a_real_op_pays_nothing_for_complex_ones() -> None:
    z = torch.zeros(2, dtype=torch.complex128, requires_grad=True)
    built("y[n] = abs(z[n])", "z: {indices: [n], kind: complex}")(z).sum().backward()
    assert z.grad is not None
    assert z.grad.tolist() == [0j, 0j]
    for kind, count in (("real", 0), ("complex", 1)):
        source = compile_spec(text_of("y = z[n]*z[n]*w[n]", f"z: {{indices: [n], kind: {kind}}}, w: [n]")).source
        assert (source.count(".conj()") > 0) == bool(count)


def test_the_gradient_of_labels_and_conditions_is_none() -> None:
    inputs = "x: [i], m: {indices: [i], kind: bool}, w: [v], t: {indices: [i], kind: label, labels: v}"
    op = built("y[i] = where(m[i], x[i]^2, 0) + w[t[i]]", inputs)
    x, w = torch.tensor([3.0, 4.0], requires_grad=True), torch.ones(2, requires_grad=True)
    y = op(x, torch.tensor([True, False]), w, torch.tensor([1, 1], dtype=torch.int32))
    grads: list[Tensor | None] = []
    y.grad_fn.register_hook(lambda inputs, outputs: grads.extend(inputs))
    y.sum().backward()
    assert [None if g is None else g.tolist() for g in grads] == [[6.0, 0.0], None, [0.0, 2.0], None]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("equations", ["y = one[i]*x[i]", "y = x[i]*x[i]", "y = mean[i](x[i])", "y = x[i]*w[i,j]*x[j]"])
def test_a_sum_of_half_precision_accumulates_in_float32(equations: str, dtype: torch.dtype) -> None:
    op = built(equations, "x: [i], w: [i, i]" if "w[" in equations else "x: [i]")
    count = 300 if "w[" in equations else 20_000
    x = (torch.rand(count, generator=torch.Generator().manual_seed(0)) / 8).to(dtype)
    given = [x, torch.full((count, count), 1 / 64, dtype=dtype)] if "w[" in equations else [x]
    ours = [t.clone().requires_grad_() for t in given]
    exact = [t.double().requires_grad_() for t in given]
    y, want = op(*ours), op(*exact)
    assert y.dtype == dtype
    assert_close(y, want.to(dtype), rtol=torch.finfo(dtype).eps, atol=0)
    y.backward()
    want.backward()
    for got, wanted in zip(ours, exact, strict=True):
        assert got.grad is not None
        assert wanted.grad is not None
        assert got.grad.dtype == dtype
        assert_close(got.grad, wanted.grad.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("one", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("two", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_dtypes_are_promoted_as_torch_does(one: torch.dtype, two: torch.dtype) -> None:
    x, z = torch.ones(2, dtype=one, requires_grad=True), torch.full((2,), 3.0, dtype=two, requires_grad=True)
    y = built("y[i] = x[i]*z[i]^2", "x: [i], z: [i]")(x, z)
    assert y.dtype == (x * z).dtype
    y.sum().backward()
    assert x.grad is not None
    assert z.grad is not None
    assert (x.grad.dtype, z.grad.dtype) == (one, two)
    assert (x.grad.tolist(), z.grad.tolist()) == ([9.0, 9.0], [6.0, 6.0])


@pytest.mark.parametrize("inside", [True, False], ids=["backward inside", "backward outside"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(inside: bool, dtype: torch.dtype) -> None:
    op = built("p[b,k] = x[b,h]*w[h,k]; y[b,j] = softmax[k](p[b,k])*w[j,k]", "x: [b, h], w: [h, k]")

    def run(autocast: bool) -> list[Tensor]:
        source = torch.Generator().manual_seed(0)
        given = [torch.randn(5, 5, generator=source).to(dtype).requires_grad_() for _ in range(2)]
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = op(*given)
            if inside:
                y.square().sum().backward()
        if not inside:
            y.square().sum().backward()
        return [y.detach(), *(t.grad for t in given if t.grad is not None)]

    with_autocast, without = run(autocast=True), run(autocast=False)
    assert [t.dtype for t in with_autocast] == [dtype] * 3
    assert_close(with_autocast, without, rtol=0, atol=0)


@pytest.mark.parametrize("first", [False, True], ids=["traced outside", "traced inside"])
def test_autocast_changes_nothing_where_it_comes_and_goes_between_calls_of_what_is_compiled(first: bool) -> None:
    op = built("y[b,k] = tanh(x[b,h]*w[h,k])", "x: [b, h], w: [h, k]")
    compiled = torch.compile(op, backend="aot_eager", fullgraph=True)
    given = [torch.randn(5, 5).requires_grad_() for _ in range(2)]
    want = [op(*given), *torch.autograd.grad(op(*given).sum(), given)]
    for enabled in (first, not first, first):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = compiled(*given)
            assert_close([y, *torch.autograd.grad(y.sum(), given)], want)
