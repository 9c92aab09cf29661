"""The runtime's own functions near 0 and far from it: as exact in place as where autograd looks on, in every dtype."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor

from tensorgrad_gen.runtime import series

POINTS = (
    1e-30,
    1e-12,
    1e-6,
    1e-4,
    0.01,
    0.1,
    0.4999,
    0.5001,
    0.999,
    1.001,
    1.4999,
    1.5001,
    2,
    2.4999,
    2.5001,
    5,
    20,
    80,
)
DIGITS = 120


def _bessel(n: int) -> Callable[[Any], Any]:
    def exact(x: Any) -> Any:
        size = abs(x)
        return (mpmath.sign(x) ** n) * mpmath.sqrt(mpmath.pi / (2 * size)) * mpmath.besselj(n + mpmath.mpf("0.5"), size)

    return exact


def _powers(term: Callable[[int], Any]) -> Callable[[Any], Any]:
    return lambda x: mpmath.fsum(x**k * term(k) for k in range(400))


def _exprel(n: int) -> Callable[[Any], Any]:
    return _powers(lambda k: 1 / mpmath.factorial(n + k))


def _moment(n: int) -> Callable[[Any], Any]:
    return _powers(lambda k: 1 / (mpmath.factorial(k) * (n + 1 + k)))


# Of each: the function, the exact one, how many units in the last place it may be off.
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Any], Any], int]] = {
    "log_cosh": (series.log_cosh, lambda x: mpmath.log(mpmath.cosh(x)), 2),
    "exp_tail": (series.exp_tail, lambda x: mpmath.expm1(x) - x, 2),
    **{f"spherical_bessel {n}": (partial(series.spherical_bessel, n), _bessel(n), 4) for n in range(3)},
    **{f"exprel {n}": (partial(series.exprel, n), _exprel(n), 2) for n in range(1, 4)},
    **{f"exp_moment {n}": (partial(series.exp_moment, n), _moment(n), 5) for n in range(3)},
}


def points(dtype: torch.dtype) -> Tensor:
    return torch.tensor([*POINTS, *(-x for x in POINTS)], dtype=dtype)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_exact_to_the_last_places(
    name: str, dtype: torch.dtype, mode: Callable[[], AbstractContextManager[Any]]
) -> None:
    function, exact, units = FUNCTIONS[name]
    z = points(dtype)
    with mode():
        values = function(z)
    info = torch.finfo(dtype)
    with mpmath.workdps(DIGITS):
        for at, value in zip(z.tolist(), values.tolist(), strict=True):
            wanted = exact(mpmath.mpf(at))
            if float(info.tiny) < abs(wanted) < float(info.max):
                assert abs(value - wanted) <= units * info.eps * abs(wanted), at


@pytest.mark.parametrize("name", ["log_cosh", "exp_tail"])
def test_derivatives_of_all_orders_through_the_parts(name: str) -> None:
    function, exact, _ = FUNCTIONS[name]
    z = points(torch.float64)[POINTS.index(1e-6) :]
    z = z[(z.abs() > 1e-7) & (z.abs() < 6)].requires_grad_()
    order = function(z)
    with mpmath.workdps(60):
        for n in (1, 2):
            (order,) = torch.autograd.grad(order.sum(), z, create_graph=True)
            wanted = torch.tensor([float(mpmath.diff(exact, mpmath.mpf(x), n)) for x in z.tolist()], dtype=z.dtype)
            torch.testing.assert_close(order.detach(), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_that_was_given_is_changed(name: str) -> None:
    z = points(torch.float64)
    before = z.clone()
    with torch.no_grad():
        FUNCTIONS[name][0](z)
    assert torch.equal(z, before)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_number_and_empty_tensors(name: str) -> None:
    function = FUNCTIONS[name][0]
    for mode in (torch.no_grad, torch.enable_grad):
        with mode():
            assert function(torch.tensor([float("nan")])).isnan().all()
            assert function(torch.empty(0, 3)).shape == (0, 3)
            assert function(torch.tensor(0.25)).shape == ()


def test_far_from_zero_nothing_overflows_that_need_not() -> None:
    with torch.no_grad():
        z = torch.tensor([1e4, -1e4, 1e38, -1e38])
        torch.testing.assert_close(series.log_cosh(z), z.abs() - torch.log(torch.tensor(2.0)))
        torch.testing.assert_close(series.exp_tail(z), torch.tensor([torch.inf, 1e4 - 1, torch.inf, 1e38]))
