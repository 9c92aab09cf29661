"""Jacobians, Hessians and Hessian-vector products as functions: each is what torch.func makes of the plain formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from further_cases import CASES, Case
from torch import Tensor, func

from tensorgrad_gen.api import compile_spec, load_module, load_op
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.verify import checks_further
from tensorgrad_gen.verify.model import FindingError
from tensorgrad_gen.verify.subject import make_subject

EXACT = {"rtol": 1e-9, "atol": 1e-10}


def ident(case: Case) -> str:
    return f"{case.name}{list(case.shapes[0]) if isinstance(case.shapes[0], tuple) else ''}"


def plain_of(case: Case, tensors: tuple[Any, ...]) -> Any:
    """The formula as a function of the inputs that have a derivative."""

    def plain(*moved: Tensor) -> Any:
        given = list(tensors)
        for place, tensor in zip(case.moved, moved, strict=True):
            given[place] = tensor
        return case.plain(*given, **case.params)

    return plain


def one(items: list[Any]) -> Any:
    """What a tuple of one is."""
    return items[0] if len(items) == 1 else tuple(items)


def as_ours(found: Any, outputs: int, levels: int) -> Any:
    """A nesting of torch.func with `argnums` a tuple, as the functions return it."""
    if outputs > 1:
        return tuple(as_ours(part, 1, levels) for part in found)
    if levels == 0:
        return found
    return one([as_ours(part, 1, levels - 1) for part in found])


def given_only(found: Any) -> Any:
    """The nesting without what an input that was left out has."""
    if not isinstance(found, tuple):
        return found
    parts = [given_only(part) for part in found if part is not None]
    return one([part for part in parts if part != ()])


def agree(got: Any, want: Any) -> None:
    if isinstance(want, tuple):
        assert isinstance(got, tuple)
        assert len(got) == len(want)
        for mine, other in zip(got, want, strict=True):
            agree(mine, other)
    else:
        assert got.shape == want.shape
        torch.testing.assert_close(got, want, **EXACT)


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_jacobian_is_jacrev(case: Case) -> None:
    tensors = case.tensors()
    plain, moved = plain_of(case, tensors), tuple(tensors[k] for k in case.moved)
    outputs = len(plain(*moved)) if isinstance(plain(*moved), tuple) else 1
    want = func.jacrev(plain, tuple(range(len(moved))))(*moved)
    got = getattr(case.module(), f"{case.name}_jacobian")(*tensors, **case.params)
    agree(given_only(got), as_ours(want, outputs, 1))


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_hessian_is_jacrev_of_jacrev(case: Case) -> None:
    tensors = case.tensors()
    plain, moved = plain_of(case, tensors), tuple(tensors[k] for k in case.moved)
    outputs = len(plain(*moved)) if isinstance(plain(*moved), tuple) else 1
    argnums = tuple(range(len(moved)))
    want = func.jacrev(func.jacrev(plain, argnums), argnums)(*moved)
    got = getattr(case.module(), f"{case.name}_hessian")(*tensors, **case.params)
    agree(given_only(got), as_ours(want, outputs, 2))


def product(case: Case, tensors: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
    """Cotangents, tangents in the order of the inputs, and the product by double backward."""
    rng = torch.Generator().manual_seed(9)
    plain, moved = plain_of(case, tensors), tuple(tensors[k].clone().requires_grad_() for k in case.moved)
    outputs = plain(*moved)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = tuple(torch.randn(y.shape, generator=rng, dtype=y.dtype) for y in outputs)
    scalar = len(outputs) == 1 and "hvp" in case.kinds and is_number(case)
    loss = outputs[0] if scalar else sum((w * y).sum() for w, y in zip(weights, outputs, strict=True))
    along = {k: torch.randn(tensors[k].shape, generator=rng, dtype=torch.float64) for k in case.moved}
    grads = torch.autograd.grad(loss, moved, create_graph=True, allow_unused=True, materialize_grads=True)
    slope = sum((g * along[k]).sum() for g, k in zip(grads, case.moved, strict=True))
    zeros = [torch.zeros_like(x) for x in moved]
    found = (
        torch.autograd.grad(slope, moved, allow_unused=True, materialize_grads=True) if slope.requires_grad else zeros
    )
    tangents = [along.get(k) for k in range(len(tensors)) if k in along or tensors[k] is None]
    return () if scalar else weights, tuple(tangents), one(list(found))


def is_number(case: Case) -> bool:
    """Whether the op's one output has no axes, whatever its leading axes are."""
    info = run(case.text(), "<text>", until="elaborate")["elaborate"]
    return len(info.outputs) == 1 and not info.tensors[info.outputs[0]].indices


@pytest.mark.parametrize("case", CASES, ids=ident)
def test_hvp_is_double_backward(case: Case) -> None:
    tensors = case.tensors()
    weights, tangents, want = product(case, tensors)
    got = getattr(case.module(), f"{case.name}_hvp")(*tensors, *weights, *tangents, **case.params)
    agree(given_only(got), want)


BY_NAME = {case.name: case for case in CASES}
SOME = [
    BY_NAME[name] for name in ("soft", "form", "entropy", "normed", "factors", "filtered", "symmetric_form", "in_a_row")
]


def function_of(case: Case, kind: str) -> tuple[Any, tuple[Tensor, ...]]:
    """One of the functions, of the inputs that have a derivative alone, and these."""
    tensors = case.tensors()
    weights, tangents, _ = product(case, tensors) if kind == "hvp" else ((), (), None)
    made = getattr(case.module(), f"{case.name}_{kind}")

    def call(*moved: Tensor) -> Any:
        given = list(tensors)
        for place, tensor in zip(case.moved, moved, strict=True):
            given[place] = tensor
        return given_only(made(*given, *weights, *tangents, **case.params))

    return call, tuple(tensors[k] for k in case.moved)


@pytest.mark.parametrize("kind", ["jacobian", "hvp"])
@pytest.mark.parametrize("case", [c for c in SOME if "structure" not in c.inputs], ids=ident)
def test_they_are_differentiable(case: Case, kind: str) -> None:
    call, moved = function_of(case, kind)
    moved = tuple(x.clone().requires_grad_() for x in moved)
    assert torch.autograd.gradcheck(call, moved, check_forward_ad=True)


@pytest.mark.parametrize("case", SOME, ids=ident)
def test_hvp_is_linear_in_what_it_is_given(case: Case) -> None:
    tensors = case.tensors()
    weights, tangents, _ = product(case, tensors)
    made = getattr(case.module(), f"{case.name}_hvp")
    given = tuple(x.clone().requires_grad_() for x in (*weights, *tangents))
    assert torch.autograd.gradcheck(lambda *more: given_only(made(*tensors, *more)), given)


@pytest.mark.parametrize("kind", ["jacobian", "hessian", "hvp"])
@pytest.mark.parametrize("case", SOME, ids=ident)
def test_vmap_and_compile_change_nothing(case: Case, kind: str) -> None:
    call, moved = function_of(case, kind)
    want = call(*moved)
    torch._dynamo.reset()
    agree(torch.compile(call, fullgraph=True, backend="eager")(*moved), want)
    rows = func.vmap(call)(*(torch.stack([x, x]) for x in moved))
    leaves = torch.utils._pytree.tree_leaves
    for row, one_ in zip(leaves(rows), leaves(want), strict=True):
        torch.testing.assert_close(row[1], one_, **EXACT)


@pytest.mark.parametrize("kind", ["jacobian", "hessian"])
@pytest.mark.parametrize("case", SOME, ids=ident)
def test_adding_in_place_changes_nothing_that_is_read(case: Case, kind: str) -> None:
    """Without gradients diagonals are added in place, with gradients on a copy."""
    call, moved = function_of(case, kind)
    recorded = call(*(x.clone().requires_grad_() for x in moved))
    before = [x.clone() for x in moved]
    agree(call(*moved), recorded)
    assert all(torch.equal(x, y) for x, y in zip(moved, before, strict=True))


def test_blocks_share_no_memory() -> None:
    blocks = torch.utils._pytree.tree_leaves(BY_NAME["factors"].module().factors_hessian(*BY_NAME["factors"].tensors()))
    assert len({block.untyped_storage().data_ptr() for block in blocks}) == len(blocks) == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_they_have_the_dtype_of_the_inputs(dtype: torch.dtype) -> None:
    case = BY_NAME["normed"]
    tensors = tuple(x.to(dtype) for x in case.tensors())
    found = case.module().normed_hessian(*tensors)
    wide = case.module().normed_hessian(*(x.double() for x in tensors))
    for low, high in zip(*map(torch.utils._pytree.tree_leaves, (found, wide)), strict=True):
        assert low.dtype == dtype
        torch.testing.assert_close(low.double(), high, rtol=3e-2, atol=3e-2)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (1, 1)])
def test_extents_of_zero_and_one(shape: tuple[int, int]) -> None:
    x, axes = torch.rand(shape, dtype=torch.float64), (*shape, *shape)
    module = BY_NAME["soft"].module()
    assert module.soft_jacobian(x).shape == axes
    assert module.soft_hessian(x).shape == (*axes, *shape)
    assert module.soft_hvp(x, x, x).shape == shape


def test_of_an_input_left_out_there_is_none() -> None:
    case = BY_NAME["left_out"]
    found = case.module().left_out_jacobian(*case.tensors())
    assert found[2] is None
    assert [len(row) for row in case.module().left_out_hessian(*case.tensors())] == [3, 3, 3]


def test_of_an_input_left_out_whose_default_is_read_there_is_none() -> None:
    case = BY_NAME["left_out_and_read"]
    module, (x, _) = case.module(), case.tensors()
    assert module.left_out_and_read_jacobian(x, None)[1] is None
    (_, mixed), others = module.left_out_and_read_hessian(x, None)
    assert (mixed, *others) == (None, None, None)
    assert module.left_out_and_read_hvp(x, None, x, x)[1] is None
    assert all(block is not None for block in module.left_out_and_read_hvp(x, x, x, x))


def test_what_does_not_fit_is_refused_in_the_words_of_the_function() -> None:
    module = BY_NAME["form"].module()
    x, a = torch.rand(3), torch.rand(3, 3)
    with pytest.raises(ValueError, match=r"form_hvp: index i is 3 in x \(axis 0\) but 2 in tangent_x \(axis 0\)"):
        module.form_hvp(x, a, torch.rand(2), a)
    with pytest.raises(TypeError, match="form_hessian: x is real"):
        module.form_hessian(torch.ones(3, dtype=torch.int64), a)


def test_a_label_outside_its_axis_is_named() -> None:
    with pytest.raises(IndexError, match="entropy_hessian: a label in t is outside"):
        BY_NAME["entropy"].module().entropy_hessian(torch.rand(3, 4), torch.tensor([0, 9, 1]))


def test_a_clip_acts_on_each_row_of_a_jacobian() -> None:
    equation = "equations: y[i] = 2*clip_gradient(x[i], -1, 1)"
    text = f"op: f\ndoc: A clip.\ninputs:\n  x: [i]\n{equation}\nderivatives: [jacobian]\n"
    op, found = load_op(text), load_op(text, derivative="jacobian")
    x = torch.rand(3, dtype=torch.float64)
    agree(found(x), func.jacrev(op)(x))


def test_what_a_spec_does_not_ask_for_is_not_there() -> None:
    text = "op: f\ndoc: A square.\ninputs:\n  x: [i]\nequations: y = x[i]*x[i]\nderivatives: [hessian]\n"
    assert load_op(text, derivative="hessian")(torch.ones(2)).tolist() == [[2, 0], [0, 2]]
    with pytest.raises(ValueError, match="f has no hvp"):
        load_op(text, derivative="hvp")


def test_names_of_tensors_and_of_derivatives_keep_apart() -> None:
    text = (
        "op: f\ndoc: Names.\ninputs:\n  x: [i]\n  grad_y: [i]\n  tangent_x: [i]\n"
        "equations: y[i] = x[i]^2*grad_y[i]*tangent_x[i]\nderivatives: [hvp]\n"
    )
    given = [torch.rand(3, dtype=torch.float64) for _ in range(7)]
    x, second, third, weight, *along = given
    want = func.jvp(
        func.grad(lambda a, b, c: (weight * a * a * b * c).sum(), (0, 1, 2)), (x, second, third), tuple(along)
    )
    agree(load_op(text, derivative="hvp")(*given), want[1])


@pytest.mark.parametrize("check", [checks_further.values, checks_further.differences, checks_further.edges])
def test_verify_finds_a_wrong_hessian(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_spec(BY_NAME["fixed_form"].text(), standalone=True)
    module = load_module("fixed_form", compiled.source)
    subject = make_subject(compiled["elaborate"], module)
    assert check(subject) < 1e-4
    right = module.fixed_form_hessian
    monkeypatch.setattr(module, "fixed_form_hessian", lambda *given: 1.1 * right(*given))
    with pytest.raises(FindingError, match="hessian"):
        check(subject)
