"""A plot of lines over logarithmic axes, as SVG text: the same numbers make the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 70, 210, 44, 52
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#444444")
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis: positive numbers to places on the paper."""

    label: str
    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where the number stands."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """1, 2 and 5 times the powers of ten inside; the powers alone where there are many."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(powers) < 6 else (1,)
        return [m * 10.0**k for k in powers for m in steps if self.low <= m * 10.0**k * (1 + 1e-9) <= self.high * 1.001]


def _axis(label: str, values: Iterable[float], start: float, end: float) -> Axis:
    """An axis that has room for the values, a tenth beyond them."""
    numbers = sorted(values)
    return Axis(label, numbers[0] / 1.1, numbers[-1] * 1.1, start, end)


def lines(title: str, across: str, up: str, series: Mapping[str, Points]) -> str:
    """A line for each series of (x, y) with a dot at each point; `across` and `up` say what the axes are."""
    x = _axis(across, (x for points in series.values() for x, _ in points), LEFT, WIDTH - RIGHT)
    y = _axis(up, (y for points in series.values() for _, y in points), HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 24, title, "start", 15),
        *_grid(x, y),
    ]
    for k, (name, points) in enumerate(series.items()):
        colour = COLOURS[k % len(COLOURS)]
        places = [(x.place(a), y.place(b)) for a, b in sorted(points)]
        path = " ".join(f"{a},{b}" for a, b in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a}" cy="{b}" r="3" fill="{colour}"/>' for a, b in places]
        level = TOP + 14 + 20 * k
        parts.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{level - 9}" width="12" height="10" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 32, level, name, "start"))
    return "\n".join((*parts, "</svg>")) + "\n"


def _grid(x: Axis, y: Axis) -> list[str]:
    """Lines and numbers at the ticks, and what the axes are."""
    parts = []
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(f'<line x1="{at}" y1="{TOP}" x2="{at}" y2="{HEIGHT - BOTTOM}" stroke="#dddddd"/>')
        parts.append(_text(at, HEIGHT - BOTTOM + 18, f"{tick:g}", "middle"))
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(f'<line x1="{LEFT}" y1="{at}" x2="{WIDTH - RIGHT}" y2="{at}" stroke="#dddddd"/>')
        parts.append(_text(LEFT - 8, at + 4, f"{tick:g}", "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x.label, "middle"))
    parts.append(f'<g transform="rotate(-90 18 {HEIGHT / 2})">{_text(18, HEIGHT / 2, y.label, "middle")}</g>')
    return parts


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
