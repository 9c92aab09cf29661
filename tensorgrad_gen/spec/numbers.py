"""Exact numbers from text: `1e-5`, `0.5` and `1/2` are rationals, and a huge exponent is never computed."""

from __future__ import annotations

import re
from fractions import Fraction

MOST_DIGITS = 1000
LARGEST_EXPONENT = 308

_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")


class BadNumberError(Exception):
    """Text that is not a number (E117), or one beyond the limits (E606)."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        self.code = code
        self.message = message
        self.help = help
        super().__init__(message)


def parse_unsigned(text: str) -> Fraction:
    """The number that `digits [. digits] [e exponent]` writes, exactly."""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        raise BadNumberError("E117", f"{_short(text)} is not a number", "a number is like `2`, `0.5`, `1e-5`")
    decimals = match[2] or ""
    digits = (match[1] + decimals).lstrip("0")
    if not digits:
        return Fraction(0)
    stripped = digits.rstrip("0")
    if len(stripped) > MOST_DIGITS:
        raise BadNumberError("E606", f"a number of {len(stripped)} digits", f"at most {MOST_DIGITS} are read")
    exponent_text = (match[3] or "0").lstrip("+")
    if len(exponent_text.lstrip("-0")) > 9:
        raise _beyond(text)
    exponent = int(exponent_text) - len(decimals) + len(digits) - len(stripped)
    if not -LARGEST_EXPONENT <= exponent + len(stripped) - 1 <= LARGEST_EXPONENT:
        raise _beyond(text)
    value = Fraction(int(stripped)) * Fraction(10) ** exponent
    if value > 10**LARGEST_EXPONENT:
        raise _beyond(text)
    return value


def parse_number(text: str) -> Fraction:
    """The number of a YAML scalar: a sign, and one number or the quotient of two (`-1/2`)."""
    stripped = text.strip()
    sign = -1 if stripped.startswith("-") else 1
    body = stripped[1:].lstrip() if stripped[:1] in ("-", "+") else stripped
    parts = body.split("/")
    if len(parts) > 2 or not all(_NUMBER.fullmatch(part.strip()) and part.strip() for part in parts):
        remedy = "a number is like `2`, `-0.5`, `1e-5`, `1/3`"
        if stripped.lstrip("+-.").lower() in ("inf", "infinity", "nan"):
            remedy = "numbers of a spec are finite; inside an equation `inf` may be written"
        raise BadNumberError("E117", f"{_short(text)} is not a number", remedy)
    values = [parse_unsigned(part.strip()) for part in parts]
    if len(values) == 1:
        return sign * values[0]
    if values[1] == 0:
        raise BadNumberError("E117", f"{_short(text)} divides by zero")
    quotient = values[0] / values[1]
    if quotient and not Fraction(1, 10**LARGEST_EXPONENT) <= quotient <= 10**LARGEST_EXPONENT:
        raise _beyond(text)
    return sign * quotient


def _beyond(text: str) -> BadNumberError:
    return BadNumberError("E606", f"{_short(text)} is beyond the limits", "numbers lie between 1e-308 and 1e308")


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return f"`{flat if len(flat) <= 40 else flat[:37] + '...'}`"
