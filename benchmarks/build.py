"""How long builds take: cold, with nothing changed, with one op changed; against the number of ops and of statements.

    python -m benchmarks.build

Writes docs/build.json and from it docs/build.svg and the tables of docs/building.md.  Seconds of the processor, which
are those of a clock where nobody else uses it, the least of several runs, each in a process of its own; with `--jobs 2`
the clock, beside one process in turn.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.lines import lines
from benchmarks.pages import table, written
from benchmarks.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
PAGE, KEPT, PLOT = (ROOT / "docs" / name for name in ("building.md", "build.json", "build.svg"))
OPS = (1, 10, 25, 50, 100)
STATEMENTS = (10, 25, 50, 100, 200)
GROWTH = 2.5  # a doubling of the statements, at most
# One process: the imports and a first, small op are not counted; nothing is known from another size.
_IN_PROCESS = """
import gc, re, sys, time
from benchmarks.programs import PROGRAMS
from tensorgrad_gen.pipeline import run
gc.set_threshold(100_000, 50, 100)  # as in a build
kind, size = sys.argv[1], int(sys.argv[2])
run(re.sub(r"\\b([bfgh])\\b", r"\\g<1>first", PROGRAMS[kind]("first", 10)), "first.yaml")
text = PROGRAMS[kind]("program", size)
start = time.process_time()
run(text, "program.yaml")
print(time.process_time() - start)
"""


def seconds(arguments: list[str], clock: bool) -> float:
    """How long a process takes, by the clock or by the processor."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start, before = time.perf_counter(), os.times()
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=ROOT, env=variables, check=True, capture_output=True)  # noqa: S603 - ours
    passed, after = time.perf_counter() - start, os.times()
    own = after.children_user + after.children_system - before.children_user - before.children_system
    return passed if clock else own


def build(specs: list[str], out: Path, jobs: int = 1, clock: bool = False) -> float:
    """How long a build takes."""
    return seconds(["-m", "tensorgrad_gen", "build", *specs, "--out", str(out), "--jobs", str(jobs)], clock)


def cold(specs: list[str], rounds: int, jobs: int = 1, clock: bool = False) -> float:
    """The same into an empty folder."""
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            times.append(build(specs, Path(folder) / "out", jobs, clock))
    return min(times)


def again(rounds: int) -> Iterator[float]:
    """Nothing changed, then one op changed, of a library that has been built."""
    with tempfile.TemporaryDirectory() as folder:
        specs, out = Path(folder) / "specs", Path(folder) / "out"
        shutil.copytree(ROOT / "specs", specs)
        build([str(specs)], out)
        yield min(build([str(specs)], out) for _ in range(rounds))
        spec, times = specs / "nn" / "layer_norm_affine.yaml", []
        for count in range(rounds):
            spec.write_text(spec.read_text("utf-8") + f"# changed {count}\n", "utf-8")
            times.append(build([str(specs)], out))
        yield min(times)


def statements(kind: str, size: int, rounds: int) -> float:
    """How long a program of so many statements takes, without what a process takes to start."""
    command = [sys.executable, "-c", _IN_PROCESS, kind, str(size)]
    runs = (
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - ours
        for _ in range(rounds)
    )
    return min(float(run.stdout) for run in runs)


def measured(rounds: int = 5) -> dict[str, Any]:
    """Every number of the page."""
    specs = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "specs").glob("*/*.yaml"))
    build(specs[:1], Path(tempfile.mkdtemp()))  # what Python compiles is there afterwards
    one = cold(["specs/nn/layer_norm_affine.yaml"], rounds)
    whole = cold(specs, 2)
    turns = [[cold(specs, 1, jobs, clock=True) for jobs in (1, 2)] for _ in range(2)]
    alone, shared = (min(times) for times in zip(*turns, strict=True))
    same, changed = again(rounds)
    rows = [
        ["one op, cold", one, 1.0],
        [f"{len(specs)} ops, cold, one process", whole, 20 * len(specs) / 150],
        [f"{len(specs)} ops, cold, `--jobs 2`, as a part of `--jobs 1`", shared / alone, 0.6],
        [f"{len(specs)} ops, nothing changed", same, 0.25],
        [f"{len(specs)} ops, one changed", changed, 1.0],
    ]
    step = len(specs) / max(OPS)  # of every group some
    some = {count: [specs[int(k * step * max(OPS) / count)] for k in range(count)] for count in OPS}
    ops = [[count, cold(chosen, 2)] for count, chosen in some.items()] + [[len(specs), whole]]
    kinds = {kind: [[size, statements(kind, size, 2)] for size in STATEMENTS] for kind in PROGRAMS}
    return {"rows": rows, "ops": ops, "statements": kinds}


def growths(points: list[list[float]]) -> list[float]:
    """The factor of each step, for a doubling."""
    return [(t / s) ** (1 / math.log2(m / n)) for (n, s), (m, t) in pairwise(points)]


def tables(found: dict[str, Any]) -> dict[str, str]:
    """The tables of the page."""
    rows = [
        (name, f"{time:.2f}", f"{goal:.2f}", "" if time <= goal else "missed") for name, time, goal in found["rows"]
    ]
    ops = [("seconds", *(f"{time:.2f}" for _, time in found["ops"]))]
    kinds = []
    for kind, points in found["statements"].items():
        most = max(growths(points))
        kinds.append(
            (kind, *(f"{time:.2f} s" for _, time in points), f"{most:.2f}", "" if most <= GROWTH else "missed")
        )
    sizes = [str(size) for size in STATEMENTS]
    return {
        "builds": table(("what is built", "seconds", "goal", ""), rows),
        "ops": table(("ops", *(str(count) for count, _ in found["ops"])), ops),
        "statements": table(("statements", *sizes, "most for a doubling", ""), kinds),
    }


def plot(found: dict[str, Any]) -> str:
    """The time of a build against the statements of its op."""
    series = {kind: [(n, t) for n, t in points] for kind, points in found["statements"].items()}
    return lines("Building one op", "statements", "seconds", series)


def main() -> None:
    """Measure, print, and write the three files."""
    found = json.loads(json.dumps(measured(), default=float), parse_float=lambda text: round(float(text), 3))
    KEPT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    PLOT.write_text(plot(found), "utf-8")
    PAGE.write_text(written(PAGE.read_text("utf-8"), tables(found)), "utf-8")
    print("\n\n".join(tables(found).values()))


if __name__ == "__main__":
    main()
