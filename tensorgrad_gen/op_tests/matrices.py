"""Matrix functions as text of plain torch, several indices flattened into a row or a column."""

from __future__ import annotations

from collections.abc import Sequence

from tensorgrad_gen.ir import Index, Linalg
from tensorgrad_gen.op_tests.code import ATOM, PRODUCT, Axes, Code, infix, ordered
from tensorgrad_gen.op_tests.extents import Extents
from tensorgrad_gen.op_tests.functions import DETERMINANTS, MATRICES


def linalg(axes: Axes, extents: Extents, expr: Linalg, matrix: Code, right: Code | None) -> Code:
    """A matrix function of what is known as text."""
    rows, cols = _names(expr.rows), _names(expr.cols)
    whole = with_all(axes, extents, matrix, (*expr.rows, *expr.cols))
    batch = tuple(key for key in whole.keys if key not in rows + cols)
    text = _flat(ordered(whole, batch + rows + cols), len(batch), len(rows))
    text = _flat(text, len(batch) + 1, len(cols))
    if expr.kind in MATRICES:
        out = MATRICES[expr.kind].format(text)
        if expr.kind == "inverse":
            out = _whole(_whole(out, len(batch) + 1, expr.rows, extents), len(batch), expr.cols, extents)
        return axes.arranged(out, batch + _names(expr.axes))
    if right is None:
        return axes.arranged(DETERMINANTS[expr.kind].format(text), batch)
    columns = tuple(key for key in right.keys if key not in rows + batch)
    vector = ordered(with_all(axes, extents, right, expr.rows), batch + rows + columns)
    vector = _flat(vector, len(batch), len(rows))
    if len(columns) == 1:
        solved = f"torch.linalg.solve({text}, {vector})"
    elif not columns:
        solved = f"torch.linalg.solve({text}, {vector}.unsqueeze(-1)).squeeze(-1)"
    else:
        shape = "(" + ", ".join(f"{vector}.shape[{place - len(columns)}]" for place in range(len(columns))) + ")"
        vector = _flat(vector, len(batch) + 1, len(columns))
        solved = f"torch.linalg.solve({text}, {vector}).unflatten(-1, {shape})"
    return axes.arranged(_whole(solved, len(batch), expr.cols, extents), batch + cols + columns)


def with_all(axes: Axes, extents: Extents, code: Code, indices: Sequence[Index]) -> Code:
    """The value with all of these indices: along those it lacks it is constant."""
    lacked = [index for index in indices if index.name not in code.keys]
    if not lacked:
        return code
    ones = [Code(f"torch.ones({extents.of(index.extent)})", ATOM, (index.name,)) for index in lacked]
    return infix(axes, "*", PRODUCT, [code, *ones])


def _names(indices: Sequence[Index]) -> tuple[str, ...]:
    return tuple(index.name for index in indices)


def _flat(text: str, start: int, count: int) -> str:
    """`count` axes made one."""
    return text if count == 1 else f"{text}.flatten({start}, {start + count - 1})"


def _whole(text: str, axis: int, indices: Sequence[Index], extents: Extents) -> str:
    """The axis made those of the indices again."""
    if len(indices) == 1:
        return text
    return f"{text}.unflatten({axis}, ({', '.join(extents.of(index.extent) for index in indices)}))"
