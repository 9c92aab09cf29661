r"""Equations in index notation, in LaTeX: `y_{ij} = \tanh\left(x_{ik} w_{kj} + b_j\right)`.

Law: what is repeated and not on the left is summed, by the rules of the language (section 3); what LaTeX leaves
open (`\log x y`, `x^i`, `1/2 x y / z w`) is refused, with both readings told apart by a remedy.
"""

from __future__ import annotations

from pathlib import Path

from tensorgrad_gen.importing.draft import Draft
from tensorgrad_gen.importing.latex.builder import LatexBuilder, bare
from tensorgrad_gen.importing.latex.lexer import tokens
from tensorgrad_gen.importing.latex.symbols import Symbols, walk
from tensorgrad_gen.importing.latex.translate import Translator
from tensorgrad_gen.importing.naming import allowed
from tensorgrad_gen.importing.parsing import parse
from tensorgrad_gen.importing.source import Source, said

_GRAMMAR = Path(__file__).parent / "grammar.lark"
_SAID = {
    "EQUAL": "`=`", "NAME": "a value", "RPAR": "`)`", "RBRACE": "`}`", "RSQB": "`]`", "COMMA": "`,`",
    "RBAR": "`|`", "RNORM": "`\\|`", "ESAC": "`\\end{cases}`", "OTHERWISE": "`\\text{otherwise}`",
}  # fmt: skip
# What the compiler says of a spec has remedies in the language of specs; these are the ones in LaTeX.
_REMEDIES = (
    ("E203", r"sum over it with `\sum_{i}`, or add it to the left"),
    ("E204", r"say where the sum is with `\sum_{i}`, or use another letter inside"),
    ("E205", r"write what has it on the right, such as `\delta_{ij}`"),
    ("E208", "what is summed has the index, such as `x_{n}`"),
    ("E401", "no tensor has it: only an index of a tensor has an extent"),
)


def read(source: Source) -> Draft:
    """What the equations say."""
    found = tokens(source)
    if not found:
        raise source.fault("E601", "an equation is expected here", 0, 1, "an equation is like `y_{i} = a_{ij} x_{j}`")
    root = parse(source, _GRAMMAR, found, LatexBuilder(source), _SAID)
    symbols = Symbols(source, root.parts)
    translator = Translator(source, symbols)
    equations = tuple(translator.equation(equation) for equation in root.parts)
    used = {node.text for equation in root.parts for node in walk(equation.parts[1])}
    names = [bare(equation.parts[0]).text for equation in root.parts]
    outputs = tuple(allowed(name) for name in dict.fromkeys(names) if name not in used) or (allowed(names[-1]),)
    inputs = tuple(symbols.inputs())
    sizes = tuple(said(f"{name}: {symbols.leader(index.text)}", index) for name, index in symbols.sizes.items())
    return Draft(inputs, equations, outputs, sizes, tuple(translator.warnings), _REMEDIES)
