"""Section 5: tensors so large that they are worked in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tensorgrad_gen.verify.compare import agree_on_gradients, leaves
from tensorgrad_gen.verify.model import FindingError, SkippedError, Subject

# Bytes of a tensor of a block: the least, so that samples of a few rows have many blocks.
LEAST = 1


def rows(subject: Subject) -> float | None:
    """Outputs and gradients in blocks of one row or two, against the plain formula; no output is a view."""
    if subject.module is None or (place := _switch(subject.module)) is None:
        raise SkippedError("nothing in the op is worked in blocks of rows")
    samples = [sample for sample in (*subject.samples, *subject.edges) if sample.defined]
    with _small(*place):
        for sample in samples:
            outputs = subject.call(leaves(subject, sample.tensors), sample.params)
            for position, output in enumerate(outputs):
                if output._is_view():  # which nobody could change in place
                    raise FindingError(f"{sample.label}, in blocks: output {position} is a view")
        return max(agree_on_gradients(subject, s, where="in blocks", finite_only=not s.regular) for s in samples)


def _switch(module: ModuleType) -> tuple[Any, str] | None:
    """Where the op has the size of a block, if it works in blocks."""
    found = vars(module)
    if "_ROWS_BYTES" in found:
        return module, "_ROWS_BYTES"
    names = {name for value in found.values() if callable(value) for name in _names(value)}
    return (found["_runtime"], "ROWS_BYTES") if "_runtime" in found and "by_rows" in names else None


def _names(function: Any) -> set[str]:
    """The names that a function, or the functions of a class, read."""
    parts = vars(function).values() if isinstance(function, type) else (function,)
    codes = [getattr(getattr(part, "__func__", part), "__code__", None) for part in parts]
    return {name for code in codes if code is not None for name in code.co_names}


@contextmanager
def _small(owner: Any, name: str) -> Iterator[None]:
    """Within, blocks are as small as can be."""
    before = getattr(owner, name)
    setattr(owner, name, LEAST)
    try:
        yield
    finally:
        setattr(owner, name, before)
