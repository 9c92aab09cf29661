"""Equal cotangents become one, and a shared product has the name of the statement that is nothing else."""

from __future__ import annotations

import pytest

from tensorgrad_gen.algebra.naming import Namer
from tensorgrad_gen.ir import Access, Expr, Index, Statement, Sum, add, mul
from tensorgrad_gen.plan.sharing import share_products
from tensorgrad_gen.simplify import merge_equal

i, j, k = Index("i", "n"), Index("j", "m"), Index("k", "m")


def t(name: str, *subs: Index) -> Access:
    return Access(name, subs)


def statement(target: str, indices: tuple[Index, ...], value: Expr) -> Statement:
    return Statement(target, indices, value)


AB = mul(t("a", i, j), t("b", j))


def shown(statements: list[Statement]) -> dict[str, Expr]:
    return {s.target: s.value for s in statements}


@pytest.mark.parametrize("axes", [(i, j), (j, i)])
def test_a_second_statement_of_the_same_value_gives_way(axes: tuple[Index, ...]) -> None:
    reader = statement("y", (i,), Sum((j,), mul(t("s", i, j), t("t", *axes), t("c", j))))
    done = merge_equal([statement("s", (i, j), AB), statement("t", axes, AB), reader], {"y"})
    assert [s.target for s in done] == ["s", "y"]
    assert "t" not in {n.tensor for n in _accesses(done[-1].value)}
    assert {a.subs for a in _accesses(done[-1].value) if a.tensor == "s"} == {(i, j)}


def _accesses(expr: Expr) -> list[Access]:
    own = [expr] if isinstance(expr, Access) else []
    return own + [a for child in expr.children for a in _accesses(child)]


def test_a_value_that_reads_a_merged_one_is_merged_too() -> None:
    twice = [statement(name, (i, j), mul(t(source, i, j), t("c", j))) for name, source in (("u", "s"), ("v", "t"))]
    reader = statement("y", (i, j), add(t("u", i, j), mul(t("v", i, j), t("c", j))))
    done = merge_equal([statement("s", (i, j), AB), statement("t", (i, j), AB), *twice, reader], {"y"})
    assert [s.target for s in done] == ["s", "u", "y"]


def test_what_is_wanted_stays() -> None:
    statements = [statement("s", (i, j), AB), statement("grad_x", (i, j), AB)]
    assert merge_equal(statements, {"grad_x"}) == statements


def test_other_values_stay() -> None:
    other = mul(t("a", i, j), t("b", k))
    statements = [statement("s", (i, j), AB), statement("t", (i, j, k), other)]
    assert merge_equal(statements, set()) == statements


@pytest.mark.parametrize("axes", [(i, j), (j, i)])
def test_a_product_that_is_all_of_a_statement_has_its_name(axes: tuple[Index, ...]) -> None:
    reader = statement("y", (i,), Sum((j,), mul(AB, t("c", j))))
    done = share_products([statement("s", axes, AB), reader], Namer({"a", "b", "c"}), frozenset({"y"}))
    assert [(s.target, s.indices) for s in done] == [("s", axes), ("y", (i,))]
    assert [a.subs for a in _accesses(done[-1].value) if a.tensor == "s"] == [axes]


def test_a_result_lends_its_name_to_nothing() -> None:
    reader = statement("y", (i,), Sum((j,), mul(AB, t("c", j))))
    done = share_products([statement("grad_x", (i, j), AB), reader], Namer({"a"}), frozenset({"grad_x", "y"}))
    assert [s.target for s in done] == ["a_b", "grad_x", "y"]
    assert shown(done)["grad_x"] is t("a_b", i, j)


def test_copies_of_one_product_become_one_statement() -> None:
    statements = [
        statement("s", (i, j), AB),
        statement("t", (j, i), AB),
        statement("y", (i, j), add(t("s", i, j), mul(t("t", j, i), t("c", j)))),
    ]
    done = share_products(statements, Namer({"a"}), frozenset({"y"}))
    assert [s.target for s in done] == ["s", "y"]
    assert shown(done)["y"] is add(t("s", i, j), mul(t("s", i, j), t("c", j)))
