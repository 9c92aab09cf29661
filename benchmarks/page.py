"""The page docs/benchmarks.md: its tables, from docs/benchmarks.json alone, around prose that stands on the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.goals import verdicts
from benchmarks.measure import Record
from benchmarks.model import PEERS, title_of
from benchmarks.pages import table, written
from benchmarks.plot import plot

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, KEPT, PLOT = (DOCS / f"benchmarks.{ending}" for ending in ("md", "json", "svg"))
# Peers with a column of their own; the others share one.
COLUMNS = ("E", "N", "C", "J")


def kept() -> dict[str, Any]:
    """What was measured last."""
    found: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))
    return found


def merged(found: dict[str, Any], old: dict[str, Any] | None, titles: Sequence[str]) -> dict[str, Any]:
    """What is measured now, and of other rows what was measured before, if the machine and the rounds are the same."""
    rows = {title_of(row["name"], row["sizes"]): row for row in found["rows"]}
    if set(rows) == set(titles):
        return found
    ways = [{**part["machine"], "rounds": part["rounds"]} for part in (found, old or found)]
    for way in ways:
        del way["bandwidth"], way["flops"]
    before = [row for row in (old or found)["rows"] if title_of(row["name"], row["sizes"]) in rows]
    if not any("J" in row.get("seconds", {}) for row in before):
        ways[0]["jax"] = ways[1]["jax"]  # JAX has no side of these rows
    if old is None or ways[0] != ways[1]:
        raise SystemExit("docs/benchmarks.json is of other rounds or another machine: measure all rows")
    rows = {**{title_of(row["name"], row["sizes"]): row for row in old["rows"]}, **rows}
    if missing := set(titles) - set(rows):
        raise SystemExit(f"not measured: {', '.join(sorted(missing))}")
    return {**old, "rows": [rows[title] for title in titles]}


def keep(found: dict[str, Any]) -> None:
    """Write the numbers, the page and the plot."""
    rows = ",\n".join(json.dumps(row) for row in found["rows"])
    head = json.dumps({name: part for name, part in found.items() if name != "rows"})[:-1]
    KEPT.write_text(f'{head}, "rows": [\n{rows}\n]}}\n', encoding="utf-8")
    PAGE.write_text(written(PAGE.read_text("utf-8"), tables(found)), encoding="utf-8")
    PLOT.write_text(plot(found["rows"]), encoding="utf-8")


def tables(found: dict[str, Any]) -> dict[str, str]:
    """The tables by name."""
    rows: list[Record] = found["rows"]
    return {
        "machine": _machine(found["machine"], found["rounds"]),
        "peers": "\n".join(f"- **{key}**: {what}" for key, what in PEERS.items()),
        "times": table(("op", "size", "ours, ms", "limit", *COLUMNS, "others"), map(_times, rows)),
        "goals": table(("op", "size", "goal", "reached", ""), (line for row in rows for line in _goals(row))),
        "counters": table(
            ("op", "size", "", "calls", "MB moved", "MFLOP", "MB saved", "MB extra"),
            (line for row in rows for line in _counters(row)),
        ),
    }


def _machine(machine: dict[str, Any], rounds: int) -> str:
    threads = f"{machine['threads']} thread" + "s" * (machine["threads"] > 1)
    versions = f"PyTorch {machine['torch']}" + (f", JAX {machine['jax']}" if machine["jax"] else "")
    bandwidth, flops = f"{machine['bandwidth'] / 1e9:.1f} GB/s", f"{machine['flops'] / 1e9:.0f} GFLOP/s"
    limits = f"A copy moves {bandwidth}, a matrix product computes {flops}, in float32."
    return f"{machine['cpu']}, {threads}, {rounds} rounds; {versions}. {limits}"


def size_of(row: Record) -> str:
    """`4096×2048`."""
    return "×".join(map(str, row["sizes"]))


def _times(row: Record) -> list[str]:
    ours, ratios = row["seconds"]["ours"], row["ratios"]
    times = " to ".join(figure(ours[name] * 1e3) for name in ("low", "high"))
    others = [f"{ratio(row, name)} {name}" for name in ratios if name not in COLUMNS]
    cells = [ratio(row, name) for name in COLUMNS]
    return [row["name"], size_of(row), times, figure(ours["median"] / row["limit"]), *cells, ", ".join(others)]


def ratio(row: Record, peer: str) -> str:
    """Ours in multiples of the peer's; in bold where ours is slower."""
    if peer not in row["ratios"]:
        return ""
    found = row["ratios"][peer][0]
    return f"**{figure(found)}**" if found > 1 else figure(found)


def _goals(row: Record) -> list[list[str]]:
    return [
        [row["name"], size_of(row), str(found.goal), "" if found.reached is None else figure(found.reached), str(found)]
        for found in verdicts(row)
    ]


def _counters(row: Record) -> list[list[str]]:
    return [
        [row["name"], size_of(row), side, str(found["calls"])]
        + [figure(found[name] / 1e6) for name in ("bytes", "flops", "saved", "extra")]
        for side, found in row["counts"].items()
    ]


def figure(number: float) -> str:
    """Three significant digits, without an exponent."""
    if number == 0:
        return "0"
    if number >= 100:
        return f"{number:,.0f}"
    return f"{float(f'{number:.3g}'):f}".rstrip("0").rstrip(".")
