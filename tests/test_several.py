"""What a call returns several of has names, and no name takes a value from who still reads it."""

from __future__ import annotations

from collections.abc import Mapping

from tensorgrad_gen.lower.printer import print_texpr
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Item, Lit, TExpr, Var
from tensorgrad_gen.render.liveness import Guarded
from tensorgrad_gen.render.several import unpack_several

MADE = Call("_runtime.solve_and_factor", (Var("a"), Var("c")))
ALL = frozenset({"y", "z"})


def part(number: int) -> TExpr:
    return Item(Var("solved"), Lit(number))


def line(target: str, value: TExpr, needed: frozenset[str] = ALL, formula: str = "") -> Guarded:
    return Guarded(target, value, formula, needed)


def printed(
    *lines: Guarded, results: Mapping[str, str] | None = None, taken: tuple[str, ...] = (), tested: bool = True
) -> list[str]:
    names = results or {}
    found = unpack_several([line("solved", MADE), *lines], names, frozenset(taken), tested)
    return [f"{own.target or names[own.result]} = {print_texpr(own.value, '_runtime.', {})}" for own in found]


def test_each_part_has_the_name_of_what_it_is() -> None:
    first = Guarded(None, part(1), "", ALL, "lu")
    assert printed(line("x", part(0)), first, line("z", Infix("+", Var("x"), part(2))), results={"lu": "lu"}) == [
        "x, lu, pivots = _runtime.solve_and_factor(a, c)",
        "z = x + pivots",
    ]


def test_its_formula_stands_over_the_call() -> None:
    call, *_ = unpack_several([line("solved", MADE), line("x", part(0), formula="x = 1")], {}, frozenset(), tested=True)
    assert (call.target, call.formula) == ("x, _, _", "x = 1")


def test_another_layout_of_a_part_shares_its_name() -> None:
    assert printed(line("x", Attr(part(0), "mT"))) == ["x, _, _ = _runtime.solve_and_factor(a, c)", "x = x.mT"]


def test_a_name_from_outside_is_not_taken() -> None:
    assert printed(line("z", Infix("+", part(0), part(0))), taken=("solution",)) == [
        "solution_2, _, _ = _runtime.solve_and_factor(a, c)",
        "z = solution_2 + solution_2",
    ]


def test_a_name_that_is_read_before_it_has_its_value_is_not_taken() -> None:
    assert printed(line("w", Var("x")), line("x", part(0)), taken=("x",)) == [
        "solution, _, _ = _runtime.solve_and_factor(a, c)",
        "w = x",
        "x = solution",
    ]


def test_what_is_passed_on_whole_stays() -> None:
    kept = printed(line("x", part(0)), line("w", Call("torch.stack", (Var("solved"),))))
    assert kept[0] == "solved = _runtime.solve_and_factor(a, c)"


def test_where_only_one_gradient_needs_a_part_its_test_stays() -> None:
    one = frozenset({"y"})
    assert printed(line("x", Attr(part(0), "mT"), one))[0] == "solved = _runtime.solve_and_factor(a, c)"
    assert printed(line("x", part(0), one)) == ["x, _, _ = _runtime.solve_and_factor(a, c)"]
    assert printed(line("x", Attr(part(0), "mT"), one), tested=False)[0].startswith("x, _, _ = ")
