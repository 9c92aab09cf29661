"""Features of the language side by side: an op equals a formula in torch, in value and in two derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from composition_cases import CASES, LEADING, Formula
from torch import Tensor
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.api import load_module

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def op_of(inputs: str, equations: str, more: str = "") -> Callable[..., Any]:
    body = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    return load_op(f"op: composed\ninputs: {inputs}\nequations: |\n{body}\n{more}")


def drawn(shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    source = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=source, dtype=torch.float64).requires_grad_() for shape in shapes]


def derivatives(function: Formula, tensors: list[Tensor], others: tuple[Tensor, ...]) -> list[Tensor]:
    """The value, the gradients of a random combination of it, and those of a random combination of these."""
    source = torch.Generator().manual_seed(9)

    def combined(items: list[Tensor]) -> Tensor:
        return torch.stack([(t * torch.randn(t.shape, generator=source, dtype=t.dtype)).sum() for t in items]).sum()

    value = function(*tensors, *others)
    first = list(torch.autograd.grad(combined([value]), tensors, create_graph=True))
    second = torch.autograd.grad(combined(first), tensors, allow_unused=True, materialize_grads=True)
    return [value, *first, *second]


def agree(op: Formula, formula: Formula, tensors: list[Tensor], others: tuple[Tensor, ...] = ()) -> None:
    for got, want in zip(derivatives(op, tensors, others), derivatives(formula, tensors, others), strict=True):
        assert_close(got, want, **EXACT)
    directions = tuple(torch.ones_like(t) for t in tensors)
    plain = tuple(t.detach() for t in tensors)
    pushed = [torch.func.jvp(lambda *t, f=f: f(*t, *others), plain, directions)[1] for f in (op, formula)]
    assert_close(*pushed, **EXACT)


@pytest.mark.parametrize("name", CASES)
def test_an_op_equals_its_formula(name: str) -> None:
    case = CASES[name]
    agree(op_of(case.inputs, case.equations, case.more), case.formula, drawn(case.shapes), case.others)


@pytest.mark.parametrize(
    ("p", "order"),
    [
        ("-inf", -math.inf),
        ("-(inf/2)", -math.inf),
        ("0", 0),
        ("1 - 1", 0),
        ("1", 1),
        ("2", 2),
        ("3", 3),
        ("inf", math.inf),
    ],
)
@pytest.mark.parametrize("entries", [[3, -2, 1], [2, -1, 1], [0, 2, 0, -2]], ids=str)
def test_a_norm_is_torchs_for_every_order_that_is_known(p: str, order: float, entries: list[int]) -> None:
    """Ties and entries that are 0 among them."""
    op = op_of("{x: [i]}", f"y = norm[i](x[i], {p}) + x[i]*one[i]")
    x = torch.tensor(entries, dtype=torch.float64, requires_grad=True)
    want = torch.linalg.vector_norm(x, order) + x.sum()
    assert_close(op(x), want, **EXACT)
    assert_close(torch.autograd.grad(op(x), x), torch.autograd.grad(want, x), **EXACT)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", LEADING)
def test_reductions_over_any_number_of_leading_axes(name: str, lead: tuple[int, ...]) -> None:
    equations, formula = LEADING[name]
    agree(op_of("{x: [..., c]}", equations), formula, drawn(((*lead, 4),)))


@pytest.mark.parametrize("factor", ["-1", "2", "1/size(i)"])
def test_a_number_beside_a_clipped_gradient_leaves_it_clipped(factor: str) -> None:
    op = op_of("{x: [i]}", f"y[i] = {factor}*clip_gradient(x[i], -0.3, 0.4)")
    scale = {"-1": -1.0, "2": 2.0, "1/size(i)": 0.25}[factor]
    [x] = drawn(((4,),))
    cotangent = torch.tensor([4.0, -4.0, 0.1, -0.1], dtype=torch.float64)
    [got] = torch.autograd.grad(op(x), x, cotangent)
    assert_close(got, (scale * cotangent).clamp(-0.3, 0.4), **EXACT)


def test_a_standard_deviation_of_equals_has_gradient_zero_as_in_torch() -> None:
    op = op_of("{x: [i]}", "y = std[i](x[i])")
    [got] = torch.autograd.grad(op(x := torch.ones(3).requires_grad_()), x)
    assert got.tolist() == [0, 0, 0]


def test_forward_mode_goes_through_vmap() -> None:
    op = op_of("{x: [i]}", "y[i] = x[i]*sigmoid(x[i])*mean[i](x[i])")
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def formula(t: Tensor) -> Tensor:
        return t * t.sigmoid() * t.mean(-1, keepdim=True)

    def pushed(function: Formula) -> Formula:
        return lambda t: torch.func.jvp(function, (t,), (t,))[1]

    assert_close(pushed(torch.vmap(op))(x), pushed(formula)(x), **EXACT)
    assert_close(pushed(pushed(torch.vmap(op)))(x), pushed(pushed(formula))(x), **EXACT)
    assert_close(torch.vmap(pushed(op))(x), pushed(formula)(x), **EXACT)
    assert_close(torch.func.jacfwd(torch.vmap(op))(x), torch.func.jacfwd(formula)(x), **EXACT)


def test_third_derivatives_of_a_solve_are_right_in_forward_mode() -> None:
    op = op_of("{a: [i, k], q: [i]}", "x[k] = solve(a, q)[k]")
    a = torch.eye(3, dtype=torch.float64) + 0.3 * torch.arange(9, dtype=torch.float64).reshape(3, 3).sin()
    q = torch.ones(3, dtype=torch.float64)

    def value(function: Formula, t: Tensor) -> Tensor:
        return function(a + t * a.mT, q * t.cos()).sum()

    def thrice(function: Formula, along: Callable[[Formula], Formula]) -> Tensor:
        return along(along(along(lambda t: value(function, t))))(torch.tensor(0.3, dtype=torch.float64))

    want = thrice(torch.linalg.solve, torch.func.grad)
    forward = thrice(op, lambda f: lambda t: torch.func.jvp(f, (t,), (torch.ones_like(t),))[1])
    assert_close(thrice(op, torch.func.grad), want, **EXACT)
    assert_close(forward, want, **EXACT)


@pytest.mark.parametrize("structure", ["lower", "upper", "diagonal", "symmetric"])
def test_second_derivatives_keep_to_the_structure_of_an_input(structure: str) -> None:
    op = op_of(f"{{a: {{indices: [i, j], structure: {structure}}}, x: [j]}}", "y[i] = a[i,j]*tanh(x[j])")
    raw, x = drawn(((3, 3), (3,)))
    within: Formula = {
        "lower": torch.tril,
        "upper": torch.triu,
        "diagonal": lambda a: a.diagonal().diag_embed(),
        "symmetric": lambda a: (a + a.mT) / 2,
    }[structure]
    a = within(raw).detach().requires_grad_()
    for got, want in zip(
        derivatives(op, [a, x], ()), derivatives(lambda a, x: within(a) @ x.tanh(), [a, x], ()), strict=True
    ):
        assert_close(got, want, **EXACT)


def test_nothing_is_differentiated_by_an_input_that_is_not_to_be() -> None:
    op = op_of("{x: [i], s: {indices: [i], grad: false}}", "y[i] = x[i]^2*s[i]*s[i]")
    x, s = drawn(((3,), (3,)))
    [first] = torch.autograd.grad(op(x, s).sum(), x, create_graph=True)
    assert torch.autograd.grad(first.sum(), [x, s], allow_unused=True)[1] is None


def test_what_is_collected_by_label_is_collected_once_in_backward() -> None:
    equations = "e[i] = exp(x[i]); z[n] = e[i]*delta[n,g[i]]; y[i] = e[i]/z[g[i]]"
    op = op_of("{x: [i], g: {indices: [i], kind: label, labels: n}, w: [n]}", equations, "outputs: [y, z]\n")
    labels = torch.tensor([0, 2, 0, 1, 2]).repeat(2000)
    x = torch.linspace(-1, 1, 10_000, dtype=torch.float64).requires_grad_()
    shares, totals = op(x, labels, torch.zeros(3, dtype=torch.float64))
    want = x.exp() / torch.zeros(3, dtype=torch.float64).index_add(0, labels, x.exp())[labels]
    with SizeMode() as sizes:
        [got] = torch.autograd.grad(shares.square().sum() + totals.sum(), x)
    [right] = torch.autograd.grad(want.square().sum() + x.exp().sum(), x)
    assert_close(got, right, **EXACT)
    assert sizes.largest <= 10_000


class SizeMode(TorchDispatchMode):
    """The number of elements of the largest tensor that a call makes."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.largest = max(self.largest, out.numel() if isinstance(out, Tensor) else 0)
        return out


def test_forward_mode_keeps_to_the_structure_of_an_input() -> None:
    op = op_of("{a: {indices: [i, j], structure: symmetric}, x: [j]}", "y[i] = exp(a[i,j]*x[j])")
    raw, x = (t.detach() for t in drawn(((3, 3), (3,))))
    a = raw + raw.mT
    assert_close(torch.func.jacfwd(op)(a, x), torch.func.jacrev(op)(a, x), **EXACT)
    assert_close(torch.func.hessian(op)(a, x), torch.func.jacrev(torch.func.jacrev(op))(a, x), **EXACT)


def test_forward_mode_goes_without_an_input_that_has_a_default() -> None:
    op = op_of("{x: [i], a: {indices: [i, j], default: 1}}", "y[i] = x[i]^2*a[i,j]*x[j]")
    x = torch.arange(1.0, 4.0)
    got, want = (torch.func.jvp(f, (x,), (x,))[1] for f in (op, lambda t: t**2 * t.sum()))
    assert_close(got, want)


POSITIVE: dict[str, Formula] = {
    "y[b] = [x[b] > 0]*one[i]*log(x[b]*w[b,i])": lambda x, w: x[:, None].mul(w).log().sum(-1),
    "y[b] = [x[b] > 0]*sum[i](sqrt(x[b]*w[b,i]))*x[b]": lambda x, w: x[:, None].mul(w).sqrt().sum(-1) * x,
    "y[b] = where(x[b] > 0, sum[i](log(x[b]*w[b,i])), 0)": lambda x, w: x[:, None].mul(w).log().sum(-1),
    "y[b] = one[i]*([x[b] > 0]*sqrt(x[b] + w[b,i]))": lambda x, w: (x[:, None] + w).sqrt().sum(-1),
}


@pytest.mark.parametrize("equation", POSITIVE)
def test_what_a_mask_hides_is_not_differentiated(equation: str) -> None:
    x = torch.tensor([0.0, -1.0, 2.0], dtype=torch.float64).requires_grad_()
    [w] = drawn(((3, 2),))
    w = (w.detach().abs() + 0.5).requires_grad_()

    def formula(x: Tensor, w: Tensor) -> Tensor:
        return torch.where(x > 0, POSITIVE[equation](torch.where(x > 0, x, 1), w), 0)

    agree(op_of("{x: [b], w: [b, i]}", equation), formula, [x, w])


EXTREMA: dict[str, Formula] = {
    "y = max[t](w[d]*x[t,d])": lambda x, w: (x @ w).amax(),
    "y = min[t](sum[d](x[t,d]^2))": lambda x, w: x.square().sum(-1).amin(),
    "u[t] = x[t,d]*w[d]; y = max[t](u[t])": lambda x, w: (x @ w).amax(),
    "y = 2*max[t](exp(x[t,0]))": lambda x, w: 2 * x[:, 0].exp().amax(),
    "u[t] = x[t,d]*w[d]; y = max[t](u[t])\noutputs: [y, u]": lambda x, w: (x @ w).amax(),
    "y = max[t](w[d]*x[t,d]); u[t] = x[t,d]*w[d]\noutputs: [y, u]": lambda x, w: (x @ w).amax(),
    "u[t] = x[t,d]*w[d]; k = argmin[t](u[t]); y = x[k,0]^2\noutputs: [y, u]": lambda x, w: x[(x @ w).argmin(), 0] ** 2,
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("equations", EXTREMA)
def test_an_extremum_that_is_an_output_has_its_gradient_in_half_precision(equations: str, dtype: torch.dtype) -> None:
    lines, _, more = equations.partition("\n")
    op = op_of("{x: [t, d], w: [d]}", lines, more)
    x, w = (t.detach().to(dtype).requires_grad_() for t in drawn(((5, 3), (3,))))
    value = op(x, w)
    [got] = torch.autograd.grad(value[0] if more else value, x)
    [want] = torch.autograd.grad(EXTREMA[equations](x.float(), w.float()), x)
    assert_close(got, want, rtol=0.02, atol=0.01)
    assert bool(want.any())


@pytest.mark.parametrize("scan", ["softmax[j](2*bias[i,j])", "exp(logsumexp[j](bias[i,j]))*one[j]*bias[i,j]"])
def test_a_scan_reads_an_input_that_has_a_default(scan: str) -> None:
    op = op_of("{h: [i, j], bias: {indices: [i, j], default: 0}}", f"c[i,j] = {scan}")
    h, bias = drawn(((3, 2), (3, 2)))
    assert_close(op(h), op(h, torch.zeros_like(bias)), **EXACT)

    def formula(b: Tensor) -> Tensor:
        return (2 * b).softmax(-1) if "softmax" in scan else b.exp().sum(-1, keepdim=True) * b

    agree(lambda b: op(h.detach(), b), formula, [bias])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_surrogate_derivative_leaves_the_value_as_it_is(dtype: torch.dtype) -> None:
    far = torch.tensor([1e9, -3e8, 1e30, float("inf"), -0.5], dtype=dtype)
    through = op_of("{x: [i]}", "y[i] = straight_through(sign(x[i]), x[i])")
    assert_close(through(far), far.sign(), rtol=0, atol=0)
    masked = op_of(
        "{x: [i], m: {indices: [i], kind: bool}}", "y[i] = softmax[i](scale_gradient(where(m[i], x[i], -inf), 3))"
    )
    x, mask = far[-2:].nan_to_num(posinf=2.0).requires_grad_(), torch.tensor([True, True])
    value = masked(x, mask)
    assert_close(value, x.softmax(0))
    (got,) = torch.autograd.grad(value[0], x)
    (want,) = torch.autograd.grad(x.softmax(0)[0], x)
    assert_close(got, 3 * want)
    assert_close(masked(x, torch.tensor([True, False])), torch.tensor([1.0, 0.0], dtype=dtype))


class _Clipped(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, *grads: Any) -> Any:
        return grads[0].clamp(-0.1, 0.1)


CLIPPED = {
    "y = norm[i](g[i] - t[i])": lambda g, t: torch.linalg.vector_norm(g - t),
    "h[i] = exp(g[i])*t[i]; y = softmax[i](h[i])*g[i]*one[i] + h[i]*h[i]": lambda g, t: (
        ((g.exp() * t).softmax(0) * g).sum() + ((g.exp() * t) ** 2).sum()
    ),
    "y = (g[i]*t[i]*delta[i,j]*g[j])^2": lambda g, t: (g * g * t).sum() ** 2,
}


@pytest.mark.parametrize("save", ["auto", "inputs", "all"])
@pytest.mark.parametrize("equations", CLIPPED)
def test_a_clip_takes_the_whole_cotangent_in_second_derivatives_too(equations: str, save: str) -> None:
    op = op_of("{x: [i], t: [i]}", f"g[i] = clip_gradient(x[i]^2, -0.1, 0.1); {equations}", f"save: {save}\n")
    x, t = (leaf * 3 for leaf in drawn(((4,), (4,))))
    for got, want in zip(
        derivatives(op, [x, t], ()),
        derivatives(lambda x, t: CLIPPED[equations](_Clipped.apply(x * x), t), [x, t], ()),
        strict=True,
    ):
        assert_close(got, want, **EXACT)


@pytest.mark.parametrize("choice", ["argmax[t](u[t])", "argsort[t](u[t])"])
def test_a_label_of_what_is_an_output_is_the_same_in_backward(choice: str) -> None:
    scan = "argsort" in choice
    label, at = ("k[t]", "k[t]") if scan else ("k", "k")
    lines = f"u[t] = x[t]*w[t]; {label} = {choice}; y{'[t]' if scan else ''} = v[{at}]"
    op = op_of("{x: [t], w: [t], v: [t]}", lines, "outputs: [y, u]")
    # Products that bfloat16 does not tell apart, the largest last.
    steps = torch.arange(-1.0, 3.0) / 128
    x, w = ((1 + step).bfloat16() for step in (steps, 4 / 128 - steps))
    v = torch.arange(4.0).bfloat16().requires_grad_()
    y, u = op(x, w, v)
    assert len(set(u.tolist())) == 1
    [grad] = torch.autograd.grad((y * torch.arange(1.0, 5.0)).sum() if scan else y, v)
    order = (x.float() * w.float()).argsort(stable=True)
    want = torch.zeros(4)
    want[order if scan else order[-1:]] = torch.arange(1.0, 5.0) if scan else 1.0
    assert_close(grad.float(), want)


def test_forward_mode_goes_through_vmap_where_a_saved_tensor_is_transposed() -> None:
    inputs = "{s: {indices: [b, z, w], domain: well_conditioned}, c: [b, i, w], e: [b, z]}"
    implicit = 'implicit: {unknown: "k[b,i,z]", equation: "k[b,i,z]*s[b,z,w] = c[b,i,w]"}\n'
    op = op_of(inputs, "m[b,i] = k[b,i,z]*e[b,z]", implicit)
    s, c, e = drawn(((2, 3, 3), (2, 4, 3), (2, 3)))
    s = s.detach() + 3 * torch.eye(3, dtype=s.dtype)

    def plain(c: Tensor) -> Tensor:
        return torch.einsum("biw,bwz,bz->bi", c, torch.linalg.inv(s), e)

    jacobian = torch.autograd.functional.jacobian
    got = jacobian(lambda c: op(s, c, e), c, strategy="forward-mode", vectorize=True)
    assert_close(got, jacobian(plain, c), **EXACT)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)], ids=str)
def test_every_term_has_the_same_leading_axes(lead: tuple[int, ...]) -> None:
    op = op_of(
        "{w: [...]}", "a = sum[...](w[...])*max[...](2*w[...]) + max[...](w[...]^2) + logsumexp[...](1 + w[...])"
    )
    [w] = drawn((lead,))

    def plain(w: Tensor) -> Tensor:
        return w.sum() * (2 * w).amax() + w.square().amax() + (1 + w).flatten().logsumexp(0)

    agree(op, plain, [w])


def test_a_layer_with_a_users_function_makes_nothing_larger_than_it_has_to() -> None:
    op = op_of(
        "{n: [b, d], w1: [f, d], c1: [f], w2: [d, f]}",
        "y[b,d] = w2[d,f]*act(w1[f,r]*n[b,r] + c1[f])",
        "functions: {act(z): z*sigmoid(1.702*z)}\n",
    )
    tensors = drawn(((5, 6), (7, 6), (7,), (6, 7)))

    def plain(n: Tensor, w1: Tensor, c1: Tensor, w2: Tensor) -> Tensor:
        z = n @ w1.T + c1
        return (z * torch.sigmoid(1.702 * z)) @ w2.T

    agree(op, plain, tensors)
    with SizeMode() as backward:
        torch.autograd.grad(op(*tensors).sum(), tensors)
    with SizeMode() as forward:
        torch.func.jvp(op, tuple(t.detach() for t in tensors), tuple(t.detach() for t in tensors))
    assert max(backward.largest, forward.largest) < 5 * 6 * 7


def test_two_outputs_that_are_matrix_functions() -> None:
    spec = (
        "op: op\ninputs: {a: [i, j], c: [k, l]}\nequations: |\n  d = det(a)\n  e[k,l] = inv(c)[k,l]\noutputs: [d, e]\n"
    )
    op = load_module("op", compile_spec(spec, standalone=True).source).op
    a, c = (torch.randn(3, 3, dtype=torch.float64, requires_grad=True) for _ in "ac")
    got, want = op(a, c), (torch.linalg.det(a), torch.linalg.inv(c))
    for one, two in zip(got, want, strict=True):
        torch.testing.assert_close(one, two)
    gradients = [torch.autograd.grad(d * e.sum(), (a, c)) for d, e in (got, want)]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)
