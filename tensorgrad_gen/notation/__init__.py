"""Printing IR: as the spec language, as mathematics for a reader, as LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tensorgrad_gen.ir import Access, Expr, Program, Root, Statement
from tensorgrad_gen.notation.latex_style import LatexPrinter
from tensorgrad_gen.notation.math_style import MathPrinter
from tensorgrad_gen.notation.printer import Printer
from tensorgrad_gen.notation.spec_file import number_text, spec_lines
from tensorgrad_gen.notation.spec_style import SpecPrinter, with_ones

STYLES: dict[str, type[Printer]] = {"spec": SpecPrinter, "math": MathPrinter, "latex": LatexPrinter}

__all__ = [
    "STYLES",
    "loss_name",
    "print_expr",
    "print_left",
    "print_program",
    "print_spec",
    "print_statement",
    "size_names",
]


def size_names(program: Program) -> dict[str, str]:
    """Extent symbol -> the user's first name for it, as `sizes` of the printers."""
    return {symbol: name for name, symbol in reversed(program.size_names)}


def loss_name(program: Program) -> str:
    """The scalar whose gradients these are: `l`, or another letter where the op has a tensor of that name."""
    return next(name for name in ("l", "L", "loss", "the_loss") if name not in program.tensors)


def print_expr(
    expr: Expr,
    style: str = "spec",
    sizes: Mapping[str, str] | None = None,
    tensors: Mapping[str, str] | None = None,
) -> str:
    """The expression as text; `sizes`: extent symbol -> name, `tensors`: tensor -> what to print for it."""
    return STYLES[style](sizes, tensors).top(expr)


def print_left(
    statement: Statement,
    style: str = "spec",
    tensors: Mapping[str, str] | None = None,
) -> str:
    """The left side of a statement: `y[b,h]`."""
    return STYLES[style](None, tensors).top(Access(statement.target, statement.indices))


def print_statement(
    statement: Statement,
    style: str = "spec",
    sizes: Mapping[str, str] | None = None,
    tensors: Mapping[str, str] | None = None,
) -> str:
    """The statement as an equation, without its final newline."""
    value = with_ones(statement.value, statement.indices) if style == "spec" else statement.value
    return f"{print_left(statement, style, tensors)} = {print_expr(value, style, sizes, tensors)}"


def print_program(program: Program, style: str = "spec") -> str:
    """The equations of a program, one a line, aligned at `=`."""
    sizes = size_names(program)
    lines = [print_statement(s, style, sizes).split(" = ", 1) for s in program.statements]
    width = max((len(left) for left, _ in lines), default=0)
    separator = " &= " if style == "latex" else " = "
    return "\n".join(f"{left.ljust(width)}{separator}{right}" for left, right in lines)


def print_spec(program: Program) -> str:
    """The program as a spec file, which elaborates to the same program."""
    searched = next((s for s in program.statements if isinstance(s.value, Root)), None)
    others = replace(program, statements=tuple(s for s in program.statements if s is not searched))
    implicit = () if searched is None else _implicit(searched, size_names(program))
    return "\n".join(spec_lines(program, print_program(others), implicit)) + "\n"


def _implicit(statement: Statement, sizes: Mapping[str, str]) -> list[tuple[str, str]]:
    """The keys of `implicit` for an unknown that is searched for."""
    root = statement.value
    assert isinstance(root, Root)
    problem, residual = root.problem, root.problem.residual
    zero = print_expr(with_ones(residual.value, residual.indices), "spec", sizes)
    unknown = print_left(Statement(statement.target, problem.declared, root))
    return [
        ("unknown", unknown),
        ("equation", f'"{zero} = 0"'),
        ("free", f"[{', '.join(i.name for i in residual.indices)}]"),
        ("solver", problem.solver),
        ("start", f'"{print_expr(with_ones(root.args[0], problem.declared), "spec", sizes)}"'),
        ("tolerance", number_text(problem.tolerance)),
        ("iterations", str(problem.iterations)),
    ]
