"""Windows as PyTorch has them: what is read through one is a view, what is contracted with one a convolution."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as f
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from tensorgrad_gen import compile_spec, load_op
from tests.window_cases import CASES, KERNEL

EXACT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}
STEPS = "params: {s: {default: 1, kind: int}, d: {default: 1, kind: int}, p: {default: 0, kind: int}}\n"
ONE = (
    "{x: [b, c, n], w: [o, c, k], z: {indices: [o], default: 0}}",
    "y[b,o,i] = x[b,c,pad(s*i + d*k - p)]*w[o,c,k] + z[o]",
    STEPS + "sizes: {N: n, K: k, I: {index: i, extent: (N + 2*p - d*(K - 1) - 1)//s + 1}}\n",
)
TWO = (
    "{x: [b, c, h, v], w: [o, c, k, l], z: {indices: [o], default: 0}}",
    "y[b,o,i,j] = x[b,c,pad(s*i + d*k - p),pad(s*j + d*l - p)]*w[o,c,k,l] + z[o]",
    STEPS + "sizes: {H: h, V: v, K: k, L: l, I: {index: i, extent: (H + 2*p - d*(K - 1) - 1)//s + 1},"
    " J: {index: j, extent: (V + 2*p - d*(L - 1) - 1)//s + 1}}\n",
)
PLAIN = (
    "{x: [b, c, n], w: [o, c, k]}",
    "y[b,o,i] = x[b,c,s*i + d*k]*w[o,c,k]",
    "params: {s: {default: 1, kind: int}, d: {default: 1, kind: int}}\n",
)


def text(inputs: str, equations: str, more: str = "") -> str:
    lines = "".join(f"  {line.strip()}\n" for line in equations.split(";"))
    return f"op: case\ndoc: A case.\ninputs: {inputs}\n{more}equations: |\n{lines}"


@cache
def op_of(inputs: str, equations: str, more: str = "") -> Any:
    return load_op(text(inputs, equations, more))


def drawn(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(s, dtype=torch.float64, generator=generator).requires_grad_() for s in shapes]


def agree(op: Callable[..., Tensor], formula: Callable[..., Tensor], tensors: list[Tensor]) -> None:
    """Value, gradients, and the gradients of the gradients."""
    got, want = op(*tensors), formula(*tensors)
    assert_close(got, want, **EXACT)
    cotangent = drawn(tuple(want.shape), seed=1)[0]
    first, second = (torch.autograd.grad(value, tensors, cotangent, create_graph=True) for value in (got, want))
    assert_close(first, second, **EXACT)
    weights = drawn(*(tuple(t.shape) for t in tensors), seed=2)
    sums = [sum((g * v).sum() for g, v in zip(grads, weights, strict=True)) for grads in (first, second)]
    assert_close(*(torch.autograd.grad(total, tensors, materialize_grads=True) for total in sums), **EXACT)


GRID = list(itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3, 4), (0, 1, 2)))


@pytest.mark.parametrize(("stride", "dilation", "kernel", "padding"), GRID)
def test_every_stride_dilation_kernel_and_padding_is_conv1d(
    stride: int, dilation: int, kernel: int, padding: int
) -> None:
    form = {"stride": stride, "dilation": dilation, "padding": padding}
    op = op_of(*ONE)
    agree(
        lambda x, w, z: op(x, w, z, s=stride, d=dilation, p=padding),
        lambda x, w, z: f.conv1d(x, w, z, **form),
        drawn((2, 3, 11), (2, 3, kernel), (2,)),
    )


@pytest.mark.parametrize(("stride", "dilation", "kernel", "padding"), GRID)
def test_every_stride_dilation_kernel_and_padding_is_conv2d(
    stride: int, dilation: int, kernel: int, padding: int
) -> None:
    form = {"stride": stride, "dilation": dilation, "padding": padding}
    op = op_of(*TWO)
    agree(
        lambda x, w, z: op(x, w, z, s=stride, d=dilation, p=padding),
        lambda x, w, z: f.conv2d(x, w, z, **form),
        drawn((1, 2, 11, 10), (2, 2, kernel, max(kernel - 1, 1)), (2,)),
    )


@pytest.mark.parametrize(("stride", "dilation", "kernel"), sorted({case[:3] for case in GRID}))
def test_a_range_that_is_inferred_is_that_of_conv1d(stride: int, dilation: int, kernel: int) -> None:
    op = op_of(*PLAIN)
    agree(
        lambda x, w: op(x, w, s=stride, d=dilation),
        lambda x, w: f.conv1d(x, w, stride=stride, dilation=dilation),
        drawn((2, 3, 12), (2, 3, kernel)),
    )


@pytest.mark.parametrize("name", CASES)
def test_a_window_of_any_kind_has_exact_derivatives(name: str) -> None:
    spec, formula, shapes = CASES[name]
    op, tensors = op_of(*spec), drawn(*shapes)
    agree(op, formula, tensors)
    plain = tuple(t.detach() for t in tensors)
    tangents = tuple(t.detach() for t in drawn(*shapes, seed=3))
    assert_close(torch.func.jvp(op, plain, tangents), torch.func.jvp(formula, plain, tangents), **EXACT)
    stacked = tuple(torch.stack([t, 2 * t, t + 1]) for t in plain)
    want = torch.stack([formula(*(t[k] for t in stacked)) for k in range(3)])
    assert_close(torch.func.vmap(op)(*stacked), want, **EXACT)
    forward, reverse = (torch.func.vmap(j(op))(*stacked) for j in (torch.func.jacfwd, torch.func.jacrev))
    assert_close(forward, reverse, **EXACT)


@pytest.mark.parametrize("name", ["groups", "a causal one", "transposed", "means over windows", "a Hankel matrix"])
def test_a_window_passes_every_gradcheck(name: str) -> None:
    spec, _, shapes = CASES[name]
    op, tensors = op_of(*spec), tuple(drawn(*shapes))
    batched = {"check_batched_grad": True}
    assert gradcheck(op, tensors, check_forward_ad=True, check_batched_forward_grad=True, **batched)
    assert gradgradcheck(op, tensors, check_fwd_over_rev=True, **batched)


@pytest.mark.parametrize("name", ["groups", "a causal one", "transposed", "maxima of dilated windows"])
def test_a_window_compiles_to_one_graph(name: str) -> None:
    spec, formula, shapes = CASES[name]
    compiled = torch.compile(op_of(*spec), fullgraph=True, backend="aot_eager", dynamic=True)
    tensors = drawn(*shapes)
    got, want = compiled(*tensors), formula(*tensors)
    assert_close(got, want, **EXACT)
    assert_close(torch.autograd.grad(got.sum(), tensors), torch.autograd.grad(want.sum(), tensors), **EXACT)


@pytest.mark.parametrize("spec", [ONE, TWO, PLAIN, *(CASES[name][0] for name in CASES if name != "a circle")])
def test_no_window_looks_anything_up(spec: tuple[str, ...]) -> None:
    source = compile_spec(text(*spec)).source
    assert not re.findall(r"arange|index_select|[._](?:take|gather|scatter_sum|index_sum|one_hot)\(", source)


@pytest.mark.parametrize("name", ["groups", "a causal one", "transposed", "a convolution of a convolution"])
def test_a_contraction_with_a_window_is_a_convolution_and_its_gradients_its_transposes(name: str) -> None:
    source = compile_spec(text(*CASES[name][0])).source
    assert set(re.findall(r"_runtime\.((?:conv|window)\w*)\(", source)) == {"conv", "conv_input", "conv_weight"}


class Traffic(TorchDispatchMode):
    """Bytes that calls read and write, those of views not counted, and the size of the largest result."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and func is not torch.ops.aten._unsafe_view.default:
            results = [t for t in torch.utils._pytree.tree_leaves(out) if isinstance(t, Tensor)]
            given = [t for t in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
            self.moved += sum(t.numel() * t.element_size() for t in (*results, *given))
            self.largest = max([self.largest, *(t.numel() for t in results)])
        return out


def cost(run: Callable[..., Tensor], tensors: list[Tensor]) -> tuple[int, int, int]:
    """Bytes moved, elements of the largest tensor, floating-point operations, of value and gradients."""
    with Traffic() as traffic, FlopCounterMode(display=False) as flops:
        torch.autograd.grad(run(*tensors).sum(), tensors)
    return traffic.moved, traffic.largest, flops.get_total_flops()


@pytest.mark.parametrize("form", [{}, {"stride": 2}, {"dilation": 3}])
def test_a_convolution_moves_little_more_than_pytorch_does(form: dict[str, int]) -> None:
    tensors = [t.float().detach().requires_grad_() for t in drawn((8, 16, 64), (32, 16, 3))]
    ours = cost(lambda x, w: op_of(*PLAIN)(x, w, s=form.get("stride", 1), d=form.get("dilation", 1)), tensors)
    theirs = cost(lambda x, w: f.conv1d(x, w, **form), tensors)
    assert ours[1:] == theirs[1:]
    assert ours[0] <= 1.5 * theirs[0]  # the cotangent is read once for each gradient


def test_a_pool_makes_nothing_larger_than_twice_its_windows() -> None:
    [x] = drawn((4, 8, 120))
    for reduction in ("mean", "max"):
        op = op_of("{x: [b, c, n]}", f"y[b,c,i] = {reduction}[k](x[b,c,2*i + k])", KERNEL)
        assert cost(op, [x])[1] <= 2 * 4 * 8 * 59 * 3


@pytest.mark.parametrize("shape", [(0, 2, 5), (2, 0, 5), (2, 2, 0)])
@pytest.mark.parametrize("taps", [0, 3])
def test_an_empty_convolution_is_zero(shape: tuple[int, int, int], taps: int) -> None:
    x, w = drawn(shape, (4, shape[1], taps))
    y = op_of("{x: [b, c, n], w: [o, c, k]}", "y[b,o,n] = x[b,c,pad(n + k - 1)]*w[o,c,k]")(x, w)
    assert_close(y, torch.zeros(shape[0], 4, shape[2], dtype=torch.float64))
    grads = torch.autograd.grad(y.sum(), (x, w), create_graph=True)
    assert_close(grads, (torch.zeros_like(x), torch.zeros_like(w)))


def test_zeros_are_read_outside_of_an_axis_without_elements() -> None:
    x = torch.zeros(0, dtype=torch.float64, requires_grad=True)
    y = op_of("{x: [n]}", "y[i] = x[pad(i - 1)]", "sizes: {I: {index: i, extent: 3}}\n")(x)
    assert_close(y, torch.zeros(3, dtype=torch.float64))
    assert torch.autograd.grad(y.sum(), x)[0].shape == (0,)


def test_a_kernel_longer_than_its_axis_is_an_error_that_names_the_index() -> None:
    with pytest.raises(ValueError, match=r"^case: index i would have -1 places$"):
        op_of(*PLAIN)(*drawn((2, 3, 2), (4, 3, 4)))


def test_reading_outside_is_an_error_that_names_positions_and_extent() -> None:
    op = op_of("{x: [n], w: [k]}", "y[i] = x[s*i + k]*w[k]", STEPS + "sizes: {I: {index: i, extent: 4}}\n")
    with pytest.raises(IndexError, match=r"x\[s\*i \+ k\] is at positions 0 to 8 along index n, whose extent is 7"):
        op(*drawn((7,), (3,)), s=2)


def test_adding_outside_is_an_error_too() -> None:
    op = op_of("{x: [i]}", "y[p] = x[i]*delta[p,2*i]", "sizes: {P: {index: p, extent: size(i)}}\n")
    with pytest.raises(IndexError, match=r"delta\[p,2\*i\] is at positions 0 to 6 along index p, whose extent is 4"):
        op(*drawn((4,)))


@pytest.mark.parametrize("step", [-2, 0, 3])
def test_a_step_may_have_any_sign(step: int) -> None:
    spec = "{x: [n], w: [k]}", "y[i] = x[s*i + 6 - d*k]*w[k]", STEPS + "sizes: {I: {index: i, extent: 3}}\n"
    at = torch.tensor([[step * i + 6 - k for k in range(3)] for i in range(3)])
    agree(lambda x, w: op_of(*spec)(x, w, s=step), lambda x, w: x[at] @ w, drawn((13,), (3,)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_sums_of_half_precision_are_accumulated_in_single(dtype: torch.dtype) -> None:
    x, w = (t.detach().to(dtype) for t in drawn((2, 64, 9), (3, 64, 3)))
    got, want = op_of(*PLAIN)(x, w), f.conv1d(x.double(), w.double())
    assert got.dtype == dtype
    assert_close(got.double(), want.to(dtype).double(), rtol=2 * torch.finfo(dtype).eps, atol=1e-5)


def test_a_complex_convolution_has_the_gradient_of_pytorch() -> None:
    kind = "{indices: [%s], kind: complex}"
    op = op_of(f"{{x: {kind % 'b, c, n'}, w: {kind % 'o, c, k'}}}", "y[b,o,i] = x[b,c,2*i + k]*w[o,c,k]")
    real = drawn((2, 2, 7), (2, 2, 2)), drawn((2, 2, 7), (2, 2, 2), seed=5)
    tensors = [torch.complex(a.detach(), b.detach()).requires_grad_() for a, b in zip(*real, strict=True)]
    got, want = op(*tensors), f.conv1d(*tensors, stride=2)
    assert_close(got, want, **EXACT)
    sums = (value.abs().square().sum() for value in (got, want))
    assert_close(*(torch.autograd.grad(total, tensors) for total in sums), **EXACT)
