"""Equality as functions: laws that must hold, differences that must show, and every rewrite of a sample of builds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from tensorgrad_gen.algebra import all_indices, map_nodes, step
from tensorgrad_gen.algebra.equal import UndecidedError, equal_as_functions
from tensorgrad_gen.derive import Adjoint, active_tensors, derive, jacobian
from tensorgrad_gen.derive.modes import free_names, reads
from tensorgrad_gen.ir import Access, Expr, Program, Statement, Sum, mul
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.pipeline import Compiled, run
from tensorgrad_gen.simplify import simplify_adjoint
from tests.programs import random_program

PATHS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "specs").rglob("*.yaml"))}
# Stable forms that the function's own row gives: no law of the atoms.
OTHER_FUNCTIONS = {"log_cosh", "log_cosh_loss", "xlogx"}
REWRITTEN = """
layer_norm matmul inverse softmax_cross_entropy fan_out relu_mlp_loss partial_trace levi_civita_cross six_index
cross_entropy cumulative_sum embedding lstm_cell ridge logdet trace_x3 logsumexp quantile_loss masked_softmax
""".split()  # noqa: SIM905


@cache
def built(name: str) -> Compiled:
    return run(PATHS[name].read_text(encoding="utf-8"), str(PATHS[name]), until="simplify")


def value_of(equation: str) -> tuple[Expr, Program]:
    lines = ["op: law", "inputs: {a: [i], b: [i], m: [i, i], x: []}", "equations: |", f"  {equation}", ""]
    program: Program = run("\n".join(lines), "law", until="elaborate")["elaborate"]
    statement = program.statements[-1]
    return Access(statement.target, statement.indices), program


def same(first: str, second: str) -> bool:
    one, program = value_of(f"y[i] = one[i]*a[i]*b[i]*m[i,i]*x*0 + {first}")
    two, other = value_of(f"y[i] = one[i]*a[i]*b[i]*m[i,i]*x*0 + {second}")
    return equal_as_functions(one, *beside(two, program, other))


def beside(expr: Expr, program: Program, other: Program) -> tuple[Expr, Program]:
    """The expression, and the first program with the statements of the second under other names."""
    statements = renamed(other.statements)
    own = {s.target for s in other.statements}
    return prime(expr, own), replace(program, statements=program.statements + statements)


def prime(expr: Expr, own: set[str]) -> Expr:
    def visit(node: Expr) -> Expr:
        return Access(f"{node.tensor}'", node.subs) if isinstance(node, Access) and node.tensor in own else node

    return map_nodes(expr, visit)


def renamed(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    own = {s.target for s in statements}
    return tuple(replace(s, target=f"{s.target}'", value=prime(s.value, own)) for s in statements)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("sqrt(a[i])*sqrt(a[i])", "a[i]"),
        ("sqrt(a[i]^2)", "abs(a[i])"),
        ("exp(a[i])*exp(b[i])", "exp(a[i] + b[i])"),
        ("exp(-log(a[i]))", "1/a[i]"),
        ("log(a[i]*b[i])", "log(a[i]) + log(b[i])"),
        ("softmax[i](a[i])", "exp(a[i] - logsumexp[j](a[j]))"),
        ("softmax[i](a[i])", "exp(log_softmax[i](a[i]))"),
        ("(a[i] + b[i])^2", "a[i]^2 + 2*a[i]*b[i] + b[i]^2"),
        ("max(a[i], b[i])", "(a[i] + b[i] + abs(a[i] - b[i]))/2"),
        ("m[i,j]*delta[j,k]*b[k]", "m[i,j]*b[j]"),
        ("cumsum[i](a[i])", "[j <= i]*a[j]"),
    ],
)
def test_laws_hold(first: str, second: str) -> None:
    assert same(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("m[i,j]*a[j]", "m[j,i]*a[j]"),
        ("sqrt(a[i]^2)", "a[i]"),
        ("a[i] + 1e-9", "a[i]"),
        ("exp(2*a[i])", "exp(a[i])"),
        ("[j <= i]*a[j]", "[j < i]*a[j]"),
    ],
)
def test_differences_show(first: str, second: str) -> None:
    assert not same(first, second)


def test_a_value_that_no_sample_has_is_undecided() -> None:
    expr, program = value_of("y[i] = sqrt(-(a[i]*b[i]*m[i,i]*x)^2)")
    with pytest.raises(UndecidedError):
        equal_as_functions(expr, expr, program)


@pytest.mark.parametrize("name", PATHS)
def test_the_normal_form_has_the_value_of_what_the_spec_says(name: str) -> None:
    if name in OTHER_FUNCTIONS:
        pytest.skip("a stable form through another function")
    raw, normal = built(name)["elaborate"], built(name)["normalise"]
    program = replace(raw, statements=raw.statements + renamed(normal.statements))
    for output in raw.outputs:
        indices = raw.tensors[output].indices
        assert equal_as_functions(Access(output, indices), Access(f"{output}'", indices), program), output


@pytest.mark.parametrize("name", PATHS)
def test_simplified_gradients_have_the_values_of_the_derived_ones(name: str) -> None:
    derived, simple = built(name)["derive"], built(name)["simplify"]
    check_gradients(derived.program, derived.adjoint, simple.adjoint)


@pytest.mark.parametrize("seed", range(12))
def test_so_have_those_of_random_programs(seed: int) -> None:
    normal = normalise(random_program(Random(seed)))
    derived = derive(normal)
    check_gradients(normal, derived.adjoint, simplify_adjoint(normal, derived.adjoint))


def check_gradients(normal: Program, derived: Adjoint, simple: Adjoint) -> None:
    program = replace(normal, statements=normal.statements + derived.statements + renamed(simple.statements))
    for _, target in simple.gradients:
        indices = program.tensors[target].indices
        assert equal_as_functions(Access(target, indices), Access(f"{target}'", indices), program), target


@pytest.mark.parametrize("name", REWRITTEN)
def test_every_rewrite_keeps_the_value(name: str) -> None:
    program: Program = built(name)["normalise"]
    active = active_tensors(program)
    decided = 0
    for statement in program.statements:
        for tensor in reads(statement.value, active) if statement.target in active else []:
            at = free_names(active[tensor], all_indices(statement.value) | frozenset(statement.indices))
            cotangent = Access(f"grad_{statement.target}", statement.indices)
            expr: Expr = mul(cotangent, jacobian(statement.value, tensor, at))
            expr = Sum(statement.indices, expr) if statement.indices else expr
            while (found := step(expr)) is not None:
                row, before, after, expr = found
                try:
                    assert equal_as_functions(before, after, program), f"{row.name}: {before} -> {after}"
                    decided += 1
                except UndecidedError:
                    pass  # under a mask, a node alone need not have a value
    assert decided
