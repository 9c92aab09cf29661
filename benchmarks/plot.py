"""The plot docs/benchmarks.svg: how long the generated op takes in multiples of each peer, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.measure import Record

COLOURS = {
    "E": "#0072b2",
    "N": "#d55e00",
    "C": "#009e73",
    "J": "#cc79a7",
    "F": "#56b4e9",
    "H": "#e69f00",
    "D": "#999999",
    "L": "#f0e442",
    "S": "#000000",
}
LEFT, RIGHT, LINE, TOP = 300, 760, 18, 40
TICKS = (0.001, 0.01, 0.1, 1.0, 10.0)


def plot(rows: Sequence[Record]) -> str:
    """A line a row, a point a peer: left of the middle line, the generated op is faster."""
    bottom = TOP + LINE * len(rows)
    extent = f'width="{RIGHT + 40}" height="{bottom + 40}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {extent} font-family="sans-serif" font-size="11">',
        f'<rect {extent} fill="white"/>',
        *(_tick(value, bottom) for value in TICKS),
    ]
    for number, row in enumerate(rows):
        parts += _line(row, TOP + LINE * number + LINE // 2)
    parts.append(f'<text x="{LEFT}" y="{bottom + 32}">time, in multiples of the peer</text>')
    parts += _legend([peer for peer in COLOURS if any(peer in row["ratios"] for row in rows)])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(value: float) -> float:
    low, high = math.log10(TICKS[0]), math.log10(TICKS[-1])
    share = (math.log10(min(max(value, TICKS[0]), TICKS[-1])) - low) / (high - low)
    return round(LEFT + share * (RIGHT - LEFT), 1)


def _tick(value: float, bottom: int) -> str:
    colour = "black" if value == 1 else "#cccccc"
    return (
        f'<line x1="{_x(value)}" x2="{_x(value)}" y1="{TOP}" y2="{bottom}" stroke="{colour}"/>'
        f'<text x="{_x(value)}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
    )


def _line(row: Record, y: int) -> list[str]:
    title = escape(f"{row['name']} {'×'.join(map(str, row['sizes']))}")
    return [
        f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{title}</text>',
        *(
            f'<g stroke="{COLOURS[peer]}" fill="{COLOURS[peer]}"><title>{peer} {middle:.3g}</title>'
            f'<line x1="{_x(low)}" x2="{_x(high)}" y1="{y}" y2="{y}"/><circle cx="{_x(middle)}" cy="{y}" r="4"/></g>'
            for peer, (middle, low, high) in row["ratios"].items()
        ),
    ]


def _legend(peers: Sequence[str]) -> list[str]:
    return [
        f'<circle cx="{LEFT + 50 * place}" cy="20" r="4" fill="{COLOURS[peer]}"/>'
        f'<text x="{LEFT + 50 * place + 8}" y="24">{peer}</text>'
        for place, peer in enumerate(peers)
    ]
