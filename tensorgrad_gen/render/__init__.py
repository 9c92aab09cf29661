"""Render: a lowered op as the text of a Python module, and the files that stand beside it."""

from tensorgrad_gen.render.canonical import body_sha
from tensorgrad_gen.render.meta import OpMeta, shown_path
from tensorgrad_gen.render.module import InitEntry, render_init, render_op, render_runtime, template_sha

__all__ = [
    "InitEntry",
    "OpMeta",
    "body_sha",
    "render_init",
    "render_op",
    "render_runtime",
    "shown_path",
    "template_sha",
]
