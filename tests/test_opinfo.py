"""Generated ops on the sample inputs that PyTorch tests its own ops with.

Compared with PyTorch's op: the value, the gradients for a random cotangent, the derivative of those gradients
along random directions, with respect to the inputs and to the cotangent, and the derivative by forward mode;
for each sample as it is, with transposed strides, as every second place of a larger tensor, and expanded.
Where PyTorch refuses a derivative, the row has a plain formula to compare with as well, and says what PyTorch says.

Bounded: float64, complex128 for ops of complex numbers; of PyTorch's samples, the first two of the same shapes,
and eight an op (`opinfo_table`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.testing import assert_close

from tests.opinfo_rows import ROWS
from tests.opinfo_table import Call, Row, cases, samples, theirs

RELATIVE = 1e-9
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's, about its own samples


def _gradients(values: Sequence[Tensor], leaves: Sequence[Tensor], along: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of the values, weighted; zeros where nothing depends on a leaf."""
    pairs = [(value, weight) for value, weight in zip(values, along, strict=True) if value.requires_grad]
    if not pairs:
        return [torch.zeros_like(leaf) for leaf in leaves]
    heads, weights = zip(*pairs, strict=True)
    return list(
        torch.autograd.grad(heads, leaves, weights, create_graph=True, allow_unused=True, materialize_grads=True)
    )


def derivatives(function: Callable[..., Tensor], call: Call) -> Iterator[tuple[str, list[Tensor]]]:
    """Value, first and second derivatives, for cotangents and directions that the shapes decide."""
    source = torch.Generator().manual_seed(0)

    def random(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=source, dtype=like.dtype)

    leaves = [tensor for tensor in call.tensors() if tensor.requires_grad]
    value = function(*call.args, **call.kwargs)
    yield "value", [value]
    cotangent = random(value).requires_grad_()
    first = _gradients([value], leaves, [cotangent])
    yield "first derivative", first
    yield "second derivative", _gradients(first, [*leaves, cotangent], [random(gradient) for gradient in first])


def _with_room(tensor: Tensor) -> Tensor:
    """A tensor whose tangent can have its layout: PyTorch makes none of an expanded one."""
    return tensor.detach().clone() if 0 in tensor.stride() else tensor.detach()


def tangents(row: Row, call: Call) -> tuple[Tensor, Tensor]:
    """The derivative along random directions: ours by forward mode, PyTorch's from its gradients' by the cotangent."""
    source = torch.Generator().manual_seed(1)
    leaves = [tensor for tensor in call.tensors() if tensor.requires_grad]
    directions = [torch.randn(leaf.shape, generator=source, dtype=leaf.dtype) for leaf in leaves]
    given = iter(directions)
    with forward_ad.dual_level():
        dual = call.map(lambda t: forward_ad.make_dual(_with_room(t), next(given)) if t.requires_grad else t)
        value = row.ours(*dual.args, **dual.kwargs)
        assert value is not None
        primal, tangent = forward_ad.unpack_dual(value)
        got = torch.zeros_like(primal) if tangent is None else tangent
    want = (row.plain or theirs(row))(*call.args, **call.kwargs)
    cotangent = torch.zeros_like(want).requires_grad_()
    first = _gradients([want], leaves, [cotangent])
    return got, _gradients(first, [cotangent], directions)[0]


def compare(got: dict[str, list[Tensor]], oracle: Callable[..., Tensor], call: Call, where: str) -> None:
    for order, want in derivatives(oracle, call):
        agree(got[order], want, f"{order}, {where}")


def agree(got: Sequence[Tensor], want: Sequence[Tensor], where: str) -> None:
    """Equal, relative to the largest component of what is wanted."""
    for mine, other in zip(got, want, strict=True):
        finite = other.detach()[other.isfinite()]
        scale = max(1.0, float(finite.abs().max())) if finite.numel() else 1.0
        assert_close(
            mine.detach(),
            other.detach(),
            rtol=RELATIVE,
            atol=RELATIVE * scale,
            equal_nan=True,
            msg=lambda text: f"{where}: {text}",
        )


REFUSED = [row for row in ROWS if row.plain]


@pytest.mark.parametrize("row", [row for row in ROWS if not row.plain], ids=lambda row: row.title)
def test_op_equals_pytorch_on_pytorchs_own_samples(row: Row) -> None:
    assert samples(row), "no sample is covered"
    for where, call in cases(row):
        compare(dict(derivatives(row.ours, call)), theirs(row), call, where)
        agree(*([t] for t in tangents(row, call)), f"forward derivative, {where}")


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.title)
def test_op_equals_the_plain_formula_where_pytorch_refuses_a_derivative(row: Row) -> None:
    refused = 0
    for where, call in cases(row):
        got = dict(derivatives(row.ours, call))
        compare(got, row.plain, call, where)
        agree(*([t] for t in tangents(row, call)), f"forward derivative, {where}")
        try:
            compare(got, theirs(row), call, where)
        except RuntimeError as refusal:
            assert re.search(row.why, str(refusal))
            refused += 1
    assert refused, "PyTorch refuses nothing any more: the row needs no plain formula"
