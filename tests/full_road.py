"""A program taken down the whole road and compared with both independent oracles."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from tensorgrad_gen.api import compile_spec
from tensorgrad_gen.ir import Program
from tensorgrad_gen.notation import print_spec
from tensorgrad_gen.outputs import check_generated
from tensorgrad_gen.reference import evaluate, sample_inputs
from tensorgrad_gen.render import render_runtime
from tensorgrad_gen.verify.composed import compose
from tensorgrad_gen.verify.samples import distance_from_trouble


class DisagreementError(AssertionError):
    """The generated op and an oracle differ."""


def close(what: str, got: Tensor | None, want: Tensor | None, tolerance: float) -> None:
    if want is None or got is None:
        present = got if want is None else want
        # What is 0 by algebra may be the rounding of what cancels by the other.
        if present is not None and bool((present.detach().abs() > tolerance * 1e-3).any()):
            raise DisagreementError(f"{what}: one side is None, the other {present}")
        return
    a, b = got.detach(), want.detach()
    if a.shape != b.shape:
        raise DisagreementError(f"{what}: shape {tuple(a.shape)}, not {tuple(b.shape)}")
    finite = b[torch.isfinite(b)]
    scale = max(1.0, float(finite.abs().max()) if finite.numel() else 1.0)
    if not torch.allclose(a / scale, b / scale, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise DisagreementError(f"{what}: {a} is not {b}")


@cache
def _package() -> str:
    """A package in memory that has `_runtime`, as an output folder has."""
    name = "_random_ops"
    package = ModuleType(name)
    package.__path__ = []
    runtime = ModuleType(f"{name}._runtime")
    exec(compile(render_runtime("tests"), f"<{runtime.__name__}>", "exec"), runtime.__dict__)  # noqa: S102 - our own text
    sys.modules |= {name: package, runtime.__name__: runtime}
    package.__dict__["_runtime"] = runtime
    return name


def build(program: Program) -> Any:
    """The generated function, and what it was compiled from."""
    return build_spec(print_spec(program))


def build_spec(text: str) -> Any:
    """The function of a spec, and what it was compiled from; unformatted, as black would take half the time."""
    with patch("tensorgrad_gen.render.layout._blackened", lambda line: line):
        compiled = compile_spec(text)
    check_generated(compiled.source)
    name = compiled["elaborate"].name
    module = ModuleType(f"{_package()}.{name}")
    module.__package__ = _package()
    exec(compile(compiled.source, f"<{module.__name__}>", "exec"), module.__dict__)  # noqa: S102 - what is tested
    return module.__dict__[name], compiled


def tensors(program: Program, inputs: dict[str, Any]) -> list[Tensor | None]:
    found: list[Tensor | None] = []
    for item in program.inputs:
        array = inputs[item.name]
        tensor = None if array is None else torch.as_tensor(np.array(array))
        wants = item.grad and item.kind == "real" and tensor is not None
        found.append(tensor.requires_grad_() if wants and tensor is not None else tensor)
    return found


def as_tuple(value: Any) -> tuple[Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


def check_program(program: Program, seed: int, orders: int = 1) -> None:
    """Value against NumPy; gradients, and with `orders` 2 their derivatives, against autograd of the plain formula.

    Where a change of the inputs in their last digits changes either side as much, the two agree.
    """
    function, compiled = build(program)
    raw = compiled["elaborate"]
    inputs, params = sample_inputs(raw, seed)
    required = {p.name: params[p.name] for p in raw.params}
    values = {name: torch.as_tensor(value) for name, value in evaluate(raw, inputs, params).items()}
    # At a kink each side has a convention of its own for the second derivative: that of a norm at 0, say.
    smooth = distance_from_trouble(raw, tuple(tensors(raw, inputs)), dict(params))[0] > 0
    orders = orders if smooth else 1

    def plain(arrays: dict[str, Any]) -> list[Tensor | None]:
        return _derivatives(lambda *given: compose(raw, list(given), params), tensors(raw, arrays), seed, orders)

    def ours(arrays: dict[str, Any]) -> list[Tensor | None]:
        return _derivatives(lambda *given: as_tuple(function(*given, **required)), tensors(raw, arrays), seed, orders)

    got, want = ours(inputs), plain(inputs)
    count = len(raw.outputs)
    for k, (one, two) in enumerate(zip(got, want, strict=True)):
        tolerance = 1e-9 if k < count + len(_wanted(tensors(raw, inputs))) else 1e-7
        try:
            if k < count:
                close(f"value of {raw.outputs[k]}", one, values[raw.outputs[k]], 1e-9)
            close(f"result {k}, after {count} values", one, two, tolerance)
        except DisagreementError:
            near = _nudged(inputs)
            spread = max(_spread(two, [plain(n)[k] for n in near]), _spread(one, [ours(n)[k] for n in near]))
            if one is None or two is None or not bool((one - two).abs().max() <= 100 * spread):
                raise


def _spread(value: Tensor | None, others: list[Tensor | None]) -> float:
    """The largest difference from the others."""
    pairs = [] if value is None else [(value, other) for other in others if other is not None]
    return max((float((one - two).abs().max()) for one, two in pairs if one.numel()), default=0.0)


def _nudged(inputs: dict[str, Any], count: int = 5) -> list[dict[str, Any]]:
    """The inputs with their numbers changed in the last digit, up or down."""
    source = np.random.default_rng(0)

    def nudge(array: Any) -> Any:
        if array is None or not np.issubdtype(np.asarray(array).dtype, np.floating):
            return array
        return np.nextafter(array, np.where(source.random(np.shape(array)) < 0.5, -np.inf, np.inf))

    return [{name: nudge(array) for name, array in inputs.items()} for _ in range(count)]


def _wanted(given: list[Tensor | None]) -> list[Tensor]:
    return [t for t in given if t is not None and t.requires_grad]


def _derivatives(function: Any, given: list[Tensor | None], seed: int, orders: int) -> list[Tensor | None]:
    """Values, then gradients of a random combination of them, then, with `orders` 2, those of one of these."""
    outputs = function(*given)
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(o.shape, dtype=torch.float64, generator=generator) for o in outputs]
    first = _gradients(outputs, given, weights, orders > 1)
    second: list[Tensor | None] = []
    if orders > 1:
        directions = [torch.randn(t.shape, dtype=t.dtype, generator=generator) for t in _wanted(given)]
        second = _again(first, directions, given)
    return [None if t is None else t.detach() for t in (*outputs, *first, *second)]


def _gradients(
    outputs: tuple[Tensor, ...], given: list[Tensor | None], weights: list[Tensor], again: bool
) -> list[Tensor | None]:
    wanted = _wanted(given)
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    if not pairs or not wanted:
        return [None] * len(wanted)
    total = [o for o, _ in pairs]
    return list(torch.autograd.grad(total, wanted, [w for _, w in pairs], allow_unused=True, create_graph=again))


def _again(gradients: list[Tensor | None], directions: list[Tensor], given: list[Tensor | None]) -> list[Tensor | None]:
    wanted = _wanted(given)
    pairs = [(g, d) for g, d in zip(gradients, directions, strict=True) if g is not None and g.requires_grad]
    if not pairs:
        return [None] * len(wanted)
    return list(torch.autograd.grad([g for g, _ in pairs], wanted, [d for _, d in pairs], allow_unused=True))
