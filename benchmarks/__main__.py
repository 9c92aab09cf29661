"""The benchmark: one command, one table.

    python -m benchmarks [--rows NAME] [--rounds 20] [--threads 2] [--jax PYTHON] [--quick] [--keep]

Every row at every size, peers side by side in one run; `--keep` writes docs/benchmarks.json, .md and .svg,
with other rows as they were measured before.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.goals import verdicts
from benchmarks.jax_side import Jax
from benchmarks.measure import Record, measured
from benchmarks.page import COLUMNS, KEPT, figure, keep, kept, merged, size_of
from benchmarks.rows import ROWS
from tensorgrad_gen.bench import limits, threads

QUICK_ROUNDS = 3


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", metavar="NAME", help="only rows with this in their name and size")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--jax", default="", metavar="PYTHON", help="a Python that has jax")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, nothing compiled")
    parser.add_argument("--keep", action="store_true", help="write docs/benchmarks.json, .md and .svg")
    found = parser.parse_args()
    if found.rounds < 1 or found.threads < 1:
        parser.error("--rounds and --threads are at least 1")
    return found


def main() -> None:
    chosen = options()
    rows = [row for row in ROWS if chosen.rows in row.title]
    if not rows:
        raise SystemExit(f"no row has {chosen.rows!r} in its name; there are: {', '.join(row.title for row in ROWS)}")
    rounds = QUICK_ROUNDS if chosen.quick else chosen.rounds
    jax = Jax(chosen.jax, chosen.threads) if chosen.jax else None
    records: list[Record] = []
    console = Console(stderr=True)
    with threads(chosen.threads):
        for row in rows:
            start = time.monotonic()
            records.append(measured(row, rounds, limits(), jax, compiled=not chosen.quick))
            console.print(f"{row.title}: {time.monotonic() - start:.1f} s", highlight=False)
        machine = described(chosen.threads, jax)
    if jax is not None:
        jax.close()
    Console(width=None if console.is_terminal else 180).print(table(records))
    if chosen.keep:
        found = {"machine": machine, "rounds": rounds, "rows": records}
        keep(merged(found, kept() if KEPT.exists() else None, [row.title for row in ROWS]))


def described(count: int, jax: Jax | None) -> dict[str, Any]:
    """The machine that was measured on."""
    found = limits()
    versions = {"torch": torch.__version__.split("+")[0], "jax": jax.version if jax else ""}
    return {"cpu": cpu(), "threads": count, **versions, "bandwidth": found.bandwidth, "flops": found.flops}


def cpu() -> str:
    """What the processor calls itself."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    names = [line.split(": ", 1)[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(records: list[Record]) -> Table:
    """Every row; what is slower than a peer, and what misses a goal, is red."""
    out = Table(show_edge=False, pad_edge=False)
    for name in ("op", "size", "ours ms", "limit"):
        out.add_column(name)
    for name in (*COLUMNS, "others", "goals"):
        out.add_column(name, overflow="fold")
    for row in records:
        ours = row["seconds"]["ours"]
        cells = [_coloured(row, name) for name in COLUMNS]
        others = [f"{_coloured(row, name)} {name}" for name in row["ratios"] if name not in COLUMNS]
        judged = verdicts(row)
        missed = [f"[red]{v.goal}: {figure(v.reached or 0)}[/red]" for v in judged if v.missed]
        times = figure(ours["median"] * 1e3)
        limit = figure(ours["median"] / row["limit"])
        out.add_row(
            row["name"],
            size_of(row),
            times,
            limit,
            *cells,
            ", ".join(others),
            "\n".join(missed) or ("met" if judged else ""),
        )
    return out


def _coloured(row: Record, peer: str) -> str:
    if peer not in row["ratios"]:
        return ""
    middle, low, high = row["ratios"][peer]
    text = f"{figure(middle)} ({figure(low)} to {figure(high)})"
    return f"[red]{text}[/red]" if middle > 1 else text


if __name__ == "__main__":
    main()
