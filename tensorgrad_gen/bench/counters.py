"""What a call costs, counted: operator calls, bytes moved, floating-point operations, bytes saved, bytes alive.

Law: counts depend on shapes and on the operators called, never on the machine, and are the same on every run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from tensorgrad_gen.bench.operators import FILLS, FLOPS, MOVES, NO_BYTES, PICKS, PUTS, VIEWS_IN_PLACE, WRITES_ONLY

# What is measured: tensors in, a tensor or several out.
Call = Callable[..., "Tensor | Sequence[Tensor]"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of forward and backward together.

    - `calls` of operators that are no views;
    - `bytes` read and written by them: of an operand the elements that it has in memory, once however often they are
      repeated by `expand`; of one that is read by labels, as many as are picked;
    - `flops`: of a contraction two a product, else one for each element read or written, whichever are more;
    - `saved` for backward beside inputs and outputs, by whole storages;
    - `peak`: the most that is alive at one time beside the inputs and cotangents;
    - `results`: of outputs and gradients, which every way of computing them holds.
    """

    calls: int
    bytes: int
    flops: int
    saved: int
    peak: int
    results: int = 0

    @property
    def extra(self) -> int:
        """What is alive at the peak beyond the results."""
        return max(self.peak - self.results, 0)

    def ratio(self, other: Counts, name: str) -> float:
        """A counter in multiples of the other's; 1 where both are 0."""
        ours, theirs = getattr(self, name), getattr(other, name)
        if theirs == 0:
            return 1.0 if ours == 0 else float("inf")
        return float(ours / theirs)


COUNTERS = tuple(field.name for field in fields(Counts) if field.name != "results")


def touched(tensor: Tensor) -> int:
    """How many different elements in memory a tensor has: those repeated by `expand` or by overlapping windows once."""
    if tensor.numel() == 0:
        return 0
    axes = [(n, abs(step)) for n, step in zip(tensor.shape, tensor.stride(), strict=True) if step]
    elements = 1
    for n, _ in axes:
        elements *= n
    return min(elements, 1 + sum((n - 1) * step for n, step in axes))


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is called inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = self.bytes = self.flops = self.now = self.peak = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        places = {place_of(t.untyped_storage()) for t in given}
        out = func(*args, **kwargs)
        results = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        for tensor in results:
            self._live(tensor.untyped_storage(), places)
        made = [t for t in results if place_of(t.untyped_storage()) not in places]
        changed = [] if func.overloadpacket.__name__ in VIEWS_IN_PLACE else _changed(func, args, kwargs)
        if made or changed:  # else it is a view
            self._count(func, (args, kwargs, out), given, made, changed)
        return out

    def _count(self, func: Any, call: Any, given: list[Tensor], made: list[Tensor], changed: list[Tensor]) -> None:
        name = func.overloadpacket.__name__
        args, kwargs, out = call
        self.calls += 1
        if name in NO_BYTES:
            return
        written = given if name in FILLS else changed if name in WRITES_ONLY else []
        read = [t for t in given if not any(t is w for w in written)]
        moved = _reads(name, read, made, changed) + [(t, touched(t)) for t in made]
        if name not in PUTS:
            moved += [(t, touched(t)) for t in changed]
        self.bytes += sum(count * t.element_size() for t, count in moved)
        formula = FLOPS.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=out)
        elif name not in PICKS and name not in MOVES:
            self.flops += max((count for _, count in moved), default=0)

    def _live(self, storage: Any, given: set[int]) -> None:
        place, size = place_of(storage), storage.nbytes()
        if not size or place in given or place in self.alive:
            return
        self.alive.add(place)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, place, size)

    def _freed(self, place: int, size: int) -> None:
        self.alive.discard(place)
        self.now -= size


def place_of(storage: torch.UntypedStorage) -> int:
    """Which memory it is: of tensors of `torch.func`'s, which have no data of their own, too."""
    return int(storage._cdata)


def _changed(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The operands that an operator writes to."""
    out: list[Tensor] = []
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = kwargs.get(argument.name) if argument.kwarg_only or place >= len(args) else args[place]
            out += [t for t in tree_leaves(value) if isinstance(t, Tensor)]
    return out


def _reads(name: str, read: list[Tensor], made: list[Tensor], changed: list[Tensor]) -> list[tuple[Tensor, int]]:
    """The operands read, each once, and how many elements of each."""
    different: dict[tuple[Any, ...], Tensor] = {}
    for t in read:
        different.setdefault((place_of(t.untyped_storage()), t.storage_offset(), t.shape, t.stride(), t.dtype), t)
    counts = [(t, touched(t)) for t in different.values()]
    if name in PICKS and counts:
        # The first operand is what is picked from: as much as comes out.
        source, whole = counts[0]
        counts[0] = (source, min(whole, sum(t.numel() for t in made)))
    elif name in PUTS and changed and counts:
        # In place, of the first operand as much is read and written as the others have.
        target, whole = counts[0]
        counts[0] = (target, 2 * min(whole, max((n for _, n in counts[1:]), default=whole)))
    return counts


class _Saving:
    """What autograd saves, each storage once."""

    def __init__(self) -> None:
        self.storages: dict[int, int] = {}

    def hooks(self) -> saved_tensors_hooks:
        """Sees what is saved inside."""
        return saved_tensors_hooks(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Tensor) -> Tensor:
        """The tensor stays alive, so that its place is its own."""
        storage = tensor.untyped_storage()
        self.storages[place_of(storage)] = storage.nbytes()
        return tensor


def count(call: Call, tensors: Sequence[Tensor | None]) -> Counts:
    """The cost of a call, and of the gradients by all its tensors that require them."""
    saving, counting = _Saving(), _Counting()
    with counting:
        with saving.hooks() if wanted(tensors) else nullcontext():  # `torch.func` refuses hooks
            result = call(*tensors)
        outputs = [result] if isinstance(result, Tensor) else list(result)
        reached = [o for o in outputs if o.requires_grad]
        given = {place_of(t.untyped_storage()) for t in (*tensors, *outputs) if t is not None}
        saved = sum(size for place, size in saving.storages.items() if place not in given)
        gradients = _backward(reached, tensors) if reached else []
    own = {place_of(t.untyped_storage()) for t in tensors if t is not None}
    made = {place_of(t.untyped_storage()): t.untyped_storage().nbytes() for t in (*outputs, *gradients)}
    results = sum(size for place, size in made.items() if place not in own)
    return Counts(counting.calls, counting.bytes, counting.flops, saved, counting.peak, results)


def _backward(outputs: list[Tensor], tensors: Sequence[Tensor | None]) -> list[Tensor]:
    """The gradients, of cotangents that are made where nothing counts."""
    with _disable_current_modes():
        along = cotangents(outputs)
    gradients = torch.autograd.grad(outputs, wanted(tensors), along, allow_unused=True)
    return [grad for grad in gradients if grad is not None]


def wanted(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    """The tensors that require a gradient."""
    return [t for t in tensors if t is not None and t.requires_grad]


def cotangents(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Ones, whole in memory."""
    return [torch.ones_like(o, memory_format=torch.contiguous_format) for o in outputs]
