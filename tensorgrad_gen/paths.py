"""How what is generated names the spec it was made from."""

from __future__ import annotations

from pathlib import Path


def shown_path(path: Path) -> str:
    """How a header names a spec: `specs/nn/rms_norm.yaml`, the folder of the groups by its own name.

    It is the same from wherever and however the spec is named, and tells no more of the machine than that.
    """
    folders = path.absolute().parent.resolve().parts[1:]
    return "/".join((*folders[-2:], path.name))
