"""Every spelling of a stable form is as exact as float32 allows, at inputs of any size, with two derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.full_road import build_spec
from tests.stable_cases import SCALAR_FORMS, Form
from tests.stable_odds_cases import ODDS_FORMS
from tests.stable_ratio_cases import RATIO_FORMS
from tests.stable_row_cases import ROW_FORMS
from tests.stable_truth import LARGEST, Exact, complaints, exact, flat, real, single, weights

FORMS = SCALAR_FORMS | ROW_FORMS | RATIO_FORMS | ODDS_FORMS
SPELLINGS = [(name, k) for name, form in FORMS.items() for k in range(len(form.spellings))]


@cache
def truths(name: str) -> list[Exact]:
    """The truth of each row."""
    form = FORMS[name]
    return [exact(form.truth, row, not form.rough(*row)) for row in map(single, form.rows)]


def op(form: Form, spelling: str) -> Any:
    inputs, equations = spelling.split(" => ") if "=>" in spelling else (form.inputs, spelling)
    return build_spec(
        f"op: f\ninputs: {inputs}\nequations: |\n" + "".join(f"  {e.strip()}\n" for e in equations.split(";"))
    )[0]


def arguments(form: Form) -> list[Tensor]:
    columns = [list(column) for column in zip(*form.rows)]
    return [torch.tensor(c, dtype=torch.float32 if real(c) else None).requires_grad_(real(c)) for c in columns]


def of_rows(count: int, row: Tensor, start: int = 0) -> Tensor:
    """The numbers by which the truth combines what one row has, for each row."""
    return torch.tensor(weights(max(row.numel() // count, 1), start)).reshape(row.shape[1:]).expand(row.shape)


def rows_of(tensor: Tensor) -> list[list[float]]:
    return [flat(row) for row in tensor.tolist()]


def directions(wanted: Sequence[Tensor], count: int) -> list[Tensor]:
    """The direction in which the truth moves all arguments of a row, for each of them."""
    start, found = 1, []
    for tensor in wanted:
        found.append(of_rows(count, tensor, start))
        start += tensor.numel() // count
    return found


def derivatives(y: Tensor, wanted: list[Tensor], count: int) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Gradients, and their changes in the direction."""
    gradients = torch.autograd.grad((y * of_rows(count, y)).sum(), wanted, create_graph=True)
    change = torch.stack([(g * d).sum() for g, d in zip(gradients, directions(wanted, count))]).sum()
    if not change.requires_grad:
        return gradients, [torch.zeros_like(t) for t in wanted]
    return gradients, torch.autograd.grad(change, wanted, materialize_grads=True)


def last_digit(form: Form, row: tuple[Any, ...]) -> float:
    """Half the last digit of the largest input, where the form allows for it."""
    return form.digit * max(abs(n) for a in row if real(a) for n in flat(a)) * 2.0**-24


@pytest.mark.parametrize(("name", "number"), SPELLINGS, ids=[f"{n} {k}" for n, k in SPELLINGS])
def test_value_and_two_derivatives_are_the_exact_ones(name: str, number: int) -> None:
    form = FORMS[name]
    given, count = arguments(form), len(form.rows)
    wanted = [t for t in given if t.requires_grad]
    y = op(form, form.spellings[number])(*given)
    gradients, changes = derivatives(y, wanted, count)
    found = []
    for place, (row, truth) in enumerate(zip(form.rows, truths(name))):
        slope = max([form.terms, *(float(abs(n)) for g in truth.gradients for n in g if abs(n) < LARGEST)])
        parts = [
            ("value", [y], [truth.values], [form.terms]),
            ("gradient", gradients, truth.gradients, [form.terms] * len(wanted)),
            ("second derivative", changes, truth.changes, [slope] * len(wanted)),  # a slope changes over about 1
        ]
        for what, tensors, numbers, scales in parts:
            for k, (tensor, right, least) in enumerate(zip(tensors, numbers, scales)):
                got = rows_of(tensor.detach())[place]
                found += [f"{what} {k} at {row}: {c}" for c in complaints(got, right, least, last_digit(form, row))]
    assert not found, "\n".join([form.spellings[number], *found])
