"""Products of matrices in sums: each is added as it is computed, and what is computed stays the same."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.runtime import ops
from tensorgrad_gen.runtime.ops import add_products

Product = tuple[Tensor, Tensor] | tuple[Tensor, Tensor, float]
SHAPES = [  # of the left factor, of the right one
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 2, 3, 4), (4, 5)),
    ((4,), (4, 5)),
    ((3, 0), (0, 5)),
    ((0, 4), (4, 5)),
    ((2, 0, 4), (4, 5)),
    ((1, 4), (4, 1)),
]
SCALES = (None, -1, 0.5, 0)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plainly(total: Tensor | None, products: list[Product]) -> Tensor:
    terms = [(p[2] if len(p) == 3 else 1) * (p[0] @ p[1]) for p in products]
    whole = sum(terms[1:], start=terms[0])
    return whole if total is None else total + whole


class Called(TorchDispatchMode):
    """The operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def none_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sum is taken for a large one."""
    monkeypatch.setattr(ops, "_LARGE_SUM", 0)


@pytest.mark.usefixtures("none_is_small")
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_the_sum_of_products(left: tuple[int, ...], right: tuple[int, ...], scale: float | None, grad: bool) -> None:
    def product(seed: int) -> Product:
        a, b = random(*left, seed=seed), random(*right, seed=seed + 1)
        return (a, b) if scale is None else (a, b, scale)

    shape = (*left[:-1], right[-1])
    starts = [None, random(*shape), random(shape[-1]), random(1), random(1, shape[-1])]
    starts += [random(*shape).mT.contiguous().mT] if len(shape) > 1 else []
    with torch.set_grad_enabled(grad):
        for start, count in itertools.product(starts, (1, 2, 3)):
            products = [product(10 * k) for k in range(count)]
            before = [part.clone() for p in products for part in p[:2]], None if start is None else start.clone()
            torch.testing.assert_close(add_products(start, *products), plainly(start, products))
            after = [part for p in products for part in p[:2]], start  # no operand is changed
            for old, new in zip(itertools.chain(before[0], [before[1]]), itertools.chain(after[0], [after[1]])):
                assert old is new is None or torch.equal(old, new)


@pytest.mark.usefixtures("none_is_small")
@pytest.mark.parametrize("layout", ["rows apart", "transposed", "spread"])
def test_factors_that_do_not_lie_together(layout: str) -> None:
    apart = {
        "rows apart": lambda: random(2, 6, 8)[:, ::2, ::2],
        "transposed": lambda: random(2, 4, 3).mT,
        "spread": lambda: random(1, 3, 4).expand(2, 3, 4),
    }[layout]()
    right, start = random(4, 5, seed=1), random(2, 3, 5, seed=2)
    with torch.no_grad():
        torch.testing.assert_close(add_products(start, (apart, right)), start + apart @ right)
        torch.testing.assert_close(add_products(start[0], (apart[0], right)), start[0] + apart[0] @ right)


@pytest.mark.usefixtures("none_is_small")
def test_a_product_that_is_larger_or_of_another_type_than_the_sum() -> None:
    with torch.no_grad():
        left, right, start = random(3, 4), random(4, 5), random(2, 3, 5)
        torch.testing.assert_close(add_products(start, (left, right)), start + left @ right)
        narrow = random(3, 5).float()
        found = add_products(narrow, (left, right))
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, narrow + left @ right)


@pytest.mark.usefixtures("none_is_small")
def test_no_number_hides_what_is_not_one() -> None:
    left = torch.full((2, 2), math.nan)
    with torch.no_grad():
        assert add_products(torch.ones(2, 2), (left, torch.ones(2, 2), 0.0)).isnan().all()


@pytest.mark.usefixtures("none_is_small")
def test_one_call_for_each_product_and_none_for_the_sum() -> None:
    left, right, bias = random(3, 4), random(4, 5), random(5)
    with torch.no_grad(), Called() as called:
        add_products(bias, (left, right), (left, right, 2.0))
        add_products(None, (left, right), (left, right))
    assert called.names == {"mm": 1, "addmm": 3}


@pytest.mark.usefixtures("none_is_small")
def test_what_is_returned_is_no_view() -> None:
    with torch.no_grad():
        assert not add_products(random(2, 3, 5), (random(2, 3, 4), random(4, 5)))._is_view()


HEAD = "op: test_op\ndoc: It.\n"
LIMIT = "_LARGE_SUM"
SPECS = {
    "affine": ("y[...,o] = x[...,i]*w[o,i] + b[o]", "x: [..., i], w: [o, i], b: [o]", ""),
    "low rank": (
        "y[n,o] = x[n,i]*w[i,o] + s*(x[n,i]*a[i,r])*b[r,o]",
        "x: [n, i], w: [i, o], a: [i, r], b: [r, o]",
        "params: {s: 2.0}\n",
    ),
    "residual": ("r[i,j] = t[i,j] - u[i,k]*v[j,k]", "t: [i, j], u: [i, k], v: [j, k]", ""),
    "residual, squared": ("r = sum[i,j]((t[i,j] - u[i,k]*v[j,k])^2)", "t: [i, j], u: [i, k], v: [j, k]", ""),
    "of batches": ("y[n,i,j] = c[n,i,j] + 3*a[n,i,k]*b[n,k,j]", "a: [n, i, k], b: [n, k, j], c: [n, i, j]", ""),
    "recurrent": (
        "y[n,j] = tanh(x[n,i]*w[j,i] + h[n,k]*u[j,k] + b[j])",
        "x: [n, i], w: [j, i], h: [n, k], u: [j, k], b: [j]",
        "",
    ),
    "symmetric": ("y[i,j] = a[i,k]*b[k,j] + a[j,k]*b[k,i]", "a: [i, k], b: [k, j]", ""),
    "twice read": ("p[n,o] = x[n,i]*w[i,o]; y[n,o] = p[n,o] + p[n,o]*b[o]", "x: [n, i], w: [i, o], b: [o]", ""),
    "an output too": (
        "p[n,o] = x[n,i]*w[i,o]; y[n,o] = p[n,o] + b[o]",
        "x: [n, i], w: [i, o], b: [o]",
        "outputs: [p, y]\n",
    ),
    "all negative": ("y[n,o] = -x[n,i]*w[i,o] - z[n,i]*w[i,o]^2", "x: [n, i], z: [n, i], w: [i, o]", ""),
    "with a number": (
        "y[n,o] = 1 - x[n,i]*w[i,o] - 2*z[n,j]*v[j,o]",
        "x: [n, i], w: [i, o], z: [n, j], v: [j, o]",
        "",
    ),
    "spread": ("y[m,n,o] = c[m,n,o] + x[n,i]*w[i,o]", "c: [m, n, o], x: [n, i], w: [i, o]", ""),
    "complex": (
        "y[n,o] = x[n,i]*w[i,o] + 0.5*conj(x[n,i])*u[i,o]",
        "x: {indices: [n, i], kind: complex}, w: {indices: [i, o], kind: complex}, u: [i, o]",
        "",
    ),
    "under a condition": (
        "y[n,o] = where(m[n], b[o] + x[n,i]*w[i,o], 0)",
        "m: {indices: [n], kind: bool}, b: [o], x: [n, i], w: [i, o]",
        "",
    ),
}
SIZES = {"n": 3, "i": 4, "o": 5, "r": 2, "j": 6, "k": 7, "m": 2, "...": 2}
FORMULAS: dict[str, Callable[..., Tensor]] = {
    "affine": lambda x, w, b: x @ w.mT + b,
    "low rank": lambda x, w, a, b: x @ w + 2.0 * (x @ a @ b),
    "residual": lambda t, u, v: t - u @ v.mT,
    "residual, squared": lambda t, u, v: (t - u @ v.mT).square().sum(),
    "of batches": lambda a, b, c: c + 3 * (a @ b),
    "recurrent": lambda x, w, h, u, b: torch.tanh(x @ w.mT + h @ u.mT + b),
    "symmetric": lambda a, b: a @ b + (a @ b).mT,
    "twice read": lambda x, w, b: x @ w * (1 + b),
    "an output too": lambda x, w, b: x @ w + b,
    "all negative": lambda x, z, w: -x @ w - z @ w**2,
    "with a number": lambda x, w, z, v: 1 - x @ w - 2 * (z @ v),
    "spread": lambda c, x, w: c + x @ w,
    "complex": lambda x, w, u: x @ w + 0.5 * (x.conj() @ u.to(x.dtype)),
    "under a condition": lambda m, b, x, w: torch.where(m[:, None], b + x @ w, 0),
}


@cache
def source(name: str) -> str:
    equations, inputs, more = SPECS[name]
    lines = "\n".join(f"  {line.strip()}" for line in equations.split(";"))
    return compile_spec(f"{HEAD}inputs: {{{inputs}}}\n{more}equations: |\n{lines}\n", standalone=True).source


def given(name: str) -> list[Tensor]:
    from ruamel.yaml import YAML

    found = []
    for k, item in enumerate(YAML(typ="safe").load(f"{{{SPECS[name][1]}}}").values()):
        indices, kind = (item["indices"], item["kind"]) if isinstance(item, dict) else (item, "real")
        size = SIZES | ({"j": SIZES["i"]} if name == "symmetric" else {})
        tensor = random(*(size[index] for index in indices), seed=k)
        if kind == "complex":
            tensor = torch.complex(tensor, random(*tensor.shape, seed=k + 20))
        found.append(tensor > 0 if kind == "bool" else tensor.requires_grad_())
    return found


def test_a_small_sum_is_made_of_its_terms() -> None:
    with torch.no_grad(), Called() as called:
        add_products(random(5), (random(3, 4), random(4, 5)))
    assert not called.names["addmm"]


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("name", SPECS)
def test_value_and_derivatives(name: str, small: bool) -> None:
    module, inputs = load_module("products", source(name)), given(name)
    op = module.test_op
    if not small:
        if not hasattr(module, LIMIT):
            return  # nothing in it asks how large a sum is
        setattr(module, LIMIT, 0)

    def ours(*tensors: Tensor) -> Tensor:
        result = op(*tensors)
        return result if isinstance(result, Tensor) else result[-1]

    leaves = [t for t in inputs if t.requires_grad]
    want, have = FORMULAS[name](*inputs), ours(*inputs)
    torch.testing.assert_close(have, want)
    with torch.no_grad():
        torch.testing.assert_close(ours(*inputs), want)
    weight = torch.ones_like(want) if want.dim() == 0 else torch.linspace(-1, 2, want.numel()).to(want).view(want.shape)
    expected = torch.autograd.grad(want, leaves, weight, retain_graph=True)
    found = torch.autograd.grad(ours(*inputs), leaves, weight)
    graph = torch.autograd.grad(ours(*inputs), leaves, weight, create_graph=True)
    for one in (found, graph):
        for mine, theirs in zip(one, expected, strict=True):
            torch.testing.assert_close(mine, theirs)
    assert gradcheck(ours, inputs, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(ours, inputs)


CALLS = {
    "affine": "torch.nn.functional.linear(x, w, b)",
    "low rank": "_add_products(None, (x, w), (x, sum_a_b, s))",  # a param may be 0
    "residual": "torch.addmm(t, u, v.mT, alpha=-1)",
    "of batches": "torch.baddbmm(c, a, b, alpha=3)",
    "recurrent": "torch.addmm(torch.addmm(b, x, w.mT), h, u.mT)",
    "spread": "_add_products(c, (x, w))",
}


@pytest.mark.parametrize("name", CALLS)
def test_the_code_says_the_sum(name: str) -> None:
    code = source(name)
    forward = code[code.index("def forward") : code.index("def setup_context")]
    assert CALLS[name] in forward
    assert not any(f"sum_{pair} =" in forward for pair in ("x_w", "h_u", "u_v"))


@pytest.mark.parametrize("name", ["twice read", "an output too"])
def test_a_product_that_others_read_has_a_name(name: str) -> None:
    code = source(name)
    forward = code[code.index("def forward") : code.index("def setup_context")]
    assert "add_products(" not in forward
    assert "addmm(" not in forward


@pytest.mark.parametrize("name", ["affine", "recurrent", "of batches"])
def test_under_transforms(name: str) -> None:
    op, inputs = load_module("products", source(name)).test_op, [t.detach() for t in given(name)]
    formula = FORMULAS[name]
    many = [torch.stack([t, 2 * t]) for t in inputs]
    torch.testing.assert_close(torch.func.vmap(op)(*many), torch.func.vmap(formula)(*many))
    tangents = tuple(torch.ones_like(t) for t in inputs)
    torch.testing.assert_close(
        torch.func.jvp(op, tuple(inputs), tangents)[1], torch.func.jvp(formula, tuple(inputs), tangents)[1]
    )
    places = tuple(range(len(inputs)))
    torch.testing.assert_close(
        torch.func.grad(lambda *t: op(*t).sin().sum(), places)(*inputs),
        torch.func.grad(lambda *t: formula(*t).sin().sum(), places)(*inputs),
    )
    torch.testing.assert_close(torch.compile(op, fullgraph=True)(*inputs), formula(*inputs))
