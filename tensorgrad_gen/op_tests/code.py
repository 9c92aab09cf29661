"""Python text of torch values whose axes have names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

# How tightly an expression binds, loosest first; a comparison of tensors binds less than `|` and `&`.
COMPARISON, OR, AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(8)


@dataclass(frozen=True, slots=True)
class Code:
    """An expression: its text, how tightly it binds, and the index of each axis, in the order of its `Axes`.

    A `number` is a Python number or truth value, no tensor.  `source` is what was permuted to make this.
    """

    text: str
    level: int = ATOM
    keys: tuple[str, ...] = ()
    number: bool = False
    source: Code | None = None

    def at(self, level: int) -> str:
        """The text where something that binds as tightly as `level` is wanted."""
        return self.text if self.level >= level else f"({self.text})"

    @property
    def tensor(self) -> str:
        """The text of a tensor: of a number's in the default dtype."""
        if not self.number:
            return self.text
        return f"torch.tensor({self.text}.0)" if self.text.isdigit() else f"torch.tensor(float({self.text}))"

    @property
    def truth(self) -> str:
        """The text of a tensor of truth values."""
        return f"torch.tensor({self.text})" if self.number else self.text

    @property
    def negated(self) -> Code:
        """Where the condition does not hold."""
        if self.number:
            return replace(self, text=f"(not {self.at(ATOM)})", level=ATOM)
        return replace(self, text=f"~{self.at(UNARY)}", level=UNARY)


class Axes:
    """The order in which a statement's indices stand as axes: those of the left side first."""

    def __init__(self, names: Iterable[str]) -> None:
        self._place = {name: place for place, name in enumerate(dict.fromkeys(names))}

    def sorted(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Keys in order, each once."""
        return tuple(sorted(set(keys), key=self._place.__getitem__))

    def union(self, codes: Iterable[Code]) -> tuple[str, ...]:
        """The axes of several values."""
        return self.sorted(key for code in codes for key in code.keys)

    def arranged(self, text: str, keys: Sequence[str]) -> Code:
        """A tensor with axes `keys`, permuted into order."""
        source, wanted = Code(text, ATOM, tuple(keys)), self.sorted(keys)
        return Code(ordered(source, wanted), ATOM, wanted, source=source)


def ordered(code: Code, keys: Sequence[str]) -> str:
    """The value with exactly the axes `keys`, of length 1 where it lacks one."""
    code = code.source or code
    present = [key for key in keys if key in code.keys]
    text = code.at(ATOM)
    if tuple(present) != code.keys:
        text += f".permute({', '.join(str(code.keys.index(key)) for key in present)})"
    if len(present) == len(keys):
        return text
    axes = [":" if key in code.keys else "None" for key in keys]
    while axes[-1] == ":":
        axes.pop()
    return f"{text}[{', '.join(axes)}]"


def aligned(code: Code, keys: Sequence[str]) -> Code:
    """The value with an axis of length 1 for each of `keys` that it lacks, but for leading ones: these broadcast."""
    if code.number or not code.keys:
        return code
    tail = keys[keys.index(code.keys[0]) :]
    if tuple(tail) == code.keys:
        return code
    return replace(code, text=ordered(code, tail), level=ATOM, source=None)


def infix(axes: Axes, operator: str, level: int, codes: Sequence[Code]) -> Code:
    """`a op b op c`, broadcast, grouped from the left; operands of a comparison are sums."""
    keys = axes.union(codes)
    least = SUM if level == COMPARISON else level
    # What stands behind an operator binds tighter: `a - (b - c)`.
    texts = [aligned(code, keys).at(least + (place > 0)) for place, code in enumerate(codes)]
    return Code(f" {operator} ".join(texts), level, keys, all(code.number for code in codes))


class _Argument:
    """What stands in a form: `{0}` is its text, `{0:p}` that in parentheses where an operator needs them."""

    def __init__(self, code: Code) -> None:
        self._text = code.tensor
        self._operand = code.tensor if code.number else code.at(POWER)

    def __format__(self, form: str) -> str:
        return self._operand if form == "p" else self._text


def call(axes: Axes, form: str, codes: Sequence[Code]) -> Code:
    """A pointwise function of broadcast values, written as in the table of functions."""
    keys = axes.union(codes)
    text = form.format(*(_Argument(aligned(code, keys)) for code in codes))
    return Code(text, ATOM if form.startswith(("torch.", "_")) else SUM, keys)


def chosen(axes: Axes, mask: Code, then: Code, other: Code) -> Code:
    """`then` where the mask is true, `other` elsewhere."""
    keys = axes.union((mask, then, other))
    condition, yes, no = (aligned(code, keys) for code in (mask, then, other))
    return Code(f"torch.where({condition.truth}, {yes.text}, {no.text})", ATOM, keys)
