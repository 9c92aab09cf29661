"""An explanation as text, Markdown or LaTeX: the same lines in three notations."""

from __future__ import annotations

from tensorgrad_gen.algebra import by_name
from tensorgrad_gen.explain.model import BY, DIFFERENTIAL, Explanation, Line, Section
from tensorgrad_gen.explain.ones import written_out
from tensorgrad_gen.explain.reasons import index_text
from tensorgrad_gen.ir import Access, Apply, Expr, Index, Position, Program, Sub
from tensorgrad_gen.notation import loss_name, size_names
from tensorgrad_gen.notation.latex_style import LatexPrinter, symbol
from tensorgrad_gen.notation.levels import ATOM, Text
from tensorgrad_gen.notation.math_style import MathPrinter

_WIDEST = 72  # a right side longer than this has its reason on the next line


class TextPrinter(MathPrinter):
    """Index notation with derivatives: `dy[i,j]/dx[p,q]`, `dl/dy[i,j]`."""

    def __init__(self, program: Program) -> None:
        super().__init__(size_names(program))
        self.program = program
        self.loss = loss_name(program)

    def index(self, index: Index) -> str:
        return index_text(index)

    def name(self, tensor: str, subs: tuple[Sub, ...]) -> str:
        if BY in tensor:
            of, by = tensor.split(BY)
            count = len(self.program.tensors[of].indices)
            return f"d{self.name(of, subs[:count])}/d{self.name(by, subs[count:])}"
        if tensor in self.program.tensors:
            return super().name(tensor, subs)
        if tensor.startswith("grad_"):
            return f"d{self.loss}/d{self.name(tensor.removeprefix('grad_'), subs)}"
        if tensor.startswith("total_grad_"):
            return f"D{self.loss}/D{self.name(tensor.removeprefix('total_grad_'), subs)}"
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
        self.loss = loss_name(program)

    def index(self, index: Index) -> str:
        prime = "'" if index.extent == "..." and index.name != "..." else ""
        return super().index(index) + prime

    def name(self, tensor: str, subs: tuple[Sub, ...]) -> str:
        if BY in tensor:
            of, by = tensor.split(BY)
            count = len(self.program.tensors[of].indices)
            top, below = self.name(of, subs[:count]), self.name(by, subs[count:])
            return rf"\frac{{\partial {top}}}{{\partial {below}}}"
        for prefix, d in (("total_grad_", r"\mathrm{d} "), ("grad_", r"\partial ")):
            if tensor.startswith(prefix) and tensor not in self.program.tensors:
                return rf"\frac{{{d}{self.loss}}}{{{d}{self.name(tensor.removeprefix(prefix), subs)}}}"
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


Shown = list[tuple[str, str, str]]


def _shown(lines: tuple[Line, ...], printer: TextPrinter | TexPrinter) -> Shown:
    """(left side, right side, reason) of each line as text; a step that does not show in the notation is left out."""
    shown: Shown = []
    free: tuple[Index, ...] = ()
    for line in lines:
        left = ""
        if line.left is not None:
            free = _free(line.left)
            left = printer.top(written_out(line.left, free))
        right = printer.top(_to_print(line.right, free))
        if left or not shown or right != shown[-1][1]:
            shown.append((left, right, line.reason))
        elif line.reason and not shown[-1][2]:
            shown[-1] = (*shown[-1][:2], line.reason)
    return shown


def _free(left: Expr) -> tuple[Index, ...]:
    if isinstance(left, Access):
        return tuple(s for s in left.subs if isinstance(s, Index))
    return tuple(by_name(left.free))


def _to_print(right: Expr, free: tuple[Index, ...]) -> Expr:
    """The right side with implicit sums; under a differential, on the indices of what is differentiated."""
    if isinstance(right, Apply) and right.function.startswith(DIFFERENTIAL):
        at = _positions(right)
        inner = written_out(right.args[0], tuple(i for i in free if i not in at))
        return Apply(right.function, (inner, *right.args[1:]))
    return written_out(right, free)


def as_data(explanation: Explanation, style: str = "text") -> list[dict[str, object]]:
    """The sections as plain values, each side of a line as it is shown in the style."""
    printer = TextPrinter(explanation.program) if style == "text" else TexPrinter(explanation.program)
    return [
        {
            "title": section.title,
            "note": section.note,
            "lines": [{"left": a, "right": b, "reason": why} for a, b, why in _shown(section.lines, printer)],
            "facts": [{"label": label, "text": text} for label, text in section.facts],
        }
        for section in explanation.sections
    ]


def _text(explanation: Explanation) -> str:
    printer = TextPrinter(explanation.program)
    heading, *sections = explanation.sections
    margin = " " * (len(heading.title) + 4)
    equations = [line[2:] for line in _text_lines(heading, printer)]
    out = [(heading.title.ljust(len(margin)) if not n else margin) + line for n, line in enumerate(equations)]
    out.append("")
    for section in sections:
        out += [f"{section.title}   {section.note}".rstrip()] if section.title else []
        out += _text_lines(section, printer)
        width = max((len(label) for label, _ in section.facts), default=0)
        indent = "  " if section.title else ""
        out += [f"{indent}{label.ljust(width)}   {text}" for label, text in section.facts]
        out.append("")
    return "\n".join(out).rstrip()


def _text_lines(section: Section, printer: TextPrinter) -> list[str]:
    shown = _shown(section.lines, printer)
    width = max((len(left) for left, _, _ in shown), default=0)
    narrow = max((len(right) for _, right, _ in shown if len(right) <= _WIDEST), default=0)
    out: list[str] = []
    for left, right, reason in shown:
        line = f"  {left.ljust(width)} = {right}"
        if reason and len(right) > _WIDEST:
            out += [line, f"  {' ' * width}     ({reason})"]
        else:
            out.append(f"{line.ljust(width + narrow + 5)}     {reason}".rstrip())
    return out


def _tex_lines(lines: tuple[Line, ...], printer: TexPrinter) -> str:
    rows = []
    for left, right, reason in _shown(lines, printer):
        remark = rf" && \text{{{_tex_escape(reason)}}}" if reason else ""
        rows.append(f"{left} &= {right}{remark}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _tex_escape(text: str) -> str:
    table = {"\\": r"\textbackslash{}", "_": r"\_", "^": r"\textasciicircum{}", "&": r"\&", "%": r"\%", "#": r"\#",
             "{": r"\{", "}": r"\}", "$": r"\$", "~": r"\textasciitilde{}"}  # fmt: skip
    return "".join(table.get(c, c) for c in text)


def _markdown(explanation: Explanation) -> str:
    printer = TexPrinter(explanation.program)
    out: list[str] = []
    for level, section in enumerate(explanation.sections):
        out += [f"{'##' if level else '#'} {section.title}", ""] if section.title else []
        out += [section.note, ""] if section.note else []
        out += ["$$", _tex_lines(section.lines, printer), "$$", ""] if section.lines else []
        out += [f"- {label}: `{text}`" if label else f"  `{text}`" for label, text in section.facts]
        out += [""] if section.facts else []
    return "\n".join(out).rstrip()


def _latex(explanation: Explanation) -> str:
    printer = TexPrinter(explanation.program)
    out = [r"\documentclass{article}", r"\usepackage[T1]{fontenc}", r"\usepackage{amsmath}", r"\begin{document}"]
    for level, section in enumerate(explanation.sections):
        command = r"\subsection*" if level else r"\section*"
        out += [f"{command}{{{_tex_escape(section.title)}}}"] if section.title else []
        out += [_tex_escape(section.note), ""] if section.note else []
        out += [r"\[", _tex_lines(section.lines, printer), r"\]"] if section.lines else []
        for label, text in section.facts:
            out.append(rf"\noindent {_tex_escape(f'{label}: ' if label else '')}\texttt{{{_tex_escape(text)}}}\par")
    return "\n".join([*out, r"\end{document}"])
