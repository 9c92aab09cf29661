"""How much work one spec may make.

Some passes take time that grows faster than the text of a spec, so a text within the limits of the language
could keep the compiler busy for hours.  The work is counted in steps, not in seconds, so that a spec that
builds on one machine builds on every other.  The largest op of the library takes some 20,000 steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import inf

MOST_STEPS = 300_000
MOST_BITS = 8192  # of the parts of a rational number
_left: list[float] = [inf]
_allowed: list[int] = [MOST_STEPS]


class TooLargeError(Exception):
    """A spec that makes more work than is allowed; the text says what it would need."""


def spend(steps: int = 1) -> None:
    """Count some work; raises `TooLargeError` where it is more than is left."""
    _left[0] -= steps
    if _left[0] < 0:
        raise TooLargeError(f"more than {_allowed[0]:,} steps")


def grant(steps: int) -> None:
    """Allow more work: the spec asks for more than an op."""
    _left[0] += steps
    _allowed[0] += steps


def check_bits(value: Fraction) -> None:
    """Refuse a number too long to compute with and to print; no spec states one, but products may be such."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise TooLargeError(f"a number of more than {MOST_BITS:,} bits")


@contextmanager
def limited(steps: int = MOST_STEPS) -> Iterator[None]:
    """Inside, the work is limited."""
    before, _left[0], _allowed[0] = (_left[0], _allowed[0]), steps, steps
    try:
        yield
    finally:
        _left[0], _allowed[0] = before
