"""Section 6: very small and very large inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tensorgrad_gen.verify.compare import is_float, leaves, pull, required
from tensorgrad_gen.verify.extents import UndefinedValueError
from tensorgrad_gen.verify.model import FindingError, Outputs, Params, SkippedError, Subject, Tensors
from tensorgrad_gen.verify.rounding import cast

EXTREMES = (0.0, 1e-6, 1e-4, 20.0, 88.0, 200.0, 1e4)
# Allowed beside what the inputs' own last digits, and the formula's own roundings, make of it.
TOLERANCE = 1e-5
LAST_DIGIT = 2.0**-23
# How often the inputs are moved by a last digit, and how much more than the largest change found is allowed.
MOVES, MARGIN = 3, 16.0
# How much more than the formula in float32: one rounding more or less is luck.  Where terms cancel, so is whether there
# is one at all: the largest error for some inputs beside these counts.
FORMULA, DRAWS = 4.0, 12
# Far below this float32 has no normal numbers, and products underflow on the way.
SMALLEST = 1e-30

Numbers = list[Tensor | None]


@dataclass
class _Point:
    """The op and its formula at one set of extreme inputs: outputs, then gradients."""

    subject: Subject
    tensors: Tensors
    free: list[int]  # the inputs that have the extreme size

    def of(self, function: Callable[[Tensors, Params], Outputs], tensors: Tensors) -> Numbers:
        """Outputs and gradients by that function."""
        inputs = leaves(self.subject, tensors)
        outputs = function(inputs, self.subject.tiny.params)
        wanted = [t for t in inputs if t is not None and t.requires_grad]
        return [t if t is None else t.detach() for t in (*outputs, *pull(outputs, wanted, self.subject.seed))]

    def stable(self, dtype: torch.dtype, tensors: Tensors | None = None) -> Numbers:
        """By the formula with its stable forms recognised; by the plain one if that is all there is."""
        moved = cast(self.tensors if tensors is None else tensors, dtype)
        if self.subject.stable is None:
            return self.of(self.subject.reference, cast(moved, torch.float64))
        try:
            return self.of(self.subject.stable, moved)
        except KeyError:
            return self.of(self.subject.reference, cast(moved, torch.float64))

    @cached_property
    def got(self) -> Numbers:
        """By the op in float32."""
        return self.of(self.subject.call, self.tensors)

    @cached_property
    def want(self) -> Numbers:
        """In float64: by the stable form, and where that has no number, by the plain formula."""
        plain = self.of(self.subject.reference, cast(self.tensors, torch.float64))
        stable = self.stable(torch.float64)
        return [
            b if a is None or b is None or not is_float(b) else torch.where(torch.isfinite(a), a, b)
            for a, b in zip(stable, plain, strict=True)
        ]

    @cached_property
    def single(self) -> Numbers:
        """By the stable form in float32."""
        return self.stable(torch.float32)

    @cached_property
    def moved(self) -> list[Numbers]:
        """In float64, each input moved by about its last digit in float32."""
        return [self.stable(torch.float64, tensors) for tensors in self.moves(MOVES)]

    @cached_property
    def rounded(self) -> list[tuple[Numbers, Numbers]]:
        """By the stable form in float32 and in float64, for the inputs and for such as float32 has beside them."""
        beside = [cast(tensors, torch.float32) for tensors in self.moves(DRAWS, 64 * LAST_DIGIT)]
        found = [(self.single, self.want)]
        for tensors in beside:
            with suppress(UndefinedValueError):  # an equation may have no solution there
                found.append((self.stable(torch.float32, tensors), self.stable(torch.float64, tensors)))
        return found

    def moves(self, count: int, by: float = LAST_DIGIT) -> list[Tensors]:
        """The inputs, each moved by so much of itself at most."""
        rng = torch.Generator().manual_seed(self.subject.seed)
        found = []
        for _ in range(count):
            moved = []
            for tensor in cast(self.tensors, torch.float64):
                if tensor is not None and is_float(tensor):
                    noise = 2 * torch.rand(tensor.shape, generator=rng, dtype=torch.float64) - 1
                    tensor = tensor * (1 + by * noise.to(tensor.device))
                moved.append(tensor)
            found.append(tuple(moved))
        return found

    def finite(self) -> bool:
        """Whether the stable form in float32 is finite everywhere."""
        return all(t is None or not is_float(t) or bool(torch.isfinite(t).all()) for t in self.single)

    def names(self) -> list[str]:
        """What the numbers are."""
        places = required(leaves(self.subject, self.tensors))
        count = len(self.got) - len(places)
        return [*(f"output {k}" for k in range(count)), *(f"gradient of {self.subject.input_name(k)}" for k in places)]


def extremes(subject: Subject) -> float | None:
    """Very small and very large inputs: finite and accurate in float32 where the formula is, value and gradient.

    Where its stable form overflows in float32 too, the formula is to blame, and the check says so.
    """
    free = [k for k, d in enumerate(subject.domains) if d == "real" and is_float(subject.tiny.tensors[k])]
    if not free:
        raise SkippedError("no input has the domain `real`")
    beyond: list[str] = []
    nowhere: list[str] = []
    worst = 0.0
    for size in (sign * size for size in EXTREMES for sign in (1.0, -1.0)):
        point = _Point(subject, _extreme_inputs(subject, free, size), free)
        try:
            worst = max(worst, _check(point, size))
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            continue  # a singular matrix in float32
        except FindingError:
            if point.finite():
                raise
            beyond.append(f"{size:g}")
        except RuntimeError as error:
            if "no solution found" not in str(error):
                raise
            nowhere.append(f"{size:g}")
    reasons = [f"the formula itself overflows in float32 at {', '.join(beyond)}"] if beyond else []
    reasons += [f"the search for the solution ends nowhere in float32 at {', '.join(nowhere)}"] if nowhere else []
    if reasons:
        raise SkippedError(f"{'; '.join(reasons)}; right elsewhere")
    return worst


def _extreme_inputs(subject: Subject, free: list[int], size: float) -> Tensors:
    tensors = list(cast(subject.tiny.tensors, torch.float32))
    for place in free:
        tensor = tensors[place]
        assert tensor is not None
        signs = torch.sgn(tensor) if tensor.is_complex() else torch.where(tensor >= 0, 1.0, -1.0)
        tensors[place] = signs.to(tensor) * size
    return tuple(tensors)


def _check(point: _Point, size: float) -> float:
    worst = 0.0
    for place, (what, got, want) in enumerate(zip(point.names(), point.got, point.want, strict=True)):
        if got is None or want is None or not is_float(got):
            continue
        safe = torch.isfinite(want) & (want.abs() < torch.finfo(torch.float32).max / 1e6)
        bad = safe & ~torch.isfinite(got)
        if bool(bad.any()):
            raise FindingError(f"{what} is not finite at |x| = {size:g}, where the formula is {want[bad][0]:.3g}")
        if bool(safe.any()):
            worst = max(worst, _check_error(point, place, what, safe, size))
    return worst


def _check_error(point: _Point, place: int, what: str, safe: Tensor, size: float) -> float:
    """The largest error over the largest component."""
    got, want = point.got[place], point.want[place]
    assert got is not None
    assert want is not None
    largest = float(want[safe].abs().max())
    error = float((got.to(want.dtype) - want)[safe].abs().max())
    if error <= TOLERANCE * largest + SMALLEST:
        return error / largest if largest else 0.0
    own = max(_largest(one.to(two.dtype) - two, safe) for one, two in _pairs(point.rounded, place))
    moved = max(_largest(m - want, safe) for numbers in point.moved if (m := numbers[place]) is not None)
    if error > TOLERANCE * largest + SMALLEST + FORMULA * own + MARGIN * moved:
        raise FindingError(_off(point, what, size, (error, largest, own)), error / largest if largest else error)
    return TOLERANCE


def _largest(difference: Tensor, safe: Tensor) -> float:
    return float(torch.nan_to_num(difference[safe].abs(), 0.0, 0.0).max())


def _pairs(rounded: list[tuple[Numbers, Numbers]], place: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Of one number, what is found in float32 and in float64, for each of the inputs."""
    return ((a, b) for one, two in rounded if (a := one[place]) is not None and (b := two[place]) is not None)


def _off(point: _Point, what: str, size: float, errors: tuple[float, float, float]) -> str:
    """What was compared, how far off it is, and what to do about it."""
    error, largest, own = errors
    moved = ", ".join(f"`{point.subject.input_name(k)}`" for k in point.free)
    return (
        f"{what} by the op in float32 is off by {error:.1e} where the inputs of domain `real` ({moved}) are "
        f"+-{abs(size):g}; by the formula in float64 it is {largest:.1e} at most, and by the formula in float32 off by "
        f"{own:.1e}. Spell the equations so that no large terms cancel there, or give a `domain` without that size"
    )
