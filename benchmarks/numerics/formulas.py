"""What a row of the table of stable forms is: a formula, and the points that it is evaluated at.

Law: `plain` is evaluated as it stands in torch, in jax.numpy and in mpmath, so that all columns have the same spelling.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Each is a number of bfloat16 too, the nearest to 1e-6, 1e-4, 1, 20, 88, 200 and 1e4: both precisions read the same.
SIZES = (2.0**-20, 105 * 2.0**-20, 1.0, 20.0, 88.0, 200.0, 9984.0)
POSITIVE = SIZES
NOT_NEGATIVE = (0.0, *SIZES)
NEGATIVE = tuple(-size for size in SIZES)
NONZERO = (*SIZES, *NEGATIVE)
REAL = (0.0, *NONZERO)
SMALL = tuple(x for x in REAL if abs(x) <= 1)
BELOW_ONE = tuple(x for sign in (1, -1) for x in (sign * SIZES[0], sign * SIZES[1], sign * 0.5, sign * (1 - 2.0**-8)))
SHARP = (-1.0, 1.0, 20.0, 88.0, 200.0, 9984.0)
# Cotangents of a vector and directions of second derivatives: exact, no two alike.
COTANGENT, DIRECTION = (1.0, -2.0, 0.5, 0.25), (1.0, 0.5, -2.0, 0.25)
SHAPE, OTHER = (1.0, -0.5, 0.25), (0.5, 0.25, -1.0)
# A value, and a list for each input: the gradient and its derivative along the direction.
Numbers = list[list[list[float]]]


@dataclass(frozen=True)
class Row:
    """A formula: equations of a spec, `plain` for arrays, the libraries' own ops, the points.

    `at` has a number or a list of numbers for each input of each point; `fixed` inputs are not differentiated.
    An error is relative to `unit`, where the exact number is smaller: for sums of probabilities, that is 1.
    """

    name: str
    equations: str
    plain: str
    torch: str = ""
    jax: str = ""
    at: tuple[tuple[float | tuple[float, ...], ...], ...] = tuple((x,) for x in REAL)
    inputs: str = "x: [i]"
    fixed: dict[str, float | int | tuple[float, ...]] = field(default_factory=dict)
    unit: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that are differentiated."""
        return ("x", "z")[: len(self.at[0])]

    @property
    def pointwise(self) -> bool:
        """Whether all points may stand in one tensor."""
        return not isinstance(self.at[0][0], tuple)

    @property
    def result(self) -> str:
        """The tensor that the last equation defines."""
        return self.equations.rsplit(";", 1)[-1].strip()[0]

    @property
    def spec(self) -> str:
        """The text of the spec."""
        lines = "".join(f"  {line.strip()}\n" for line in self.equations.split(";"))
        return f"op: row\ndoc: A row.\ninputs: {{{self.inputs}}}\nequations: |\n{lines}outputs: [{self.result}]\n"


def formula(text: str, names: dict[str, Any]) -> Callable[..., Any]:
    """`a = ...; b = ...; result` as a function of named arrays, in the functions that `names` has."""
    *lines, result = (line.strip() for line in text.split(";"))
    code = [(line.split(" = ")[0], compile(line.split(" = ", 1)[1], text, "eval")) for line in lines]
    last = compile(ast.parse(result, mode="eval"), text, "eval")

    def function(**arrays: Any) -> Any:
        known = dict(arrays)
        for name, value in code:
            known[name] = eval(value, names, known)  # noqa: S307 - the text is that of our own rows
        return eval(last, names, known)  # noqa: S307

    return function


def along(n: int, k: int) -> float:
    """The direction of second derivatives in component k of input n."""
    return DIRECTION[(k + n) % len(DIRECTION)]


def each(numbers: tuple[float, ...]) -> tuple[tuple[float], ...]:
    """Points of one number."""
    return tuple((x,) for x in numbers)


def rows_of(numbers: tuple[float, ...]) -> tuple[tuple[tuple[float, ...]], ...]:
    """Points of one vector, a multiple of (1, -1/2, 1/4)."""
    return tuple((tuple(x * c for c in SHAPE),) for x in numbers)


def pairs_of(numbers: tuple[float, ...]) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Points of two vectors."""
    return tuple((tuple(x * c for c in SHAPE), tuple(x * c for c in OTHER)) for x in numbers)
