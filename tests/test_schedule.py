"""A scheduled body computes the same with fewer calls."""

from __future__ import annotations

from dataclasses import replace

import torch
from lower_cases import CASES, spec
from lowered import arguments_of, function, plain_plan, program_of

from tensorgrad_gen.lower import lower_plan, print_texpr
from tensorgrad_gen.lower.model import Body
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Lit, Method, TExpr, TorchStatement, Var
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.reference import sample_inputs
from tensorgrad_gen.schedule import schedule, scheduled

x, y = Var("x"), Var("y")


def call(name: str, *args: TExpr) -> Call:
    return Call(f"torch.{name}", args)


def statements(body: Body) -> list[str]:
    return [f"{s.target} = {print_texpr(s.call)}" for s in body.statements]


def body(*lines: tuple[str, TExpr], results: tuple[TExpr, ...]) -> Body:
    named = tuple((f"r{k}", expr) for k, expr in enumerate(results))
    return Body((), tuple(TorchStatement(t, e, f"{t} = ...") for t, e in lines), named, ("x",))


TAKEN = frozenset({"x", "y", "a", "b", "c", "n"})


def test_what_nothing_reads_is_dropped() -> None:
    done = scheduled(body(("a", call("exp", x)), ("b", call("sin", x)), results=(Var("b"),)), TAKEN)
    assert statements(done) == ["b = torch.sin(x)"]


def test_equal_calls_become_one() -> None:
    lines = (("a", call("exp", x)), ("b", call("exp", x)), ("c", Infix("*", Var("a"), Var("b"))))
    assert statements(scheduled(body(*lines, results=(Var("c"),)), TAKEN)) == ["a = torch.exp(x)", "c = a * a"]


def test_one_tensor_that_is_two_results_is_neither_of_them() -> None:
    lines = (("grad_a", call("exp", x)), ("c", call("sin", Var("grad_a"))), ("grad_b", call("exp", x)))
    done = scheduled(body(*lines, results=(Var("grad_a"), Var("grad_b"), Var("c"))), TAKEN)
    assert statements(done) == ["grad_a_b = torch.exp(x)", "c = torch.sin(grad_a_b)"]
    assert [print_texpr(expr) for _, expr in done.results] == ["grad_a_b", "grad_a_b", "c"]


def test_one_tensor_in_two_layouts_is_neither_of_the_results() -> None:
    wide = Method(Var("grad_b"), "expand", (Var("n"),))
    lines = (("grad_a", call("exp", x)), ("grad_b", call("exp", x)))
    done = scheduled(body(*lines, results=(Var("grad_a"), wide)), TAKEN)
    assert statements(done) == ["grad_a_b = torch.exp(x)"]
    assert [print_texpr(expr) for _, expr in done.results] == ["grad_a_b", "grad_a_b.expand(n)"]


def test_a_result_that_two_results_are_made_of_bears_neither_name() -> None:
    named = (("a", Method(Var("grad_a"), "expand", (Lit(3),))), ("b", Method(Var("grad_a"), "expand", (Lit(4),))))
    done = scheduled(replace(body(("grad_a", call("exp", x)), results=()), results=named), TAKEN | {"grad_a"})
    assert statements(done) == ["grad_a2 = torch.exp(x)"]
    assert [print_texpr(expr) for _, expr in done.results] == ["grad_a2.expand(3)", "grad_a2.expand(4)"]


def test_a_repeated_part_is_computed_once_before_its_first_reader() -> None:
    lines = (("a", Infix("+", call("exp", x), Lit(1))), ("b", Infix("*", call("exp", x), Var("a"))))
    done = scheduled(body(*lines, results=(Var("b"),)), TAKEN)
    assert statements(done) == ["exp = torch.exp(x)", "a = exp + 1", "b = exp * a"]


def test_a_part_that_has_a_name_already_is_read_by_it() -> None:
    lines = (("a", call("exp", x)), ("b", Infix("*", call("exp", x), x)))
    done = scheduled(body(*lines, results=(Var("a"), Var("b"))), TAKEN)
    assert statements(done) == ["a = torch.exp(x)", "b = a * x"]


def test_views_and_python_numbers_stay_where_they_are() -> None:
    view, number = Method(x, "unsqueeze", (Lit(-1),)), Infix("/", Lit(2), Var("n"))
    lines = (("a", Infix("*", view, number)), ("b", Infix("+", view, number)))
    done = scheduled(body(*lines, results=(Var("a"), Var("b"))), TAKEN, frozenset({"n"}))
    assert len(done.statements) == 2


def test_scheduled_bodies_compute_what_they_did() -> None:
    for case in CASES:
        program = program_of(spec(case))
        before = lower_plan(plain_plan(program))
        inputs, params = sample_inputs(program, 0)
        given = [torch.as_tensor(inputs[item.name]) for item in program.inputs]
        numbers = [params[p.name] if p.kind == "real" else int(params[p.name]) for p in program.params]
        first, second = (
            function(op.forward, arguments_of(program))(*given, *numbers) for op in (before, schedule(before))
        )
        for one, other in zip(first, second, strict=True):
            torch.testing.assert_close(other, one, equal_nan=True)


def test_views_that_undo_one_another_are_left_out() -> None:
    twice = Attr(Attr(x, "mT"), "mT")
    back = Method(Method(x, "unsqueeze", (Lit(-1),)), "squeeze", (Lit(-1),))
    moved = Method(Method(x, "unsqueeze", (Lit(-1),)), "squeeze", (Lit(-3),))
    done = scheduled(body(("a", Infix("*", twice, back)), results=(Infix("+", Var("a"), moved),)), TAKEN)
    assert done.statements[0].call == Infix("*", x, x)
    assert done.results[0][1] == Infix("+", Var("a"), moved)


def test_helpers_are_counted_as_they_stand_and_constants_keep_their_names() -> None:
    text = (
        "op: t\ninputs: {x: [i]}\nconstants: {k2: [1, -2, 1], k1: [3, 1, 2]}\nequations: |\n"
        "  y[i] = k2[j]*one[j]*x[i] + log2(x[i]^2 + 2)*sin(log2(x[i]^2 + 2))\n  z[i] = k1[j]*k2[j]*y[i]\n"
        "outputs: [y, z]\n"
    )
    lowered = run(text, "t.yaml", until="schedule")["schedule"]
    calls = {s.target: print_texpr(s.call) for s in lowered.forward.statements}
    assert calls["k2"].startswith("torch.tensor((1.0, -2.0, 1.0)")
    assert calls["k1"].startswith("torch.tensor((3.0, 1.0, 2.0)")
    assert calls["log2"].startswith("torch.log2(")


def test_a_sum_of_very_many_terms_is_scheduled_in_time() -> None:
    """Complete intersection over union of boxes (Zheng et al., 2020): its gradient is one sum of some forty terms."""
    equations = """
  iw[n] = relu(min(p[n,2], t[n,2]) - max(p[n,0], t[n,0]))
  ih[n] = relu(min(p[n,3], t[n,3]) - max(p[n,1], t[n,1]))
  ap[n] = (p[n,2] - p[n,0])*(p[n,3] - p[n,1])
  at[n] = (t[n,2] - t[n,0])*(t[n,3] - t[n,1])
  iou[n] = iw[n]*ih[n]/(ap[n] + at[n] - iw[n]*ih[n])
  cw[n] = max(p[n,2], t[n,2]) - min(p[n,0], t[n,0])
  ch[n] = max(p[n,3], t[n,3]) - min(p[n,1], t[n,1])
  rho[n] = ((p[n,0] + p[n,2] - t[n,0] - t[n,2])^2 + (p[n,1] + p[n,3] - t[n,1] - t[n,3])^2)/4
  v[n] = 4/pi^2*(atan2(t[n,2] - t[n,0], t[n,3] - t[n,1]) - atan2(p[n,2] - p[n,0], p[n,3] - p[n,1]))^2
  l = mean[n](1 - iou[n] + rho[n]/(cw[n]^2 + ch[n]^2) + stop_gradient(v[n]/(1 - iou[n] + v[n]))*v[n])
"""
    run(
        f"op: ciou\ninputs: {{p: [n, c], t: [n, c]}}\nequations: |{equations}outputs: [l]\n", "<text>", until="schedule"
    )
