"""The laws of matrix functions, to the second order: each is the limit of differences of what it differentiates."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad_gen.algebra import simplify
from tensorgrad_gen.derive import jacobian
from tensorgrad_gen.ir import Access, Expr, Index, Linalg, Position, add
from tensorgrad_gen.reference import Env, evaluate_expr
from tensorgrad_gen.reference.values import Value, spread

i, j, k = (Index(name, "n") for name in "ijk")
c = Index("c", "m")
n = Index("k", "least")
AT = (Index("p", "n"), Index("q", "n")), (Index("r", "n"), Index("s", "n"))
WIDE = (Index("p", "n"), Index("q", "m")), (Index("r", "n"), Index("s", "m"))
SYMMETRIC = add(Access("x", (i, j)), Access("x", (j, i)))
STEP = 1e-5

FUNCTIONS = {
    "inverse": (Linalg("inverse", Access("x", (i, j)), (i,), (j,), None), AT),
    "pinv": (Linalg("pinv", Access("x", (i, c)), (i,), (c,), None), WIDE),
    "det": (Linalg("det", Access("x", (i, j)), (i,), (j,), None), AT),
    "logdet": (Linalg("logdet", Access("x", (i, j)), (i,), (j,), None), AT),
    "solve": (Linalg("solve", Access("x", (i, j)), (i,), (j,), Access("v", (i,))), AT),
    "cholesky": (Linalg("cholesky", SYMMETRIC, (i,), (j,), None), AT),
    "matrix_sqrt": (Linalg("matrix_sqrt", Access("x", (i, j)), (i,), (j,), None), AT),
    "eigenvalues": (Linalg("eigenvalues", SYMMETRIC, (i,), (j,), None), AT),
    "matrix_exp": (Linalg("matrix_exp", Access("x", (i, j)), (i,), (j,), None), AT),
    "exp_change": (Linalg("exp_change", Access("x", (i, j)), (i,), (j,), Access("x", (j, i))), AT),
    "tall singular_values": (Linalg("singular_values", Access("x", (i, c)), (i,), (c,), Position(n)), WIDE),
    "wide singular_values": (Linalg("singular_values", Access("x", (i, c)), (c,), (i,), Position(n)), WIDE),
    "left_vectors": (Linalg("left_vectors", Access("x", (i, c)), (i,), (c,), Position(n)), WIDE),
    "right_vectors": (Linalg("right_vectors", Access("x", (i, c)), (i,), (c,), Position(n)), WIDE),
}


def value(expr: Expr, order: tuple[Index, ...], x: np.ndarray) -> np.ndarray:
    extents = {"n": x.shape[0], "m": x.shape[1], "least": min(x.shape), 2: 2}
    env = Env({"x": x, "v": np.array([0.3, -1.2, 0.7])}, {}, extents)
    return spread(Value(*evaluate_expr(expr, env)), order, env)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_derivatives_are_limits_of_differences(name: str) -> None:
    function, (at, again) = FUNCTIONS[name]
    rng = np.random.default_rng(3)
    columns = 2 if at is WIDE[0] else 3
    size = 0.5 if name == "exp_change" else 3
    x = rng.standard_normal((3, columns)) + size * np.eye(3, columns) * np.arange(1, 4)[:, None]
    own = tuple(index for index in (i, j, c, n) if index in function.free)
    first = jacobian(function, "x", at)
    second = jacobian(simplify(first), "x", again)
    for expr, order, derivative, by in ((function, own, first, at), (first, (*own, *at), second, again)):
        got = value(derivative, (*order, *by), x)
        for place in np.ndindex(x.shape):
            change = np.zeros_like(x)
            change[place] = STEP
            want = (value(expr, order, x + change) - value(expr, order, x - change)) / (2 * STEP)
            np.testing.assert_allclose(got[(..., *place)], want, rtol=2e-6, atol=2e-8)
