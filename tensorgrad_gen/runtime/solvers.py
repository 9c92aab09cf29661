"""Iterations that solve equations.

Law: what is found is differentiable to third order, whoever looks on; where nothing is found, an
error says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

Step: TypeAlias = Callable[..., Tensor]


def root(
    step: Step,
    newton: Step,
    start: Tensor,
    args: tuple[Any, ...],
    tolerance: float,
    most: int,
    what: str,
) -> Tensor:
    """The `y` that `step(y, *args)` leaves where it is, searched for from `start`.

    It is found when no component moves by more than `tolerance` times 1 + its size, or than the
    precision allows, within `most` steps.  The search is not differentiated.  Two steps of Newton's
    method after it are, and have the derivatives of the solution: what is wrong in first order is
    so in second order after one of them, in fourth after both.
    """
    held = tuple(a.detach() if isinstance(a, Tensor) else a for a in args)
    limit = max(tolerance, torch.finfo(start.dtype).eps ** 0.75)

    def moved(y: Tensor) -> tuple[Tensor, Tensor]:
        after = step(y, *held)
        # Not `>`, which does not hold of nan; and of what it was, for then inf is far away.
        return after, (~((after - y).abs() <= limit * (1 + y.abs()))).any()

    message = f"{what}: no solution found in {most} steps; start nearer, or allow more iterations"
    if torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active():
        y = _traced_search(moved, start.detach(), most, message)
    else:
        y = _search(moved, start.detach(), most, message)
    return newton(newton(y, *args), *args)


def _search(moved: Callable[[Tensor], Any], y: Tensor, most: int, message: str) -> Tensor:
    """All the steps where no value can be known; else as many as it takes, or an error."""
    known: bool | None = None
    for _ in range(most):
        y, far = moved(y)
        known = _value(far)
        if known is False:
            return y
    if known:
        raise RuntimeError(message)
    return y


def _value(far: Tensor) -> bool | None:
    """The truth of any element of a batch; None where a tensor has no value: fake, or traced."""
    if torch.compiler.is_compiling():
        return None
    while torch._C._functorch.is_functorch_wrapped_tensor(far):
        far = torch._C._functorch.get_unwrapped(far)
    try:
        return bool(far.any())
    except RuntimeError:
        return None


def _traced_search(
    moved: Callable[[Tensor], Any], start: Tensor, most: int, message: str
) -> Tensor:
    """A loop of the graph: unrolled, compiling it would take minutes."""

    def going(count: Tensor, far: Tensor, _y: Tensor) -> Tensor:
        return (count < most) & far

    def more(count: Tensor, _far: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        after, far = moved(y)
        return count + 1, far, after

    # The first step outside: what the loop begins with must be made of inputs, not of constants.
    after, far = moved(start)
    count = torch.ones((), dtype=torch.int64, device=start.device)
    loop: Any = torch._higher_order_ops.while_loop
    _, far, y = loop(going, more, (count, far, after))
    torch._assert_async(~far, message)
    found: Tensor = y
    return found
