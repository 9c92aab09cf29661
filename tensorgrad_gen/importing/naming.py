"""Names that the language allows, and letters that nothing has yet."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection

from tensorgrad_gen.elaborate.vocabulary import RESERVED

LETTERS = "ijklmnpqrstuvabcdfgh"


def allowed(name: str) -> str:
    """The name, with `_` behind it where the language or Python has another use for it: `lambda_`."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"{plain}_" if plain in RESERVED or keyword.iskeyword(plain) or plain in ("true", "false") else plain


def is_name(text: str) -> bool:
    """Whether the text may name a tensor as it is."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is not None and allowed(text) == text


def fresh(taken: Collection[str], first: str = "") -> str:
    """`first` if nothing has it, else the first letter that nothing has, numbered when they run out."""
    candidates = [*([first] if first else []), *LETTERS]
    candidates += [f"{letter}{k}" for k in range(1, len(taken) + 2) for letter in (first or "i")[:1]]
    return next(name for name in candidates if name not in taken)


def numbered(base: str, taken: Collection[str]) -> str:
    """`base`, or `base2`, `base3`, ... when something has it."""
    names = [base, *(f"{base}{k}" for k in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
