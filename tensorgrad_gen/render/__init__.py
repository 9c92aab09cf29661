"""Render: a lowered op as the text of a Python module, and the files that stand beside it."""

from tensorgrad_gen.render.canonical import body_sha
from tensorgrad_gen.render.meta import OpMeta
from tensorgrad_gen.render.module import InitEntry, render_init, render_op, render_runtime
from tensorgrad_gen.render.templates import load_templates, template_sha

__all__ = [
    "InitEntry",
    "OpMeta",
    "body_sha",
    "load_templates",
    "render_init",
    "render_op",
    "render_runtime",
    "template_sha",
]
