"""What is contracted when: what a number scales, how gradients go on from what is there, and that they stay right."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from tensorgrad_gen import compile_spec, load_op
from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.ir import Sum
from tensorgrad_gen.notation import print_statement
from tensorgrad_gen.plan.costs import work
from tensorgrad_gen.plan.model import Block, Plan
from tensorgrad_gen.plan.sizes import Regime

# inputs, equation, einsum of the inputs
TRACE = "a: [i, j], x: [j, k], b: [k, i]", "y = a[i,j]*x[j,k]*b[k,i]", "ij,jk,ki->"
FORM = "a: [i], x: [i, j], b: [j]", "y = a[i]*x[i,j]*b[j]", "i,ij,j->"
CHAIN = "a: [i, j], b: [j, k], c: [k, l], d: [l, m]", "y[i,m] = a[i,j]*b[j,k]*c[k,l]*d[l,m]", "ij,jk,kl,lm->im"
KRONECKER = (
    "a: [i, j], b: [k, l], c: [p, q], x: [n, j, l, q]",
    "y[n,i,k,p] = a[i,j]*b[k,l]*c[p,q]*x[n,j,l,q]",
    "ij,kl,pq,njlq->nikp",
)


def spec(inputs: str, equation: str) -> str:
    return f"op: it\ndoc: It.\ninputs: {{{inputs}}}\nequations: |\n  {equation}\n"


def plan_of(inputs: str, equation: str) -> Plan:
    plan: Plan = compile_spec(spec(inputs, equation))["plan"]
    return plan


def shown(block: Block) -> list[str]:
    return [print_statement(step) for step in block.steps]


def test_a_cotangent_without_indices_scales_the_smallest_tensor() -> None:
    lines = shown(plan_of(*FORM[:2]).backward[0])
    # A vector is scaled, no matrix; and once for the contraction and for the product that spreads.
    assert lines[:3] == [
        "grad_y_b[j] = grad_y*b[j]",
        "grad_a[i] = sum[j](x[i,j]*grad_y_b[j])",
        "grad_x[i,j] = a[i]*grad_y_b[j]",
    ]


def test_what_several_gradients_scale_is_scaled_once() -> None:
    lines = shown(plan_of(*TRACE[:2]).backward[0])
    # What the value has contracted, and one operand of both other contractions.
    assert [line for line in lines if "grad_y*" in line] == [
        "grad_y_x[j,k] = grad_y*x[j,k]",
        "grad_x[j,k] = grad_y*sum_a_b[j,k]",
    ]


def test_a_tie_goes_to_what_is_smaller_where_each_further_letter_is() -> None:
    first, _ = plan_of(*TRACE[:2]).forward
    assert print_statement(first) == "sum_a_b[j,k] = sum[i](a[i,j]*b[k,i])"


@pytest.mark.parametrize(
    ("inputs", "equation", "kept"),
    [
        # From the left the matrices of w would be copied, their middle axis being summed.
        ("x: [b, i], w: [o, i, j], z: [b, j]", "y[b,o] = x[b,i]*w[o,i,j]*z[b,j]", "sum_w_z[b,o,i]"),
        # And here a matrix would be kept, not a vector.
        ("a: [i, j, k], u: [i], v: [j], w: [k]", "y = a[i,j,k]*u[i]*v[j]*w[k]", "sum_a_v_w[i]"),
    ],
)
def test_a_tie_stays_where_more_would_be_copied_or_kept(inputs: str, equation: str, kept: str) -> None:
    plan = plan_of(inputs, equation)
    assert [print_statement(step).split(" = ")[0] for step in plan.forward if step.target in plan.auxiliary] == [kept]


def test_numbers_go_where_the_cotangent_goes() -> None:
    square = "a: [i, j], x: [j, k], c: [i, k]", "r[i,k] = a[i,j]*x[j,k] + c[i,k]\n  y = r[i,k]*r[i,k]"
    lines = shown(plan_of(*square).backward[0])
    assert [line for line in lines if "2*" in line] == ["grad_y_r[i,k] = 2*grad_y*r[i,k]"]
    assert "grad_c[i,k] = grad_y_r[i,k]" in lines


@pytest.mark.parametrize("case", [CHAIN, KRONECKER])
def test_backward_takes_two_products_for_each_of_the_value(case: tuple[str, str, str]) -> None:
    plan = plan_of(*case[:2])
    regime = Regime(plan.program)
    assert work(plan.backward[0].steps, regime) <= 2 * work(plan.forward, regime)


@pytest.mark.parametrize("case", [TRACE, FORM, CHAIN, KRONECKER])
def test_gradients_are_those_of_the_product(case: tuple[str, str, str]) -> None:
    inputs, equation, einsum = case
    op = load_op(spec(inputs, equation))
    sizes = {letter: 2 + n % 3 for n, letter in enumerate("ijklmnpq")}
    letters = einsum.split("->")[0].split(",")
    torch.manual_seed(0)
    tensors = [torch.randn([sizes[c] for c in own], dtype=torch.float64, requires_grad=True) for own in letters]

    def plain(*given: Tensor) -> Tensor:
        return torch.einsum(einsum, *given)

    cotangent = torch.randn_like(plain(*tensors))
    ours = torch.autograd.grad(op(*tensors), tensors, cotangent)
    theirs = torch.autograd.grad(plain(*tensors), tensors, cotangent)
    for got, want in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradgradcheck(op, tensors)


def test_a_product_in_another_order_of_axes_is_returned_as_it_is() -> None:
    text = spec("a: [i, j, b], c: [b, k, j]", "y[i,k,b] = a[i,j,b]*c[b,k,j]")
    assert ".clone()" not in compile_spec(text).source.split("def jvp")[0]
    op = load_op(text)
    a, c = torch.randn(2, 3, 4, requires_grad=True), torch.randn(4, 5, 3, requires_grad=True)
    y = op(a, c)
    assert not y._is_view()
    want = torch.einsum("ijb,bkj->ikb", a, c)
    torch.testing.assert_close(y.mul_(2), 2 * want)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), a), torch.autograd.grad(2 * want.sum(), a))


def test_an_output_keeps_no_tensor_that_it_is_a_part_of() -> None:
    text = spec("a: [i, j], c: [j, i]", "s[i,k] = a[i,j]*c[j,k]\n  y[i] = s[i,i]")
    y = load_op(text)(torch.randn(5, 3), torch.randn(3, 5))
    assert y.untyped_storage().nbytes() == y.numel() * y.element_size()


@pytest.mark.parametrize("x", ["b", "..."])
def test_a_vector_is_never_on_the_left_of_a_product(x: str) -> None:
    """Inductor takes `v @ m` for a product of matrices, and writes what makes `m` to memory."""
    text = f"op: f\ndoc: A sum.\ninputs: {{v: [{x}], m: [{x}, j]}}\nequations: y[j] = sum[{x}](v[{x}]*m[{x},j])\n"
    source = compile_spec(text).source
    assert re.search(r"m\)?\.mT @ ", source)
    assert not re.search(r"\bv(, 0\))? @ ", source)


def test_what_the_next_product_sums_lies_together() -> None:
    """A chain along the axes of one tensor: each product has the axis that the next one sums at an end."""
    plan = plan_of(*KRONECKER[:2])
    made = {step.target: step.indices for step in plan.forward}
    read = [(step, access) for step in plan.forward for access in accesses(step.value) if access.tensor in made]
    assert len(read) == 2
    for step, access in read:
        assert isinstance(step.value, Sum)
        summed = [i for i in access.subs if i in step.value.indices]
        assert [access.subs[0]] == summed or [access.subs[-1]] == summed


def test_axes_that_are_apart_are_copied_once_in_the_order_that_is_wanted() -> None:
    op = load_op(spec(*KRONECKER[:2]))
    shapes = (3, 2), (4, 3), (5, 4), (6, 2, 3, 4)
    tensors = [torch.randn(shape, requires_grad=True) for shape in shapes]
    with torch.profiler.profile() as profile:
        torch.autograd.grad(op(*tensors), tensors, torch.randn(6, 3, 4, 5))
    names = [event.name for event in profile.events()]
    assert names.count("aten::mm") == 9
    assert names.count("aten::clone") <= 2  # of the cotangent alone


TRAIN = (
    "x: [n, i, j, k], g: [p, i, a], h: [a, q, j, b], w: [b, s, k]",
    (
        "y[n,p,q,s] = g[p,i,a]*h[a,q,j,b]*w[b,s,k]*x[n,i,j,k]\n"
        "hints: {n: 256, i: 8, j: 8, k: 8, p: 8, q: 8, s: 8, a: 8, b: 8}"
    ),
)


def test_a_product_that_two_others_take_apart_is_copied_once() -> None:
    op = load_op(spec(*TRAIN))
    shapes = (7, 2, 3, 2), (3, 2, 4), (4, 2, 3, 5), (5, 2, 2)
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    with torch.profiler.profile() as profile:
        y = op(*tensors)
        grads = torch.autograd.grad(y, tensors, torch.ones_like(y))
    assert [event.name for event in profile.events()].count("aten::clone") <= 3
    want = torch.einsum("nijk,pia,aqjb,bsk->npqs", *tensors)
    torch.testing.assert_close(y, want)
    torch.testing.assert_close(grads, torch.autograd.grad(want, tensors, torch.ones_like(want)))
    assert all(g.is_contiguous() for g in (y, grads[0]))
    assert torch.autograd.gradcheck(op, tensors, check_batched_grad=True, check_forward_ad=True, fast_mode=True)
