"""The ranges of indices that read an axis with an offset or a stride, and what reads outside (language, section 8).

Such an index runs over 0..n-1, the largest range that keeps every access of it inside, plain
ones to the same axis included; unless something else gives its extent.
"""

from __future__ import annotations

from dataclasses import dataclass

from tensorgrad_gen.elaborate.extents import Key
from tensorgrad_gen.elaborate.names import Names
from tensorgrad_gen.elaborate.poly import Poly, atom, integer, renamed
from tensorgrad_gen.elaborate.positions import Position, extent
from tensorgrad_gen.elaborate.scope import Scope
from tensorgrad_gen.errors import Span, quote
from tensorgrad_gen.ir import Size


def resolve(scopes: list[Scope], names: Names) -> None:
    """Give every window's index its range, then report what certainly reads outside."""
    for scope in scopes:
        _plain_reads(scope, names)
        waiting = [letter for letter in scope.indices if _ranged(letter, scope)]
        progress = True
        while waiting and progress:
            progress = False
            for letter in list(waiting):
                if _give_range(letter, scope, names):
                    waiting.remove(letter)
                    progress = True
        for letter in waiting:
            _join_deferred(letter, scope, names)
        for position, axis in scope.windows:
            _check_inside(position, axis, scope, names)


def _ranged(letter: str, scope: Scope) -> bool:
    """Whether a letter reads an axis at an offset and nothing else gives its extent."""
    reads = any(letter in dict(p.coefficients) and p.wrapper is None for p, _ in scope.windows)
    return reads and scope.names.extents.extent(scope.key(letter)) is None


def _plain_reads(scope: Scope, names: Names) -> None:
    """An index that also reads an axis plainly, other than those it reads at an offset, is as long as that axis."""
    find = names.extents.find
    for letter in {letter: None for letter, _, _ in scope.deferred}:
        windowed = {find(axis) for p, axis in scope.windows if letter in dict(p.coefficients) and p.wrapper is None}
        own = [(axis, span) for found, axis, span in scope.deferred if found == letter]
        if all(find(axis) in windowed for axis, _ in own):
            continue
        for axis, span in own:
            _join(letter, axis, span, scope, names)
    if scope.deferred:
        unknown = [(i, a, s) for i, a, s in scope.deferred if names.extents.extent(scope.key(i)) is None]
        scope.deferred[:] = unknown


def _join(letter: str, axis: Key, span: Span, scope: Scope, names: Names) -> None:
    if not names.extents.join(scope.key(letter), axis):
        message = f"index `{letter}` has extent {names.extents.extent(scope.key(letter))}, but this axis another"
        names.report.error("E403", message, span)


def _join_deferred(letter: str, scope: Scope, names: Names) -> None:
    for found, axis, span in scope.deferred:
        if found == letter:
            _join(letter, axis, span, scope, names)


def _give_range(letter: str, scope: Scope, names: Names) -> bool:
    """Whether the range of a letter could be found, or is reported: not while another letter's is unknown."""
    bounds = [_Bound(extent(axis) - integer(1), integer(1)) for found, axis, _ in scope.deferred if found == letter]
    for position, axis in scope.windows:
        if letter not in dict(position.coefficients) or position.wrapper is not None:
            continue
        others = [other for other, _ in position.coefficients if other != letter]
        if any(names.extents.extent(scope.key(other)) is None for other in others):
            return False
        bound = _bound(letter, position, axis, scope)
        if bound is None:
            message = f"the sign of the coefficient of `{letter}` is not known"
            names.report.error("E207", message, position.span)
            scope.unranged.add(letter)
            return True
        bounds.append(bound)
    smallest = _smallest([_Bound(_canonical(b.room, names), _canonical(b.step, names)) for b in bounds])
    if smallest is None:
        message = f"the range of `{letter}` is the smaller of several that cannot be compared"
        remedy = f"set it under `sizes`: `N: {{index: {letter}, extent: ...}}`"
        names.report.error("E901", f"{message}: not built yet", scope.indices[letter], remedy)
        scope.unranged.add(letter)
        return True
    if (-smallest).at_least_zero():
        message = f"no range of `{letter}` keeps every access of it inside"
        names.report.error("E402", message, scope.indices[letter], "`pad(...)` reads zero outside")
        scope.unranged.add(letter)
        return True
    _name_range(letter, smallest, scope, names)
    return True


@dataclass(frozen=True, slots=True)
class _Bound:
    """How far a letter may go in one access: `room // step + 1` places."""

    room: Poly
    step: Poly

    @property
    def extent(self) -> Poly:
        return self.room // self.step + integer(1)

    def at_most(self, other: _Bound) -> bool:
        """Whether it surely is no larger: with one step, the one with less room is not."""
        if self.step == other.step and (other.room - self.room).at_least_zero():
            return True
        return (other.extent - self.extent).at_least_zero()


def _bound(letter: str, position: Position, axis: Key, scope: Scope) -> _Bound | None:
    """The bound that keeps one access inside."""
    step = dict(position.coefficients)[letter]
    low, high = _reach(position, scope, without=letter)
    if step.sign == 1:
        top = extent(axis) * integer(position.divisor) - integer(1)
        return _Bound(top - high, step)
    return None if step.sign is None else _Bound(low, -step)


def _reach(position: Position, scope: Scope, without: str | None = None) -> tuple[Poly, Poly]:
    """The smallest and the largest value of a position before it is divided, one letter left at 0."""
    low = high = position.constant
    for letter, step in position.coefficients:
        if letter != without:
            last = step * (extent(scope.key(letter)) - integer(1))
            low = low if step.sign == 1 else low + last
            high = high if step.sign == -1 else high + last
    return low, high


def _canonical(poly: Poly, names: Names) -> Poly:
    """The polynomial with each extent named by its class."""

    def change(part: Size) -> Poly:
        if part.op == "size":
            return extent(names.extents.find(part.args[0]))
        return atom(renamed(part, names.extents.find))

    return poly.mapped(change)


def _smallest(bounds: list[_Bound]) -> Poly | None:
    for bound in bounds:
        if all(bound.at_most(other) for other in bounds):
            return bound.extent
    return None


def _name_range(letter: str, value: Poly, scope: Scope, names: Names) -> None:
    if value.number is not None:
        names.extents.join(scope.key(letter), value.number)
        return
    (monomial, count), *more = value.terms
    if not more and count == 1 and len(monomial) == 1 and monomial[0].op == "size":
        names.extents.join(scope.key(letter), monomial[0].args[0])
        return
    symbol, number = letter, 1
    while symbol in names.extents.sources or (symbol in names.letters and scope.key(letter) != symbol):
        number += 1
        symbol = f"{letter}{number}"
    names.extents.declare(symbol)
    names.extents.join(scope.key(letter), symbol)
    names.ranges[symbol] = value


def _check_inside(position: Position, axis: Key, scope: Scope, names: Names) -> None:
    """Report a position that certainly leaves its axis; what may leave it is found when it is run."""
    if position.wrapper is not None or scope.masks or scope.unranged.intersection(dict(position.coefficients)):
        return
    low, high = (_canonical(end, names) for end in _reach(position, scope))
    top = _canonical(extent(axis) * integer(position.divisor), names)
    text = quote(names.slice(position.span))
    if (-low - integer(1)).at_least_zero():
        remedy = "`pad(...)` reads zero outside, `clamp(...)` the edge, `mod(...)` wraps around"
        names.report.error("E402", f"{text} is negative at its first position", position.span, remedy)
    elif (high - top).at_least_zero():
        remedy = "read zero outside with `pad(...)`, or use a letter that is not declared: its range is what fits"
        parts = (names.part_of_axis(letter) for letter, _ in position.coefficients)
        said, instead = next((part for part in parts if part[0]), ("", ""))
        remedy = f"{said}; {instead}" if said else remedy
        names.report.error("E402", f"{text} reads beyond the end of the axis", position.span, remedy)
