"""How tightly text binds, and exact numbers as text."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

OR, AND, NOT, COMPARE, SUM, TERM, POWER, ATOM = range(8)


class Text(NamedTuple):
    """Printed text and how tightly its outermost operator binds."""

    text: str
    level: int


def show_number(value: Fraction) -> Text:
    """A rational as text that reads back exactly: `3`, `1/2`, `0.044715`, `1e-5`."""
    text = _digits(abs(value))
    if value < 0:
        return Text(f"-{text}", SUM)
    return Text(text, TERM if "/" in text else ATOM)


def _digits(value: Fraction) -> str:
    if value.denominator == 1:
        return _integer(value.numerator)
    decimal = None if value.denominator <= 64 else _decimal(value)
    return decimal or f"{value.numerator}/{value.denominator}"


def _integer(value: int) -> str:
    text = str(value)
    stripped = text.rstrip("0")
    zeros = len(text) - len(stripped)
    return f"{stripped}e{zeros}" if zeros > 8 else text


def _decimal(value: Fraction) -> str | None:
    """Decimal spelling of a fraction whose denominator divides a power of ten, if it is short."""
    places = 0
    scaled = value
    while scaled.denominator != 1:
        scaled *= 10
        places += 1
        if places > 320:
            return None
    digits = str(scaled.numerator)
    if len(digits) > 20:
        return None
    if places > 6 or (places > 3 and len(digits) == 1):
        point = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{point}e{len(digits) - 1 - places}"
    padded = digits.rjust(places + 1, "0")
    return f"{padded[:-places]}.{padded[-places:]}"
