"""The value of a program: its statements in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from tensorgrad_gen.ir import Index, Input, Program, Size
from tensorgrad_gen.reference.evaluator import Evaluator
from tensorgrad_gen.reference.values import Env, EvaluationError

Array: TypeAlias = "np.ndarray[Any, Any]"
DTYPES: dict[str, Any] = {"real": np.float64, "complex": np.complex128, "bool": np.bool_, "label": np.int64}


def evaluate(
    program: Program,
    inputs: Mapping[str, Array | None],
    params: Mapping[str, float] | None = None,
) -> dict[str, Array]:
    """Every tensor that the program defines, the outputs among them."""
    env, leading = environment(program, inputs, params or {})
    evaluator = Evaluator(env)
    out: dict[str, Array] = {}
    with np.errstate(all="ignore"):
        for statement in program.statements:
            value = evaluator.assigned(statement.value, statement.indices)
            # A condition may be computed where a number is declared, and the other way round.
            dtype = DTYPES[statement.kind] if value.dtype.kind != "c" else np.complex128
            env.tensors[statement.target] = np.array(value, dtype)
            out[statement.target] = unflattened(env.tensors[statement.target], statement.indices, leading)
    return out


def environment(
    program: Program, inputs: Mapping[str, Array | None], params: Mapping[str, float]
) -> tuple[Env, tuple[int, ...]]:
    """What the names of a program mean for these inputs, and the lengths of the batch axes `...`."""
    values = {p.name: float(p.default) for p in program.params if p.default is not None}
    values.update({name: float(value) for name, value in params.items()})
    given = {
        i.name: np.asarray(inputs[i.name], DTYPES[i.kind]) for i in program.inputs if inputs.get(i.name) is not None
    }
    leading = batch_axes(program, given)
    extents = find_extents(program, given, values)
    extents["..."] = int(np.prod(leading, dtype=int))
    env = Env({}, values, extents)
    for item in program.inputs:
        env.tensors[item.name] = input_array(item, given.get(item.name), env)
    for constant in program.constants:
        shape = [env.extent(i) for i in constant.indices]
        env.tensors[constant.name] = np.array([float(v) for v in constant.values]).reshape(shape)
    return env, leading


def has_batch(indices: tuple[Index, ...]) -> bool:
    """Whether the first index is `...`."""
    return bool(indices) and indices[0].name == "..."


def batch_axes(program: Program, given: Mapping[str, Array]) -> tuple[int, ...]:
    """The lengths of the axes of `...`, the same in every input that has it."""
    leading: tuple[int, ...] | None = None
    for item in program.inputs:
        if has_batch(item.indices) and item.name in given:
            array = given[item.name]
            mine = array.shape[: array.ndim - len(item.indices) + 1]
            if leading is not None and leading != mine:
                raise EvaluationError(f"batch axes of {item.name} are {mine}, not {leading}")
            leading = mine
    return leading or ()


def find_extents(program: Program, given: Mapping[str, Array], params: Mapping[str, float]) -> dict[str, int]:
    """The extent of each symbol, from the inputs' axes or its definition."""
    extents: dict[str, int] = {}
    for symbol, places in program.axes:
        for name, axis in places:
            if symbol == "..." or name not in given:
                continue
            length = given[name].shape[axis]
            if extents.setdefault(symbol, length) != length:
                raise EvaluationError(f"index {symbol} is {length} in {name}, {extents[symbol]} elsewhere")
    for symbol, size in program.size_defs:
        length = size_value(size, extents, params)
        if extents.setdefault(symbol, length) != length:
            raise EvaluationError(f"index {symbol} is {extents[symbol]}, and the spec gives {length}")
    return extents


def size_value(size: Size, extents: Mapping[str, int], params: Mapping[str, float]) -> int:
    """The integer that a size expression stands for."""
    if size.op == "int":
        return int(size.args[0])
    if size.op == "size":
        return extents[size.args[0]]
    if size.op == "param":
        return int(params[size.args[0]])
    args = [size_value(a, extents, params) for a in size.args]
    if size.op == "-" and len(args) == 1:
        return -args[0]
    left, right = args
    laws = {"+": left + right, "-": left - right, "*": left * right, "min": min(left, right)}
    if size.op in laws:
        return laws[size.op]
    if right == 0:
        raise EvaluationError("a size is divided by 0")
    return left // right if size.op == "//" else -(-left // right)


def input_array(item: Input, given: Array | None, env: Env) -> Array:
    """The input with one axis an index, `...` flattened; its default if it is not given."""
    if given is None:
        if item.default is None:
            raise EvaluationError(f"input {item.name} is missing")
        return np.full([env.extent(i) for i in item.indices], item.default, DTYPES[item.kind])
    if has_batch(item.indices):
        kept = given.shape[given.ndim - len(item.indices) + 1 :]
        return given.reshape(env.extents["..."], *kept)
    if given.ndim != len(item.indices):
        raise EvaluationError(f"input {item.name} has {given.ndim} axes, not {len(item.indices)}")
    return given


def unflattened(array: Array, indices: tuple[Index, ...], leading: tuple[int, ...]) -> Array:
    """The tensor with its batch axes as the inputs have them."""
    return array.reshape((*leading, *array.shape[1:])) if has_batch(indices) else array
