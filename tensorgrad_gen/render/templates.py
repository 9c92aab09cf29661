"""The templates: the package's own, a user's in place of them, and what fills them in."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.render.runtime_text import runtime_body

SHOWN = 12  # digits of a hash in a header
TESTS = "test.py.jinja"  # of the tests of an op, which change without it
Templates = tuple[tuple[str, str], ...]


def filled(template: str, view: Any, own: Templates = ()) -> str:
    """The template with the view in its holes; a hole with nothing in it is an error."""
    return str(_environment(own).get_template(template).render(view=view))


def load_templates(folder: Path) -> Templates:
    """A user's templates, to be passed on as `OpMeta.templates`: each has the name of the one it replaces."""
    known = _built_in()
    found = sorted(path for path in folder.iterdir() if path.name.endswith(".jinja"))
    if strange := [path.name for path in found if path.name not in known]:
        raise NotBuiltError(f"no template is called {strange[0]}; there are {', '.join(sorted(known))}")
    return tuple((path.name, path.read_text("utf-8")) for path in found)


@cache
def template_sha(own: Templates = (), *, tests: bool = False) -> str:
    """One hash of the templates of an op, or of its tests, and of the runtime."""
    digest = hashlib.sha256()
    for name, text in sorted((_built_in() | dict(own)).items()):
        if tests or name != TESTS:
            digest.update(f"{name}\0{text}\0".encode())
    digest.update(runtime_body().encode())
    return digest.hexdigest()[:SHOWN]


@cache
def _built_in() -> dict[str, str]:
    """Name -> text of every template of the package."""
    folder = resources.files("tensorgrad_gen").joinpath("templates")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".jinja"))
    return {name: folder.joinpath(name).read_text("utf-8") for name in names}


@cache
def _environment(own: Templates) -> Any:
    """Jinja over the templates; what it prints is Python, so nothing is escaped for HTML."""
    import jinja2

    return jinja2.Environment(  # noqa: S701
        loader=jinja2.DictLoader(_built_in() | dict(own)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
