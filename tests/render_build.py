"""Writes rendered samples as a package and imports it."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from types import ModuleType

from render_samples import SAMPLES, meta

from tensorgrad_gen.render import InitEntry, OpMeta, render_init, render_op, render_runtime

_COUNT = itertools.count()


def package(folder: Path, metas: dict[str, OpMeta] | None = None) -> ModuleType:
    """All samples as one package, each op in a module of its own."""
    name = f"rendered_{next(_COUNT)}"
    root = folder / name
    root.mkdir()
    (root / "_runtime.py").write_text(render_runtime("tensorgrad-gen build"))
    for op, lowered in SAMPLES.items():
        (root / f"{op}.py").write_text(render_op(lowered(), (metas or {}).get(op) or meta(op)))
    (root / "__init__.py").write_text(render_init([InitEntry(op, f".{op}") for op in SAMPLES], "tensorgrad-gen build"))
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))


def standalone(folder: Path, op: str) -> ModuleType:
    """One sample as a file of its own."""
    name = f"standalone_{op}_{next(_COUNT)}"
    (folder / f"{name}.py").write_text(render_op(SAMPLES[op](), meta(op, standalone=True)))
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
