"""What a row of the table of pointwise functions says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from tensorgrad_gen.ir import Apply, Expr, IRError

Partials: TypeAlias = "tuple[Expr | None, ...]"


def _nothing(*args: Expr) -> tuple[Expr, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A pointwise function: its value, its law of differentiation, its edges.

    `derivative(y, *args)` are the partial derivatives by each argument, `y` being the function's
    own value; `None` means zero or not differentiable.  They are stable wherever the function is.
    `numpy(np, *args)` and `sympy(sp, *args)` define the value, the module handed in so that the
    table imports neither.  `latex` is a command, or a template with `#1`, `#2` for the arguments.
    `kinks(*args)` are expressions whose zeros are the points where the derivative jumps or the
    convention chose one: verification keeps away from them.  `domain(*args)` are conditions under
    which the function is differentiable.  `singular` says where the derivative is infinite, `taken`
    what it is taken as there, for the docstrings of ops.
    `surgery` names the law of a function whose derivative is no partial derivative of its value.
    """

    name: str
    parameters: tuple[str | tuple[str, Fraction], ...]
    derivative: Callable[..., Partials]
    numpy: Callable[..., Any]
    sympy: Callable[..., Any]
    latex: str
    title: str
    kinks: Callable[..., tuple[Expr, ...]] = _nothing
    domain: Callable[..., tuple[Expr, ...]] = _nothing
    singular: str | None = None
    taken: str | None = None
    surgery: str | None = None
    complex: bool = False
    internal: bool = False

    @property
    def arity(self) -> tuple[int, int]:
        """Fewest and most arguments."""
        return len(self.parameters) - len(self.defaults), len(self.parameters)

    @property
    def defaults(self) -> tuple[Fraction, ...]:
        """Defaults of the last parameters."""
        return tuple(p[1] for p in self.parameters if isinstance(p, tuple))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(p if isinstance(p, str) else p[0] for p in self.parameters)

    def partials(self, args: tuple[Expr, ...]) -> Partials:
        """The partial derivative with respect to each argument, as IR; `None` is zero."""
        if len(args) != len(self.parameters):
            raise IRError(f"{self.name} of {len(args)} arguments")
        found = self.derivative(Apply(self.name, args), *args)
        return found + (None,) * (len(args) - len(found))

    def evaluate(self, *args: Any) -> Any:
        """The value on NumPy arrays, in their precision."""
        import numpy as np

        with np.errstate(all="ignore"):
            return self.numpy(np, *args)
