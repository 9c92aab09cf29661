"""Functions of one matrix share its factors, whichever way these are made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.profiler import profile

from tensorgrad_gen.runtime import factors
from tests.test_factors import CASES, op_of, sample

Function = Callable[..., Tensor]


def factorised(profiled: profile) -> int:
    """How many matrices were factorised, inside other operators too: all of these go by that one."""
    return sum(event.name == "aten::linalg_lu_factor_ex" for event in profiled.function_events or ())


@pytest.mark.parametrize("extra", ["save: inputs\n", "target: custom_op\n"])
def test_functions_of_one_matrix_share_factors_where_none_are_kept(extra: str) -> None:
    name = "a determinant and a solution"
    op = op_of(name, extra)
    tensors = [t.requires_grad_() for t in sample(name)]
    counts = []
    with profile() as profiled:
        y = op(*tensors)
    counts.append(factorised(profiled))
    with profile() as profiled:
        got = torch.autograd.grad(y, tensors)
    counts.append(factorised(profiled))
    assert counts == [1, 1]
    torch.testing.assert_close(got, torch.autograd.grad(CASES[name][2](*tensors), tensors))


def test_determinants_of_a_singular_matrix_are_no_error() -> None:
    op = op_of("two determinants")
    a = torch.ones(2, 3, 3, dtype=torch.float64)
    assert op(a).isnan().all()  # 0 times -inf
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        op_of("an inverse, a determinant, a solution")(a, a[0, :2])


STRIDES: dict[str, Function] = {
    "rows": lambda a: a.contiguous(),
    "columns": lambda a: a.mT.contiguous().mT,
    "a batch inside": lambda a: a.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "every other": lambda a: torch.stack((a, a), -1).flatten(-2)[..., ::2],
    "one for all": lambda a: a[:1].expand(3, -1, -1),
    "one by one": lambda a: a[..., :1, :1],
    "none": lambda a: a[..., :0, :0],
    "no batch": lambda a: a[0],
}


@pytest.mark.parametrize("layout", STRIDES)
@pytest.mark.parametrize("own", [True, False])
def test_factors_are_those_of_the_matrix_however_it_lies_in_memory(
    layout: str, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's own operator factorises a matrix or its transpose, by how it lies in memory."""
    assert factors._SLOGDET is not None, "the operator is not what it was: determinants are made of more passes"
    if not own:
        monkeypatch.setattr(factors, "_SLOGDET", None)
    generator = torch.Generator().manual_seed(5)
    a = STRIDES[layout](torch.randn(3, 4, 4, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        value, lu, pivots = factors.logdet_and_factor(a)
        torch.testing.assert_close(value, torch.logdet(a), equal_nan=True)
        torch.testing.assert_close(factors.inverse(a, lu, pivots, transposed=True), torch.linalg.inv(a))
        lu, pivots = factors.lu_factor(a)
        torch.testing.assert_close(factors.inverse(a, lu, pivots), torch.linalg.inv(a))
        torch.testing.assert_close(factors.inverse(a.mT, lu, pivots, transposed=True), torch.linalg.inv(a.mT))
        torch.testing.assert_close(factors.logdet(a, lu, pivots), torch.logdet(a), equal_nan=True)
        torch.testing.assert_close(factors.det(a, lu, pivots), torch.linalg.det(a))
        torch.testing.assert_close(factors.det(a, lu, pivots, sign=True), torch.linalg.slogdet(a).sign)
