"""Runs lowered bodies: the printed text, as the render stage would put it into a module."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch

from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Report
from tensorgrad_gen.ir import Program, Statement
from tensorgrad_gen.lower import lower_plan
from tensorgrad_gen.lower.model import Body, LoweredOp
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import print_texpr
from tensorgrad_gen.plan.model import Plan, Step
from tensorgrad_gen.runtime import convolutions, factors, matrices, ops, series, solvers, windows
from tensorgrad_gen.schedule import schedule
from tensorgrad_gen.spec import load_text

RUNTIME = SimpleNamespace(
    **{
        name: value
        for part in (ops, series, matrices, factors, windows, convolutions, solvers)
        for name, value in vars(part).items()
        if not name.startswith("__")
    }
)


def program_of(text: str) -> Program:
    """The raw program of a spec."""
    path = text.split("op:")[1].split(maxsplit=1)[0] + ".yaml"
    report = Report(path, text)
    spec = load_text(text, path, report)
    report.check()
    program = elaborate(spec, report)
    report.check()
    return program


def steps_of(statements: tuple[Statement, ...]) -> tuple[Step, ...]:
    return tuple(Step(s.target, s.indices, s.value, s.kind) for s in statements)


def plain_plan(program: Program) -> Plan:
    """Every statement a step, no derivative, nothing saved."""
    return Plan(program, steps_of(program.statements), program.outputs, (), (), (), None)


def source(body: Body, name: str, arguments: list[str]) -> str:
    """The body as a function."""
    lines = [f"def {name}({', '.join(arguments)}):"]
    for statement in (*body.sizes, *body.statements):
        if statement.formula:
            lines.append(f"    # {statement.formula}")
        lines.append(f"    {statement.target} = {print_texpr(statement.call)}")
    results = ", ".join(print_texpr(expr) for _, expr in body.results)
    lines.append(f"    return ({results},)")
    return "\n".join(lines) + "\n"


def function(body: Body, arguments: list[str]) -> Any:
    """The body, compiled."""
    space: dict[str, Any] = {"torch": torch, "math": math, "_runtime": RUNTIME}
    exec(source(body, "body", arguments), space)  # noqa: S102 - the text under test
    return space["body"]


def arguments_of(program: Program) -> list[str]:
    return [local_name(i.name) for i in program.inputs] + [local_name(p.name) for p in program.params]


def lowered(program: Program) -> LoweredOp:
    return schedule(lower_plan(plain_plan(program)))
