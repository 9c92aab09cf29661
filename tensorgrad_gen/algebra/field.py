"""Exact arithmetic modulo the prime 2^61 - 1, with opaque atoms for what is transcendental.

The sign of a residue is its Legendre symbol: -1 is no square modulo this prime, so signs multiply, a
number and its opposite have opposite signs, and the root of a square is an absolute value.
"""

from __future__ import annotations

from hashlib import blake2b

PRIME = 2**61 - 1


class NoValueError(Exception):
    """The sample gives an expression no value: a division by 0, a root of what is no square."""


def atom(*parts: object) -> int:
    """A residue that looks random and depends on nothing but `parts`."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=16).digest(), "big") % PRIME


def reciprocal(value: int) -> int:
    """The residue whose product with `value` is 1."""
    if value % PRIME == 0:
        raise NoValueError("division by 0")
    return pow(value, PRIME - 2, PRIME)


def sign(value: int) -> int:
    """1, 0 or -1."""
    symbol = pow(value, (PRIME - 1) // 2, PRIME)
    return -1 if symbol == PRIME - 1 else symbol


def root(value: int) -> int:
    """The square root that is itself a square: `root(u)^2 = u`, `root(u^2) = |u|`."""
    if sign(value) < 0:
        raise NoValueError("root of a negative number")
    return pow(value, (PRIME + 1) // 4, PRIME)


def integer_power(value: int, exponent: int) -> int:
    """`value ^ exponent`."""
    return pow(value, exponent, PRIME) if exponent >= 0 else pow(reciprocal(value), -exponent, PRIME)


Matrix = list[list[int]]


def determinant(rows: Matrix) -> int:
    """The determinant of a square matrix."""
    matrix = [list(row) for row in rows]
    result = 1
    for column in range(len(matrix)):
        pivot = next((r for r in range(column, len(matrix)) if matrix[r][column]), None)
        if pivot is None:
            return 0
        if pivot != column:
            matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
            result = -result
        result = result * matrix[column][column] % PRIME
        scale = reciprocal(matrix[column][column])
        for below in matrix[column + 1 :]:
            factor = below[column] * scale
            below[:] = [(a - factor * b) % PRIME for a, b in zip(below, matrix[column], strict=True)]
    return result % PRIME


def matrix_product(a: Matrix, b: Matrix) -> Matrix:
    """The product of two matrices."""
    return [[sum(x * y for x, y in zip(row, col)) % PRIME for col in zip(*b, strict=True)] for row in a]


def inverse_matrix(rows: list[list[int]]) -> list[list[int]]:
    """The inverse of a square matrix, by elimination beside the identity."""
    size = len(rows)
    matrix = [[*row, *(int(r == c) for c in range(size))] for r, row in enumerate(rows)]
    for column in range(size):
        pivot = next((r for r in range(column, size) if matrix[r][column]), None)
        if pivot is None:
            raise NoValueError("inverse of a singular matrix")
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        scale = reciprocal(matrix[column][column])
        matrix[column] = [a * scale % PRIME for a in matrix[column]]
        for other in range(size):
            factor = matrix[other][column]
            if other != column and factor:
                matrix[other] = [(a - factor * b) % PRIME for a, b in zip(matrix[other], matrix[column], strict=True)]
    return [row[size:] for row in matrix]
