"""Every op of the library in half precision is off by no more than twice what rounding its formula costs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.algebra import walk
from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Report
from tensorgrad_gen.ir import Program, Root
from tensorgrad_gen.verify import samples as draws
from tensorgrad_gen.verify.composed import compose
from tensorgrad_gen.verify.extents import UndefinedValueError
from tensorgrad_gen.verify.model import FindingError, Outputs, Params, Sample, Subject, Tensors
from tensorgrad_gen.verify.rounding import Errors, check_tangents, check_values_and_gradients
from tensorgrad_gen.verify.subject import on_module, project
from tests.test_library import PATHS, spec_of

LONG = 8  # a typical extent: sums of a few terms hide what they are accumulated in
MOST = 20_000  # all extents together: the plain formula is dense
DRAWS = 4
HALF = (torch.bfloat16, torch.float16)
# PyTorch has no complex number as short as bfloat16, `torch.bfloat16.to_complex()` is complex64: float16 alone.
COMPLEX = {"complex_linear", "complex_mse", "dft", "expectation", "mod_relu"}


def shapes(program: Program, params: Params) -> Iterator[draws.Shape]:
    """Long axes first, then shorter ones; the search for a solution takes a step for each of its elements."""
    symbols = [symbol for symbol, _ in program.axes if symbol != "..."]
    batch = ((LONG,) if symbols else (8 * LONG,)) if draws.has_batch(program) else ()
    solved = any(isinstance(node, Root) for s in program.statements for node in walk(s.value))
    for order in () if solved else (symbols, symbols[::-1]):
        sizes = {symbol: LONG + place for place, symbol in enumerate(order)}
        while math.prod((*sizes.values(), *batch)) > MOST:
            sizes[max(sizes, key=lambda s: sizes[s])] -= 1
        yield draws.as_given(program, draws.make_shape(program, {s: sizes[s] for s in symbols}, batch), params)
    yield from draws.candidate_shapes(program, draws.BASE, params)


def sample(program: Program) -> Sample:
    """Numbers of order one, not on a kink or at a pole."""
    params, rng = draws.default_params(program), torch.Generator().manual_seed(0)
    for shape in shapes(program, params):
        for _ in range(DRAWS):
            try:
                tensors = draws.draw(program, shape, params, rng, "cpu")
                distance, _ = draws.distance_from_trouble(program, tensors, params)
            except (UndefinedValueError, RuntimeError, IndexError):
                continue
            if distance > draws.LEAST:
                return Sample(shape.label, tensors, params)
    raise AssertionError(f"no sample for {program.name}")


def subject(name: str) -> Subject:
    """An op of the library as it is committed, and its formula."""
    spec = spec_of(name)
    program = elaborate(spec, Report(spec.path, spec.text))
    module = import_module(f"generated.{PATHS[name].parent.name}.{name}")
    given = sample(program)

    def formula(dtype: torch.dtype) -> Callable[[Tensors, Params], Outputs]:
        return lambda tensors, params: compose(program, project(program, tensors), params, dtype=dtype)

    found = Subject(
        name=name,
        op=getattr(module, name),
        reference=formula(torch.float64),
        differentiable=tuple(item.grad and item.kind in ("real", "complex") for item in program.inputs),
        samples=(given,),
        tiny=given,
        square=given,
        single=formula(torch.float32),
        names=tuple(item.name for item in program.inputs),
    )
    return on_module(found, program, module)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("name", PATHS)
def test_values_and_gradients_are_as_exact_as_the_formula_in_float32_rounded(name: str) -> None:
    found = subject(name)
    for dtype in HALF[1:] if name in COMPLEX else HALF:
        check_values_and_gradients(found, found.samples[0], dtype)


def test_ops_with_complex_inputs_are_those_that_bfloat16_leaves_out() -> None:
    assert torch.bfloat16.to_complex() == torch.complex64
    assert {n for n in PATHS if any(i.kind == "complex" for i in spec_of(n).inputs)} == COMPLEX


def of(op: Callable[..., Tensor], plain: Callable[..., Tensor], *tensors: Tensor) -> Subject:
    given = Sample("sample", tensors, {})
    call: Callable[[Tensors, Params], Outputs] = lambda tensors, _: (plain(*tensors),)  # noqa: E731
    return Subject("op", op, call, (True,) * len(tensors), (given,), given, given)


def accumulated(x: Tensor) -> Tensor:
    """The sum, each of its terms rounded to the dtype of `x`."""
    total = x[0]
    for k in range(1, len(x)):
        total = total + x[k]
    return total


class _FromRounded(torch.autograd.Function):
    """`logsumexp`, differentiated from what it returns."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.float().logsumexp(0).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        x, y = ctx.saved_tensors
        return (grad.float() * (x.float() - y.float()).exp()).to(x.dtype)


@pytest.mark.parametrize("dtype", HALF)
def test_a_sum_accumulated_in_half_precision_is_a_finding(dtype: torch.dtype) -> None:
    x = torch.rand(2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    summed = of(torch.sum, torch.sum, x)
    check_values_and_gradients(summed, summed.samples[0], dtype)
    with pytest.raises(FindingError, match=r"output 0 is off by .* units in the last place"):
        check_values_and_gradients(of(accumulated, torch.sum, x), summed.samples[0], dtype)
    with pytest.raises(FindingError, match="the tangent of output 0 is off by"):
        check_tangents(of(accumulated, torch.sum, x), summed.samples[0], dtype)


@pytest.mark.parametrize("dtype", HALF)
def test_a_gradient_computed_from_a_rounded_output_is_a_finding(dtype: torch.dtype) -> None:
    x = 40 + 0.3 * torch.randn(90, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = functools.partial(torch.logsumexp, dim=0)
    ours = of(load_op(PATHS["logsumexp"]), plain, x)
    check_values_and_gradients(ours, ours.samples[0], dtype)
    with pytest.raises(FindingError, match="gradient of input 0 is off by"):
        check_values_and_gradients(of(_FromRounded.apply, plain, x), ours.samples[0], dtype)


def test_outputs_of_which_a_rounded_copy_would_do_harm_are_kept_as_they_are_computed() -> None:
    kept = {name: compile_spec(PATHS[name])["plan"].unrounded for name in ("pinv", "kepler", "norm", "det")}
    assert all(kept.values()), kept
    # As PyTorch keeps them: a second copy in float32 would take twice the memory of the output.
    rounded = {name: compile_spec(PATHS[name])["plan"].unrounded for name in ("tanh_op", "softmax", "log_softmax")}
    assert not any(rounded.values()), rounded


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_nothing_is_rounded_the_output_itself_is_kept(dtype: torch.dtype) -> None:
    op, kept = load_op(PATHS["inverse"]), []
    x = (2 * torch.eye(3, dtype=dtype)).unsqueeze(0).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):  # type: ignore[func-returns-value]
        y = op(x)
    assert {t.data_ptr() for t in kept} <= {y.data_ptr(), x.data_ptr()}
    assert type(y.grad_fn).__name__ == "_InverseBackward"


SPEC = """\
op: half
inputs:
  dtype: {indices: [i, j], domain: well_conditioned}
  outputs: [j]
equations: |
  y[i] = solve(dtype, outputs)[i]
  n    = y[i]*y[i]
outputs: [y, n]
"""


def plain_half(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    y = torch.linalg.solve(a, b)
    return y, y.square().sum()


@pytest.mark.parametrize("target", ["function", "custom_op"])
@pytest.mark.parametrize("dtypes", [(torch.bfloat16,) * 2, (torch.float16,) * 2, (torch.bfloat16, torch.float32)])
def test_what_is_rounded_outside_has_every_derivative(target: str, dtypes: tuple[torch.dtype, ...]) -> None:
    op = load_op(SPEC + f"target: {target}\n")
    rng = torch.Generator().manual_seed(0)
    a = (2 * torch.eye(4) + 0.4 * torch.randn(4, 4, generator=rng)).to(dtypes[0])
    b = torch.randn(4, generator=rng).to(dtypes[1])
    own = torch.promote_types(*dtypes)
    near = {"rtol": 0.03, "atol": 0.03, "check_dtype": False}
    assert [y.dtype for y in op(a, b)] == [own, own]

    def ours(a: Tensor, b: Tensor) -> Tensor:
        return sum(y.float().sin().sum() for y in op(a, b))  # type: ignore[return-value]

    def plain(a: Tensor, b: Tensor) -> Tensor:
        return sum(y.sin().sum() for y in plain_half(a, b))  # type: ignore[return-value]

    wide = a.double(), b.double()
    for differentiated in (
        lambda f: torch.func.grad(f, (0, 1)),
        lambda f: torch.func.hessian(f, (0, 1)),
        lambda f: lambda *x: torch.func.jvp(f, x, x),
        lambda f: lambda *x: torch.func.vmap(torch.func.grad(f))(*(t.expand(2, *t.shape).contiguous() for t in x)),
    ):
        assert_close(differentiated(ours)(a, b), differentiated(plain)(*wide), **near)
    leaves = a.clone().requires_grad_(), b.clone().requires_grad_()
    first = torch.autograd.grad(ours(*leaves), leaves, create_graph=True)
    assert [g.dtype for g in first] == list(dtypes)
    second = torch.autograd.grad(sum(g.float().sum() for g in first), leaves)
    exact = tuple(t.requires_grad_() for t in wide)
    plain_first = torch.autograd.grad(plain(*exact), exact, create_graph=True)
    assert_close(second, torch.autograd.grad(sum(g.sum() for g in plain_first), exact), **near)


def test_what_is_rounded_outside_compiles_into_one_graph() -> None:
    op = load_op(PATHS["inverse"])
    x = (2 * torch.eye(3)).bfloat16().unsqueeze(0).requires_grad_()
    y = torch.compile(op, fullgraph=True, backend="eager")(x)
    assert y.dtype == torch.bfloat16
    assert_close(torch.autograd.grad(y.sum(), x), torch.autograd.grad(op(x).sum(), x))


@pytest.mark.parametrize(
    ("exact", "single", "got", "fails"),
    [
        (1e-17, 1e-9, 5e-9, False),  # nothing but rounding is left
        (1e-17, 1e-9, math.inf, True),
        (0.0, 0.0, 1e-3, True),
        (1.0, 1.0 + 1e-7, 1.1, True),
        (1.0, 1.0 + 1e-7, 1.003, False),
        (1.0, 1.9, 3.5, True),  # an inexact formula is no excuse as long as it has a digit right
    ],
)
def test_what_is_only_rounding_is_not_judged(exact: float, single: float, got: float, fails: bool) -> None:
    three = [torch.tensor([number], dtype=torch.float64) for number in (got, single, exact)]
    errors = Errors(torch.bfloat16)
    errors.add(three[0], three[1].float(), three[2])
    if fails:
        with pytest.raises(FindingError):
            errors.judge("it")
    else:
        errors.judge("it")
