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

from benchmarks.numerics.conventions import CASES, Case
from benchmarks.numerics.exact import exact
from benchmarks.numerics.formulas import Row
from benchmarks.numerics.page import DTYPES, KEPT, PAGE, ROOT, kept, tables
from benchmarks.numerics.rows import ROWS
from benchmarks.pages import written


def text_of(row: Row) -> str:
    """What the numbers that are kept of a row depend on."""
    return repr((row.plain, row.jax, row.at, row.fixed))


def case_text(case: Case) -> str:
    """What the answer of JAX depends on."""
    return repr((case.jax, case.at if len(str(case.at)) < 200 else len(case.at["x"]), case.shows, case.by, case.dtypes))


def refreshed(known: dict[str, Any], jax: str) -> dict[str, Any]:
    """What is kept, with the exact numbers of rows that are new or changed, and with `jax` the numbers of JAX."""
    old = {name: row["text"] for name, row in known["rows"].items()}
    if jax:
        command = [jax, "-m", "benchmarks.numerics.with_jax", *DTYPES]
        theirs = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603
    else:
        stale = [row.name for row in ROWS if old.get(row.name) != text_of(row)]
        stale += [case.name for case in CASES if known["cases"].get(case.name, [""])[0] != case_text(case)]
        if stale:
            raise SystemExit(f"not what JAX has computed: {', '.join(stale)}; say --jax PYTHON")
        rows = {name: row["jax"] for name, row in known["rows"].items()}
        answers = {name: found for name, (_, found) in known["cases"].items()}
        theirs = {"version": known["jax"], "rows": rows, "cases": answers}
    kept_rows = {}
    for row in ROWS:
        same = old.get(row.name) == text_of(row)
        numbers = known["rows"][row.name]["exact"] if same else [exact(row, place) for place in range(len(row.at))]
        kept_rows[row.name] = {"text": text_of(row), "exact": numbers, "jax": theirs["rows"][row.name]}
    cases = {case.name: [case_text(case), theirs["cases"][case.name]] for case in CASES}
    return {"jax": theirs["version"], "cases": cases, "rows": kept_rows}


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
