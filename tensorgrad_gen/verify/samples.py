"""Arguments to verify an op on: from the spec's domains, of order one, away from kinks and poles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tensorgrad_gen.ir import Index, Input, Program
from tensorgrad_gen.verify.composed import compose
from tensorgrad_gen.verify.extents import UndefinedValueError, evaluate_size, extents
from tensorgrad_gen.verify.ignored import with_ignored
from tensorgrad_gen.verify.model import Params, Sample, Tensors

# Nearer than this to a kink a finite difference straddles it; nearer to a pole it is inaccurate.
MARGIN = {"kink": 1e-3, "pole": 5e-2}
# At this many margins finite differences still work, if less sharply.
LEAST = 0.02
# At a pole or on a kink a sample is refused.
NEAREST = 0.0
ATTEMPTS = 40
NUDGE = 1e-6
LARGEST_STATEMENT = 20_000


@dataclass(frozen=True, slots=True)
class Budget:
    """The most elements that one input has, and all inputs together: finite differences move each."""

    one: int
    all: int


BASE = Budget(30, 80)
TINY = Budget(12, 40)


class NoSampleError(ValueError):
    """No arguments could be drawn: what went wrong with the last ones."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Extents of the symbols that inputs have, and what `...` stands for."""

    label: str
    sizes: tuple[tuple[str, int], ...]
    batch: tuple[int, ...] = ()

    def extent(self, index: Index) -> tuple[int, ...]:
        """The axes an index stands for."""
        if index.name == "...":
            return self.batch
        return (index.extent if isinstance(index.extent, int) else dict(self.sizes)[index.extent],)

    def of(self, item: Input) -> tuple[int, ...]:
        """The shape of an input."""
        return tuple(n for index in item.indices for n in self.extent(index))


def has_batch(program: Program) -> bool:
    """Whether an input has `...`."""
    return any(index.name == "..." for item in program.inputs for index in item.indices)


def make_shape(program: Program, sizes: Mapping[str, int], batch: tuple[int, ...]) -> Shape:
    """A shape with its label, `b=2 h=3`."""
    parts = [f"{symbol}={n}" for symbol, n in sizes.items()]
    if has_batch(program):
        parts.append(f"...={'x'.join(map(str, batch)) or 'none'}")
    return Shape(" ".join(parts) or "scalars", tuple(sizes.items()), batch)


def as_given(program: Program, shape: Shape, params: Params) -> Shape:
    """The shape in which an axis is as long as the spec says, if an axis can be."""
    sizes = dict(shape.sizes)
    try:
        for symbol, size in program.size_defs:
            sizes[symbol] = evaluate_size(size, sizes, params)
    except ZeroDivisionError:
        return shape
    if any(n < 0 for n in sizes.values()):
        return shape
    return make_shape(program, {symbol: sizes[symbol] for symbol, _ in shape.sizes}, shape.batch)


def default_params(program: Program, moved: tuple[str, ...] = ()) -> Params:
    """The defaults, something of order one where there is none; those of the kinds in `moved` (`real`, `int`) moved."""
    out: dict[str, float | int] = {}
    for param in program.params:
        if param.kind == "int":
            out[param.name] = (2 if param.default is None else int(param.default)) + ("int" in moved)
        else:
            value = 0.7 if param.default is None else float(param.default)
            out[param.name] = (value * 1.25 or 0.3) if "real" in moved else value
    return out


def candidate_shapes(program: Program, budget: Budget, params: Params) -> list[Shape]:
    """Shapes to try, the preferred ones first.

    Extents differ, so that swapped axes are seen, and are 3 or more where that is small enough: two numbers
    normalised are plus and minus one, whatever they were.  A window has several places: at one its stride is not seen.
    """
    symbols = [symbol for symbol, _ in program.axes if symbol != "..."]
    # A pointwise op has `...` alone: several elements, on both sides of what it compares with.
    batch = ((2,) if symbols else (6,)) if has_batch(program) else ()
    out: list[Shape] = []
    for order in (symbols, symbols[::-1], symbols[1:] + symbols[:1]):
        sizes = {symbol: 3 + place for place, symbol in enumerate(order)}
        out.append(_shrunk(program, {s: sizes[s] for s in symbols}, batch, budget))
    out += [make_shape(program, dict.fromkeys(symbols, n), batch) for n in (3, 2)]
    # One long axis, or two: a window must fit into them.
    longer = [((symbol,), 5) for symbol in symbols] + [(pair, 3) for pair in itertools.combinations(symbols, 2)]
    longer += [((symbol,), 8) for symbol in symbols]
    out += [make_shape(program, {s: n if s in long else 2 for s in symbols}, batch) for long, n in longer]
    out += [make_shape(program, dict.fromkeys(symbols, n), batch) for n in (4, 5)]
    out = [as_given(program, shape, params) for shape in out]
    return sorted(out, key=lambda shape: _has_single_place(program, shape, params))


def _has_single_place(program: Program, shape: Shape, params: Params) -> bool:
    """Whether an extent that the spec computes is 1 there, or cannot be."""
    try:
        sizes = extents(program, {i.name: torch.empty(shape.of(i)) for i in program.inputs}, params)
    except (UndefinedValueError, ZeroDivisionError):
        return True
    return any(sizes[symbol] < 2 for symbol, _ in program.size_defs)


def _shrunk(program: Program, sizes: dict[str, int], batch: tuple[int, ...], budget: Budget) -> Shape:
    while True:
        shape = make_shape(program, sizes, batch)
        elements = [math.prod(shape.of(item)) for item in program.inputs]
        loops = math.prod([*sizes.values(), *batch])
        fits = max(elements, default=0) <= budget.one and sum(elements) <= budget.all and loops <= LARGEST_STATEMENT
        if fits or max(sizes.values(), default=1) <= 2:
            return shape
        # The last of the longest axes gives way.
        longest = max(sizes, key=lambda s: (sizes[s], list(sizes).index(s)))
        sizes[longest] -= 1


def zero_shapes(program: Program, base: Shape) -> list[Shape]:
    """The base shape with one extent 0, for each that the spec does not give."""
    sizes, given = dict(base.sizes), dict(program.size_defs)
    out = [make_shape(program, {**sizes, symbol: 0}, base.batch) for symbol in sizes if symbol not in given]
    if has_batch(program):
        out.append(make_shape(program, sizes, (0,)))
    return out


def one_shapes(program: Program, base: Shape) -> list[Shape]:
    """All extents 1, and other numbers of batch axes."""
    sizes = dict(base.sizes)
    out = [make_shape(program, dict.fromkeys(sizes, 1), (1,) * len(base.batch))]
    if has_batch(program):
        out += [make_shape(program, sizes, ()), make_shape(program, sizes, (2, 1))]
    return out


# drawing ---------------------------------------------------------------------------------------


def _uniform(shape: tuple[int, ...], low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)


def _matrix(domain: str, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    rows, cols = shape[-2:]
    noise = _uniform(shape, -1.0, 1.0, rng)
    if domain == "spd":
        return noise @ noise.mT / max(cols, 1) + 0.5 * torch.eye(rows, dtype=torch.float64)
    if domain == "orthogonal":
        basis: Tensor = torch.linalg.qr(torch.randn(shape, generator=rng, dtype=torch.float64)).Q
        return basis
    return 1.5 * torch.eye(rows, cols, dtype=torch.float64) + 0.6 * noise / math.sqrt(max(cols, 1))


def draw_real(item: Input, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """A tensor of the input's domain, well inside it."""
    domain = item.domain
    if isinstance(domain, tuple):
        low, high = (float(end) for end in domain)
        edge = 0.05 * (high - low)
        return _uniform(shape, low + edge, high - edge, rng)
    if domain in ("spd", "well_conditioned", "orthogonal"):
        return _matrix(domain, shape, rng)
    if domain == "positive":
        return _uniform(shape, 0.3, 2.0, rng)
    if domain == "unit":
        return _uniform(shape, 0.05, 0.95, rng)
    if domain == "nonzero":
        return _uniform(shape, 0.3, 2.0, rng) * torch.sign(_uniform(shape, -1.0, 1.0, rng))
    if domain == "simplex":
        return torch.softmax(_uniform(shape, -1.0, 1.0, rng), -1)
    return _uniform(shape, -1.5, 1.5, rng)


def structured(tensor: Tensor, structure: str) -> Tensor:
    """The part of a matrix that its structure keeps."""
    if structure == "symmetric":
        return (tensor + tensor.mT) / 2
    if structure == "lower":
        return tensor.tril()
    if structure == "upper":
        return tensor.triu()
    if structure == "diagonal":
        return torch.diag_embed(tensor.diagonal(dim1=-2, dim2=-1))
    return tensor


def draw(program: Program, shape: Shape, params: Params, rng: torch.Generator, device: str) -> Tensors:
    """One tensor an input.  Labels lie below their extent."""
    out: list[Tensor] = []
    for item in program.inputs:
        dims = shape.of(item)
        if item.kind == "bool":
            tensor = _conditions(dims, rng)
        elif item.kind == "label":
            tensor = _labels(program, item, dims, shape, params, rng)
        elif item.kind == "complex":
            tensor = structured(torch.complex(draw_real(item, dims, rng), draw_real(item, dims, rng)), item.structure)
        else:
            tensor = structured(draw_real(item, dims, rng), item.structure)
        out.append(tensor.to(device))
    return tuple(out)


def _conditions(dims: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Some rows with any conditions, and one where all hold: where few do, much of what is masked is constant."""
    tensor = torch.rand(dims, generator=rng) > 0.4
    if len(dims) > 1 and math.prod(dims[:-1]) > 1:
        tensor.view(-1, dims[-1])[-1:] = True
    elif dims:
        tensor[..., :2] = True
    return tensor


def _labels(
    program: Program, item: Input, dims: tuple[int, ...], shape: Shape, params: Params, rng: torch.Generator
) -> Tensor:
    below = item.labels
    if not isinstance(below, int):
        sizes = dict(shape.sizes)
        if below not in sizes:
            sizes = extents(program, {i.name: torch.empty(shape.of(i)) for i in program.inputs}, params)
        below = sizes[below] if below is not None else 2
    if below == 0 and 0 not in dims:
        raise UndefinedValueError(f"{item.name} would need a label below 0")
    return torch.randint(0, max(below, 1), dims, generator=rng)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What `compose` tells its watch."""

    kind: str
    distance: Tensor
    of: Tensor | None


def distance_from_trouble(program: Program, tensors: Tensors, params: Params) -> tuple[float, str]:
    """How far from kinks and poles, in margins (1 is enough; 0 where a value is not finite), and what is nearest."""
    outputs, leaves, seen = _watched(program, tensors, params)
    if not all(bool(torch.isfinite(o.detach()).all()) for o in outputs if _floating(o)):
        return 0.0, "value that is not finite"
    places = [s.distance for s in seen]
    if any(s.kind == "kink" and bool((s.distance == 0).any()) for s in seen):
        # An argument that is at a kink for inputs nearby too is constant (`x[n] - x[n]`): no convention shows.
        _, _, others = _watched(program, _nudged(program, tensors), params)
        places = [_moving(one, other) for one, other in zip(seen, others, strict=True)]
    worst, what = math.inf, ""
    for one, distance in zip(seen, places, strict=True):
        near = float(distance.min()) / MARGIN[one.kind] if distance.numel() else math.inf
        near = 0.0 if math.isnan(near) else near
        if near < min(worst, 1.0) and one.of is not None and not _reaches(one.of, outputs):
            continue
        if near < worst:
            worst, what = near, one.kind
    if worst > NEAREST and not _finite_gradients(outputs, leaves):
        return 0.0, "derivative that is not finite"
    return worst, what


def _watched(
    program: Program, tensors: Tensors, params: Params
) -> tuple[tuple[Tensor, ...], list[Tensor | None], list[_Seen]]:
    """The outputs of the plain formula, the inputs they are differentiable by, and what its watch was told."""
    seen: list[_Seen] = []
    with torch.enable_grad():
        leaves = [t if t is None or not _floating(t) else t.detach().clone().requires_grad_() for t in tensors]
        outputs = compose(program, leaves, params, lambda *told: seen.append(_Seen(*told)))
    return outputs, leaves, seen


def _nudged(program: Program, tensors: Tensors) -> Tensors:
    """Inputs nearby, each entry moved by another amount."""
    rng = torch.Generator().manual_seed(0)
    out: list[Tensor | None] = []
    for item, tensor in zip(program.inputs, tensors, strict=True):
        if tensor is None or not _floating(tensor):
            out.append(tensor)
            continue
        moves = NUDGE * torch.rand(tensor.shape, generator=rng, dtype=tensor.dtype)
        out.append(structured(tensor.detach() + moves.to(tensor.device), item.structure))
    return tuple(out)


def _moving(one: _Seen, other: _Seen) -> Tensor:
    """The distances, infinite where that from a kink is 0 both times."""
    still = (one.distance == 0) & (other.distance == 0)
    return torch.where(still, math.inf, one.distance) if one.kind == "kink" else one.distance


def _reaches(inner: Tensor, outputs: Sequence[Tensor]) -> bool:
    """Whether an output is differentiated through the tensor: not behind `stop_gradient`."""
    reached = [o for o in outputs if o.requires_grad]
    if not (reached and inner.requires_grad):
        return False
    ones = [torch.ones_like(o) for o in reached]
    [found] = torch.autograd.grad(reached, [inner], ones, retain_graph=True, allow_unused=True)
    return found is not None


def _finite_gradients(outputs: Sequence[Tensor], leaves: Sequence[Tensor | None]) -> bool:
    """Whether the derivatives of the plain formula are numbers."""
    reached = [o for o in outputs if o.requires_grad]
    wanted = [t for t in leaves if t is not None and t.requires_grad]
    grads = torch.autograd.grad(reached, wanted, [torch.ones_like(o) for o in reached], allow_unused=True)
    return all(grad is None or bool(torch.isfinite(grad).all()) for grad in grads)


def _floating(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def regular_sample(
    program: Program, shape: Shape, params: Params, rng: torch.Generator, device: str, least: float = LEAST
) -> Sample:
    """A sample away from kinks and poles: the first that is far enough, or the farthest, at `least` margins or more."""
    best, best_distance, what = None, least, "nothing drawn"
    for _ in range(ATTEMPTS):
        tensors, distance, nearest = _drawn(program, shape, params, rng, device)
        if distance > best_distance:
            best, best_distance = tensors, distance
        what = nearest
        if distance >= 1.0:
            break
    if best is None:
        raise NoSampleError(f"{ATTEMPTS} samples at {shape.label} all met a {what}: narrow a `domain`")
    return Sample(shape.label, best, params, cramped=best_distance < LEAST)


def _drawn(
    program: Program, shape: Shape, params: Params, rng: torch.Generator, device: str
) -> tuple[Tensors, float, str]:
    """One draw, with labels that the spec ignores if it does, and how far it is from what."""
    tensors = draw(program, shape, params, rng, device)
    ignored = with_ignored(program, tensors, params)
    if ignored is not None:
        try:
            distance, nearest = distance_from_trouble(program, ignored, params)
        except (IndexError, RuntimeError):
            pass  # what is compared with a number is looked up all the same
        else:
            if distance > LEAST:
                return ignored, distance, nearest
    return tensors, *distance_from_trouble(program, tensors, params)


def without_defaults(program: Program, sample: Sample) -> Sample | None:
    """The sample with every input that has a default left out."""
    if all(item.default is None for item in program.inputs):
        return None
    tensors = tuple(t if item.default is None else None for item, t in zip(program.inputs, sample.tensors, strict=True))
    left_out = ", ".join(item.name for item in program.inputs if item.default is not None)
    return replace(sample, label=f"{sample.label} without {left_out}", tensors=tensors)
