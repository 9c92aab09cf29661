"""The column of JAX, computed by a Python that has jax: `PYTHON -m benchmarks.numerics.with_jax` prints it as JSON.

Law: the same points, cotangents and directions as in torch; eager, 32 bits, on a CPU. Nothing of torch is imported.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import Any

import jax  # type: ignore[import-not-found,unused-ignore]
import jax.numpy as jnp  # type: ignore[import-not-found,unused-ignore]

from benchmarks.numerics.conventions import CASES, Case
from benchmarks.numerics.formulas import COTANGENT, Row, along, formula
from benchmarks.numerics.rows import ROWS

NAMES: dict[str, Any] = {
    **{name: getattr(jnp, name) for name in ("exp", "log", "sqrt", "sin", "cos", "cosh", "tanh", "abs", "expm1")},
    **{name: getattr(jnp, name) for name in ("where", "sum", "mean")},
    "erf": jax.scipy.special.erf,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "jax": jax,
    "jnp": jnp,
    "pi": math.pi,
    "inf": math.inf,
    "sqrt2": math.sqrt(2),
}


def measured(row: Row, text: str, dtype: str) -> Any:
    """Value, gradient and derivative of the gradient at every point."""
    if not text:
        return None
    function = formula(text, NAMES)
    fixed = {name: jnp.asarray(v, dtype=None if isinstance(v, int) else dtype) for name, v in row.fixed.items()}

    def value(given: tuple[Any, ...]) -> Any:
        return function(**dict(zip(row.names, given, strict=True)), **fixed)

    def total(given: tuple[Any, ...]) -> Any:
        y = value(given)
        return (y * jnp.asarray(COTANGENT[: y.size], dtype)).sum() if y.ndim else y

    def slope(given: tuple[Any, ...]) -> Any:
        first = jax.grad(total)(given)
        ways = [_way(n, x, dtype) for n, x in enumerate(first)]
        return sum((g * d).sum() for g, d in zip(first, ways, strict=True))

    def all_of(given: tuple[Any, ...]) -> Any:
        return (value(given),), jax.grad(total)(given), jax.grad(slope)(given)

    columns = tuple(jnp.asarray([point[k] for point in row.at], dtype) for k in range(len(row.names)))
    found = jax.vmap(all_of)(columns)
    return [
        [[jnp.ravel(tensor[place]).astype("float32").tolist() for tensor in part] for part in found]
        for place in range(len(row.at))
    ]


def _way(n: int, x: Any, dtype: str) -> Any:
    return jnp.asarray([along(n, k) for k in range(x.size)], dtype).reshape(x.shape)


def shown(case: Case) -> Any:
    """What a case gives: a list of numbers, a dtype, or the name of an error."""
    if not case.jax:
        return None
    given = {name: jnp.asarray(v, case.dtypes.get(name, _kind(name))) for name, v in case.at.items()}
    try:
        return _looked_at(case, formula(case.jax, NAMES), given)
    except (TypeError, ValueError, IndexError) as error:
        return type(error).__name__


def _looked_at(case: Case, function: Callable[..., Any], given: dict[str, Any]) -> Any:
    def total(x: Any) -> Any:
        return function(**{**given, case.by: x}).sum()

    if case.shows == "dtype":
        return str(function(**given).dtype)
    if case.shows == "value":
        return _numbers(function(**given))
    if case.shows == "gradient":
        return _numbers(jax.grad(total)(given[case.by]))
    return _numbers(jax.grad(lambda x: jax.grad(total)(x).sum())(given[case.by]))


def _kind(name: str) -> str | None:
    return {"t": "int32", "m": "bool"}.get(name, "float32")


def _numbers(array: Any) -> Any:
    flat = jnp.ravel(array)
    if jnp.iscomplexobj(flat):
        return [[float(z.real), float(z.imag)] for z in flat]
    return flat.astype("float32").tolist()


def main() -> None:
    rows = {
        row.name: {dtype: [measured(row, text, dtype) for text in (row.plain, row.jax)] for dtype in sys.argv[1:]}
        for row in ROWS
    }
    print(json.dumps({"version": jax.__version__, "rows": rows, "cases": {case.name: shown(case) for case in CASES}}))


if __name__ == "__main__":
    main()
