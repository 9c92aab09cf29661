"""Shapes of matrix formulas: what the user says of the names, and what follows for every part.

A shape is a number of rows and one of columns; each is 1, an index of the user's, or not known yet.  A column has
one column, a row one row, a scalar one of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tensorgrad_gen.elaborate.vocabulary import COMPLEX, POINTWISE
from tensorgrad_gen.errors import nearest, quote, suggest
from tensorgrad_gen.importing.source import Node, Source

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "logsumexp")  # over all entries
SQUARE = ("inv", "det", "logdet", "tr", "trace")
NORMS = ("norm1", "norm2")
FILLED = ("vector", "matrix")
SPELLINGS = {"trace": "tr", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "relu": "relu"}
EACH = frozenset(name for name, row in POINTWISE.items() if row.least == 1 and name not in COMPLEX)
KNOWN = (*REDUCTIONS, *SQUARE, *NORMS, *FILLED, "diag", *SPELLINGS, *sorted(EACH))
GREATEST_POWER = 16


class Extent:
    """One side of a shape; two that must agree become one."""

    def __init__(self, name: str = "") -> None:
        self.name = name  # `1`, an index, or nothing yet
        self.same: Extent | None = None

    @property
    def known(self) -> Extent:
        """What this extent turned out to be."""
        return self if self.same is None else self.same.known

    @property
    def one(self) -> bool:
        return self.known.name == "1"

    def agree(self, other: Extent) -> bool:
        """Make the two one extent; false where they cannot be."""
        mine, its = self.known, other.known
        if mine is its or mine.name == its.name != "":
            return True
        if mine.name and its.name:
            return False
        free, given = (mine, its) if not mine.name else (its, mine)
        free.same = given
        return True


@dataclass(frozen=True, slots=True)
class Shaped:
    """A node with the shape of its value, and its parts with theirs."""

    kind: str
    node: Node
    rows: Extent
    cols: Extent
    parts: tuple[Shaped, ...] = ()

    @property
    def text(self) -> str:
        return self.node.text

    @property
    def scalar(self) -> bool:
        return self.rows.one and self.cols.one

    def show(self) -> str:
        """The shape for a message."""
        if self.scalar:
            return "a scalar"
        rows, cols = (extent.known.name or "?" for extent in (self.rows, self.cols))
        if cols == "1":
            return f"a column of {rows}"
        return f"a row of {cols}" if rows == "1" else f"a matrix of {rows} by {cols}"


def declared(text: str) -> dict[str, tuple[str, ...]]:
    """What `A[i,j] x[j] c` says: the indices of each name."""
    source = Source("--shapes", text)
    out: dict[str, tuple[str, ...]] = {}
    at = 0
    item = re.compile(r"[\s;,]*(?:([A-Za-z_][A-Za-z0-9_]*)(?:\s*\[([A-Za-z0-9_,\s]*)\])?)?")
    while at < len(text):
        match = item.match(text, at)
        assert match is not None
        if match.end() == at:
            raise source.fault("E701", f"{quote(text[at])} is no part of a shape", at, at + 1, "write `A[i,j] x[j] c`")
        at = match.end()
        if match[1] is None:
            continue
        letters = tuple(letter.strip() for letter in (match[2] or "").split(",") if letter.strip())
        if match[1] in out:
            raise source.fault("E315", f"`{match[1]}` has two shapes", *match.span(1))
        if len(letters) > 2:
            raise source.fault(
                "E704", f"`{match[1]}` has more than two indices", *match.span(1), "see --einsum, --latex"
            )
        for letter in letters:
            if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", letter) is None:
                raise source.fault("E311", f"`{letter}` is no index", *match.span(2), "an index is a letter or a name")
        out[match[1]] = letters
    for name, own in out.items():
        if not own and any(name in letters for letters in out.values()):
            place = re.search(rf"\b{name}\b", text)
            raise source.fault("E212", f"`{name}` is a scalar and an index", *(place.span() if place else (0, 1)))
    return out


@dataclass(slots=True)
class Shaper:
    """Finds the shape of every part; raises `SpecError` where shapes do not conform."""

    source: Source
    names: dict[str, tuple[str, ...]]
    used: set[str] = field(default_factory=set)
    extents: dict[str, Extent] = field(default_factory=dict)
    one: Extent = field(default_factory=lambda: Extent("1"))

    def extent(self, letter: str) -> Extent:
        return self.extents.setdefault(letter, Extent(letter))

    def shaped(self, node: Node) -> Shaped:
        """The node with its shape."""
        method: Callable[[Node], Shaped] = getattr(self, f"shape_{node.kind}")
        return method(node)

    def fault(self, message: str, node: Node, help: str | None = None) -> Exception:
        return self.source.fault("E704", message, node.start, node.end, help)

    def shape_number(self, node: Node) -> Shaped:
        return Shaped("number", node, self.one, self.one)

    def shape_name(self, node: Node) -> Shaped:
        name = node.text
        if name not in self.names:
            if name == "eye":
                side = Extent()
                return Shaped("eye", node, side, side)
            if name == "pi":
                return Shaped("number", node, self.one, self.one)
            near = nearest(name, [*self.names, "eye", "pi"])
            remedy = f"did you mean `{near}`?" if near else None
            added = f"say it in --shapes: `{name}[i,j]`, `{name}[i]`, or `{name}` for a scalar"
            raise self.source.fault(
                "E705", f"nothing says the shape of `{name}`", node.start, node.end, remedy or added
            )
        self.used.add(name)
        sides = [self.extent(letter) for letter in self.names[name]]
        rows, cols = [*sides, self.one, self.one][:2]
        return Shaped("name", node, rows, cols)

    def shape_negative(self, node: Node) -> Shaped:
        inside = self.shaped(node.parts[0])
        return Shaped("negative", node, inside.rows, inside.cols, (inside,))

    def shape_transposed(self, node: Node) -> Shaped:
        inside = self.shaped(node.parts[0])
        return Shaped("transposed", node, inside.cols, inside.rows, (inside,))

    # what acts on each entry

    def alike(self, node: Node, sign: str) -> Shaped:
        """Two of one shape, or one of them a scalar."""
        left, right = map(self.shaped, node.parts)
        if left.scalar or right.scalar:
            larger = right if left.scalar else left
            return Shaped(node.kind, node, larger.rows, larger.cols, (left, right))
        if not (left.rows.agree(right.rows) and left.cols.agree(right.cols)):
            transposed = left.rows.known.name == right.cols.known.name and left.cols.known.name == right.rows.known.name
            remedy = "transpose one of them: `x'`" if transposed else "see --shapes"
            message = f"`{sign}` needs two of one shape: {left.show()}, and {right.show()}"
            raise self.fault(message, node, remedy)
        return Shaped(node.kind, node, left.rows, left.cols, (left, right))

    def shape_plus(self, node: Node) -> Shaped:
        return self.alike(node, "+")

    def shape_minus(self, node: Node) -> Shaped:
        return self.alike(node, "-")

    def shape_each_product(self, node: Node) -> Shaped:
        return self.alike(node, ".*")

    def shape_each_quotient(self, node: Node) -> Shaped:
        return self.alike(node, "./")

    def shape_each_power(self, node: Node) -> Shaped:
        return self.alike(node, ".^")

    # products

    def shape_product(self, node: Node) -> Shaped:
        left, right = map(self.shaped, node.parts)
        if left.scalar or right.scalar:
            larger = right if left.scalar else left
            return Shaped("each_product", node, larger.rows, larger.cols, (left, right))
        if not left.cols.agree(right.rows):
            columns = left.cols.one and right.cols.one
            remedy = "`x'*y` for a number, `x*y'` for a matrix, `x.*y` for each entry" if columns else "see --shapes"
            raise self.fault(f"this product does not conform: {left.show()}, times {right.show()}", node, remedy)
        return Shaped("product", node, left.rows, right.cols, (left, right))

    def shape_quotient(self, node: Node) -> Shaped:
        above, below = map(self.shaped, node.parts)
        if not below.scalar:
            remedy = "`x./y` for each entry, `x*inv(A)` for a matrix"
            raise self.fault(f"`/` divides by a scalar, not by {below.show()}", node.parts[1], remedy)
        return Shaped("each_quotient", node, above.rows, above.cols, (above, below))

    def shape_solved(self, node: Node) -> Shaped:
        matrix, right = map(self.shaped, node.parts)
        self.square(matrix, "\\")
        if not matrix.rows.agree(right.rows):
            raise self.fault(f"this does not conform: {matrix.show()}, and {right.show()}", node, "see --shapes")
        return Shaped("solved", node, matrix.cols, right.cols, (matrix, right))

    def shape_power(self, node: Node) -> Shaped:
        base = self.shaped(node.parts[0])
        exponent = node.parts[1]
        if exponent.kind == "name" and exponent.text == "T" and "T" not in self.names:
            return self.shape_transposed(node)
        if base.scalar:
            power = self.shaped(exponent)
            if not power.scalar:
                raise self.fault(f"an exponent is a scalar, not {power.show()}", exponent)
            return Shaped("each_power", node, self.one, self.one, (base, power))
        if base.rows.one or base.cols.one:
            raise self.fault(
                f"`^` is of a scalar or a square matrix, not of {base.show()}", node, "for each entry: `x.^2`"
            )
        self.square(base, "^")
        if exponent.kind == "negative" and exponent.parts[0].text == "1":
            return Shaped("inv", node, base.cols, base.rows, (base,))
        if re.fullmatch("[0-9]+", exponent.text) is None or not 1 <= int(exponent.text[:4]) <= GREATEST_POWER:
            message = f"a matrix has powers -1 and 1 to {GREATEST_POWER}"
            raise self.fault(message, exponent, "for each entry: `A.^k`")
        out = base
        for _ in range(int(exponent.text) - 1):
            out = Shaped("product", node, out.rows, base.cols, (out, base))
        return out

    def square(self, of: Shaped, what: str) -> None:
        if not of.rows.agree(of.cols):
            raise self.fault(f"`{what}` is of a square matrix, not of {of.show()}", of.node, "a square one is `A[i,i]`")

    # functions

    def shape_call(self, node: Node) -> Shaped:
        name = SPELLINGS.get(node.text, node.text)
        if len(node.parts) != 1:
            message = f"`{node.text}` takes one argument"
            raise self.source.fault("E313", message, node.start, node.end, suggest(node.text, KNOWN))
        if node.text in self.names:
            raise self.fault(f"`{node.text}` is no function", node, f"write `{node.text}*(...)` for the product")
        if name in FILLED:
            return self.filled(node, name)
        inside = self.shaped(node.parts[0])
        if name in EACH:
            return Shaped("each", node, inside.rows, inside.cols, (inside,))
        if name in REDUCTIONS:
            return Shaped(name, node, self.one, self.one, (inside,))
        if name in NORMS:
            if name == "norm1" and not (inside.rows.one or inside.cols.one):
                raise self.fault("there are several norms of that name of a matrix", node, "write `sum(abs(A))`")
            return Shaped(name, node, self.one, self.one, (inside,))
        if name in SQUARE:
            self.square(inside, node.text)
            if name == "inv":
                return Shaped("inv", node, inside.cols, inside.rows, (inside,))
            return Shaped(name, node, self.one, self.one, (inside,))
        if name == "diag":
            return self.diagonal(node, inside)
        raise self.source.fault("E302", f"unknown function `{node.text}`", node.start, node.end, suggest(name, KNOWN))

    def filled(self, node: Node, name: str) -> Shaped:
        inside = self.shaped(node.parts[0])
        if not inside.scalar:
            raise self.fault(f"`{name}` is filled with a number, not with {inside.show()}", node, "write `vector(1)`")
        return Shaped("filled", node, Extent(), self.one if name == "vector" else Extent(), (inside,))

    def diagonal(self, node: Node, inside: Shaped) -> Shaped:
        """A column becomes a matrix, a square matrix a column."""
        if inside.rows.one or inside.cols.one:
            side = inside.cols if inside.rows.one else inside.rows
            return Shaped("spread", node, side, side, (inside,))
        self.square(inside, "diag")
        return Shaped("diagonal", node, inside.rows, self.one, (inside,))


def unknown(of: Shaped) -> Shaped | None:
    """The first part whose shape nothing gives."""
    if not (of.rows.known.name and of.cols.known.name):
        return next((found for part in of.parts if (found := unknown(part)) is not None), of)
    return next((found for part in of.parts if (found := unknown(part)) is not None), None)


def unused(names: Collection[str], used: Collection[str]) -> str | None:
    """The first name that the formula has not."""
    return next((name for name in names if name not in used), None)
