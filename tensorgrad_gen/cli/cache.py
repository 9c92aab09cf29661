"""The build cache: which file was made from what, so that what is unchanged is not built again.

It holds hashes only, and is believed only where the spec, the generator's sources and templates, the
options and the file on disk all agree with it; losing it costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tensorgrad_gen.cli.files import SpecFile
from tensorgrad_gen.cli.writing import write_text

FILE = ".build-cache.json"
_PACKAGE = Path(__file__).resolve().parents[1]
# Parts of the package that no generated file depends on.
_ASIDE = frozenset({"cli", "verify", "reference", "bench", "explain", "api.py"})


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def generator_hash(templates: Path | None) -> str:
    """One hash of every source and template that a generated file depends on."""
    roots = [p for p in _PACKAGE.iterdir() if p.name not in _ASIDE]
    roots += [p for p in (_PACKAGE.parent / "templates", templates) if p is not None and p.is_dir()]
    total = hashlib.sha256()
    for path in sorted(_sources(roots)):
        total.update(path.name.encode() + b"\0")
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def _sources(roots: Iterable[Path]) -> Iterable[Path]:
    for root in roots:
        files = root.rglob("*") if root.is_dir() else (root,)
        yield from (p for p in files if p.suffix in {".py", ".lark", ".jinja"})


class BuildCache:
    """Entries by the path of the file made, relative to the output folder."""

    def __init__(self, out: Path, generator: str) -> None:
        self._path = out / FILE
        self._out = out
        self._generator = generator
        self._entries: dict[str, dict[str, Any]] = _load(self._path)
        self._changed = False

    def spec_key(self, spec: SpecFile) -> str:
        """What the file of this spec depends on, as one hash."""
        head = f"{self._generator}\0{spec.recorded_path}\0"
        return digest(head.encode() + spec.path.read_bytes())

    def text_key(self, text: str) -> str:
        """As `spec_key`, for a file that depends on no spec."""
        return digest(f"{self._generator}\0{text}".encode())

    def fresh(self, output: Path, key: str) -> bool:
        """Whether the file on disk is what building would write."""
        entry = self._entries.get(self._name(output))
        if entry is None or entry.get("key") != key:
            return False
        try:
            return entry.get("output") == digest(output.read_bytes())
        except OSError:
            return False

    def warnings(self, output: Path) -> list[dict[str, Any]]:
        """The warnings of the spec that made the file."""
        found = self._entries.get(self._name(output), {}).get("warnings", [])
        return found if isinstance(found, list) else []

    def record(self, output: Path, key: str, text: str, warnings: list[dict[str, Any]]) -> None:
        """Remember that `key` made `text`."""
        self._entries[self._name(output)] = {"key": key, "output": digest(text.encode()), "warnings": warnings}
        self._changed = True

    def save(self) -> None:
        """Write the cache if it has changed."""
        if self._changed:
            write_text(self._path, json.dumps(self._entries, indent=0, sort_keys=True))

    def _name(self, output: Path) -> str:
        return output.relative_to(self._out).as_posix()


def _load(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {name: entry for name, entry in data.items() if isinstance(entry, dict)}
