"""The page docs/numerics.md: its tables, cell by cell, around prose that stands in docs/numerics.md itself.

Law: text between `<!-- NAME -->` and `<!-- end -->` is written here; what stands outside of these is kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.numerics import with_torch
from benchmarks.numerics.conventions import CASES
from benchmarks.numerics.errors import worst
from benchmarks.numerics.formulas import Row
from benchmarks.numerics.rows import PROBABILITIES, ROWS
from benchmarks.pages import table

ROOT = Path(__file__).resolve().parents[2]
PAGE, KEPT = ROOT / "docs" / "numerics.md", ROOT / "docs" / "numerics.json"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SIDES = ("PyTorch, as written", "PyTorch's op", "JAX, as written", "JAX's op", "generated")
# By dtype the errors of each side, for value, gradient and second derivative; None where there is no such op.
Errors = dict[str, list[list[float] | None]]


def kept() -> dict[str, Any]:
    """What is not computed at every run: the exact numbers and those of JAX."""
    found: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))
    return found


def errors(row: Row, known: dict[str, Any], unit: float | None = None) -> Errors:
    """All cells of a row."""
    exact, unit = known["rows"][row.name]["exact"], row.unit if unit is None else unit
    table: Errors = {}
    for name, dtype in DTYPES.items():
        ours = (with_torch.plain(row, dtype), with_torch.own(row, dtype))
        sides = (*ours, *known["rows"][row.name]["jax"][name], with_torch.generated(row, dtype))
        table[name] = [None if found is None else worst(found, exact, unit) for found in sides]
    return table


def cell(found: Sequence[float] | None) -> str:
    """The errors of value, gradient and second derivative."""
    return "" if found is None else " / ".join(digit(e) for e in found)


def digit(number: float) -> str:
    """One significant digit; what is below a tenth of a unit in the last place of float32 is 0."""
    if not math.isfinite(number):
        return str(number)
    return "0" if number < 1e-8 else re.sub(r"e([+-])0", r"e\1", f"{number:.0e}").replace("e+0", "")


def tables(known: dict[str, Any]) -> dict[str, str]:
    """The tables by name."""
    all_errors = {row.name: errors(row, known) for row in ROWS}
    strict = {row.name: errors(row, known, 0.0) for row in PROBABILITIES}
    return {
        "versions": f"PyTorch {torch.__version__.split('+')[0]}, JAX {known['jax']}, both on a CPU, eager.",
        "rows": table(("spelling", "in the language"), ((row.name, f"`{row.equations}`") for row in ROWS)),
        **{name: _errors(all_errors, name) for name in DTYPES},
        "probabilities": _errors(strict, "float32"),
        "off": _off(all_errors),
        "ops": _ops(),
        "conventions": conventions(known),
    }


def _errors(found: dict[str, Errors], dtype: str) -> str:
    return table(("", *SIDES), ((name, *map(cell, table[dtype])) for name, table in found.items()))


def missed(found: dict[str, Errors]) -> dict[str, list[float]]:
    """The rows whose value or gradient the generated op has further off than 1e-5, or no second derivative."""
    ours = {name: table["float32"][-1] or [] for name, table in found.items()}
    return {name: e for name, e in ours.items() if not max(e[:2]) <= 1e-5 or not math.isfinite(e[2])}


def _off(found: dict[str, Errors]) -> str:
    return "\n".join(f"- {name}: {cell(e)}" for name, e in missed(found).items()) or "None."


def _ops() -> str:
    quoted = ((row.name, *(f"`{text}`" if text else "" for text in (row.torch, row.jax))) for row in ROWS)
    return table(("", "PyTorch's op", "JAX's op"), (line for line in quoted if any(line[1:])))


def conventions(known: dict[str, Any]) -> str:
    """The table of conventions."""
    lines = []
    for case in CASES:
        sides = (with_torch.shown(case), known["cases"][case.name][1], with_torch.shown(case, generated=True))
        lines.append((case.name, case.shows, *(_said(side) for side in sides)))
    return table(("case", "what", "PyTorch", "JAX", "generated"), lines)


def _said(found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, str):
        return found
    numbers = [f"{n[0] + 0.0:.4g}{n[1] + 0.0:+.4g}i" if isinstance(n, list) else f"{n + 0.0:.4g}" for n in found]
    return ", ".join(numbers) or "nothing"
