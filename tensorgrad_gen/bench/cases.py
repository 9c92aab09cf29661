"""What an op is measured on: extents, params and tensors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tensorgrad_gen.bench.formula import formula
from tensorgrad_gen.ir import Expr, Index, Linalg, Program, Root
from tensorgrad_gen.plan.sizes import FALLING, extents_apart
from tensorgrad_gen.verify import samples as draws
from tensorgrad_gen.verify.extents import UndefinedValueError
from tensorgrad_gen.verify.model import Params, Tensors
from tensorgrad_gen.verify.samples import Shape

# Where no hint says more, extents are those by which a plan breaks ties, all different; then all the same, for
# matrices that must be square.
_SAME = (48, 32, 16, 12, 8, 6, 4)
_BATCH, _POINTS = (16,), (64, 48)
# Hinted extents keep their proportions, and the longest is at least so long.
_LONGEST = 32
# A statement has at most so many combinations of its indices, fewer where matrices are factorised or equations solved.
_LARGEST = 2**20
_LARGEST_OF: dict[type[Expr], int] = {Linalg: 2**15, Root: 2**5}


@dataclass(frozen=True, slots=True)
class Case:
    """An op's arguments: `shape` says the extents."""

    program: Program
    shape: Shape
    params: Params
    tensors: Tensors

    def leaves(self) -> list[Tensor | None]:
        """The tensors anew, those that the op is differentiable by requiring a gradient."""
        return [
            None if t is None else t.detach().clone().requires_grad_(item.grad and item.kind in ("real", "complex"))
            for item, t in zip(self.program.inputs, self.tensors, strict=True)
        ]


def medium(program: Program) -> Case:
    """The op at extents of a few dozen: the first at which its formula has a value."""
    params = draws.default_params(program)
    problem: Exception | None = None
    for shape in _shapes(program, params):
        try:
            case = drawn(program, shape, params)
            formula(program, params)(*case.tensors)
        except (UndefinedValueError, RuntimeError, IndexError, ZeroDivisionError) as error:
            problem = problem or error
        else:
            return case
    raise ValueError(f"{program.name}: no extents: {problem}")


def drawn(
    program: Program, shape: Shape, params: Params, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Case:
    """Tensors of the op's domains, the same on each run."""
    tensors = draws.draw(program, shape, params, torch.Generator().manual_seed(0), "cpu")
    return Case(program, shape, params, tuple(_in(t, dtype, device) for t in tensors))


def _in(tensor: Tensor | None, dtype: torch.dtype, device: str) -> Tensor | None:
    if tensor is None:
        return None
    if tensor.is_complex():
        return tensor.to(device, dtype.to_complex())
    return tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)


def _shapes(program: Program, params: Params) -> Iterator[Shape]:
    symbols = [symbol for symbol, _ in program.axes if symbol != "..."]
    batch = (_BATCH if symbols else _POINTS) if draws.has_batch(program) else ()
    usual = dict(zip(symbols, (*FALLING, *(8 for _ in symbols)), strict=False))
    hints = {symbol: n for symbol, n in program.hints if symbol in usual}
    regimes = [usual]
    if hints:
        regimes.insert(0, _hinted(program, usual | hints, batch, params))
    regimes += [dict.fromkeys(symbols, n) for n in _SAME]
    # A window is short.
    pairs = [(s,) for s in symbols] + list(itertools.combinations(symbols, 2))
    regimes += [{s: 3 if s in short else 48 for s in symbols} for short in pairs]
    for sizes in regimes:
        shape = draws.as_given(program, draws.make_shape(program, sizes, batch), params)
        yield _bounded(program, shape)


def _hinted(program: Program, sizes: Mapping[str, int], batch: tuple[int, ...], params: Params) -> dict[str, int]:
    """The typical extents in their proportions: doubled until they are long enough to measure, halved until bounded."""
    factor = 1
    while factor * max(sizes.values()) < _LONGEST:
        factor *= 2
    shape = draws.make_shape(program, {symbol: factor * n for symbol, n in sizes.items()}, batch)
    shape = _bounded(program, draws.as_given(program, shape, params), together=True)
    return extents_apart(dict(shape.sizes), dict(program.hints))


def _bounded(program: Program, shape: Shape, *, together: bool = False) -> Shape:
    """The longest extents, or all `together`, halved until no statement is too large."""
    sizes = dict(shape.sizes)
    kinds = {type(node) for s in program.statements for node in _nodes(s.value)}
    limit = min([_LARGEST, *(_LARGEST_OF.get(kind, _LARGEST) for kind in kinds)])
    while (
        sizes
        and max(sizes.values()) > 2
        and any(math.prod(_extent(i, sizes, shape) for i in group) > limit for group in _groups(program))
    ):
        longest = max(sizes.values())
        sizes = {s: max(min(n, 2), n // 2) if together or n == longest else n for s, n in sizes.items()}
    return draws.make_shape(program, sizes, shape.batch)


def _extent(index: Index, sizes: Mapping[str, int], shape: Shape) -> int:
    if index.extent == "...":
        return math.prod(shape.batch)
    return index.extent if isinstance(index.extent, int) else sizes.get(index.extent, 1)


def _groups(program: Program) -> list[set[Index]]:
    return [{i for node in _nodes(s.value) for i in node.free} | set(s.indices) for s in program.statements]


def _nodes(expr: Expr) -> Iterator[Expr]:
    yield expr
    for child in expr.children:
        yield from _nodes(child)
