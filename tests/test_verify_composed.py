"""The plain formula in torch has the oracle's values, and derivatives by PyTorch's conventions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from tensorgrad_gen import ir
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Delta,
    Expr,
    Index,
    Input,
    Iverson,
    LeviCivita,
    Linalg,
    Logic,
    Mul,
    Position,
    Pow,
    Program,
    Reduce,
    Scan,
    Special,
    Statement,
    Sum,
    Where,
)
from tensorgrad_gen.reference import evaluate
from tensorgrad_gen.verify.composed import compose
from tensorgrad_gen.verify.extents import UndefinedValueError

R, J = Index("i", "i"), Index("j", "j")
S, S1, C3 = Index("s", "s"), Index("s1", "s"), tuple(Index(n, 3) for n in "abc")
E = Index("...", "...")
X, Z = Access("x", (R, J)), Access("z", (J,))
POINTWISE = (
    "exp",
    "expm1",
    "sin",
    "tanh",
    "erf",
    "erfc",
    "relu",
    "silu",
    "gelu",
    "gelu_tanh",
    "mish",
    "sigmoid",
    "logsigmoid",
    "atan",
    "floor",
    "abs",
    "sign",
    "square",
    "digamma",
)
ZERO, ONE = ir.const(0), ir.const(1)


def program(indices: Sequence[Index], value: Expr, kind: str = "real") -> Program:
    """One statement `y[indices] = value` over inputs of every kind."""
    inputs = (
        Input("x", (R, J)),
        Input("z", (J,)),
        Input("q", (S, S1), domain="well_conditioned"),
        Input("e", (E, J)),
        Input("m", (R, J), kind="bool", grad=False),
        Input("t", (R,), kind="label", grad=False, labels="j"),
        Input("w", (J,), default=1),
    )
    axes = (("i", (("x", -2),)), ("j", (("x", -1), ("z", -1))), ("s", (("q", -1),)))
    return Program("op", "", inputs, (), (), (Statement("y", tuple(indices), value, kind),), ("y",), axes)


def arguments() -> list[Tensor | None]:
    rng = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    mask = torch.rand((2, 3), generator=rng) > 0.5
    square = torch.eye(2, dtype=torch.float64) + 0.2 * draw(2, 2)
    return [draw(2, 3), draw(3), square, draw(2, 1, 3), mask, torch.tensor([2, 0]), None]


def positive(expr: Expr) -> Expr:
    return Compare(">", expr, ZERO)


MASKED_LOG = Mul((Iverson(positive(X)), Apply("log", (X,))))

CASES: dict[str, tuple[Sequence[Index], Expr]] = {
    "broadcast": ((R, J), Z),
    "sum over an index the body lacks": ((J,), Sum((R,), Z)),
    "diagonal": ((S,), Access("q", (S, S))),
    "label": ((R,), Access("x", (R, Access("t", (R,))))),
    "delta with a label": ((R, J), Delta(J, Access("t", (R,)))),
    "permutation symbol": ((C3[0], C3[1]), Sum((C3[2],), LeviCivita(C3))),
    "condition": ((R, J), MASKED_LOG),
    "two conditions": ((R, J), Mul((Iverson(positive(X)), Iverson(Access("m", (R, J))), Apply("log", (X,))))),
    "positions": ((R, J), Mul((Iverson(Compare("<=", Position(J), Position(R))), X))),
    "logic": ((R, J), Iverson(Logic("or", (Logic("not", (Access("m", (R, J)),)), positive(X))))),
    "where": ((R, J), Where(positive(X), Apply("log", (X,)), Z)),
    "masked softmax": (
        (R, J),
        Scan("softmax", (J,), Where(Access("m", (R, J)), X, Mul((ir.const(-1), Special("inf"))))),
    ),
    "masked sum": ((R,), Sum((J,), MASKED_LOG)),
    "batch": ((E, J), Mul((Access("e", (E, J)), Z))),
    "reduced batch": ((J,), Sum((E,), Access("e", (E, J)))),
    "batch softmax": ((E, J), Scan("softmax", (J,), Access("e", (E, J)))),
    "extent of the batch": ((), ir.Extent("...")),
    "default": ((J,), Mul((Z, Access("w", (J,))))),
    "cubes": ((J,), Pow(Z, ir.const(3))),
    "negative power": ((J,), Pow(Z, ir.const(-2))),
    "inverse": ((S1, S), Linalg("inverse", Access("q", (S, S1)), (S,), (S1,), None)),
    "solve": (
        (S1, J),
        Linalg("solve", Access("q", (S, S1)), (S,), (S1,), Mul((Sum((R,), X), Apply("cos", (Position(S),))))),
    ),
    "determinant": ((), Linalg("det", Access("q", (S, S1)), (S,), (S1,), None)),
    "log determinant": ((), Linalg("logdet", Access("q", (S, S1)), (S,), (S1,), None)),
}
CASES |= {f"reduce {kind}": ((R,), Reduce(kind, (J,), X)) for kind in ("prod", "max", "min", "logsumexp", "norm")}
CASES |= {f"reduce {kind} over two": ((), Reduce(kind, (R, J), X)) for kind in ("prod", "max", "logsumexp", "norm")}
CASES |= {
    f"scan {kind}": ((R, J), Scan(kind, (J,), X)) for kind in ("log_softmax", "cumsum", "cumprod", "flip", "sort")
}
CASES |= {f"function {name}": ((R, J), Apply(name, (X,))) for name in POINTWISE}
CASES |= {
    "function softplus": ((R, J), Apply("softplus", (X, ir.const(2)))),
    "function elu": ((R, J), Apply("elu", (X, ir.const(2)))),
    "function clamp": ((R, J), Apply("clamp", (X, ir.const(Fraction(-1, 2)), ONE))),
    "function max": ((R, J), Apply("max", (X, Z))),
    "function mod": ((R, J), Apply("mod", (X, ir.const(Fraction(7, 10))))),
    "function hypot": ((R, J), Apply("hypot", (X, Z))),
    "function logaddexp": ((R, J), Apply("logaddexp", (X, Z))),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_oracle(name: str) -> None:
    op = program(*CASES[name])
    tensors = arguments()
    (got,) = compose(op, tensors, {})
    named = {i.name: None if t is None else t.numpy() for i, t in zip(op.inputs, tensors, strict=True)}
    want = evaluate(op, named)["y"]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_labels_are_those_of_the_oracle(name: str) -> None:
    op = program((R,), Reduce(name, (J,), X), kind="label")
    tensors = arguments()
    named = {i.name: None if t is None else t.numpy() for i, t in zip(op.inputs, tensors, strict=True)}
    np.testing.assert_array_equal(compose(op, tensors, {})[0].numpy(), evaluate(op, named)["y"])


def gradient(value: Expr, x: Sequence[float], indices: Sequence[Index] = (R, J)) -> list[float]:
    """The gradient of the sum of `value` in the one row of `x`."""
    tensors = arguments()
    row = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    tensors[0], tensors[4], tensors[5] = row, torch.ones(1, 3, dtype=torch.bool), torch.tensor([0])
    (y,) = compose(program(indices, value), tensors, {})
    (found,) = torch.autograd.grad(y.sum(), row)
    return [float(v) for v in found[0]]


def test_what_is_masked_makes_no_nan_gradient() -> None:
    assert gradient(MASKED_LOG, [-1.0, 0.0, 2.0]) == [0.0, 0.0, 0.5]
    root = Where(positive(X), Apply("sqrt", (X,)), ZERO)
    assert gradient(root, [-1.0, 0.0, 4.0]) == [0.0, 0.0, 0.25]
    reciprocal = Mul((Iverson(Compare("!=", X, ZERO)), Pow(X, ir.const(-1))))
    assert gradient(reciprocal, [0.0, 1.0, 2.0]) == [0.0, -1.0, -0.25]


def test_infinities_that_are_masked_do_not_leak() -> None:
    product = Mul((Iverson(Compare("<", X, ir.const(5))), X, X))
    assert gradient(product, [math.inf, 1.0, math.nan]) == [0.0, 2.0, 0.0]


def test_conventions_at_kinks_are_those_of_pytorch() -> None:
    assert gradient(Apply("relu", (X,)), [-1.0, 0.0, 1.0]) == [0.0, 0.0, 1.0]
    assert gradient(Apply("abs", (X,)), [-1.0, 0.0, 1.0]) == [-1.0, 0.0, 1.0]
    assert gradient(Apply("clamp", (X, ZERO, ONE)), [0.0, 1.0, 2.0]) == [1.0, 1.0, 0.0]
    assert gradient(Apply("max", (X, ONE)), [0.0, 1.0, 2.0]) == [0.0, 0.5, 1.0]
    assert gradient(Reduce("max", (J,), X), [1.0, 1.0, 0.0], (R,)) == [0.5, 0.5, 0.0]
    assert gradient(Reduce("norm", (J,), X), [0.0, 0.0, 0.0], (R,)) == [0.0, 0.0, 0.0]
    assert gradient(Reduce("prod", (J,), X), [0.0, 0.0, 3.0], (R,)) == [0.0, 0.0, 0.0]
    assert gradient(Reduce("prod", (J,), X), [0.0, 2.0, 3.0], (R,)) == [6.0, 0.0, 0.0]


def test_gradient_surgery_replaces_derivatives() -> None:
    assert gradient(ir.add(X, Apply("stop_gradient", (X,))), [1.0, 2.0, 3.0]) == [1.0, 1.0, 1.0]
    assert gradient(Apply("scale_gradient", (X, ir.const(3))), [1.0, 2.0, 3.0]) == [3.0, 3.0, 3.0]
    through = Apply("straight_through", (Apply("round", (X,)), X))
    assert gradient(through, [0.2, 1.7, 3.0]) == [1.0, 1.0, 1.0]
    clipped = Mul((ir.const(5), Apply("clip_gradient", (X, ir.const(-1), ONE))))
    assert gradient(clipped, [0.2, 1.7, 3.0]) == [1.0, 1.0, 1.0]


def test_an_empty_maximum_is_undefined() -> None:
    tensors = arguments()
    tensors[0] = torch.zeros(2, 0, dtype=torch.float64)
    of = program((R,), Reduce("max", (J,), X))
    with pytest.raises(UndefinedValueError, match="extent j is 0 and 3"):
        compose(of, tensors, {})
    tensors[1] = torch.zeros(0, dtype=torch.float64)
    with pytest.raises(UndefinedValueError, match="max over nothing: index j"):
        compose(of, tensors, {})
