"""The runtime operations that lowered code calls."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tensorgrad_gen.runtime import core, ops, series

D = torch.float64


def rand(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=D, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (0, 3), (2, 0)])
def test_rows_and_sum_lead_take_any_number_of_batch_axes(shape: tuple[int, ...]) -> None:
    x = rand(*shape)
    assert ops.rows(x).shape == (math.prod(shape[:-1]), shape[-1])
    torch.testing.assert_close(ops.sum_lead(x), ops.rows(x).sum(0))


def test_what_has_nothing_to_do_gives_back_the_tensor() -> None:
    """Each such call is a microsecond of a small op."""
    x = rand(2, 3)
    assert core.cast(x, D) is x
    assert core.filled(x, 1, 2, D, x.device) is x
    assert core.cotangent(x, x.shape, D, x.device) is x
    assert ops.rows(x) is x
    assert ops.rows(x[0], 0).shape == (3,)
    assert ops.rows(x, 0).shape == (6,)
    assert core.cast(x, torch.float32).dtype == torch.float32


FORMULAS = ("bij,bjk->bik", "...ij,jk->...ki", "...i,...j->...ij", "bij,jkl->bkil", "ij,jk->ki", "...hid,hjd->...hij")


@pytest.mark.parametrize("formula", FORMULAS)
def test_einsum_takes_batched_cotangents(formula: str) -> None:
    sizes = dict(zip("bijkhd", (2, 3, 4, 2, 5, 3), strict=True)) | {"l": 3}
    left, right = formula.split("->", maxsplit=1)[0].split(",")
    shapes = [[2, 3] * s.startswith("...") + [sizes[c] for c in s.replace(".", "")] for s in (left, right)]
    a, b = (rand(*shape).requires_grad_() for shape in shapes)

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(a, b)
            return torch.einsum(formula, a, b)

        @staticmethod
        def backward(ctx, g):  # type: ignore[no-untyped-def]
            a, b = ctx.saved_tensors
            out = formula.split("->")[1]
            return ops.einsum(f"{out},{right}->{left}", g, b), ops.einsum(f"{left},{out}->{right}", a, g)

    y = Product.apply(a, b)
    g = rand(2, *y.shape)
    if "..." in formula and "..." not in right:
        pytest.skip("the batch axes are summed: another form")
    batched = torch.autograd.grad(y, (a, b), g, is_grads_batched=True, retain_graph=True)
    for k in range(2):
        single = torch.autograd.grad(torch.einsum(formula, a, b), (a, b), g[k])
        for one, many in zip(single, batched, strict=True):
            torch.testing.assert_close(many[k], one)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_cumsum_is_the_masked_sum(reverse: bool, exclusive: bool, n: int) -> None:
    x, i = rand(2, n), torch.arange(n)
    row, column = i[:, None], i[None, :]
    left, right = (row, column) if reverse else (column, row)
    mask = left < right if exclusive else left <= right
    expected = torch.where(mask, x[:, None, :], 0).sum(-1)
    torch.testing.assert_close(ops.cumsum(x, -1, reverse=reverse, exclusive=exclusive), expected)


def test_scatters_add_up_what_has_one_label() -> None:
    t = torch.tensor([[0, 2, 0], [1, 1, 1]])
    x = rand(2, 3, 4)
    hot = torch.nn.functional.one_hot(t, 5).to(D)
    torch.testing.assert_close(ops.index_sum(x, t, 5), torch.einsum("bsv,bsd->vd", hot, x))
    torch.testing.assert_close(ops.scatter_sum(x[..., 0], t, 5), torch.einsum("bsv,bs->bv", hot, x[..., 0]))
    base = rand(2, 5)
    expected = base + torch.einsum("bsv,bs->bv", hot, x[..., 1])
    torch.testing.assert_close(ops.add_at(base, t, x[..., 1]), expected)


@pytest.mark.parametrize("label", [torch.tensor(1), torch.tensor([0, 1, 1]), torch.zeros(2, 0, dtype=torch.long)])
def test_take_puts_the_axes_of_the_label_first(label: Tensor) -> None:
    x = rand(3, 2, 4)
    torch.testing.assert_close(ops.take(x, label, 1), x.movedim(1, 0)[label])


@pytest.mark.parametrize("bad", [-1, 3])
def test_a_label_out_of_range_raises(bad: int) -> None:
    t, x = torch.tensor([bad]), rand(3)
    for call in (
        lambda: ops.take(x, t, 0),
        lambda: ops.gather(x, t),
        lambda: ops.scatter_sum(x[:1], t, 3),
        lambda: ops.index_sum(x[:1], t, 3),
        lambda: ops.add_at(x, t, x[:1]),
    ):
        with pytest.raises((IndexError, RuntimeError)):
            call()


def test_numbers_divide_as_tensors_do() -> None:
    for a in (-1.0, 0.0, 2.0):
        for b in (-2.0, 0.0, 4.0):
            expected = torch.tensor(a) / torch.tensor(b)
            torch.testing.assert_close(torch.tensor(ops.ratio(a, b)), expected, equal_nan=True)
    for base in (-2.0, 0.0, 3.0):
        for exponent in (-1.0, 0.5, 2.0):
            expected = torch.tensor(base, dtype=D) ** exponent
            torch.testing.assert_close(torch.tensor(ops.power(base, exponent), dtype=D), expected, equal_nan=True)


def test_levi_civita_is_the_sign_of_a_permutation() -> None:
    e = ops.levi_civita(3, rand(1))
    assert e[0, 1, 2] == e[1, 2, 0] == e[2, 0, 1] == 1
    assert e[0, 2, 1] == e[2, 1, 0] == e[1, 0, 2] == -1
    assert e.abs().sum() == 6


@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_sech_squared_is_the_same_whether_recorded_or_not(dtype: torch.dtype) -> None:
    z = torch.cat((torch.linspace(-40, 40, 801, dtype=dtype), torch.tensor([1e-4, 300, 800, math.inf], dtype=dtype)))
    with torch.no_grad():
        plain = series.sech_squared(z)
    z.requires_grad_()
    recorded = series.sech_squared(z)
    assert (plain[:-3] > 0).all()
    torch.testing.assert_close(plain, recorded.detach(), rtol=8 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).tiny)
    (slope,) = torch.autograd.grad(recorded.sum(), z)
    assert torch.isfinite(slope).all()  # that of a cosh would be 0 times infinity


SPECIAL = ["log_cosh", "sech", "sech_squared", "exp_tail", "bessel 0", "bessel 3"]
SPECIAL += ["exprel 0", "exprel 1", "exprel 3", "exp_moment 0", "exp_moment 2"]


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_are_smooth_in_every_order(name: str) -> None:
    kind, *order = name.split()
    function = {
        "log_cosh": series.log_cosh,
        "sech": series.sech,
        "sech_squared": series.sech_squared,
        "exp_tail": series.exp_tail,
        "bessel": lambda z: series.spherical_bessel(int(order[0]), z),
        "exprel": lambda z: series.exprel(int(order[0]), z),
        "exp_moment": lambda z: series.exp_moment(int(order[0]), z),
    }[kind]
    z = torch.tensor([-30.0, -4.0, -1e-3, 0.0, 0.5, 2.2, 7.0], dtype=D, requires_grad=True)
    assert torch.autograd.gradcheck(function, (z,), rtol=1e-5, atol=1e-7)
    assert torch.autograd.gradgradcheck(function, (z,), rtol=1e-5, atol=1e-6)
