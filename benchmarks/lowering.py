"""What contractions are lowered to, against every other way to compute them.

    python -m benchmarks.lowering [--rounds 15] [--threads 1 2] [--write]

The compiler's choice is taken from it: a spec of the contraction is lowered, and the calls of its body are run.  All
ways run in turn, which tells the two best others; these and ours run in turn again, which gives the ratio to the
better, the median of those of each round: the best of eight samples would be the luckiest too.  What looks odd is
measured twice more, when all others are done, and the middle counts.  `--write` keeps the numbers in
docs/lowering.json and writes docs/lowering.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.contractions import GRID, Case
from benchmarks.pages import table, written
from tensorgrad_gen.lower.model import Body
from tensorgrad_gen.lower.printer import print_texpr
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.runtime import ops

ROOT = Path(__file__).resolve().parents[1]
PAGE, KEPT = ROOT / "docs" / "lowering.md", ROOT / "docs" / "lowering.json"
NEAR, WORST = 1.10, 1.5  # of the best: what 95 % are to keep to, and all
LARGEST = 2**25  # elements of a product that is made before it is summed
Way = Callable[..., Tensor]


def source(case: Case) -> str:
    """The calls of the body that the compiler makes for the contraction."""
    lower = "".join(f"  {name}: [{', '.join(letters)}]\n" for name, letters in zip("ab", case.operands, strict=True))
    left, right = (f"{name}[{','.join(letters)}]" for name, letters in zip("ab", case.operands, strict=True))
    plus = f" + c[{','.join(case.added)}]" if case.added else ""
    lower += f"  c: [{', '.join(case.added)}]\n" if case.added else ""
    text = f"op: pair\ndoc: d.\ninputs:\n{lower}equations: |\n  y[{','.join(case.out)}] = {left}*{right}{plus}\n"
    body: Body = run(text, "pair.yaml", until="schedule")["schedule"].forward
    sizes = [f"{s.target} = {print_texpr(s.call)}" for s in body.sizes]
    lines = [f"{s.target} = {print_texpr(s.call)}" for s in body.statements]
    # A result that may be a view is copied besides: that is the contract of an op, whatever it is lowered to.
    return "\n".join(f"    {line}" for line in ("", *sizes, *lines[:-1], lines[-1].replace("y =", "return", 1)))


def ours(case: Case) -> tuple[Way, str]:
    """The body as a function, and its text."""
    text, names = source(case), dict[str, Any]()
    exec(f"def pair(a, b, c=None):{text}", {"torch": torch, "_runtime": ops}, names)  # noqa: S102 - what the compiler has made
    way: Way = names["pair"]
    return way, text.strip().removeprefix("return ")


def tensors_of(case: Case, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """The operands, and what the contraction is added to."""
    letters = (*case.operands, case.added) if case.added else case.operands
    return [torch.randn([case.sizes[c] for c in axes], generator=generator, dtype=dtype) for axes in letters]


def expected(case: Case, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """The contraction by `torch.einsum`."""
    product = torch.einsum(case.formula.split(" + ")[0], a, b)
    return product if c is None else product + c


def others(case: Case) -> dict[str, Way]:
    """Every other way, by its name; all give the axes of the result in their order."""
    ways = _products(case)
    if not case.added:
        return ways
    found: dict[str, Way] = {f"{name}, plus": _then_added(way) for name, way in ways.items()}
    left, right = case.operands
    last = right[0] == case.out[-1]
    if len(left) == len(right) == 2:
        first = left[0] == case.out[0]
        found["addmm"] = lambda a, b, c: torch.addmm(c, a if first else a.mT, b.mT if last else b)
    elif len(right) == 3:
        found["baddbmm"] = lambda a, b, c: torch.baddbmm(c, a, b)
    else:
        found["linear"] = torch.nn.functional.linear
    return found


def _then_added(way: Way) -> Way:
    return lambda a, b, c: way(a, b) + c


def _products(case: Case) -> dict[str, Way]:
    """Every way to contract."""
    left, right = case.operands
    batch = [c for c in left if c in right and c in case.out]
    common = [c for c in left if c in right and c not in case.out]
    mine, yours = ([c for c in one if c not in other] for one, other in ((left, right), (right, left)))
    size, out = case.sizes, [*batch, *mine, *yours]
    order = [out.index(c) for c in case.out]
    every = [*case.out, *common]

    def spread(x: Tensor, letters: str) -> Tensor:
        x = x.permute([letters.index(c) for c in every if c in letters])
        return x[tuple(slice(None) if c in letters else None for c in every)]

    def matrix(x: Tensor, letters: str, *groups: list[str]) -> Tensor:
        x = x.permute([letters.index(c) for group in groups for c in group])
        return x.reshape([prod(size[c] for c in group) for group in groups])

    def back(y: Tensor) -> Tensor:
        return y.reshape([size[c] for c in out]).permute(order)

    ways: dict[str, Way] = {"einsum": lambda a, b: torch.einsum(f"{left},{right}->{case.out}", a, b)}
    if prod(size.values()) <= LARGEST:
        dims = tuple(range(-len(common), 0))
        ways["multiply and sum"] = lambda a, b: (spread(a, left) * spread(b, right)).sum(dims)
    if not common:
        return ways | {"multiply and sum": lambda a, b: spread(a, left) * spread(b, right)}
    ways["bmm"] = lambda a, b: back(
        torch.bmm(matrix(a, left, batch, mine, common), matrix(b, right, batch, common, yours))
    )
    ways["bmm, operands exchanged"] = lambda a, b: back(
        torch.bmm(matrix(b, right, batch, yours, common), matrix(a, left, batch, common, mine)).mT
    )
    if not batch:
        ways["mm"] = lambda a, b: back(matrix(a, left, mine, common) @ matrix(b, right, common, yours))
        axes = [[x.index(c) for c in common] for x in (left, right)]
        ways["tensordot"] = lambda a, b: torch.tensordot(a, b, axes).permute(order)
    if not batch and not yours:
        ways["mv"] = lambda a, b: back(
            matrix(a, left, mine, common) @ b.permute([right.index(c) for c in common]).reshape(-1)
        )
    if not mine and not yours:
        ways["vecdot"] = lambda a, b: back(
            torch.linalg.vecdot(matrix(a, left, batch, common), matrix(b, right, batch, common))
        )
    return ways


def measured(ways: dict[str, Way], tensors: list[Tensor], rounds: int) -> tuple[float, float, str]:
    """Of the first way: the ratio of its time to that of the best other, its time, and which other that is."""
    first = timed(ways, tensors, rounds)
    rivals = sorted((name for name in ways if name != "ours"), key=lambda name: statistics.median(first[name]))[:2]
    times = timed({name: ways[name] for name in ("ours", *rivals)}, tensors, 2 * rounds)
    mine = times.pop("ours")
    best = min(times, key=lambda name: statistics.median(times[name]))
    ratio = statistics.median(a / b for a, b in zip(mine, times[best], strict=True))
    return ratio, statistics.median(mine), best


def timed(ways: dict[str, Way], tensors: list[Tensor], rounds: int) -> dict[str, list[float]]:
    """The seconds of a call of each way, in each round."""
    counts = {}
    for name, way in ways.items():
        way(*tensors)
        start = time.perf_counter()
        way(*tensors)
        counts[name] = max(1, min(200, int(3e-4 / max(time.perf_counter() - start, 1e-7))))
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                way(*tensors)
            times[name].append((time.perf_counter() - start) / counts[name])
    return times


@torch.no_grad()
def rows(threads: int, rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each case of the grid, computed as in the forward of a Function: nothing is recorded."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    drawn = [tensors_of(case, generator) for case in GRID]
    texts: list[str] = []
    found: list[list[tuple[float, float, str]]] = []
    for case, tensors in zip(GRID, drawn, strict=True):
        way, text = ours(case)
        want = expected(case, *(tensor.double() for tensor in tensors))
        torch.testing.assert_close(way(*tensors).double(), want, rtol=1e-3, atol=1e-3)
        texts.append(text)
        found.append([measured({"ours": way, **others(case)}, tensors, rounds)])
    odd = [place for place, times in enumerate(found) if times[0][0] > NEAR]
    for place in (*odd, *odd):  # after all others: the machine may have been slow for a while
        found[place].append(measured({"ours": ours(GRID[place])[0], **others(GRID[place])}, drawn[place], rounds))
    for case, text, times in zip(GRID, texts, found, strict=True):
        ratio, mine, best = sorted(times)[len(times) // 2]
        yield {
            "pattern": case.pattern, "formula": case.formula, "sizes": case.shown, "threads": threads, "call": text,
            "microseconds": round(mine * 1e6, 1), "best": best, "ratio": round(ratio, 2),
        }  # fmt: skip


def summary(found: list[dict[str, Any]]) -> str:
    """How much of the grid is near the best, and the worst of it."""
    near = sum(row["ratio"] <= NEAR for row in found) / len(found)
    worst = max(found, key=lambda row: row["ratio"])
    return (
        f"{near:.0%} of {len(found)} rows within {NEAR:.2f} of the best way; the worst {worst['ratio']:.2f} "
        f"(`{worst['formula']}`, {worst['sizes']}, {worst['threads']} threads)."
    )


def tables(found: list[dict[str, Any]]) -> dict[str, str]:
    """The parts of the page."""
    calls = {row["formula"]: (row["pattern"], f"`{row['formula']}`", f"`{row['call']}`") for row in found}
    columns = ("formula", "sizes", "threads", "microseconds", "best", "ratio")
    cells = ([f"`{row[c]}`" if c == "formula" else str(row[c]) for c in columns] for row in found)
    return {
        "calls": table(("pattern", "contraction", "lowered to"), calls.values()),
        "summary": summary(found),
        "grid": table(("contraction", "sizes", "threads", "µs", "best other way", "ours / best"), cells),
    }


def main() -> None:
    """Print the rows, the odd ones marked; keep them if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = []
    for threads in options.threads:
        for row in rows(threads, options.rounds):
            mark = "" if row["ratio"] <= NEAR else " <-" if row["ratio"] <= WORST else " <=="
            name, time_ = f"{row['formula']:22} {row['sizes']:28}", f"{row['microseconds']:9}"
            print(f"{name} {threads} {time_} {row['ratio']:5} {row['best']}{mark}")
            found.append(row)
    print(summary(found))
    if options.write:
        KEPT.write_text("[\n" + ",\n".join(map(json.dumps, found)) + "\n]\n", "utf-8")
        PAGE.write_text(written(PAGE.read_text("utf-8"), tables(found)), "utf-8")


if __name__ == "__main__":
    main()
