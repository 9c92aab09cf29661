"""Stage `syntax`: equation text -> surface tree with spans."""

from __future__ import annotations

from tensorgrad_gen.errors import Report
from tensorgrad_gen.spec.model import OpSpec
from tensorgrad_gen.syntax.parser import parse_equation, parse_expression
from tensorgrad_gen.syntax.tree import Equation

__all__ = ["parse_equation", "parse_expression", "parse_spec"]


def parse_spec(spec: OpSpec, report: Report) -> tuple[Equation, ...]:
    """The trees of `equations`; every formula of the spec is parsed, so that all syntax errors are reported at once."""
    found = [None if report.flooded else parse_equation(fragment, report) for fragment in spec.equations]
    for size in spec.sizes:
        if size.extent is not None:
            parse_expression(size.extent, report, floor_division=True)
    for function in spec.functions:
        parse_expression(function.body, report)
    if spec.implicit is not None:
        parse_expression(spec.implicit.unknown, report)
        parse_equation(spec.implicit.equation, report)
        if spec.implicit.start is not None:
            parse_expression(spec.implicit.start, report)
    report.nodes = 0  # elaboration parses again, and counts again
    return tuple(equation for equation in found if equation is not None)
