"""Products in which a cotangent meets the derivative of a function that PyTorch has backward of as one operator.

Law: a product is found by what it is, not how it is written: its factors that read one tensor alone are equal, as
functions, to a derivative of the table.
"""

from __future__ import annotations

from dataclasses import replace

from tensorgrad_gen.algebra.equal import UndecidedError, equal_as_functions
from tensorgrad_gen.algebra.hoist import scalar
from tensorgrad_gen.algebra.indices import accesses, walk
from tensorgrad_gen.functions import FUNCTIONS
from tensorgrad_gen.ir import Access, Apply, Expr, Index, Mul, Program, mul

# Function -> what its derivative has in it: few products are looked at twice.
_DERIVATIVES = {
    "gelu": "erfc",
    "gelu_tanh": "sech_squared",
    "silu": "sigmoid",
    "mish": "sech_squared",
    "tanh": "sech_squared",
}


def known_derivative(term: Mul, program: Program) -> tuple[str, Access, tuple[Expr, ...]] | None:
    """The function, the tensor it is of, and the factors that are its derivative there."""
    program = replace(program, statements=())  # what a tensor is made of makes no difference here
    for place in dict.fromkeys(a for a in accesses(term) if is_plain(a) and a.free == term.free):
        own = tuple(f for f in term.factors if not isinstance(f, Access) and not scalar(f) and _reads_only(f, place))
        applied = {node.function for f in own for node in walk(f) if isinstance(node, Apply)}
        rest = mul(*(f for f in term.factors if not any(f is o for o in own)))
        if not own or rest.free != term.free or not accesses(rest):  # a cotangent as large as the whole
            continue
        for function, mark in _DERIVATIVES.items():
            if mark in applied and _is_derivative(mul(*own), function, place, program):
                return function, place, own
    return None


def is_plain(expr: Expr) -> bool:
    """Whether the expression is a tensor with its axes."""
    return (
        isinstance(expr, Access)
        and all(isinstance(s, Index) for s in expr.subs)
        and len(set(expr.subs)) == len(expr.subs)
    )


def _reads_only(factor: Expr, place: Access) -> bool:
    return bool(accesses(factor)) and all(a is place for a in accesses(factor))


def _is_derivative(expr: Expr, function: str, place: Expr, program: Program) -> bool:
    (derivative,) = FUNCTIONS[function].partials((place,))
    assert derivative is not None
    try:
        return equal_as_functions(expr, derivative, program)
    except UndecidedError:
        return False
