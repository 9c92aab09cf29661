"""Results of a block of rows, computed right where they belong: in their rows of the whole.

Law: what is computed is the same, and a copy of it less; by a call of torch that takes the place as `out`, None where
there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tensorgrad_gen.lower.printer import reads
from tensorgrad_gen.lower.torch_ir import Call, Infix, TExpr, Var
from tensorgrad_gen.render.facts import Facts
from tensorgrad_gen.render.liveness import Guarded
from tensorgrad_gen.render.rows import Split
from tensorgrad_gen.render.view import Argument

_INFIX = {"*": "torch.mul", "+": "torch.add", "-": "torch.sub", "/": "torch.div"}
_CALLS = frozenset(f"_runtime.{name}_backward" for name in ("gelu", "log_softmax", "silu", "softmax")) | frozenset(
    f"torch.{name}"
    for name in (
        *("addcmul", "cos", "erf", "erfc", "exp", "expm1", "log", "log1p", "log_softmax", "reciprocal", "rsqrt"),
        *("sigmoid", "sin", "softmax", "sqrt", "tanh"),
    )
)


@dataclass(frozen=True, slots=True)
class Placed:
    """Lines of a block, those that make a result given its place; `places` names it for some of the results."""

    lines: tuple[Guarded, ...]
    places: dict[str, str]

    def arguments(self) -> tuple[Argument, ...]:
        """What the function of a block takes besides."""
        return tuple(Argument(place, "Tensor | None = None") for place in self.places.values())


def placed(facts: Facts, lines: Iterable[Guarded], found: Split, results: Mapping[str, str]) -> Placed:
    """The lines of a block; `results` names the variables of results."""
    given = [(line.target if line.target is not None else results.get(line.result, ""), line) for line in lines]
    count = Counter(name for name, line in given if line.value != Var(name))
    lives = (facts.forward, *(block.live for block in facts.blocks))
    numbers = frozenset((*facts.params, *(size.target for live in lives for size in live.sizes)))
    taken = numbers.union(count, *(reads(line.value) for _, line in given))
    done: list[Guarded] = []
    places: dict[str, str] = {}
    for name, line in given:
        if name in found.large and count[name] == 1:
            place = _free(f"out_{name}", taken)
            value = _into(line.value, place, numbers)
            if value is not None:
                line, places[name] = replace(line, value=value), place
        done.append(line)
    return Placed(tuple(done), {name: places[name] for name in found.joins if name in places})


def _free(name: str, taken: frozenset[str]) -> str:
    return _free(f"{name}_", taken) if name in taken else name


def _into(expr: TExpr, place: str, numbers: frozenset[str]) -> TExpr | None:
    """The expression as a call with a place for its result, if there is such a call."""
    out = (("out", Var(place)),)
    match expr:
        case Infix("*" | "+", left, right) if _number(left, numbers) and not _number(right, numbers):
            return Call(_INFIX[expr.op], (right, left), out)
        case Infix(op, left, right) if op in _INFIX and not _number(left, numbers):
            return Call(_INFIX[op], (left, right), out)
        case Call(function, args, kwargs) if function in _CALLS:
            return Call(function, args, (*kwargs, *out))
    return None


def _number(expr: TExpr, numbers: frozenset[str]) -> bool:
    """Whether the expression may be a Python number: it reads no tensor."""
    return all(name in numbers or name.startswith("math.") for name in reads(expr))
