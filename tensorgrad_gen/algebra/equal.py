"""Equality as functions: both sides in exact arithmetic on small random samples, through the definitions.

Two samples on which nothing was rounded decide with an error probability of about 1e-17.  It
proposes, the symbols prove: what is equal only through a law that the atoms do not keep comes out unequal.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from tensorgrad_gen.algebra import modular_rules as _rules  # noqa: F401  (fills the table of values)
from tensorgrad_gen.algebra.field import NoValueError, atom
from tensorgrad_gen.algebra.indices import by_name
from tensorgrad_gen.algebra.modular import Modular
from tensorgrad_gen.ir import Expr, Program, Size

_SAMPLES = 2  # that must agree
_TRIES = 400  # of which one in two has a value for each square root
_POINTS = 48  # most positions of the free indices that one sample looks at
_FREE = 8  # most extents whose lengths are searched for a sample that a window fits into
_LENGTHS = (2, 4)  # squares modulo the prime, as the root of an extent must exist; later 2 only: fewer roots


class UndecidedError(Exception):
    """No sample gave both sides a value."""


def equal_as_functions(first: Expr, second: Expr, program: Program) -> bool:
    """Whether two expressions over a program's tensors (and any others, as cotangents) have the same values."""
    agreed = 0
    for attempt in range(_TRIES):
        try:
            if not _agree(first, second, program, attempt):
                return False
        except NoValueError:
            continue
        agreed += 1
        if agreed == _SAMPLES:
            return True
    raise UndecidedError(f"{agreed} of {_TRIES} samples have a value")


def _agree(first: Expr, second: Expr, program: Program, seed: int) -> bool:
    """Whether the values agree at the positions of the free indices that are looked at."""
    sample = Modular(program, sample_lengths(program, _LENGTHS if seed < _TRIES // 10 else (2, 2)), seed)
    free = by_name(first.free | second.free)
    places = list(product(*(range(sample.length(i)) for i in free)))
    if len(places) > _POINTS:
        places = sorted(places, key=lambda place: atom(seed, place))[:_POINTS]
    for place in places:
        at = dict(zip(free, place, strict=True))
        if sample.value(first, at) != sample.value(second, at):
            return False
    return True


def sample_lengths(program: Program, choice: tuple[int, int] = _LENGTHS) -> dict[str, int]:
    """A small extent for each symbol; those that the spec gives, by its formula."""
    symbols = {index.extent for info in program.tensors.values() for index in info.indices}
    symbols |= {symbol for symbol, _ in program.axes}
    names = sorted(s for s in symbols if isinstance(s, str) and s != "..." and s not in dict(program.size_defs))
    usual = {"...": 2} | {symbol: choice[position % 2] for position, symbol in enumerate(names)}
    if not program.size_defs:
        return usual
    read = sorted({symbol for _, size in program.size_defs for symbol in _symbols(size)} & set(names))
    # The longest first: a window fits into most of them.
    for choices in product((4, 2), repeat=min(len(read), _FREE)):
        lengths = usual | dict(zip(read, choices, strict=False))
        for symbol, size in program.size_defs:
            lengths[symbol] = _size(size, lengths)
        if all(lengths[symbol] >= 1 for symbol, _ in program.size_defs):
            return lengths
    raise UndecidedError(f"no small sample has a position of {', '.join(symbol for symbol, _ in program.size_defs)}")


def _symbols(size: Size) -> set[str]:
    """The extents that a size is computed from."""
    if size.op == "size":
        return {str(size.args[0])}
    return {symbol for arg in size.args if isinstance(arg, Size) for symbol in _symbols(arg)}


_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "ceil": lambda a, b: -(-a // b),
    "min": min,
}


def _size(size: Size, lengths: dict[str, int]) -> int:
    if size.op == "int":
        return int(size.args[0])
    if size.op == "size":
        return lengths[size.args[0]]
    if size.op == "param":
        return 2
    args = [_size(a, lengths) for a in size.args]
    return -args[0] if len(args) == 1 else _OPERATORS[size.op](*args)
