"""`save: all`: nothing that forward has computed is computed again, and every derivative is as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.bench import Call, formula

# Name -> (inputs, equations, shapes, calls that forward makes once and backward not again).
SPECS: dict[str, tuple[str, str, tuple[tuple[int, ...], ...], tuple[str, ...]]] = {
    "gate": ("a: [n], b: [n]", "y[n] = silu(a[n])*b[n]", ((5,), (5,)), ("silu",)),
    "difference": ("x: [n], z: [n]", "y = one[n]*abs(x[n] - z[n])", ((5,), (5,)), ("sub",)),
    "opposite": (
        "x: [n], z: [n]",
        "y[n] = sin(x[n] - z[n])*cos(z[n] - x[n])",
        ((5,), (5,)),
        ("sub",),
    ),
    "spread": (
        "x: [i, d], z: [j, d]",
        "y[i,j] = exp(-(x[i,d] - z[j,d])^2*one[d])",
        ((3, 2), (4, 2)),
        ("sub", "exp"),
    ),
    "contracted": (
        "a: [i], b: [l], m: [i, l]",
        "y = a[i]*sin(m[i,l])*b[l]",
        ((3,), (4,), (3, 4)),
        ("sin", "cos"),
    ),
    "kernel": (
        "x: [i, d], z: [j, d], b: [j, c], s: []",
        "y[i,c] = exp(-(x[i,d] - z[j,d])^2*one[d]/(2*(1 + s^2)))*b[j,c]",
        ((3, 2), (4, 2), (4, 3), ()),
        ("exp", "sub"),
    ),
    "layers": (
        "x: [b, i], w: [i, h], v: [h, o]",
        "y[b,o] = sin(x[b,i]*w[i,h])*v[h,o]",
        ((3, 2), (2, 4), (4, 5)),
        ("sin", "cos"),
    ),
    "rows": (
        "w: [v, d], t: {indices: [b, s], kind: label, labels: v}, p: [b, s]",
        "y[b,d] = p[b,s]*w[t[b,s],d]",
        ((7, 3), (4, 2), (4, 2)),
        ("embedding", "index_select", "index"),
    ),
    "margin": (
        "a: [n, d], p: [n, d], q: [n, d]",
        "l = one[n]*relu(norm[d](a[n,d] - p[n,d]) - norm[d](a[n,d] - q[n,d]) + 1)",
        ((4, 3), (4, 3), (4, 3)),
        ("linalg_vector_norm",),
    ),
    "nested": (
        "x: [n], w: [n]",
        "y[n] = sin(exp(x[n]*w[n]))*exp(x[n]*w[n])",
        ((5,), (5,)),
        ("exp", "sin", "cos"),
    ),
    "masked": (
        "x: [n], w: [n]",
        "y[n] = where(x[n] > 0, log(x[n])*exp(w[n]), exp(w[n])*x[n])",
        ((6,), (6,)),
        (),
    ),
    "softmax": (
        "x: [b, h], u: [b, h]",
        "y[b] = softmax[h](x[b,h] - u[b,h])*exp(x[b,h] - u[b,h])*one[h]",
        ((3, 4), (3, 4)),
        ("exp", "sub"),
    ),
    "entropy": (
        "x: [b, h]",
        "q[b,h] = log_softmax[h](x[b,h])\n  y[b] = -exp(q[b,h])*q[b,h]*q[b,h]*one[h]",
        ((3, 4),),
        ("exp",),
    ),
    "gates": (
        "x: [n], u: [n], v: [n]",
        "y[n] = sigmoid(x[n])*tanh(u[n]) + (1 - sigmoid(x[n]))*v[n]",
        ((5,), (5,), (5,)),
        (),
    ),
}


def text_of(inputs: str, equations: str, save: str = "all") -> str:
    return f"op: it\ndoc: It.\ninputs: {{{inputs}}}\nequations: |\n  {equations}\nsave: {save}\n"


def tensors_of(name: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SPECS[name][2]]
    if name == "rows":
        tensors[1] = torch.randint(0, 7, SPECS[name][2][1], generator=generator)
    return tensors


def leaves_of(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t.clone().requires_grad_(t.is_floating_point()) for t in tensors]


def derivatives(call: Call, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The value, the gradients, and the gradients of a number made of these."""
    leaves = leaves_of(tensors)
    wanted = [t for t in leaves if t.requires_grad]
    result = call(*leaves)
    value = result if isinstance(result, Tensor) else result[0]
    along = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    first = torch.autograd.grad(value, wanted, along, create_graph=True)
    number = sum((g.sin().sum() for g in first), value.sum())
    return [value, *first, *torch.autograd.grad(number, wanted)]


def same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


class Calls(TorchDispatchMode):
    """How often each operator is called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__.rstrip("_")] += 1
        return func(*args, **(kwargs or {}))


def calls_of(call: Call, tensors: Sequence[Tensor]) -> Counter[str]:
    leaves = leaves_of(tensors)
    with Calls() as seen:
        result = call(*leaves)
        value = result if isinstance(result, Tensor) else result[0]
        torch.autograd.grad(value.sum(), [t for t in leaves if t.requires_grad])
    return seen.counts


@pytest.mark.parametrize("name", SPECS)
def test_value_gradients_and_second_derivatives_are_those_of_the_formula(name: str) -> None:
    text = text_of(*SPECS[name][:2])
    written = formula(compile_spec(text)["elaborate"], {})
    tensors = tensors_of(name)
    same(derivatives(load_op(text), tensors), derivatives(written, tensors))


@pytest.mark.parametrize("name", SPECS)
def test_auxiliary_outputs_are_differentiable(name: str) -> None:
    """Second derivatives go through what is kept: `gradgradcheck` finds a saved tensor that is taken for a constant."""
    op = load_op(text_of(*SPECS[name][:2]))
    assert torch.autograd.gradgradcheck(op, leaves_of(tensors_of(name)))


@pytest.mark.parametrize("name", [name for name in SPECS if SPECS[name][3]])
def test_nothing_is_computed_twice(name: str) -> None:
    inputs, equations, _, once = SPECS[name]
    tensors = tensors_of(name)
    found = calls_of(load_op(text_of(inputs, equations)), tensors)
    written = calls_of(formula(compile_spec(text_of(inputs, equations))["elaborate"], {}), tensors)
    again = calls_of(load_op(text_of(inputs, equations, "inputs")), tensors)
    for operator in once:
        assert found[operator] <= max(written[operator], 1), operator
    assert sum(found[o] for o in once) < sum(again[o] for o in once), "nothing to keep: this test shows nothing"


@pytest.mark.parametrize("name", ["gate", "spread", "kernel", "margin", "nested"])
def test_it_maps_over_a_batch(name: str) -> None:
    op, tensors = load_op(text_of(*SPECS[name][:2])), tensors_of(name)
    batches = [torch.stack([t, 2 * t, -t]) for t in tensors]
    places = tuple(range(len(tensors)))

    def gradients(*own: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = torch.func.grad(lambda *x: op(*x).sum(), argnums=places)(*own)
        return found

    mapped = torch.func.vmap(gradients)(*batches)
    for n in range(3):
        same([g[n] for g in mapped], gradients(*(b[n] for b in batches)))


def test_of_a_mask_nothing_is_read_where_it_hides() -> None:
    """The logarithm under the mask is not named: it would be computed where it is not finite."""
    op = load_op(text_of(*SPECS["masked"][:2]))
    x = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    for found in derivatives(op, [x, w])[:3]:
        assert found.isfinite().all()


def test_what_pytorch_has_one_call_for_stays_one() -> None:
    """Parts of a derivative that is one operator are not kept."""
    op = load_op(text_of("x: [n]", "y[n] = x[n]/(1 + exp(-x[n]))"))
    counts = calls_of(op, [torch.ones(4)])
    assert counts["silu_backward"] == counts["sigmoid"] == 1


def test_with_save_auto_nothing_of_that_is_kept() -> None:
    plan = compile_spec(text_of(*SPECS["gate"][:2], save="auto"))["plan"]
    assert plan.auxiliary == ()
    assert compile_spec(text_of(*SPECS["gate"][:2]))["plan"].auxiliary == ("silu_a",)


# random expressions

_LEAVES = st.sampled_from(["x[n]", "w[n]", "(x[n] - w[n])", "(w[n] - x[n])", "x[n]*w[n]"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    unary = st.builds(lambda f, a: f"{f}({a})", st.sampled_from(["exp", "sin", "tanh", "sigmoid", "silu"]), inner)
    return unary | st.builds(lambda a, o, b: f"({a} {o} {b})", inner, st.sampled_from("+-*"), inner)


@settings(max_examples=15, deadline=None)
@example("(x[n] + w[n])")  # the cotangent of what is kept has the name that a product in backward would have
@given(st.recursive(_LEAVES, _grown, max_leaves=5))
def test_of_any_pointwise_expression_the_derivatives_are_the_same(expression: str) -> None:
    inputs, equations = "x: [n], w: [n]", f"y = one[n]*(sin(0.3*{expression}) + x[n]*w[n])"
    tensors = [t * 0.5 for t in tensors_of("gate")]
    kept, auto = (load_op(text_of(inputs, equations, save)) for save in ("all", "auto"))
    for got, want in zip(derivatives(kept, tensors), derivatives(auto, tensors), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
