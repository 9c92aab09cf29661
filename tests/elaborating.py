"""Specs as text -> programs, and their values by the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Diagnostic, Report, SpecError
from tensorgrad_gen.ir import Program
from tensorgrad_gen.legality import check_program
from tensorgrad_gen.reference import evaluate
from tensorgrad_gen.spec import load_text


def spec(equations: str, inputs: dict[str, str], extra: str = "") -> str:
    """The text of a spec."""
    lines = ["op: test_op", "inputs:" if inputs else ""]
    lines += [f"  {name}: {value}" for name, value in inputs.items()]
    lines += [extra.strip("\n")] if extra else []
    if equations:
        lines += ["equations: |", *(f"  {line}" for line in equations.strip().splitlines())]
    return "\n".join(lines) + "\n"


def build(text: str) -> tuple[Program, list[Diagnostic]]:
    """The program of a spec, legal, and its warnings."""
    report = Report("<text>", text)
    program = elaborate(load_text(text, "<text>", report), report)
    check_program(program, "elaborate")
    return program, report.diagnostics


def codes(text: str) -> list[str]:
    """The codes of the errors of a spec, in the order of their places."""
    try:
        build(text)
    except SpecError as error:
        found = [d for d in error.diagnostics if d.severity == "error"]
        return [d.code for d in sorted(found, key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))]
    return []


def warnings(text: str) -> list[str]:
    """The codes of the warnings of a spec, those of unused inputs left out."""
    return [d.code for d in build(text)[1] if d.code not in ("W401", "W402")]


def value(text: str, arrays: dict[str, Any], **params: float) -> Any:
    """The value of a spec's output, or a tuple of several."""
    program, _ = build(text)
    found = evaluate(program, {name: np.asarray(array) for name, array in arrays.items()}, params)
    outputs = tuple(found[name] for name in program.outputs)
    return outputs[0] if len(outputs) == 1 else outputs
