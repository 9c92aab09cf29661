"""Write the tables of docs/numerics.md.

    python -m benchmarks.numerics [--jax PYTHON]

With `--jax`, a Python that has jax, its columns are computed anew; else they are what docs/numerics.json keeps, as are
the exact numbers of rows that have not changed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from typing import Any

from benchmarks.numerics.conventions import CASES
from benchmarks.numerics.exact import exact
from benchmarks.numerics.page import DTYPES, KEPT, PAGE, ROOT, kept, tables, written
from benchmarks.numerics.rows import ROWS, Row


def text_of(row: Row) -> str:
    """What the exact numbers depend on."""
    return repr((row.plain, row.at, row.fixed))


def refreshed(known: dict[str, Any], jax: str) -> dict[str, Any]:
    """What is kept, with the exact numbers of rows that are new or changed, and the numbers of JAX."""
    theirs: dict[str, Any] = {"version": known["jax"], "cases": known["cases"]}
    theirs["rows"] = {name: row["jax"] for name, row in known["rows"].items()}
    if jax:
        command = [jax, "-m", "benchmarks.numerics.with_jax", *DTYPES]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
        theirs = json.loads(done.stdout)
    rows = {}
    for row in ROWS:
        old = known["rows"].get(row.name, {})
        same = old.get("text") == text_of(row)
        numbers = old["exact"] if same else [exact(row, place) for place in range(len(row.at))]
        rows[row.name] = {"text": text_of(row), "exact": numbers, "jax": theirs["rows"][row.name]}
    return {"jax": theirs["version"], "cases": {c.name: theirs["cases"][c.name] for c in CASES}, "rows": rows}


def short(found: Any) -> Any:
    """Numbers of nine digits are enough to tell an error of float32."""
    if isinstance(found, dict):
        return {name: short(value) for name, value in found.items()}
    if isinstance(found, list):
        return [short(value) for value in found]
    return float(f"{found:.9g}") if isinstance(found, float) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jax", default="", metavar="PYTHON")
    options = parser.parse_args()
    old = kept() if KEPT.exists() else {"jax": "", "cases": {}, "rows": {}}
    known = short(refreshed(old, options.jax))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in known["rows"].items())
    head = json.dumps({"jax": known["jax"], "cases": known["cases"]})[:-1]
    KEPT.write_text(f'{head}, "rows": {{\n{lines}\n}}}}\n', encoding="utf-8")
    PAGE.write_text(written(PAGE.read_text("utf-8"), tables(known)), encoding="utf-8")


if __name__ == "__main__":
    main()
