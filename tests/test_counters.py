"""What the ops of the library cost, counted, beside autograd of the formula as written; and that the counters count."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.bench import Call, Case, Counts, count, formula, medium, touched
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.spec import read_text
from tests.exact_formulas import EXACT as EXACT_FORMULAS
from tests.known_counters import DIGITS, EXACT, IN_BLOCKS, KEEPS_LESS

SPECS = Path(__file__).parents[1] / "specs"
PATHS = {path.stem: path for path in sorted(SPECS.rglob("*.yaml"))}
GATES = ("bytes", "flops", "saved")
LISTED = EXACT.keys() | KEEPS_LESS.keys() | IN_BLOCKS.keys()


@cache
def case_of(name: str) -> Case:
    return medium(run(read_text(PATHS[name]), str(PATHS[name]), until="elaborate")["elaborate"])


def op_of(name: str) -> Call:
    function = getattr(import_module(f"generated.{PATHS[name].parent.name}.{name}"), name)
    return lambda *tensors: function(*tensors, **case_of(name).params)


@cache
def costs(name: str) -> tuple[Counts, Counts]:
    """Of the generated op, and of the formula as one would write it in PyTorch."""
    case = case_of(name)
    return count(op_of(name), case.leaves()), count(formula(case.program, case.params), case.leaves())


def only_views(name: str) -> bool:
    """Whether the formula computes nothing: what it returns are views of inputs."""
    case = case_of(name)
    return count(formula(case.program, case.params), case.tensors).bytes == 0


def rows_of(name: str) -> int:
    """How many rows the first input has."""
    [first, *_] = case_of(name).tensors
    assert first is not None
    return first.shape[:-1].numel()


# the gates


@pytest.mark.parametrize("name", PATHS)
def test_an_op_costs_no_more_than_autograd_of_its_formula(name: str) -> None:
    """Where that is inexact, than autograd of an exact one; where it keeps more, with `save: all`."""
    if only_views(name):
        return  # what is returned here is never a view of an input
    ours, theirs = costs(name)
    ratios = {counter: ours.ratio(theirs, counter) for counter in GATES}
    if name in LISTED:
        assert max(ratios.values()) > DIGITS, f"{ratios}: no longer to be listed in tests/known_counters.py"
        ours, theirs = pair_of(name)
        ratios = {counter: ours.ratio(theirs, counter) for counter in GATES}
    for counter, ratio in ratios.items():
        numbers = (
            f"{counter} {getattr(ours, counter)} against {getattr(theirs, counter)} at {case_of(name).shape.label}"
        )
        assert ratio <= DIGITS, f"{numbers}: {ratio:.3f}"


def pair_of(name: str) -> tuple[Counts, Counts]:
    """What is compared of an op that is listed."""
    if name in EXACT:
        return costs(name)[0], count(EXACT_FORMULAS[name].formula, case_of(name).leaves())
    return kept(name), costs(name)[1]


@cache
def kept(name: str) -> Counts:
    """What the op costs where it is not worked in blocks, and keeps what backward needs, as autograd does."""
    text = re.sub(r"(?m)^chunk:.*\n", "", PATHS[name].read_text("utf-8"))
    op = load_op(text.replace("\nequations:", "\nsave: all\nequations:", 1))
    case = case_of(name)
    return count(lambda *tensors: op(*tensors, **case.params), case.leaves())


def test_what_is_listed_is_of_ops_of_the_library_once() -> None:
    listed = [*EXACT, *KEEPS_LESS, *IN_BLOCKS]
    assert set(listed) <= set(PATHS)
    assert len(listed) == len(set(listed))
    assert EXACT.keys() == EXACT_FORMULAS.keys()


@pytest.mark.parametrize("name", KEEPS_LESS)
def test_what_costs_more_for_keeping_less_keeps_less(name: str) -> None:
    ours, theirs = costs(name)
    assert ours.saved < theirs.saved


@pytest.mark.parametrize("name", IN_BLOCKS)
def test_what_is_worked_in_blocks_is_never_whole(name: str) -> None:
    ours, theirs = costs(name)
    assert ours.saved < 0.6 * theirs.saved
    assert ours.peak < 0.2 * theirs.peak


# ops that are exact where autograd of their formula is not


def derived(call: Call, tensors: list[Tensor], cotangent: float) -> list[Tensor]:
    """The value and the gradients."""
    leaves = [t.clone().requires_grad_() for t in tensors]
    result = call(*leaves)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    along = [torch.full_like(o, cotangent) for o in outputs]
    return [*(o.detach() for o in outputs), *torch.autograd.grad(outputs, leaves, along)]


def furthest(found: list[Tensor], exact: list[Tensor]) -> float:
    """The largest relative error; infinite for a number that is none."""
    errors = [(a.double() - b).abs() / b.abs().clamp(min=1e-30) for a, b in zip(found, exact, strict=True)]
    return max(float(e.nan_to_num(nan=float("inf")).max()) for e in errors)


@pytest.mark.parametrize("name", EXACT_FORMULAS)
def test_what_costs_more_for_being_exact(name: str) -> None:
    """There the op and the formula written for it agree with double precision, and autograd of the formula does not."""
    case, exact = case_of(name), EXACT_FORMULAS[name]
    tensors = exact.filled([t for t in case.tensors if t is not None])
    truth = derived(op_of(name), [t.double() for t in tensors], exact.cotangent)
    assert furthest(derived(op_of(name), tensors, exact.cotangent), truth) < 1e-6
    assert furthest(derived(exact.formula, tensors, exact.cotangent), truth) < 1e-6
    assert furthest(derived(formula(case.program, case.params), tensors, exact.cotangent), truth) > 1e-3


@pytest.mark.parametrize("name", EXACT_FORMULAS)
def test_an_exact_formula_has_the_value_and_the_gradients_of_the_op(name: str) -> None:
    tensors = [t.double() for t in case_of(name).tensors if t is not None]
    for got, want in zip(
        derived(EXACT_FORMULAS[name].formula, tensors, 1.0), derived(op_of(name), tensors, 1.0), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9 * float(want.abs().max()))


@pytest.mark.parametrize("name", PATHS)
def test_the_formula_that_is_compared_with_has_the_value_of_the_op(name: str) -> None:
    case = case_of(name)
    ours, theirs = op_of(name)(*case.tensors), formula(case.program, case.params)(*case.tensors)
    for got, want in zip((ours,) if isinstance(ours, Tensor) else ours, theirs, strict=True):
        torch.testing.assert_close(got, want, rtol=2e-3, atol=2e-3 * float(want.abs().max()), check_dtype=False)


# what is saved, in float32: 4 bytes a value

NOTHING = (
    *("softmax", "log_softmax", "tanh_op", "sigmoid", "exp_op", "inverse", "sqrt_op"),
    *("swiglu", "gelu", "gelu_tanh", "silu", "kl_div", "jsd"),
    *("matmul", "batch_matmul", "bmm_reversed", "matvec", "dot", "outer", "hadamard", "linear"),
)
A_ROW = {"rms_norm": 1, "layer_norm": 2, "layer_norm_affine": 2, "cross_entropy": 1}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_saved_beyond_inputs_and_outputs(name: str) -> None:
    assert costs(name)[0].saved == 0


@pytest.mark.parametrize("name", A_ROW)
def test_values_saved_for_each_row(name: str) -> None:
    assert costs(name)[0].saved <= 4 * A_ROW[name] * rows_of(name)


# the counters themselves


def leaf(*shape: int) -> Tensor:
    return torch.ones(shape, requires_grad=True)


def counted(call: Call, *tensors: Tensor) -> Counts:
    return count(call, tensors)


def test_a_view_costs_nothing() -> None:
    x = leaf(4, 3)
    assert counted(lambda x: x.T.unsqueeze(0).expand(7, 3, 4)[:, 1:], x.detach()) == Counts(0, 0, 0, 0, 0, 0)


def test_an_operator_that_changes_a_shape_in_place_is_a_view() -> None:
    assert counted(lambda x: x.unsqueeze_(0).squeeze_(0), torch.ones(3)) == Counts(0, 0, 0, 0, 0, 0)


def test_what_is_expanded_is_read_once() -> None:
    # forward reads 4 and 1 and writes 4 values; backward reads the cotangent, writes its sum
    cost = counted(lambda x: x + torch.ones(1).expand(4), leaf(4))
    assert cost.bytes == 4 * (1 + 4 + 1 + 4)
    assert touched(torch.ones(5).expand(9, 5)) == 5
    assert touched(torch.ones(6).unfold(0, 3, 1)) == 6
    assert touched(torch.ones(4, 6)[:, 2]) == 4
    assert touched(torch.ones(0, 6)) == 0


def test_bytes_and_flops_of_a_matrix_product() -> None:
    m, k, n = 5, 7, 3
    cost = counted(torch.mm, leaf(m, k), leaf(k, n))
    all_three = 4 * (m * k + k * n + m * n)
    assert cost == Counts(3, 3 * all_three, 3 * 2 * m * k * n, saved=0, peak=all_three, results=all_three)
    assert cost.extra == 0


@pytest.mark.parametrize(
    ("call", "picked"),
    [
        (lambda x, t: x[t], 2 * 8),
        (lambda x, t: x.index_select(0, t), 2 * 8),
        (lambda x, t: x.gather(0, t[:, None].expand(2, 8)), 2 * 8),
        (torch.embedding, 2 * 8),
    ],
)
def test_of_what_labels_pick_is_read_what_is_picked(call: Call, picked: int) -> None:
    cost = counted(call, torch.ones(100, 8), torch.tensor([3, 5]))
    assert cost.bytes == 4 * (picked + picked) + 2 * 8
    assert cost.flops == 0


def test_what_is_changed_in_place_is_read_and_written_unless_it_is_overwritten() -> None:
    assert counted(lambda x: x.mul_(2), torch.ones(10)).bytes == 4 * 20
    assert counted(lambda x: x.zero_(), torch.ones(10)).bytes == 4 * 10
    assert counted(lambda x: x.copy_(torch.ones(1)), torch.ones(10)).bytes == 4 * (1 + 1 + 10)
    labels = torch.tensor([1, 2])
    assert counted(lambda x: x.index_add_(0, labels, torch.zeros(2)), torch.ones(90)).bytes == 4 * 2 + 16 + 4 * (4 + 2)


def test_nothing_is_read_of_what_another_tensor_is_made_like() -> None:
    x = torch.ones(10)
    for call in (torch.zeros_like, torch.ones_like, lambda x: torch.full_like(x, 2), lambda x: x.new_zeros(10)):
        assert counted(call, x).bytes == 4 * 10
    assert counted(lambda x: x.new_full((), 2), x).bytes == 4


def test_what_is_saved_counts_whole_storages_once_and_neither_inputs_nor_outputs() -> None:
    assert counted(torch.exp, leaf(10)).saved == 0  # its output
    assert counted(lambda x: x * x, leaf(10)).saved == 0  # its input
    assert counted(lambda x: torch.exp(x).sin(), leaf(10)).saved == 4 * 10
    assert counted(lambda x: torch.exp(x)[:2].sin(), leaf(10)).saved == 4 * 10


def test_what_is_freed_no_longer_counts_for_the_peak() -> None:
    plain = torch.ones(10)
    assert counted(lambda x: x + 1, plain).peak == 4 * 10
    assert counted(lambda x: ((x + 1) + 1) + 1, plain).peak == 2 * 4 * 10


def test_a_product_by_a_vector_and_a_sum_of_products_have_the_same_flops() -> None:
    a, x = torch.ones(6, 8), torch.ones(8)
    assert counted(torch.mv, a, x).flops == counted(lambda a, x: (a * x).sum(-1), a, x).flops == 2 * 6 * 8


def test_flops_of_a_convolution_with_groups_are_three_times_forward() -> None:
    def conv(x: Tensor, w: Tensor) -> Tensor:
        return torch.nn.functional.conv1d(x, w, groups=4)

    x, w = leaf(2, 4, 9), leaf(4, 1, 3)
    assert counted(conv, x, w).flops == 3 * counted(conv, x.detach(), w.detach()).flops == 3 * 2 * (2 * 4 * 7) * 3


def test_counts_are_the_same_on_each_run() -> None:
    case = case_of("layer_norm")
    assert count(op_of("layer_norm"), case.leaves()) == count(op_of("layer_norm"), case.leaves())


# the formula as one would write it


def written(equations: str, inputs: str, *tensors: Tensor, more: str = "") -> tuple[Tensor, list[str]]:
    """The value, and the names of the operators that are called, views left out."""
    spec = f"op: it\ndoc: It.\ninputs: {{{inputs}}}\nequations: |\n  {equations}\n{more}"
    program = compile_spec(spec)["elaborate"]
    [value] = formula(program, {})(*tensors)
    with torch.profiler.profile() as profile:
        formula(program, {})(*tensors)
    return value, [event.name for event in profile.events() if event.cpu_parent is None]


@pytest.mark.parametrize(
    ("equations", "inputs", "shapes", "operator"),
    [
        ("y[i,j] = a[i,k]*b[k,j]", "a: [i, k], b: [k, j]", ((2, 3), (3, 4)), "aten::einsum"),
        ("y = a[i]*b[i]", "a: [i], b: [i]", ((3,), (3,)), "aten::sum"),
        ("y[i] = a[i]/b[i]", "a: [i], b: [i]", ((3,), (3,)), "aten::div"),
        ("y[i] = a[i] - b[i]", "a: [i], b: [i]", ((3,), (3,)), "aten::sub"),
        ("y[i] = tanh(a[i])", "a: [i]", ((3,),), "aten::tanh"),
        ("y[i,j] = softmax[j](a[i,j])", "a: [i, j]", ((2, 3),), "aten::softmax"),
    ],
)
def test_each_node_is_one_call_of_pytorch(equations: str, inputs: str, shapes: tuple[Any, ...], operator: str) -> None:
    _, called = written(equations, inputs, *(torch.ones(shape) for shape in shapes))
    assert operator in called
