"""JAX as a side of the rounds: a process that waits to be asked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.model import Row, Work
from tensorgrad_gen.bench import Timer

ROOT = Path(__file__).resolve().parents[1]


class Jax:
    """A running `benchmarks.with_jax` of another Python."""

    def __init__(self, python: str, threads: int) -> None:
        command = [python, "-m", "benchmarks.with_jax", str(threads)]
        self._process = subprocess.Popen(  # noqa: S603  the command is the developer's own
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.version = ""

    def side(self, row: Row, work: Work) -> Timer:
        """The row, compiled and run once."""
        self.version = self._ask({"row": row.jax, "inputs": [_described(t) for t in work.tensors]})["version"]

        def run(times: int) -> float:
            return float(self._ask({"times": times})["seconds"])

        return run

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"JAX has ended at {question}: {self._process.args!r}")
        found: dict[str, Any] = json.loads(answer)
        return found


def _described(tensor: Tensor) -> dict[str, Any]:
    below = 0 if tensor.is_floating_point() else int(tensor.max()) + 1
    return {"shape": list(tensor.shape), "below": below, "grad": tensor.requires_grad}
