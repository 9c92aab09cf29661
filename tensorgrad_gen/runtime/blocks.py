"""An op worked block by block along one of its indices.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.calls import call
from tensorgrad_gen.runtime.core import compiling, in_transform, legacy_batched

_keep_graph: Any = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
# The bytes of a tensor of a block of rows, for each thread: a core's cache holds a few of these.
ROWS_BYTES = 1 << 19


def in_blocks(
    op: Any,
    dual: Any,
    count: int,
    cuts: tuple[int | None, ...],
    joins: tuple[int | None, ...],
    *args: Any,
) -> list[Tensor]:
    """The outputs of a Function of `count` blocks, one after another, joined or added up.

    `cuts` says along which axis each argument is cut, None: it is the same for every block; `joins`
    along which axis each output is joined, None: it is a sum over the blocks.  There are as many
    blocks of an axis that is shorter: some have no element.  A number that is to be differentiated
    comes with its gradients, where the op computes them together.
    """
    if _recorded(args) and hasattr(op, "value_and_gradients"):
        apply: Any = _NumberInBlocks.apply
        return [apply(op, dual, count, cuts, *args)]
    return _one_by_one(op, dual, count, cuts, joins, args)


def _one_by_one(
    op: Any,
    dual: Any,
    count: int,
    cuts: tuple[int | None, ...],
    joins: tuple[int | None, ...],
    args: tuple[Any, ...],
) -> list[Tensor]:
    found: list[list[Tensor]] = [[] for _ in joins]
    for block in _blocks(count, cuts, args):
        for own, axis, output in zip(found, joins, call(op, dual, *block)):
            if own and axis is None:
                own[0] = own[0] + output
            else:
                own.append(output)
    return [
        own[0] if axis is None else torch.cat(own, axis)
        for own, axis in zip(found, joins, strict=True)
    ]


def _blocks(
    count: int, cuts: tuple[int | None, ...], args: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    """The arguments of each block."""
    blocks = [
        (arg,) * count if axis is None or arg is None else cut(arg, count, axis)
        for arg, axis in zip(args, cuts, strict=True)
    ]
    return list(zip(*blocks, strict=True))


def _recorded(args: tuple[Any, ...]) -> bool:
    """Whether autograd records what is computed from plain tensors, and nothing else looks on."""
    if compiling() or not torch.is_grad_enabled() or not ordinary(args):
        return False
    return any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)


class _NumberInBlocks(torch.autograd.Function):
    """A sum over blocks with its gradients, which backward scales: nothing is computed twice.

    Not for transforms.  Where backward is recorded the blocks are worked again, and what is
    differentiated further are their own Functions.
    """

    @staticmethod
    def forward(
        ctx: Any, op: Any, dual: Any, count: int, cuts: tuple[int | None, ...], *args: Any
    ) -> Any:
        needs = ctx.needs_input_grad[4:]
        places = [k for k, need in enumerate(needs) if need and cuts[k] is not None]
        joined = {k: torch.empty_like(args[k]) for k in places}
        rows = {k: cut(joined[k], count, cuts[k] or 0) for k in places}
        value: Any = None
        totals: Sequence[Any] = (None,) * len(args)
        for number, block in enumerate(_blocks(count, cuts, args)):
            own, *totals = op.value_and_gradients(needs, tuple(totals), *block)
            value = own if number == 0 else value + own
            places = [k for k in places if totals[k] is not None]
            for k in places:
                rows[k][number].copy_(totals[k])
        ctx.set_materialize_grads(False)
        tensors = [arg if isinstance(arg, Tensor) else None for arg in args]
        gradients = [joined[k] if k in places else own for k, own in enumerate(totals)]
        ctx.save_for_backward(*tensors, *gradients)
        ctx.call = (op, dual, count, cuts)
        ctx.numbers = [None if isinstance(arg, Tensor) else arg for arg in args]
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        needs = ctx.needs_input_grad[4:]
        saved = ctx.saved_tensors
        args, gradients = saved[: len(needs)], saved[len(needs) :]
        if grad is None:
            gradients = (None,) * len(needs)
        elif torch.is_grad_enabled():
            gradients = _again(ctx, needs, args, grad)
        else:
            # In place where the graph is freed after this: nobody reads them again.
            scaled = Tensor.mul_ if _last_pass() and not legacy_batched(grad) else Tensor.mul
            gradients = [
                scaled(own, grad) if need and own is not None else None
                for own, need in zip(gradients, needs)
            ]
        return (None, None, None, None, *gradients)


def _last_pass() -> bool:
    """Whether the engine frees what backward reads: False where that cannot be told."""
    return not compiling() and _keep_graph is not None and not _keep_graph()


def _again(
    ctx: Any, needs: tuple[bool, ...], tensors: tuple[Tensor | None, ...], grad: Tensor
) -> list[Tensor | None]:
    """The gradients, computed so that they can be differentiated."""
    # A view of each: of one that is given twice, either gets its own gradient.
    args = [
        number if tensor is None else tensor.view_as(tensor)
        for number, tensor in zip(ctx.numbers, tensors, strict=True)
    ]
    op, dual, count, cuts = ctx.call
    (value,) = _one_by_one(op, dual, count, cuts, (None,), tuple(args))
    places = [k for k, need in enumerate(needs) if need]
    inputs = [args[k] for k in places]
    found = torch.autograd.grad(value, inputs, grad, create_graph=True, materialize_grads=True)
    known = dict(zip(places, found, strict=True))
    return [known.get(k) for k in range(len(needs))]


def accumulate_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """The product added to what there is, in its place."""
    if total is None:
        return left @ right
    if left.dim() == right.dim() == 2:
        return torch.addmm(total, left, right, out=total)
    return total.add_(left @ right)


def accumulate(total: Tensor | None, term: Tensor) -> Tensor:
    """The term added to what there is, in its place."""
    return term if total is None else total.add_(term)


def cut(tensor: Tensor, count: int, axis: int) -> tuple[Tensor, ...]:
    """Blocks of a length each, or one more: views, found without a branch on how long the axis is.

    `tensor_split` has one on what remains of the division: compiled, it makes a graph for each.
    """
    length = tensor.shape[axis]
    sizes = [(k + 1) * length // count - k * length // count for k in range(count)]
    blocks: tuple[Tensor, ...] = torch.split(tensor, sizes, axis)
    return blocks


def by_rows(
    body: Callable[..., Any],
    cuts: tuple[int | None, ...],
    joins: tuple[int | str, ...],
    *args: Any,
    places: tuple[int, ...] = (),
) -> Any:
    """The body's results; where tensors are large, of one block of rows after another.

    A block stays in the cache from the first statement to the last, and needs no tensor of full
    size but the results.  `cuts` says of each argument how many axes stand behind its rows, None:
    it has none; `joins` the same of each result, "sum": it is a sum over the rows.  `places` are
    the results that the body computes where they belong, if it is given where that is.  All at
    once where autograd, a transform or the compiler looks on, and on other devices than the CPU.
    """
    step, lead = _block(cuts, args)
    if step == 0:
        return body(*args)
    rows, count = _Rows(lead, step), lead.numel()
    flat = [rows.flat(arg, keep) for arg, keep in zip(args, cuts, strict=True)]
    results: list[Any] = []
    for start in range(0, count, step):
        blocks = (rows.block(arg, keep, start) for arg, keep in zip(flat, cuts, strict=True))
        given = [rows.place(results[k], start) for k in places] if start > 0 else []
        made = body(*blocks, *given)
        made = (made,) if isinstance(made, Tensor) else made
        if start == 0:
            results = [rows.room(part, join) for part, join in zip(made, joins, strict=True)]
            places = () if any(rows.narrow(made[k]) for k in places) else places
        for whole, part, join in zip(results, made, joins, strict=True):
            if part is None or any(part is place for place in given):
                continue
            if join != "sum":
                whole[start : start + step] = part
            elif start > 0:
                whole.add_(part)
    done = [rows.whole(tensor, join) for tensor, join in zip(results, joins, strict=True)]
    return done[0] if len(done) == 1 else tuple(done)


class _Rows:
    """Rows of the shape `lead`, `step` of them in a block."""

    def __init__(self, lead: torch.Size, step: int) -> None:
        self.lead, self.count, self.step = lead, lead.numel(), step

    def flat(self, arg: Any, keep: int | None) -> Any:
        """The argument with the axes before its last `keep` as one."""
        if arg is None or keep is None or _lead(arg, keep) != self.lead or len(self.lead) == 1:
            return arg
        return arg.reshape((self.count, *arg.shape[arg.dim() - keep :]))

    def block(self, arg: Any, keep: int | None, start: int) -> Any:
        """The rows of a block; whole where there is one row that broadcasts, or none."""
        if arg is None or keep is None or _lead(arg, keep).numel() != self.count:
            return arg
        return arg[start : start + self.step]

    def room(self, part: Tensor | None, join: int | str) -> Tensor | None:
        """A tensor for what all blocks make; for a sum, a copy of what the first block makes."""
        if part is None:
            return None
        return part.clone() if join == "sum" else part.new_empty((self.count, *part.shape[1:]))

    def place(self, whole: Tensor | None, start: int) -> Tensor | None:
        """Where the rows of a block belong."""
        return None if whole is None else whole[start : start + self.step]

    def narrow(self, part: Tensor | None) -> bool:
        """Whether what a block makes is one row that stands for all."""
        return part is not None and part.shape[0] != self.step

    def whole(self, tensor: Tensor | None, join: int | str) -> Tensor | None:
        """A result with the axes of its rows as they were; no view, for it may be an output."""
        if tensor is None or join == "sum" or len(self.lead) == 1:
            return tensor
        whole: Tensor = torch.ops.aten._unsafe_view.default(tensor, (*self.lead, *tensor.shape[1:]))
        return whole


def _lead(tensor: Tensor, keep: int) -> torch.Size:
    """The shape of the axes before the last `keep`."""
    return tensor.shape[: tensor.dim() - keep]


def _block(cuts: tuple[int | None, ...], args: tuple[Any, ...]) -> tuple[int, torch.Size]:
    """How many rows a block has, of rows of this shape; 0: all are worked at once."""
    if compiling():
        return 0, torch.Size()
    largest, behind = None, 0
    most = ROWS_BYTES
    for arg, keep in zip(args, cuts):
        if keep is not None and arg is not None and arg.nbytes > most:
            largest, behind, most = arg, keep, arg.nbytes
    if largest is None or torch.is_grad_enabled() or not ordinary(args):
        return 0, torch.Size()
    lead = _lead(largest, behind)
    count = lead.numel()
    step = max(1, ROWS_BYTES * torch.get_num_threads() * count // most)
    return (step if step < count and largest.device.type == "cpu" else 0), lead


def ordinary(args: tuple[Any, ...]) -> bool:
    """Whether all tensors are plain ones, and nobody records what is done with them."""
    if in_transform() or torch._C._get_tracing_state() is not None:
        return False
    return all(
        type(arg) in (Tensor, torch.nn.Parameter) and not legacy_batched(arg)
        for arg in args
        if isinstance(arg, Tensor)
    )
