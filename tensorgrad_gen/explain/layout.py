"""An explanation as text, Markdown or LaTeX: the same lines in three notations."""

from __future__ import annotations

from tensorgrad_gen.explain.model import BY, DIFFERENTIAL, Explanation, Line, Section
from tensorgrad_gen.ir import Apply, Index, Position, Program, Sub
from tensorgrad_gen.notation import size_names
from tensorgrad_gen.notation.latex_style import LatexPrinter, symbol
from tensorgrad_gen.notation.levels import ATOM, Text
from tensorgrad_gen.notation.math_style import MathPrinter

_WIDEST = 72  # a right side longer than this has its reason on the next line


class TextPrinter(MathPrinter):
    """Index notation with derivatives: `dy[i,j]/dx[p,q]`, `dl/dy[i,j]`."""

    def __init__(self, program: Program) -> None:
        super().__init__(size_names(program))
        self.program = program

    def name(self, tensor: str, subs: tuple[Sub, ...]) -> str:
        if BY in tensor:
            of, by = tensor.split(BY)
            count = len(self.program.tensors[of].indices)
            return f"d{self.name(of, subs[:count])}/d{self.name(by, subs[count:])}"
        if tensor.startswith("grad_"):
            return f"dl/d{self.name(tensor.removeprefix('grad_'), subs)}"
        if tensor.startswith("total_grad_"):
            return f"dl/d{self.name(tensor.removeprefix('total_grad_'), subs)}"
        return super().name(tensor, subs)

    def show_apply(self, expr: Apply) -> Text:
        if expr.function.startswith(DIFFERENTIAL):
            by = self.name(expr.function.removeprefix(DIFFERENTIAL), _positions(expr))
            return Text(f"d({self.top(expr.args[0])})/d{by}", ATOM)
        return super().show_apply(expr)


class TexPrinter(LatexPrinter):
    """The same in LaTeX: fractions of partial derivatives."""

    def __init__(self, program: Program) -> None:
        super().__init__({s: symbol(n) for s, n in size_names(program).items()})
        self.program = program

    def name(self, tensor: str, subs: tuple[Sub, ...]) -> str:
        if BY in tensor:
            of, by = tensor.split(BY)
            count = len(self.program.tensors[of].indices)
            top, below = self.name(of, subs[:count]), self.name(by, subs[count:])
            return rf"\frac{{\partial {top}}}{{\partial {below}}}"
        for prefix in ("total_grad_", "grad_"):
            if tensor.startswith(prefix):
                return rf"\frac{{\partial l}}{{\partial {self.name(tensor.removeprefix(prefix), subs)}}}"
        return super().name(tensor, subs)

    def show_apply(self, expr: Apply) -> Text:
        if expr.function.startswith(DIFFERENTIAL):
            by = self.name(expr.function.removeprefix(DIFFERENTIAL), _positions(expr))
            return Text(rf"\frac{{\partial}}{{\partial {by}}}\left({self.top(expr.args[0])}\right)", ATOM)
        return super().show_apply(expr)


def _positions(expr: Apply) -> tuple[Index, ...]:
    return tuple(p.index for p in expr.args[1:] if isinstance(p, Position))


def show(explanation: Explanation, style: str = "text") -> str:
    """The explanation in one of `text`, `markdown`, `latex`."""
    if style == "text":
        return _text(explanation)
    return _markdown(explanation) if style == "markdown" else _latex(explanation)


def _text(explanation: Explanation) -> str:
    printer = TextPrinter(explanation.program)
    out = [explanation.program.name, ""]
    for section in explanation.sections:
        out.append(f"{section.title}   {section.note}".rstrip())
        out += _text_lines(section, printer)
        width = max((len(label) for label, _ in section.facts), default=0)
        out += [f"  {label.ljust(width)}  {text}" for label, text in section.facts]
        out.append("")
    return "\n".join(out).rstrip()


def _text_lines(section: Section, printer: TextPrinter) -> list[str]:
    shown = [("" if n.left is None else printer.top(n.left), printer.top(n.right), n.reason) for n in section.lines]
    width = max((len(left) for left, _, _ in shown), default=0)
    narrow = max((len(right) for _, right, _ in shown if len(right) <= _WIDEST), default=0)
    out: list[str] = []
    above = ""
    for left, right, reason in shown:
        if not left and right == above:
            continue  # the step does not show in this notation
        above = right
        line = f"  {left.ljust(width)} = {right}"
        if reason and len(right) > _WIDEST:
            out += [line, f"  {' ' * width}     ({reason})"]
        else:
            out.append(f"{line.ljust(width + narrow + 5)}     {reason}".rstrip())
    return out


def _tex_lines(lines: tuple[Line, ...], printer: TexPrinter) -> str:
    rows = []
    above = ""
    for line in lines:
        left = "" if line.left is None else printer.top(line.left)
        right = printer.top(line.right)
        if not left and right == above:
            continue
        above = right
        reason = rf" && \text{{{_tex_escape(line.reason)}}}" if line.reason else ""
        rows.append(f"{left} &= {right}{reason}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _tex_escape(text: str) -> str:
    table = {"\\": r"\textbackslash{}", "_": r"\_", "^": r"\textasciicircum{}", "&": r"\&", "%": r"\%", "#": r"\#",
             "{": r"\{", "}": r"\}", "$": r"\$", "~": r"\textasciitilde{}"}  # fmt: skip
    return "".join(table.get(c, c) for c in text)


def _markdown(explanation: Explanation) -> str:
    printer = TexPrinter(explanation.program)
    out = [f"# {explanation.program.name}", ""]
    for section in explanation.sections:
        out += [f"## {section.title}", ""]
        out += [section.note, ""] if section.note else []
        out += ["$$", _tex_lines(section.lines, printer), "$$", ""] if section.lines else []
        out += [f"- {label}: {text}" for label, text in section.facts]
        out += [""] if section.facts else []
    return "\n".join(out).rstrip()


def _latex(explanation: Explanation) -> str:
    printer = TexPrinter(explanation.program)
    out = [r"\documentclass{article}", r"\usepackage{amsmath}", r"\begin{document}"]
    out.append(rf"\section*{{{_tex_escape(explanation.program.name)}}}")
    for section in explanation.sections:
        out.append(rf"\subsection*{{{_tex_escape(section.title)}}}")
        out += [_tex_escape(section.note), ""] if section.note else []
        out += [r"\[", _tex_lines(section.lines, printer), r"\]"] if section.lines else []
        for label, text in section.facts:
            out.append(rf"\noindent {_tex_escape(label)}: {_tex_escape(text)}\par")
    return "\n".join([*out, r"\end{document}"])
