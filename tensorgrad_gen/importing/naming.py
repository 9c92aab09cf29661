"""Names that the language allows, and letters that nothing has yet."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator
from itertools import chain, count

from tensorgrad_gen.elaborate.vocabulary import RESERVED

LETTERS = "ijklmnpqrstuvabcdfgh"


def allowed(name: str) -> str:
    """The name, with `_` behind it where the language or Python has another use for it: `lambda_`."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"{plain}_" if plain in RESERVED or keyword.iskeyword(plain) else plain


def is_name(text: str) -> bool:
    """Whether the text may name a tensor as it is."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is not None and allowed(text) == text


def fresh(taken: Collection[str], first: str = LETTERS[0]) -> str:
    """`first` if nothing has it, else the first letter that nothing has, numbered when they run out."""
    candidates: Iterator[str] = chain((first, *LETTERS), (f"{first}{k}" for k in count(1)))
    return next(name for name in candidates if name not in taken)


def numbered(base: str, taken: Collection[str]) -> str:
    """`base`, or `base2`, `base3`, ... when something has it."""
    candidates: Iterator[str] = chain((base,), (f"{base}{k}" for k in count(2)))
    return next(name for name in candidates if name not in taken)
