"""Terms under complementary conditions become one: the term itself, or a choice made in one pass."""

from __future__ import annotations

import pytest
import torch
from full_road import build_spec

from tensorgrad_gen.algebra import key, simplify
from tensorgrad_gen.ir import Access, Compare, Expr, Index, Iverson, Logic, Mul, Sum, Where, add, const, mul
from tensorgrad_gen.notation import print_expr
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.simplify import factor

i, j = Index("i", "i"), Index("j", "j")
X, G, H = (Access(name, (i,)) for name in "xgh")


def on(condition: Expr, *factors: Expr) -> Expr:
    return mul(Iverson(condition), *factors)


def both(op: str, other: str) -> Expr:
    return simplify(add(on(Compare(op, X, const(1)), G, H), on(Compare(other, X, const(1)), G, H)))


def test_what_is_read_under_both_conditions_is_read_under_none() -> None:
    condition = Compare(">", X, const(0))
    negated = Logic("not", (condition,))
    assert simplify(add(on(condition, G), on(negated, G))) is G
    assert both("==", "!=") is simplify(mul(G, H))
    left = simplify(add(on(condition, on(negated, G), H), H))
    assert key(simplify(add(on(condition, G), on(negated, G), left))) == key(simplify(add(G, left)))


@pytest.mark.parametrize(("op", "other"), [(">", "<="), ("<", ">="), (">", "<")])
def test_comparisons_that_nan_makes_false_both_are_no_complements(op: str, other: str) -> None:
    assert len(both(op, other).children) == 2


def test_two_terms_become_a_choice_beside_what_they_share() -> None:
    condition = Compare(">", X, const(0))
    expr = add(on(condition, G, X), on(Logic("not", (condition,)), G, H), const(2))
    found = factor(simplify(expr))
    assert key(found) == key(add(mul(G, Where(condition, X, H)), const(2)))


def test_what_is_summed_or_larger_than_the_condition_stays_in_its_term() -> None:
    condition = Compare(">", X, const(0))
    contracted = Sum((j,), mul(Access("m", (i, j)), Access("v", (j,))))
    for term in (contracted, Access("s", ())):
        expr = simplify(add(on(condition, term), on(Logic("not", (condition,)), G)))
        assert not isinstance(factor(expr), Where | Mul)


def gradients(equations: str, inputs: str = "{x: [n], p: [n], keep: {indices: [n], kind: bool}}") -> str:
    compiled = run(f"op: f\ninputs: {inputs}\nequations: {equations}\n", "<text>", until="simplify")
    return "; ".join(print_expr(s.value) for s in compiled["simplify"].adjoint.statements)


def test_the_gradient_of_what_both_branches_have_has_no_condition() -> None:
    found = gradients("y[n] = where(keep[n], p[n] + x[n]^2, p[n])")
    assert "not" not in found
    assert found.endswith("grad_y[n]")


def test_what_the_other_branch_hides_stays_unread() -> None:
    text = "op: f\ninputs: {x: [n], p: [n]}\nequations: y[n] = where(x[n] > 0, p[n]*log(x[n]), p[n]*sqrt(1 - x[n]))\n"
    assert "where(x[n] > 0" in gradients(text.split("equations: ")[1].strip(), "{x: [n], p: [n]}")
    op, _ = build_spec(text)
    x = torch.tensor([0.5, -3.0, 4.0, -0.0, float("inf")], dtype=torch.float64, requires_grad=True)
    p = torch.linspace(1, 2, 5, dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(op(x, p).sum(), (x, p), create_graph=True)
    want_x = torch.where(x > 0, p / x, -p / 2 * (1 - x.clamp(max=0)).rsqrt())
    torch.testing.assert_close(first[0], want_x)
    assert bool(first[1][:4].isfinite().all())
    (second,) = torch.autograd.grad(first[0].sum(), x)
    assert bool(second.isfinite().all())
