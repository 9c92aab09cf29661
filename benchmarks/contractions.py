"""A grid of contractions of two operands: patterns, each with tiny, tall, wide and square shapes, long and short.

`ij,jk->ik + k` is the contraction added to a tensor of these axes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A contraction, one letter an axis, and the extents."""

    pattern: str
    formula: str
    sizes: dict[str, int]

    @property
    def operands(self) -> tuple[str, str]:
        """The axes of both operands."""
        left, right = self.formula.split("->")[0].split(",")
        return left, right

    @property
    def out(self) -> str:
        """The axes of the result."""
        return self.formula.split("->")[1].split(" + ")[0]

    @property
    def added(self) -> str:
        """The axes of what the contraction is added to, if it is added to something."""
        return self.formula.partition(" + ")[2]

    @property
    def shown(self) -> str:
        """The extents as text."""
        return " ".join(f"{name}{size}" for name, size in self.sizes.items())


# pattern, formulas, and extents of the letters.
_TABLE: tuple[tuple[str, tuple[str, ...], tuple[dict[str, int], ...]], ...] = (
    (
        "no contracted index",
        ("i,j->ij", "bh,h->bh", "bh,b->bh"),
        ({"b": 8, "h": 8, "i": 8, "j": 8}, {"b": 2048, "h": 512, "i": 512, "j": 2048}),
    ),
    (
        "elementwise",
        ("bh,bh->b", "bh,bh->h", "i,i->", "bh,bh->"),
        ({"b": 8, "h": 8, "i": 8}, {"b": 4096, "h": 512, "i": 100_000}, {"b": 256, "h": 4096, "i": 1000}),
    ),
    (
        "matrix and vector",
        ("ij,j->i", "ij,i->j", "bij,j->bi", "bij,bj->bi", "bij,bi->bj", "bij,ij->b"),
        (
            {"b": 4, "i": 8, "j": 8},
            {"b": 32, "i": 1024, "j": 64},
            {"b": 32, "i": 64, "j": 1024},
            {"b": 512, "i": 64, "j": 16},
            {"b": 50_000, "i": 3, "j": 3},
        ),
    ),
    (
        "matrix product",
        ("ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ij,jk->ki"),
        (
            {"i": 8, "j": 8, "k": 8},
            {"i": 512, "j": 512, "k": 512},
            {"i": 4096, "j": 64, "k": 64},
            {"i": 64, "j": 4096, "k": 64},
            {"i": 1024, "j": 4, "k": 1024},
        ),
    ),
    (
        "batched matrix product",
        ("bij,bjk->bik", "bij,bkj->bik", "bji,bjk->bik", "ijb,jkb->ikb"),
        (
            {"b": 4, "i": 8, "j": 8, "k": 8},
            {"b": 64, "i": 128, "j": 128, "k": 64},
            {"b": 16, "i": 512, "j": 4, "k": 512},
            {"b": 16, "i": 64, "j": 2048, "k": 64},
        ),
    ),
    (
        "two batch axes",
        ("bhid,bhjd->bhij", "bhij,bhjd->bhid", "bihd,bjhd->bhij"),
        ({"b": 2, "h": 2, "i": 8, "j": 8, "d": 8}, {"b": 4, "h": 8, "i": 256, "j": 256, "d": 64}),
    ),
    (
        "rows of a matrix",
        ("bti,io->bto", "bti,bto->io", "bij,oij->bo", "bo,oij->bij"),
        (
            {"b": 2, "t": 4, "i": 8, "j": 8, "o": 8},
            {"b": 16, "t": 256, "i": 256, "j": 16, "o": 256},
            {"b": 64, "t": 16, "i": 32, "j": 32, "o": 1024},
        ),
    ),
    (
        "product in a sum",
        ("ij,jk->ik + ik", "ij,kj->ik + k", "ji,jk->ik + ik"),
        (
            {"i": 8, "j": 8, "k": 8},
            {"i": 512, "j": 512, "k": 512},
            {"i": 4096, "j": 64, "k": 64},
            {"i": 1024, "j": 4, "k": 1024},
        ),
    ),
    (
        "batched product in a sum",
        ("bij,bjk->bik + bik", "bti,oi->bto + o"),
        (
            {"b": 4, "i": 8, "j": 8, "k": 8, "t": 8, "o": 8},
            {"b": 16, "i": 256, "j": 64, "k": 256, "t": 256, "o": 256},
        ),
    ),
    (
        "several axes of either operand",
        ("bgrij,bgje->bgrie", "bgrij,bgrie->bgje", "aqsni,pia->npqs", "bsk,nijk->bsnij"),
        (
            dict(zip("bgrijeaqsnpk", (2, 2, 2, 8, 8, 8, 4, 4, 4, 4, 4, 4), strict=True)),
            dict(zip("bgrijeaqsnpk", (2, 4, 4, 64, 64, 32, 8, 16, 16, 32, 16, 16), strict=True)),
        ),
    ),
)

GRID = [
    Case(pattern, formula, {c: extents[c] for c in dict.fromkeys(formula) if c in extents})
    for pattern, formulas, shapes in _TABLE
    for formula in formulas
    for extents in shapes
]
