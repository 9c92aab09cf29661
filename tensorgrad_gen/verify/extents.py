"""Extents and batch axes of actual inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from tensorgrad_gen.ir import Program, Size


class UndefinedValueError(ValueError):
    """The formula has no value on these inputs (an empty maximum, a negative extent)."""


def extents(program: Program, tensors: Mapping[str, Tensor | None], params: Mapping[str, float]) -> dict[str, int]:
    """The value of every extent symbol, read from the inputs, then from `size_defs`."""
    sizes: dict[str, int] = {}
    for symbol, places in program.axes:
        for name, axis in places:
            tensor = tensors.get(name)
            if tensor is not None and symbol != "...":
                _agree(sizes, symbol, tensor.shape[axis])
    for symbol, size in program.size_defs:
        _agree(sizes, symbol, evaluate_size(size, sizes, params))
        if sizes[symbol] < 0:
            raise UndefinedValueError(f"extent {symbol} is {sizes[symbol]}")
    return sizes


def _agree(sizes: dict[str, int], symbol: str, length: int) -> None:
    if sizes.setdefault(symbol, length) != length:
        raise UndefinedValueError(f"extent {symbol} is {sizes[symbol]} and {length}")


def evaluate_size(size: Size, sizes: Mapping[str, int], params: Mapping[str, float]) -> int:
    """Integer arithmetic on extents and int params."""
    if size.op == "int":
        return int(size.args[0])
    if size.op == "size":
        return sizes[size.args[0]]
    if size.op == "param":
        return int(params[size.args[0]])
    values = [evaluate_size(arg, sizes, params) for arg in size.args]
    if size.op == "-" and len(values) == 1:
        return -values[0]
    operations: dict[str, Callable[[int, int], int]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "//": lambda a, b: a // b,
        "ceil": lambda a, b: -(-a // b),
        "min": min,
    }
    return operations[size.op](values[0], values[1])


def batch_shape(program: Program, tensors: Mapping[str, Tensor | None]) -> tuple[int, ...]:
    """What `...` stands for: the leading axes of the first input that has it."""
    for item in program.inputs:
        tensor = tensors.get(item.name)
        if tensor is not None and item.indices and item.indices[0].name == "...":
            return tuple(tensor.shape[: tensor.dim() - len(item.indices) + 1])
    return ()
