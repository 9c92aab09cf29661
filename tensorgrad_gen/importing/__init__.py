"""Formulas that users have already, made into specs: of `torch.einsum`, in LaTeX, in matrix notation.

Law: what is written builds, and means what the formula means; what could mean two things is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tensorgrad_gen.errors import quote, render
from tensorgrad_gen.importing.draft import Draft, Written, checked, write
from tensorgrad_gen.importing.source import Source

__all__ = ["NOTATIONS", "Imported", "import_formula"]

NOTATIONS = {"einsum": "einsum formula", "latex": "LaTeX", "matrix": "matrix formula"}
LONGEST_QUOTE = 300  # characters of the formula that the `doc` of its spec quotes


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of a spec that builds, and the warnings it gets, said of the formula."""

    op: str
    text: str
    warnings: list[str]


def import_formula(
    notation: str,
    formula: str,
    *,
    op: str = "imported",
    doc: str = "",
    names: Sequence[str] = (),
    shapes: str = "",
    symmetric: Sequence[str] = (),
) -> Imported:
    """The spec of a formula; raises `SpecError`, with a caret in the formula, where there is none.

    `names` are those of an einsum's operands; `shapes` and `symmetric` are of matrices: `A[i,j] x[j]`.
    """
    source = Source(f"--{notation}", formula)
    source.limit()
    draft = _read(notation, source, names, shapes, symmetric)
    if not draft.inputs:
        raise source.fault("E701", "the formula has no tensor that could be given", 0, len(formula))
    doc = doc or f"Imported from the {NOTATIONS[notation]} {quote(formula, LONGEST_QUOTE)}."
    written: Written = write(draft, op, doc)
    warnings = [*draft.warnings, *checked(written, source, op)]
    return Imported(op, written.text, [render([warning], source.option, formula) for warning in warnings])


def _read(notation: str, source: Source, names: Sequence[str], shapes: str, symmetric: Sequence[str]) -> Draft:
    if notation == "einsum":
        from tensorgrad_gen.importing import einsum

        return einsum.read(source, names)
    if notation == "latex":
        from tensorgrad_gen.importing import latex

        return latex.read(source)
    from tensorgrad_gen.importing import matrix

    return matrix.read(source, shapes, symmetric)
