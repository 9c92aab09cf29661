"""Legality: what the IR may not look like is refused, with the stage and the node named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tensorgrad_gen.algebra import accesses
from tensorgrad_gen.derive import derive, names_apart
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Const,
    Delta,
    Expr,
    Extent,
    Index,
    IRError,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Param,
    Program,
    Reduce,
    Statement,
    Sum,
    Where,
    add,
    const,
    mul,
)
from tensorgrad_gen.legality import STAGE_RULES, LegalityError, check_plan, check_program
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.plan import plan
from tensorgrad_gen.simplify import simplify
from tests.elaborating import build, spec

b, i, k, j = Index("b", "b"), Index("i", "i"), Index("k", "k"), Index("j", "i")
INPUTS = {
    "x": "[b, i]",
    "m": "[i, k]",
    "v": "[i]",
    "t": "{indices: [b], kind: label, labels: i}",
    "c": "{indices: [b], kind: bool}",
}
X, V, T, C = Access("x", (b, i)), Access("v", (i,)), Access("t", (b,)), Access("c", (b,))
BASE, _ = build(spec("y[b] = x[b,i]*v[i]*eps", INPUTS, "params: {eps: 1}"))


def program(value: Expr, indices: tuple[Index, ...] = (), kind: str = "real") -> Program:
    return replace(BASE, statements=(Statement("y", indices, value, kind),))


LEGAL = [
    program(Sum((i,), mul(X, V)), (b,)),
    program(Access("x", (b, T)), (b,)),
    program(mul(Iverson(C), Param("eps", "real")), (b,)),
    program(Compare("==", T, const(2)), (b,), "bool"),
    program(Linalg("det", mul(Access("m", (i, k)), V), (i,), (k,), None)),
    program(Reduce("argmax", (i,), X), (b,), "label"),
    program(Delta(i, T), (b, i)),
]
ILLEGAL = {
    "a free index that is not on the left": program(X, (b,)),
    "an unknown tensor": program(Access("q", (i,)), (i,)),
    "too few subscripts": program(Access("x", (b,)), (b,)),
    "an index of another extent": program(Access("v", (k,)), (k,)),
    "a real subscript": program(Access("x", (b, V)), (b, i)),
    "a bool subscript": program(Delta(i, C), (b, i)),
    "a real condition": program(Where(V, const(1), const(0)), (i,)),
    "a real operand of a connective": program(Logic("not", (V,)), (i,), "bool"),
    "a condition as a number": program(add(C, const(1)), (b,)),
    "a real value of a bool tensor": program(V, (i,), "bool"),
    "a label as a real tensor": program(T, (b,)),
    "an unknown function": program(Apply("foo", (V,)), (i,)),
    "a default left out": program(Apply("softplus", (V,)), (i,)),
    "an unknown param": program(Param("n", "int")),
    "an unknown extent": program(Extent("n")),
    "an index of unknown extent": program(Sum((Index("p", "p"),), const(2))),
    "a permutation symbol too long": program(LeviCivita((i, j)), (i, j)),
    "one name bound twice": program(add(Sum((i,), V), Sum((i,), mul(V, V)))),
    "a bound index named as a free one": program(mul(V, Sum((i,), V)), (i,)),
    "a reduction over nothing": program(Reduce("max", (j,), V), (i,)),
    "a matrix function inside": program(mul(const(2), Linalg("det", Access("m", (i, k)), (i,), (k,), None))),
    "a matrix without columns": program(Linalg("det", V, (i,), (k,), None)),
    "an index twice on the left": program(V, (i, i)),
    "an undefined output": replace(BASE, outputs=("z",)),
    "a tensor defined twice": replace(BASE, statements=BASE.statements * 2),
}


@pytest.mark.parametrize("legal", LEGAL)
def test_what_elaboration_makes_is_legal(legal: Program) -> None:
    check_program(legal, "elaborate")


@pytest.mark.parametrize("what", ILLEGAL)
def test_what_no_stage_may_make_is_refused(what: str) -> None:
    with pytest.raises(LegalityError, match="after elaborate"):
        check_program(ILLEGAL[what], "elaborate")


def test_bound_names_may_recur_once_a_program_is_canonical() -> None:
    check_program(ILLEGAL["one name bound twice"], "normalise")


PLANNED = {
    "a sum that two gradients share": "y[j,b] = v[i]*x[b,i]*where(a > 0, delta[i,j], one[b])",
    "a matrix function": "y = logdet(w)*a",
    "a label": "y[b] = x[b,t[b]]*v[t[b]]",
    "a mask": "y[b,i] = softmax[i](where(c[b], x[b,i], -1))*v[i]",
}


@pytest.mark.parametrize("what", PLANNED)
def test_a_plan_reads_only_what_is_there(what: str) -> None:
    inputs = {**INPUTS, "a": "[]", "w": "{indices: [i, k], domain: spd}"}
    program, _ = build(spec(PLANNED[what], inputs))
    planned = plan(simplify(derive(normalise(program))))
    check_plan(planned)
    first, *_ = planned.backward
    with pytest.raises(LegalityError, match="after plan"):
        check_plan(replace(planned, backward=(replace(first, steps=first.steps[::-1] * 2),)))


def test_an_illegal_program_is_an_internal_fault() -> None:
    assert issubclass(LegalityError, IRError)
    assert {"elaborate", "normalise", "derive", "simplify", "plan"} <= set(STAGE_RULES)
    assert isinstance(const(1), Const)


def test_what_derivatives_are_called_is_left_to_them() -> None:
    text = "op: t\ninputs: {w: [i], grad_w: [i], grad_grad_w: [i]}\nparams: {tangent_v: 1}\nequations: |\n"
    program = names_apart(
        run(
            text + "  v[i] = tangent_v*w[i]*grad_w[i]\n  y[i] = v[i]*grad_grad_w[i]*v[i]\n", "t.yaml", until="normalise"
        ).program
    )
    names = set(program.tensors)
    assert [item.keyword for item in program.inputs] == ["w", "grad_w", "grad_grad_w"]
    assert not {f"{prefix}_{name}" for name in names for prefix in ("grad", "tangent")} & (names | {"tangent_v"})
    accessed = {a.tensor for statement in program.statements for a in accesses(statement.value)}
    assert accessed <= names
