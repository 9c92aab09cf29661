"""The contract of a generated op, held by what render prints around bodies written by hand."""

from __future__ import annotations

import copy
import pickle
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from render_build import package, standalone
from render_samples import SAMPLES
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close, make_tensor

# Registers the device, before the first backward of the process: the engine counts devices once.
from tensorgrad_gen.verify.checks_devices import DEVICE

F64 = torch.float64
EPS = 1e-5
Function = Callable[..., Any]


def layer_norm(x: Any, gamma: Any, beta: Any = None) -> Any:
    c = x - x.mean(-1, keepdim=True)
    y = c * (c.square().mean(-1, keepdim=True) + EPS).rsqrt() * gamma
    return y if beta is None else y + beta


def rms_norm(x: Any, w: Any) -> Any:
    return x * (x.square().mean(-1, keepdim=True) + EPS).rsqrt() * w


@pytest.fixture(scope="module", params=["package", "standalone"])
def ops(request: Any, tmp_path_factory: Any) -> Any:
    folder = tmp_path_factory.mktemp("rendered")
    if request.param == "package":
        return package(folder)
    found = ModuleType("found")
    for name in SAMPLES:
        setattr(found, name, getattr(standalone(folder, name), name))
    return found


def sample(*lead: int, n: int = 4, dtype: torch.dtype = F64, grad: bool = True, beta: bool = True) -> tuple[Any, ...]:
    def make(*shape: int) -> torch.Tensor:
        return make_tensor(shape, dtype=dtype, device="cpu", low=-2, high=2, requires_grad=grad)

    return (make(*lead, n), make(n)) + ((make(n),) if beta else ())


def function_of(op: Function, suffix: str = "Dual") -> Any:
    module = sys.modules[op.__module__]
    return getattr(module, "_" + op.__name__.title().replace("_", "") + suffix)


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 3), (0,)], ids=str)
@pytest.mark.parametrize("beta", [True, False])
def test_value_and_gradient_are_those_of_the_formula(ops: Any, lead: tuple[int, ...], beta: bool) -> None:
    a = sample(*lead, beta=beta)
    y, expected = ops.layer_norm(*a), layer_norm(*a)
    assert_close(y, expected)
    g = torch.randn_like(y)
    assert_close(torch.autograd.grad(y, a, g), torch.autograd.grad(expected, a, g))


CHECKS = {
    "check_undefined_grad": True,
    "check_batched_grad": True,
    "check_batched_forward_grad": True,
    "check_forward_ad": True,
    "check_grad_dtypes": True,
}


@pytest.mark.parametrize("lead", [(), (2,)], ids=str)
def test_gradcheck(ops: Any, lead: tuple[int, ...]) -> None:
    assert gradcheck(ops.layer_norm, sample(*lead), **CHECKS, rtol=1e-6, atol=1e-8)


def test_gradcheck_of_all_outputs(ops: Any) -> None:
    assert gradcheck(lambda *a: function_of(ops.layer_norm).apply(*a, EPS), sample(2), **CHECKS)
    assert gradcheck(lambda *a: function_of(ops.rms_norm).apply(*a, EPS), sample(2, beta=False), **CHECKS)


def test_gradcheck_of_two_outputs(ops: Any) -> None:
    (z,) = sample(3, beta=False)[:1]
    assert gradcheck(lambda z: ops.softmax_pair(z, scale=2.0), (z,), **CHECKS)
    assert gradgradcheck(lambda z: ops.softmax_pair(z, scale=2.0), (z,), check_fwd_over_rev=True)
    for k in (0, 1):
        assert gradcheck(lambda z, k=k: ops.softmax_pair(z, scale=2.0)[k], (z,), **CHECKS)


def test_labels_conditions_and_inputs_without_gradient(ops: Any) -> None:
    x, w = sample(3)[0], torch.rand(3, dtype=F64)
    t, keep = torch.tensor([0, 3, 1], dtype=torch.int32), torch.tensor([True, False, True])
    assert gradcheck(lambda x: ops.chosen_loss(x, t, keep, w)[0], (x,), **CHECKS)
    assert gradgradcheck(lambda x: ops.chosen_loss(x.sin(), t, keep, w)[0], (x,), check_fwd_over_rev=True)
    loss, best = ops.chosen_loss(x, t, keep, w)
    assert loss.requires_grad
    assert not best.requires_grad
    assert best.dtype == torch.int64

    def one(*args: torch.Tensor) -> Any:
        return ops.chosen_loss(*(a[None] for a in args))[0][0]

    assert_close(torch.func.vmap(torch.func.grad(one))(x.detach(), t, keep, w).sum(-1), w * keep)
    with pytest.raises(IndexError, match="chosen_loss: a label in t is outside"):
        ops.chosen_loss(x, torch.tensor([0, 9, 1]), keep, w)


def test_an_op_without_gradients_is_no_function(ops: Any) -> None:
    assert_close(ops.one_hot(torch.tensor([1, 0])), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))


def test_complex_and_real_inputs(ops: Any) -> None:
    a = torch.randn(3, dtype=torch.complex128, requires_grad=True)
    w = torch.randn(3, dtype=F64, requires_grad=True)
    z, p = ops.complex_product(a, w)
    assert (z.dtype, p.dtype) == (torch.complex128, F64)
    assert gradcheck(ops.complex_product, (a, w), check_forward_ad=True)
    assert gradgradcheck(ops.complex_product, (a, w))
    z, p = ops.complex_product(a.detach().to(torch.complex64), w.detach().half())
    assert (z.dtype, p.dtype) == (torch.complex64, torch.float32)
    with pytest.raises(TypeError, match="complex_product: w is real"):
        ops.complex_product(a, a)


def test_every_output_may_be_changed_in_place(ops: Any) -> None:
    x, w = torch.randn(2, 3, dtype=F64, requires_grad=True), torch.randn(3, dtype=F64, requires_grad=True)
    assert gradcheck(ops.turned, (x, w), **CHECKS)
    assert gradgradcheck(ops.turned, (x, w))
    outputs = ops.turned(x, w)
    before = [t.detach().clone() for t in (*outputs, x, w)]
    for k, y in enumerate(outputs):
        y.mul_(2)
        assert_close([t.detach() for t in outputs], [2 * t if j <= k else t for j, t in enumerate(before[:-2])])
    assert_close([x.detach(), w.detach()], before[-2:])
    sum(y.sum() for y in outputs).backward()


def test_gradgradcheck(ops: Any) -> None:
    every = {"check_fwd_over_rev": True, "check_rev_over_rev": True, "check_batched_grad": True}
    assert gradgradcheck(ops.layer_norm, sample(2), **every)
    assert gradgradcheck(lambda *a: function_of(ops.layer_norm).apply(*a, EPS), sample(2), **every)


@pytest.mark.parametrize("mask", range(1, 8))
def test_every_subset_of_inputs(ops: Any, mask: int) -> None:
    a = [t.detach().requires_grad_(bool(mask >> i & 1)) for i, t in enumerate(sample(2))]
    assert gradcheck(ops.layer_norm, a)
    assert gradgradcheck(ops.layer_norm, a)


def test_what_no_gradient_needs_is_not_saved(ops: Any) -> None:
    x, gamma, beta = (t.detach() for t in sample(2))

    def kept(*args: torch.Tensor) -> list[tuple[int, ...]]:
        shapes: list[tuple[int, ...]] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: shapes.append(tuple(t.shape)) or t, lambda t: t):
            ops.layer_norm(*args)
        return shapes

    assert kept(x, gamma, beta.requires_grad_()) == []
    assert kept(x, gamma.requires_grad_(), beta.detach()) == [(2, 4), (2, 1), (2, 1)]
    assert kept(x.requires_grad_(), gamma.detach(), beta.detach()) == [(2, 4), (4,), (2, 1), (2, 1)]


def test_what_is_not_saved_is_freed(ops: Any) -> None:
    x, gamma, beta = (t.detach() for t in sample(2))
    held = weakref.ref(x)
    y = ops.layer_norm(x, gamma, beta.requires_grad_())
    del x
    assert held() is None
    del y


NESTED: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "hessian": torch.func.hessian,
    "jacrev_jacrev": lambda f, n: torch.func.jacrev(torch.func.jacrev(f, n), n),
    "jacfwd_jacfwd": lambda f, n: torch.func.jacfwd(torch.func.jacfwd(f, n), n),
    "jacrev_jacfwd": lambda f, n: torch.func.jacrev(torch.func.jacfwd(f, n), n),
}


@pytest.mark.parametrize("nesting", NESTED)
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_second_derivatives_of_functions(ops: Any, nesting: str, name: str) -> None:
    a = sample(2, grad=False, beta=name == "layer_norm")
    places = tuple(range(len(a)))
    ours = NESTED[nesting](lambda *p: getattr(ops, name)(*p).sin().sum(), places)(*a)
    theirs = NESTED[nesting](lambda *p: globals()[name](*p).sin().sum(), places)(*a)
    assert_close(ours, theirs)


def test_third_derivative(ops: Any) -> None:
    x, w = sample(n=3, grad=False, beta=False)
    third = lambda f: torch.func.jacfwd(torch.func.jacrev(torch.func.jacfwd(lambda x: f(x, w).sin().sum())))  # noqa: E731
    x = x[None] if x.dim() == 1 else x
    assert_close(third(ops.rms_norm)(x), third(rms_norm)(x))


def test_vmap(ops: Any) -> None:
    x, w, b = sample(5, 2, grad=False)
    func = torch.func

    def loss(op: Function) -> Function:
        return lambda x, w, b: op(x, w, b).sin().sum()

    def each(op: Function) -> Any:
        return func.vmap(func.grad(loss(op), (0, 1, 2)), (0, None, None))(x, w, b)

    assert_close(each(ops.layer_norm), each(layer_norm))
    assert_close(func.vmap(ops.layer_norm, (1, None, None), 1)(x, w, b), layer_norm(x, w, b))
    stacked = torch.stack([w, b])
    assert_close(func.vmap(ops.layer_norm, (None, 0))(x, stacked), torch.stack([layer_norm(x, w), layer_norm(x, b)]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_accumulates_in_single(ops: Any, dtype: torch.dtype) -> None:
    a = sample(8, n=64, dtype=dtype)
    y, expected = ops.layer_norm(*a), layer_norm(*(t.detach().double() for t in a))
    assert y.dtype == dtype
    atol = {torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 1e-2}[dtype]
    assert_close(y.double(), expected, atol=atol, rtol=1e-2)
    assert all(g.dtype == dtype for g in torch.autograd.grad(y.sum(), a))


def test_mixed_dtypes(ops: Any) -> None:
    x, w, b = sample(3, dtype=torch.bfloat16)
    w = w.detach().float().requires_grad_()
    y = ops.layer_norm(x, w, b)
    assert y.dtype == torch.float32
    assert [g.dtype for g in torch.autograd.grad(y.sum(), (x, w, b))] == [x.dtype, w.dtype, b.dtype]
    _, t = torch.func.jvp(ops.layer_norm, tuple(p.detach() for p in (x, w, b)), (x.detach(), w.detach(), b.detach()))
    assert t.dtype == torch.float32


def test_autocast_changes_nothing(ops: Any) -> None:
    a = sample(8, n=64, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = ops.layer_norm(*a)
        grads = torch.autograd.grad(y.sin().sum(), a)
    assert_close(y, layer_norm(*a), atol=1e-5, rtol=1e-5)
    assert_close(grads, torch.autograd.grad(layer_norm(*a).sin().sum(), a), atol=1e-4, rtol=1e-4)


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda t: t[:4].T,
    "sliced": lambda t: t[::2, ::2],
    "flipped": lambda t: t.flip(0)[:, 4:],
    "expanded": lambda t: t[0, :4].expand(3, 4),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(ops: Any, layout: str) -> None:
    x = make_tensor((6, 8), dtype=F64, device="cpu", requires_grad=True)
    _, w, b = sample()
    assert gradcheck(lambda x: ops.layer_norm(LAYOUTS[layout](x), w, b), (x,), check_forward_ad=True)


def test_the_same_tensor_twice(ops: Any) -> None:
    _, w, _ = sample()
    assert gradcheck(lambda w: ops.layer_norm(w, w, w), (w,), check_forward_ad=True)


def test_a_change_of_what_was_saved_is_caught(ops: Any) -> None:
    x, w, b = sample(2)
    y = ops.layer_norm(x, w, b)
    with torch.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_outputs_may_be_changed_in_place(ops: Any) -> None:
    y = ops.layer_norm(*sample(2))
    y.mul_(2)
    y.sum().backward()


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_in_one_graph(ops: Any, dynamic: bool) -> None:
    torch._dynamo.reset()
    a = sample(3, dtype=torch.float32)
    compiled = torch.compile(ops.layer_norm, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    y, expected = compiled(*a), layer_norm(*a)
    assert_close(y, expected)
    assert_close(torch.autograd.grad(y.sin().sum(), a), torch.autograd.grad(expected.sin().sum(), a))
    w = a[1]
    twice, expected = compiled(a[0], w, w), layer_norm(a[0], w, w)
    assert_close(torch.autograd.grad(twice.sum(), w), torch.autograd.grad(expected.sum(), w))
    assert_close(compiled(a[0], w), layer_norm(a[0], w))
    (z,) = sample(3, beta=False, dtype=torch.float32)[:1]
    pair = torch.compile(ops.softmax_pair, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    assert_close(
        torch.autograd.grad(pair(z, scale=2.0)[0].sin().sum(), z),
        torch.autograd.grad(torch.softmax(z, -1).sin().sum(), z),
    )
    x, t = a[0], torch.tensor([0, 3, 1])
    chosen = torch.compile(ops.chosen_loss, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    weights = torch.rand(3)
    grad = torch.autograd.grad(chosen(x, t, t > 0, weights)[0].sum(), x)[0]
    assert_close(grad.sum(-1), weights * (t > 0))


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "grad": lambda f: torch.func.grad(lambda x, w, b: f(x, w, b).sin().sum(), (0, 1)),
    "vmap": lambda f: torch.func.vmap(f, (0, None, None)),
    "vmap_grad": lambda f: torch.func.vmap(torch.func.grad(lambda x, w, b: f(x, w, b).sin().sum()), (0, None, None)),
    "jacfwd": torch.func.jacfwd,
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_compile_of_a_transform(ops: Any, transform: str) -> None:
    torch._dynamo.reset()
    a = sample(3, dtype=torch.float32, grad=transform == "vmap")
    run = TRANSFORMS[transform]
    compiled = torch.compile(run(ops.layer_norm), fullgraph=True, backend="aot_eager")
    assert_close(compiled(*a), run(layer_norm)(*a), atol=1e-5, rtol=1e-4)


def test_export(ops: Any) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor, w: torch.Tensor) -> Any:
            return ops.layer_norm(x, w)

    a = sample(3, dtype=torch.float32, grad=False, beta=False)
    assert_close(torch.export.export(Model(), a).module()(*a), layer_norm(*a))


def test_checkpoint(ops: Any) -> None:
    a = sample(3)
    torch.utils.checkpoint.DefaultDeviceType.set_device_type("cpu")  # not the make-believe one
    y = torch.utils.checkpoint.checkpoint(ops.layer_norm, *a, use_reentrant=False)
    assert_close(torch.autograd.grad(y.sin().sum(), a), torch.autograd.grad(layer_norm(*a).sin().sum(), a))


def test_pickle_and_deepcopy(ops: Any) -> None:
    if "standalone" not in ops.layer_norm.__module__:
        sys.modules.setdefault(ops.__name__, ops)
    assert pickle.loads(pickle.dumps(ops.layer_norm)) is ops.layer_norm  # noqa: S301
    assert copy.deepcopy(ops.layer_norm) is ops.layer_norm


def test_every_tensor_stays_on_its_device(ops: Any) -> None:
    with FakeTensorMode():
        x, w, b = (torch.empty(s, device=DEVICE, requires_grad=True) for s in ((2, 3, 4), (4,), (4,)))
        for y in (ops.layer_norm(x, w, b), ops.layer_norm(x, w), ops.softmax_pair(x[0], scale=2.0)[1]):
            inputs = [t for t in (x, w) if t is x or y.dim() == 3]
            g = torch.autograd.grad(y.sum(), inputs, create_graph=True, allow_unused=True)
            assert {t.device.type for t in (y, *g) if t is not None} == {DEVICE}
        g = torch.autograd.grad(ops.layer_norm(x, w, b).sum(), (x, w, b), create_graph=True)
        gg = torch.autograd.grad(g[0].sum(), (x, w))
        assert {t.device.type for t in gg} == {DEVICE}
        with pytest.raises(RuntimeError, match="same device"):
            ops.layer_norm(x, torch.empty(4))


WRONG = [
    (((2, 5), (4,)), "layer_norm: index h is 5 in x (axis 1) but 4 in gamma (axis 0)"),
    (((2, 4), (4,), (3,)), "layer_norm: index h is 4 in x (axis 1) but 3 in beta (axis 0)"),
    (((2, 4), (1, 4)), "layer_norm: gamma has 2 axes, [h] needs 1"),
    (((), (4,)), "layer_norm: x has 0 axes, [...,h] needs at least 1"),
]


@pytest.mark.parametrize(("shapes", "words"), WRONG)
def test_wrong_shapes_are_named(ops: Any, shapes: Any, words: str) -> None:
    with pytest.raises(ValueError, match="layer_norm: ") as caught:
        ops.layer_norm(*(torch.ones(s) for s in shapes))
    assert str(caught.value) == words


def test_wrong_kinds_are_named(ops: Any) -> None:
    with pytest.raises(ValueError, match=r"rms_norm: x has 1 axis, \[b,h\] needs 2"):
        ops.rms_norm(torch.ones(2), torch.ones(2))
    with pytest.raises(TypeError, match="rms_norm: x is real: a floating point tensor is needed, not int64"):
        ops.rms_norm(torch.ones(2, 3, dtype=torch.int64), torch.ones(3))
    x, keep, w = torch.ones(2, 3), torch.tensor([True, False]), torch.ones(2)
    with pytest.raises(TypeError, match="chosen_loss: t holds labels: an integer tensor is needed, not float32"):
        ops.chosen_loss(x, w, keep, w)
    with pytest.raises(TypeError, match="chosen_loss: keep is a condition: a bool tensor is needed"):
        ops.chosen_loss(x, torch.tensor([0, 1]), w, w)
