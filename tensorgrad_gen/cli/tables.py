"""What `verify` and `bench` found, as tables for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tensorgrad_gen.verify import render_table

if TYPE_CHECKING:
    from tensorgrad_gen.bench import Measured
    from tensorgrad_gen.cli.verify import Verified


def print_verified(done: Sequence[Verified]) -> None:
    """A line per check of an op that was asked for alone; of several, a line per op and a line per failed check."""
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    several = len(done) > 1
    results = [r for v in done for r in v.results if r.status == "failed" or not several]
    if several:
        console.print(_overview(done))
    if results:
        console.print(render_table(results))
    failed = sum(bool(v.count("failed") or v.errors) for v in done)
    counts = ", ".join(f"{sum(v.count(s) for v in done)} {s}" for s in ("passed", "failed", "skipped"))
    console.print(f"{len(done)} ops: {len(done) - failed} right, {failed} not; checks: {counts}")


def _overview(done: Sequence[Verified]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("op")
    for name in ("passed", "failed", "skipped", "worst error", "s"):
        table.add_column(name, justify="right")
    for verified in done:
        bad = verified.errors or verified.count("failed")
        worst = [r.worst for r in verified.results if r.worst is not None]
        table.add_row(
            f"{verified.op} (not built)" if verified.errors else verified.op,
            *(str(verified.count(status)) for status in ("passed", "failed", "skipped")),
            f"{max(worst):.1e}" if worst else "",
            f"{sum(r.seconds for r in verified.results):.1f}",
            style="bold red" if bad else None,
        )
    return table


def print_measured(found: Measured) -> None:
    """A line a side: its time, and what it costs; then how the op compares with its formula."""
    from tensorgrad_gen.bench import FORMULA, OURS

    table = Table(title=f"{found.op}, {found.extents}, float32, value and gradients", show_edge=False, pad_edge=False)
    table.add_column("")
    for name in ("ms", "quartiles", "of the limit", "calls", "MB moved", "MFLOP", "MB saved", "MB extra"):
        table.add_column(name, justify="right")
    for name, timing in found.timings.items():
        counts = found.counts.get(name)
        bytes_ = () if counts is None else (counts.bytes, counts.flops, counts.saved, counts.extra)
        table.add_row(
            name,
            f"{timing.median * 1e3:.3f}",
            f"{timing.low * 1e3:.3f} to {timing.high * 1e3:.3f}",
            f"{timing.median / found.limit:.2f}",
            "" if counts is None else str(counts.calls),
            *(f"{number / 1e6:.3f}" for number in bytes_),
        )
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table)
    ours, formula = found.counts[OURS], found.counts[FORMULA]
    counters = ", ".join(f"{name} {ours.ratio(formula, name):.2f}" for name in ("bytes", "flops", "saved"))
    times = found.timings[OURS].median / found.timings[FORMULA].median
    console.print(f"generated / formula: time {times:.2f}, {counters}")
