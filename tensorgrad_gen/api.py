"""The Python interface: a spec compiled in memory, or loaded as a callable."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tensorgrad_gen.outputs import check_generated
from tensorgrad_gen.paths import shown_path
from tensorgrad_gen.pipeline import Compiled, run
from tensorgrad_gen.spec import read_text


def compile_spec(source: str | Path, *, standalone: bool = False) -> Compiled:
    """Every stage's product of a spec, and `.source`, the generated module's text.

    `source` is the text of a spec, or the path of one.  Raises `SpecError` with every error of the spec.
    """
    if isinstance(source, Path) or "\n" not in source:
        path = Path(source)
        return run(read_text(path), str(path), meta={"spec_path": shown_path(path), "standalone": standalone})
    return run(source, "<text>", meta={"spec_path": "<text>", "standalone": standalone})


def load_op(source: str | Path, *, derivative: str | None = None) -> Callable[..., Any]:
    """The op of a spec, built in memory, as a callable; `source` as for `compile_spec`.

    `derivative` is one of `jacobian`, `hessian`, `hvp` that the spec asks for: then that function.
    """
    compiled = compile_spec(source, standalone=True)
    name = compiled.program.name
    wanted = name if derivative is None else f"{name}_{derivative}"
    function: Callable[..., Any] | None = getattr(load_module(name, compiled.source), wanted, None)
    if function is None:
        raise ValueError(f"{name} has no {derivative}: add it to `derivatives` of its spec")
    return function


def load_module(name: str, source: str) -> ModuleType:
    """A standalone generated module, imported from the cache folder.

    It has a file, so that tracebacks show its lines, and a name of its own in `sys.modules`, so that
    what it defines can be pickled within the process.
    """
    check_generated(source)
    content = hashlib.sha256(source.encode()).hexdigest()[:16]
    full_name = f"_tensorgrad_gen_{name}_{content}"
    if full_name in sys.modules:
        return sys.modules[full_name]
    spec = importlib.util.spec_from_file_location(full_name, _cached(f"{name}_{content}.py", source))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full_name]
        raise
    return module


def _cached(name: str, source: str) -> Path:
    """The file in the cache folder that holds exactly this text."""
    path = _cache_folder() / name
    if not path.is_file() or path.read_text(encoding="utf-8") != source:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        Path(temporary).replace(path)
    return path


def _cache_folder() -> Path:
    """A folder that nobody else may write to: what lies in it is run."""
    home = os.environ.get("XDG_CACHE_HOME")
    base = Path(home) if home else Path("~/.cache").expanduser()
    folder = base / "tensorgrad-gen"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_private(folder) and os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # no home folder, or one that cannot be written
    return Path(tempfile.mkdtemp(prefix="tensorgrad-gen-"))


def _is_private(folder: Path) -> bool:
    info = folder.lstat()
    owned = not hasattr(os, "getuid") or info.st_uid == os.getuid()
    return owned and stat.S_ISDIR(info.st_mode) and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
