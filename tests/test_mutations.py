"""A damaged spec gets an op or a clean error: never a traceback, never a hang.

`MUTATIONS=2000 pytest tests/test_mutations.py` tries so many, instead of the usual sample.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from tensorgrad_gen.errors import SpecError
from tensorgrad_gen.pipeline import run

SPECS = sorted((Path(__file__).parents[1] / "specs").rglob("*.yaml"))
COUNT = int(os.environ.get("MUTATIONS", "150"))
GROUPS = 10
SECONDS = 10.0  # of one build; a machine may be busy, a hang takes forever
TOKEN = re.compile(r"\w+|[^\w\s]|\s+")
WORDS = (
    "[", "]", "(", ")", "{", "}", ",", ":", " #", "^", "**", "*", "/", "//", "+", "-", "=", "==", "<=", "@",
    "!", "|", "\n", "\n  ", "\t", "...", "&a", "*a", "!!python/object", "'", '"', "\\", "\x00", "\u03b1",
    "\ufeff", "0", "1", "2", "-1", "1/2", "1e999", "9^9^9", "0.5", "null", "true", "inf", "pi", "one", "one[i]",
    "delta[i,j]", "size(i)", "where", "exp", "log", "sqrt", "sum[i]", "max[i]", "softmax[i]", "mean", "inv",
    "det", "argmax[i]", "norm[i]", "relu", "abs", "not", "and", "or", "i", "j", "k", "b", "h", "x", "y", "x[i]",
    "y[i]", "x[b,h]", "x[i,i]", "x[0]", "x[pad(i+1)]", "x[i+1]", "label", "bool", "complex", "symmetric",
    "kind", "default", "labels", "inputs", "params", "outputs", "stop_gradient", "cumsum[i]", "prod[i]",
    "[i < j]", "lambda", "__import__('os')",
)  # fmt: skip


def _drop(tokens: list[str], other: list[str], source: random.Random) -> None:
    del tokens[source.randrange(len(tokens))]


def _replace(tokens: list[str], other: list[str], source: random.Random) -> None:
    tokens[source.randrange(len(tokens))] = source.choice(WORDS)


def _insert(tokens: list[str], other: list[str], source: random.Random) -> None:
    tokens.insert(source.randrange(len(tokens)), source.choice(WORDS))


def _swap(tokens: list[str], other: list[str], source: random.Random) -> None:
    a, b = source.randrange(len(tokens)), source.randrange(len(tokens))
    tokens[a], tokens[b] = tokens[b], tokens[a]


def _rename(tokens: list[str], other: list[str], source: random.Random) -> None:
    """One word becomes another of the same spec, where it stands: what most looks like a spec."""
    places = [k for k, token in enumerate(tokens) if token.strip() and (token.isalnum() or token in "*/+-^")]
    tokens[source.choice(places)] = tokens[source.choice(places)]


def _splice(tokens: list[str], other: list[str], source: random.Random) -> None:
    at, start = source.randrange(len(tokens)), source.randrange(len(other))
    tokens[at:at] = other[start : start + source.randrange(1, 8)]


def _repeat(tokens: list[str], other: list[str], source: random.Random) -> None:
    start = source.randrange(len(tokens))
    tokens[start:start] = tokens[start : start + source.randrange(1, 12)]


CHANGES: tuple[Callable[[list[str], list[str], random.Random], None], ...] = (
    _drop,
    _replace,
    _insert,
    _swap,
    _rename,
    _rename,
    _rename,
    _splice,
    _repeat,
)


def mutation(number: int) -> tuple[Path, str]:
    """A spec of the library and its text, changed in one to three places."""
    source = random.Random(number)  # a test wants the same numbers each time
    path, other = source.choice(SPECS), source.choice(SPECS)
    tokens, others = TOKEN.findall(path.read_text("utf-8")), TOKEN.findall(other.read_text("utf-8"))
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        source.choice(CHANGES)(tokens, others, source)
    return path, "".join(tokens)


def outcome(text: str, path: str) -> str:
    """What a text comes to: `op`, the codes of its errors, or an exception that nobody should see."""
    try:
        run(text, path, until="schedule")
    except SpecError as error:
        assert str(error).strip()
        return " ".join(sorted({d.code for d in error.diagnostics}))
    return "op"


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_mutated_spec_makes_an_op_or_a_clean_error(group: int) -> None:
    faults = []
    for number in range(group, COUNT, GROUPS):
        path, text = mutation(number)
        start = process_time()
        try:
            outcome(text, str(path))
        except Exception as error:  # noqa: BLE001  # any exception is a finding
            faults.append(f"mutation {number} of {path.name}: {type(error).__name__}: {error}")
        if process_time() - start > SECONDS:
            faults.append(f"mutation {number} of {path.name}: more than {SECONDS} seconds")
    assert not faults, "\n".join(faults)
