"""Results as a table, as JSON, and as JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tensorgrad_gen.verify.model import CheckResult
from tensorgrad_gen.verify.table import SECTIONS

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def failed(results: Sequence[CheckResult]) -> bool:
    """Whether any check failed."""
    return any(result.status == "failed" for result in results)


def render_table(results: Sequence[CheckResult]) -> Table:
    """A rich table, a line per check, the ops one after the other."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False)
    for title in ("op", "section", "check", "result", "worst error", "ms", "message"):
        table.add_column(title, justify="right" if title in ("worst error", "ms") else "left")
    for place, result in enumerate(results):
        first = not place or results[place - 1].op != result.op
        table.add_row(
            result.op if first else "",
            f"{result.section} {SECTIONS[result.section]}",
            result.name,
            Text(result.status, style=_STYLES[result.status]),
            "" if result.worst is None else f"{result.worst:.1e}",
            f"{1000 * result.seconds:.0f}",
            Text(result.message),
        )
    return table


def as_json(results: Sequence[CheckResult]) -> str:
    """A JSON document: the checks in order, and how many of each status."""
    checks = [
        {
            "op": r.op,
            "section": r.section,
            "check": r.name,
            "status": r.status,
            "worst": _number(r.worst),
            "message": r.message,
            "seconds": round(r.seconds, 4),
        }
        for r in results
    ]
    counts = {status: sum(r.status == status for r in results) for status in _STYLES}
    return json.dumps({"summary": counts, "checks": checks}, indent=2)


def _number(value: float | None) -> float | str | None:
    """JSON has no infinity."""
    return str(value) if value is not None and value in (float("inf"), float("-inf")) else value


def as_junit(results: Sequence[CheckResult]) -> str:
    """A JUnit document: one suite an op, one case a check."""
    root = ET.Element("testsuites")
    for op in dict.fromkeys(r.op for r in results):
        own = [r for r in results if r.op == op]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=op,
            tests=str(len(own)),
            failures=str(sum(r.status == "failed" for r in own)),
            skipped=str(sum(r.status == "skipped" for r in own)),
            time=f"{sum(r.seconds for r in own):.3f}",
        )
        for result in own:
            case = ET.SubElement(
                suite, "testcase", classname=f"{op}.{result.section}", name=result.name, time=f"{result.seconds:.3f}"
            )
            if result.status != "passed":
                kind = "failure" if result.status == "failed" else "skipped"
                ET.SubElement(case, kind, message=_printable(result.message))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _printable(text: str) -> str:
    """XML allows no control characters."""
    return "".join(c if c >= " " or c in "\t\n" else "?" for c in text)
