"""The functions of further derivatives: Jacobian, Hessian, Hessian-vector product."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, func

from tensorgrad_gen.verify.checks_dtypes import FLOOR, SINGLE
from tensorgrad_gen.verify.compare import agree, cotangents, is_float, leaves, required
from tensorgrad_gen.verify.model import FindingError, Outputs, Sample, SkippedError, Subject, Tensors
from tensorgrad_gen.verify.rounding import cast, off_by_rounding

KINDS = ("jacobian", "hessian", "hvp")
TOLERANCE = 1e-9
FINITE = 1e-4  # of second differences, over steps of STEP
STEP = 1e-3
MOST_ROWS = 2000  # a Hessian with more rows is compared in its shape alone

Blocks = list[Tensor]


class Asked:
    """The functions that the module has, and what they are given, for one sample."""

    def __init__(self, subject: Subject, sample: Sample) -> None:
        self.subject, self.sample = subject, sample
        found = {kind: getattr(subject.module, f"{subject.name}_{kind}", None) for kind in KINDS}
        self.functions: dict[str, Callable[..., Any]] = {k: f for k, f in found.items() if f is not None}
        if not self.functions:
            raise SkippedError("the spec derives none")
        # Of structured inputs the part that has the structure, as the plain formula takes it.
        self.tensors = tuple(t if t is None else t.detach().clone() for t in sample.tensors)
        self.places = required(leaves(subject, self.tensors))
        outputs = self.reference(self.tensors)
        self.floats = [k for k, o in enumerate(outputs) if is_float(o)]
        # Random cotangents; none where `hvp` takes none: the one output is a number.
        weighted = "hvp" in self.functions and self.weighted()
        self.weights = tuple(cotangents([outputs[k] for k in self.floats], subject.seed)) if weighted else ()
        self.along = self.directions()

    def reference(self, tensors: Tensors) -> Outputs:
        return self.subject.reference(tensors, self.sample.params)

    def moved(self) -> tuple[Tensor, ...]:
        """Leaves for the inputs that have a derivative."""
        given = (self.tensors[k] for k in self.places)
        return tuple(t.detach().clone().requires_grad_() for t in given if t is not None)

    def full(self, moved: Sequence[Tensor]) -> Tensors:
        tensors = list(self.tensors)
        for place, tensor in zip(self.places, moved, strict=True):
            tensors[place] = tensor
        return tuple(tensors)

    def plain(self, moved: Sequence[Tensor]) -> list[Tensor]:
        """The outputs that have a derivative."""
        outputs = self.reference(self.full(moved))
        return [outputs[k] for k in self.floats]

    def beside(self, kind: str) -> tuple[Tensor | None, ...]:
        """The cotangents and tangents that the function takes beside the inputs."""
        return () if kind != "hvp" else (*self.weights, *self.along)

    def weighted(self) -> bool:
        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = inspect.signature(self.functions["hvp"]).parameters.values()
        count = sum(p.kind is positional for p in parameters)
        return count > len(self.tensors) + sum(self.subject.differentiable)

    def directions(self) -> tuple[Tensor | None, ...]:
        """A random tangent for each input that may have one."""
        like = [t if t is not None else torch.zeros(()) for t in self.tensors]
        able = [k for k, flag in enumerate(self.subject.differentiable) if flag]
        found = cotangents([like[k] for k in able], self.subject.seed + 5)
        return tuple(None if self.tensors[k] is None else t for k, t in zip(able, found, strict=True))

    def ours(self, kind: str, moved: Sequence[Tensor] | None = None) -> Blocks:
        """The blocks that the function returns, without those of inputs that were left out."""
        tensors = self.tensors if moved is None else self.full(moved)
        return list(_flat(self.functions[kind](*tensors, *self.beside(kind), **self.sample.params)))

    def want(self, kind: str, moved: tuple[Tensor, ...], create_graph: bool = False) -> Blocks:
        """The same by autograd of the plain formula."""
        outputs = self.plain(moved)
        if kind == "hvp":
            weights = self.weights or (torch.ones_like(outputs[0]),)
            along = [t for t in self.along if t is not None]
            first = _slopes([(o * w).sum() for o, w in zip(outputs, weights, strict=True)], moved)
            return _slopes([(g * t).sum() for g, t in zip(first, along, strict=True)], moved, create_graph)
        first = [block for output in outputs for block in rows(output, moved, create_graph=kind == "hessian")]
        return first if kind == "jacobian" else [block for one in first for block in rows(one, moved)]


def _flat(value: Any) -> Iterator[Tensor]:
    """Every tensor of nested tuples, in order."""
    if isinstance(value, Tensor):
        yield value
    for part in value if isinstance(value, tuple) else ():
        yield from _flat(part)


def rows(output: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> Blocks:
    """The Jacobian of a tensor, row by row."""
    found = [_slopes([element], inputs, create_graph) for element in output.reshape(-1)]
    return [
        torch.stack([row[k] for row in found] or [x.new_zeros((0, *x.shape))]).reshape((*output.shape, *x.shape))
        for k, x in enumerate(inputs)
    ]


def _slopes(parts: Sequence[Tensor], inputs: Sequence[Tensor], create_graph: bool = True) -> Blocks:
    """The gradient of the sum of numbers; zero where nothing depends."""
    alive = [part for part in parts if part.requires_grad]
    if not alive or not inputs:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(alive, inputs, create_graph=create_graph, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def _agree_all(
    what: str, got: Blocks, want: Blocks, where: str, tolerance: float = TOLERANCE, floor: float = 1e-3
) -> float:
    if len(got) != len(want):
        raise FindingError(f"{what} has {len(got)} blocks, not {len(want)} ({where})")
    pairs = zip(got, want, strict=True)
    return max((agree(what, one, two, where, tolerance, floor=floor) for one, two in pairs), default=0.0)


def values(subject: Subject) -> float:
    """What autograd of the plain formula gives, and what autograd makes of them again."""
    asked = Asked(subject, subject.tiny)
    worst = 0.0
    for kind in asked.functions:
        worst = max(worst, _agree_all(kind, asked.ours(kind), asked.want(kind, asked.moved()), "tiny sample"))
    for kind in sorted(set(asked.functions) & {"jacobian", "hvp"}):
        mine, other = asked.moved(), asked.moved()
        got, want = asked.ours(kind, mine), asked.want(kind, other, create_graph=True)
        if kind == "jacobian":
            want = [block for output in asked.plain(other) for block in rows(output, other, create_graph=True)]
        seeds = cotangents(want, subject.seed)
        again = [
            _slopes([(b * s).sum() for b, s in zip(blocks, seeds, strict=True)], x, create_graph=False)
            for blocks, x in ((got, mine), (want, other))
        ]
        worst = max(worst, _agree_all(f"gradient of {kind}", again[0], again[1], "tiny sample", 10 * TOLERANCE))
    return worst


def edges(subject: Subject) -> float:
    """The same with extents 0 and 1, and of the samples that leave inputs out; a large Hessian in its shape alone."""
    worst = 0.0
    for sample in (*subject.edges, *subject.samples[1:2]):
        asked = Asked(subject, sample)
        moved = asked.moved()
        outputs = asked.plain(moved)
        size = sum(o.numel() for o in outputs) * sum(t.numel() for t in moved)
        for kind in asked.functions:
            got = asked.ours(kind)
            if sample.defined and (kind != "hessian" or size <= MOST_ROWS):
                worst = max(worst, _agree_all(kind, got, asked.want(kind, asked.moved()), sample.label))
            elif kind == "hessian":
                shapes = [(*y.shape, *one.shape, *two.shape) for y in outputs for one in moved for two in moved]
                if [tuple(block.shape) for block in got] != shapes:
                    raise FindingError(f"{kind} has blocks of other shapes than {shapes} ({sample.label})")
    return worst


def dtypes(subject: Subject) -> float:
    """In float32 and bfloat16 they have that dtype; they are near those in float64, and off by rounding alone."""
    worst = 0.0
    for dtype in (torch.float32, torch.bfloat16):
        asked = Asked(subject, subject.tiny)
        for kind, function in asked.functions.items():
            given = cast((*asked.tensors, *asked.beside(kind)), dtype)
            got, single, exact = (
                list(_flat(function(*cast(given, wide), **subject.tiny.params)))
                for wide in (dtype, torch.float32, torch.float64)
            )
            if any(block.dtype != dtype for block in got):
                raise FindingError(f"{kind} is not {dtype} where all inputs are")
            worst = max(worst, _agree_all(kind, single, exact, "float32", SINGLE, FLOOR))
            for block in zip(got, single, exact, strict=True) if dtype != torch.float32 else ():
                worst = max(worst, off_by_rounding(kind, *block, dtype))
    return worst


def vmapped(subject: Subject) -> float:
    """Under `vmap` each row is that of the row."""
    asked = Asked(subject, subject.tiny)
    worst = 0.0
    stacked = [torch.stack([t * (1 - 0.05 * n) for n in range(2)]).detach() for t in asked.moved()]
    for kind in asked.functions:

        def blocks(*moved: Tensor, kind: str = kind) -> tuple[Tensor, ...]:
            return tuple(asked.ours(kind, moved))

        got = list(func.vmap(blocks)(*stacked))
        each = [blocks(*(s[n] for s in stacked)) for n in range(2)]
        worst = max(
            worst, _agree_all(f"vmap of {kind}", got, [torch.stack(b) for b in zip(*each, strict=True)], "tiny")
        )
    return worst


def compiled(subject: Subject) -> float:
    """`torch.compile` makes one graph of each, with the same values."""
    asked = Asked(subject, subject.tiny)
    worst = 0.0
    for kind, function in asked.functions.items():
        torch._dynamo.reset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch.compile(function, fullgraph=True, backend="aot_eager")
            got = list(_flat(graph(*asked.tensors, *asked.beside(kind), **subject.tiny.params)))
        worst = max(worst, _agree_all(kind, got, asked.ours(kind), "compiled"))
    torch._dynamo.reset()
    return worst


def differences(subject: Subject) -> float:
    """Along a direction they are the limits of differences of the oracle's values."""
    asked = Asked(subject, subject.tiny)
    sample = subject.tiny
    if subject.oracle is None or subject.surrogate or sample.cramped:
        raise SkippedError("the formula has other derivatives than its value" if subject.surrogate else "no oracle")
    oracle = subject.oracle
    along = cotangents(asked.moved(), subject.seed)
    weights = cotangents(asked.plain(asked.moved()), subject.seed)

    def loss(step: float) -> Tensor:
        outputs = oracle(asked.full([x.detach() + step * v for x, v in zip(asked.moved(), along)]), sample.params)
        return torch.stack([(outputs[k] * w).sum() for k, w in zip(asked.floats, weights, strict=True)]).sum()

    down, here, up = (loss(step) for step in (-STEP, 0.0, STEP))
    worst = 0.0
    if "jacobian" in asked.functions:
        found = _contracted(asked.ours("jacobian"), weights, along, 1)
        worst = agree("jacobian", found, (up - down) / (2 * STEP), "finite differences", FINITE, floor=1.0)
    if "hessian" in asked.functions:
        found = _contracted(asked.ours("hessian"), weights, along, 2)
        curve = (up - 2 * here + down) / STEP**2
        worst = max(worst, agree("hessian", found, curve, "finite differences", FINITE, floor=1.0))
    return worst


def _contracted(blocks: Blocks, weights: Blocks, along: Blocks, order: int) -> Tensor:
    """Each block with the weights of its output and, for each of its inputs, the direction."""
    total = torch.zeros((), dtype=weights[0].dtype)
    left = iter(blocks)
    for weight in weights:
        for first in along:
            for second in along if order == 2 else [None]:
                block = next(left)
                for direction in (second, first):
                    if direction is not None:
                        block = (
                            (block * direction).flatten(block.dim() - direction.dim()).sum(-1)
                            if direction.dim()
                            else block * direction
                        )
                total = total + (block * weight).sum()
    return total
