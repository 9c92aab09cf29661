"""A stage's product as text."""

from __future__ import annotations

import pprint
from typing import Any

from tensorgrad_gen.ir import Program


def show(product: Any) -> str:
    """A program in index notation, what has a text of its own as that text, anything else field by field."""
    if isinstance(product, str):
        return product.rstrip("\n")
    if isinstance(product, Program):
        from tensorgrad_gen.notation import print_program

        return print_program(product)
    if hasattr(product, "text") and callable(product.text):
        return str(product.text()).rstrip("\n")
    return pprint.pformat(product, width=118)
