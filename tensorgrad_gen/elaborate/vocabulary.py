"""The words of the language: what stands before brackets, and how many arguments it takes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tensorgrad_gen.functions import FUNCTIONS as TABLE

SPECIAL_TENSORS = ("one", "delta", "levi_civita")
SPECIAL_NUMBERS = ("pi", "inf")


@dataclass(frozen=True, slots=True)
class Signature:
    """How many arguments a function takes; `defaults` fill the last ones."""

    least: int
    most: int | None  # None: any number
    defaults: tuple[Fraction, ...] = ()


COMPLEX = ("complex", "conj", "real", "imag", "angle")  # what makes complex numbers, and what splits them

# What can be called in an equation: the table of functions, `max` and `min` of any number, `where`.
POINTWISE: dict[str, Signature] = {
    **{row.name: Signature(*row.arity, row.defaults) for row in TABLE.values() if not row.internal},
    "max": Signature(2, None),
    "min": Signature(2, None),
    "where": Signature(3, 3),
}

# Reductions and scans: how many arguments each takes, the optional ones' values filled in.
REDUCTIONS: dict[str, Signature] = {
    **{
        name: Signature(1, 1)
        for name in ("sum", "mean", "prod", "max", "min", "logsumexp", "any", "all", "argmax", "argmin")
    },
    "norm": Signature(1, 2, (Fraction(2),)),
    "var": Signature(1, 2, (Fraction(0),)),
    "std": Signature(1, 2, (Fraction(0),)),
}
SCANS: dict[str, Signature] = {
    name: Signature(1, 1) for name in ("softmax", "log_softmax", "cumsum", "cumprod", "flip", "sort", "argsort")
}
ONE_INDEX_SCANS = ("cumsum", "cumprod", "flip", "sort", "argsort")
BOUND = {**REDUCTIONS, **SCANS}
ONE_INDEX = ("argmax", "argmin", *ONE_INDEX_SCANS)
CONDITION_REDUCTIONS = ("any", "all")
LABEL_REDUCTIONS = ("argmax", "argmin", "argsort")  # whose value is a label

MATRIX_FUNCTIONS: dict[str, Signature] = {
    **{name: Signature(1, 1) for name in ("inv", "pinv", "cholesky", "matrix_sqrt", "matrix_exp")},
    **{name: Signature(1, 1) for name in ("eigvalsh", "svdvals", "det", "logdet", "slogdet_sign")},
    "solve": Signature(2, 2),
}
SCALAR_MATRIX_FUNCTIONS = ("det", "logdet", "slogdet_sign")

SUBSCRIPT_FUNCTIONS = ("pad", "clamp", "mod")

# Names that no tensor, param, size or function of the user's may have.
RESERVED = frozenset(
    (
        *(*SPECIAL_TENSORS, *SPECIAL_NUMBERS, "size", "where", "pad", "clamp", "mod", "and", "or", "not"),
        *(*POINTWISE, *BOUND, *MATRIX_FUNCTIONS),
    )
)
FUNCTIONS = tuple(sorted({*POINTWISE, *BOUND, *MATRIX_FUNCTIONS, "size"}))
