"""How far inputs are from the points where a program's derivative jumps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import Access, Apply, Compare, Expr, Index, Program, Reduce, Scan, sub
from tensorgrad_gen.reference.evaluator import Evaluator
from tensorgrad_gen.reference.program import Array, environment, evaluate
from tensorgrad_gen.reference.sampling import sample_inputs
from tensorgrad_gen.reference.values import Value, scalar, with_indices

ORDERED = ("max", "min", "argmax", "argmin", "sort", "argsort")


def nodes(expr: Expr) -> Iterator[Expr]:
    """The expression and all that stands in it."""
    yield expr
    for child in expr.children:
        yield from nodes(child)


def kink_distance(program: Program, inputs: Mapping[str, Array | None], params: Mapping[str, float]) -> float:
    """Least distance, over all points, of what a kink is the zero of."""
    env, _ = environment(program, inputs, params)
    leading_free = evaluate(program, inputs, params)
    for statement in program.statements:
        shape = [env.extent(i) for i in statement.indices]
        env.tensors[statement.target] = leading_free[statement.target].reshape(shape)
    evaluator = Evaluator(env)
    least = np.inf
    with np.errstate(all="ignore"):
        for statement in program.statements:
            for node in dict.fromkeys(nodes(statement.value)):
                for distance in distances(node, program, evaluator):
                    sizes = np.abs(distance.array)
                    least = min(least, np.min(sizes, where=~np.isnan(sizes), initial=np.inf))
    return float(least)


def distances(node: Expr, program: Program, evaluator: Evaluator) -> Iterator[Value]:
    """What vanishes at the kinks of one node."""
    nowhere = scalar(False)  # noqa: FBT003 - a number, no flag; with it no label is out of range
    if isinstance(node, Apply):
        for kink in FUNCTIONS[node.function].kinks(*node.args):
            yield evaluator.value(kink, nowhere)
    elif isinstance(node, Compare) and reads_real(node, program):
        yield evaluator.value(sub(node.left, node.right), nowhere)
    elif isinstance(node, Reduce | Scan) and node.kind in ORDERED:
        yield gaps(evaluator.value(node.body, nowhere), node.indices, evaluator)
    elif isinstance(node, Reduce) and node.kind == "norm":
        yield evaluator.value(node, nowhere)


def reads_real(expr: Expr, program: Program) -> bool:
    """Whether the expression depends on a tensor that is differentiated."""
    return any(isinstance(n, Access) and program.tensors[n.tensor].kind == "real" for n in nodes(expr))


def gaps(value: Value, indices: tuple[Index, ...], evaluator: Evaluator) -> Value:
    """Differences of neighbours in the order along `indices`: a tie is where one vanishes."""
    value = with_indices(value, indices, evaluator.env)
    kept = tuple(i for i in value.indices if i not in indices)
    order = [value.indices.index(i) for i in kept + indices]
    array = np.transpose(value.array, order)
    flat = array.reshape(*array.shape[: len(kept)], int(np.prod(array.shape[len(kept) :], dtype=int)))
    return Value(np.diff(np.sort(flat, axis=-1), axis=-1))


def sample_smooth(
    program: Program,
    seed: int,
    extents: Mapping[str, int] | None = None,
    distance: float = 0.02,
    tries: int = 50,
) -> tuple[dict[str, Array], dict[str, float]]:
    """As `sample_inputs`, at least `distance` away from every kink; if no try is, the farthest."""
    best: tuple[float, dict[str, Array], dict[str, float]] | None = None
    for k in range(tries):
        inputs, params = sample_inputs(program, seed + 1000 * k, extents)
        found = kink_distance(program, inputs, params)
        if best is None or found > best[0]:
            best = (found, inputs, params)
        if found >= distance:
            break
    assert best is not None
    return best[1], best[2]
