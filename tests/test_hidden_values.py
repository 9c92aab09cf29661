"""What a condition hides is not read: NaN, infinity and singular matrices there reach no value and no derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor

from tensorgrad_gen import load_op

NAN, INF = float("nan"), float("inf")
SEEN = torch.tensor([True, False, True])


@dataclass(frozen=True)
class Hidden:
    """A spec, the shapes of its real inputs, and those of them that are hidden where `seen` is false, by name."""

    inputs: str
    equations: str
    shapes: tuple[tuple[int, ...], ...]
    hidden: tuple[int, ...]

    @property
    def text(self) -> str:
        lines = "\n  ".join(self.equations.split("; "))
        return (
            f"op: hidden\ndoc: It.\ninputs: {{{self.inputs}, seen: {{indices: [b], kind: bool}}}}\n"
            f"equations: |\n  {lines}\noutputs: [y]\n"
        )


LINEAR = "x: [b, i], w: [o, i]"
CASES = {
    "a linear map": Hidden(LINEAR, "y[b,o] = where(seen[b], w[o,i]*x[b,i], 0)", ((3, 2), (4, 2)), (0,)),
    "a bracket": Hidden(LINEAR, "y[b,o] = [seen[b]]*w[o,i]*x[b,i]", ((3, 2), (4, 2)), (0,)),
    "by name": Hidden(
        LINEAR, "e[b,o] = w[o,i]*x[b,i]; y = one[b]*where(seen[b], e[b,o]*e[b,o], 0)", ((3, 2), (4, 2)), (0,)
    ),
    "by two names": Hidden(
        f"{LINEAR}, u: [o]",
        "d[b,i] = x[b,i] - 1; e[b,o] = w[o,i]*d[b,i]; f[b] = u[o]*tanh(e[b,o]); y = one[b]*[seen[b]]*f[b]^2",
        ((3, 2), (4, 2), (4,)),
        (0,),
    ),
    "a squared error": Hidden(
        "x: [b, i], w: [i], t: [b]", "y = one[b]*[seen[b]]*(x[b,i]*w[i] - t[b])^2", ((3, 2), (2,), (3,)), (0, 2)
    ),
    "a named factor": Hidden(
        "x: [b], w: [], v: [b]", "e[b] = x[b]*w*v[b]; y = one[b]*where(seen[b], exp(e[b]), 0)", ((3,), (), (3,)), (0,)
    ),
    "other elsewhere": Hidden(
        LINEAR, "y[b,o] = where(seen[b], tanh(w[o,i]*x[b,i]), w[o,i]*one[i])", ((3, 2), (4, 2)), (0,)
    ),
    "where it is false": Hidden(
        LINEAR, "y[b,o] = where(not seen[b], one[i]*w[o,i], w[o,i]*x[b,i])", ((3, 2), (4, 2)), (0,)
    ),
    "three factors": Hidden(
        "s: [q, b], w: [e, i], x: [b, i]", "y[q,e] = [seen[b]]*s[q,b]*w[e,i]*x[b,i]", ((4, 3), (5, 2), (3, 2)), (2,)
    ),
    "an exponential": Hidden(
        "x: [b, i], w: [i]", "y[b] = where(seen[b], one[i]*exp(w[i]*x[b,i]), 0)", ((3, 2), (2,)), (0,)
    ),
    "a power of a number": Hidden(
        "x: [b, i], v: [b, i], w: [i]",
        "y[i] = one[b]*where(seen[b], 2^x[b,i]*exp(v[b,i]), 0)*w[i]",
        ((3, 2), (3, 2), (2,)),
        (0, 1),
    ),
    "at a place": Hidden(
        "x: [b, i], w: [i]",
        "p[b,i] = softmax[i](w[i]*x[b,i]); y[b] = where(seen[b], p[b,0] - p[b,i]*p[b,i], 0)",
        ((3, 2), (2,)),
        (0,),
    ),
    "on a diagonal": Hidden(
        "a: {indices: [b, i, j], domain: spd}, x: [b, i]",
        "c[b,i,j] = cholesky(a)[b,i,j]; y = one[b]*where(seen[b], sum[i](log(c[b,i,i])*x[b,i]), 0)",
        (),
        (0, 1),
    ),
    "a logarithm": Hidden(LINEAR, "y[b,o] = where(seen[b], w[o,i]*log(x[b,i]^2 + 1/2), 0)", ((3, 2), (4, 2)), (0,)),
    "a logarithm of a sum": Hidden(
        LINEAR, "y = one[b]*where(seen[b], one[o]*log(1 + (w[o,i]*x[b,i])^2), 0)", ((3, 2), (4, 2)), (0,)
    ),
    "a softmax": Hidden(
        "x: [b, i], v: [i, e]", "y[b,e] = where(seen[b], softmax[i](x[b,i])*v[i,e], 0)", ((3, 2), (2, 4)), (0,)
    ),
    "padded keys": Hidden(
        "q: [n, i], k: [b, i], v: [b, e]",
        "s[n,b] = q[n,i]*k[b,i]; p[n,b] = softmax[b](where(seen[b], s[n,b], -inf)); y[n,e] = [seen[b]]*p[n,b]*v[b,e]",
        ((4, 2), (3, 2), (3, 5)),
        (1, 2),
    ),
    "a maximum": Hidden("x: [b, i], w: [i]", "y[b] = where(seen[b], max[i](w[i]*x[b,i]), 0)", ((3, 2), (2,)), (0,)),
    "a norm": Hidden("x: [b, i], w: [i]", "y = one[b]*[seen[b]]*norm[i](w[i]*x[b,i])", ((3, 2), (2,)), (0,)),
    "a running sum": Hidden(
        "x: [b, i], w: [i]",
        "c[b,i] = cumsum[i](w[i]*x[b,i]); y = one[b]*one[i]*[seen[b]]*c[b,i]^2",
        ((3, 4), (4,)),
        (0,),
    ),
    "both axes": Hidden(
        "x: [b, i], w: [b, i]", "y[i] = one[b]*where(seen[b] and i < 5, tanh(x[b,i])*w[b,i], 0)", ((3, 4), (3, 4)), (0,)
    ),
    "a gate": Hidden(
        "x: [b, i], w: [i], v: [b]",
        "g[b] = sigmoid(x[b,i]*w[i]); y = one[b]*where(seen[b], g[b]*v[b]^2/(1 + v[b]^2), 0)",
        ((3, 2), (2,), (3,)),
        (0, 2),
    ),
    "a mean": Hidden(
        "x: [b, i], w: [i]",
        "n = sum[b]([seen[b]]); m[i] = [seen[b]]*x[b,i]/n; v[i] = [seen[b]]*(x[b,i] - m[i])^2/n; y[i] = w[i]*v[i]",
        ((3, 2), (2,)),
        (0,),
    ),
    "a right side": Hidden(
        "a: {indices: [b, i, j], domain: spd}, x: [b, i]", "y[b,j] = where(seen[b], solve(a, x)[b,j], 0)", (), (1,)
    ),
    "a matrix": Hidden(
        "a: {indices: [b, i, j], domain: spd}, x: [b, i]", "y[b,j] = where(seen[b], solve(a, x)[b,j], 0)", (), (0, 1)
    ),
    "a determinant": Hidden(
        "a: {indices: [b, i, j], domain: spd}, x: [b, i]",
        "y = one[b]*where(seen[b], x[b,j]*a[b,j,k]*x[b,k] + logdet(a)[b], 0)",
        (),
        (0, 1),
    ),
    "an inverse": Hidden(
        "a: {indices: [b, i, j], domain: spd}, x: [b, i]", "y[b,i] = [seen[b]]*inv(a)[b,i,j]*x[b,j]", (), (0, 1)
    ),
    "a Cholesky factor": Hidden(
        "a: {indices: [b, i, j], domain: spd}, x: [b, i]",
        "c[b,i,j] = cholesky(a)[b,i,j]; z[b,i] = c[b,i,j]*x[b,j]; y = one[b]*one[i]*[seen[b]]*z[b,i]^2",
        (),
        (0, 1),
    ),
    "eigenvalues": Hidden(
        "a: {indices: [b, i, j], domain: spd}, x: [b, i]",
        "e[b,i] = eigvalsh(a)[b,i]; y = one[b]*[seen[b]]*x[b,i]*log(e[b,i])",
        (),
        (0, 1),
    ),
}


@cache
def op_of(case: Hidden) -> Callable[..., Tensor]:
    return load_op(case.text)


def given(case: Hidden, seed: int = 0) -> list[Tensor]:
    """Ordinary inputs in double precision; of a matrix and a vector where the case says nothing else."""
    generator = torch.Generator().manual_seed(seed)
    shapes = case.shapes or ((3, 4, 4), (3, 4))
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    if not case.shapes:
        tensors[0] = tensors[0] @ tensors[0].mT + torch.eye(4)
    return tensors


def with_hidden(case: Hidden, value: float, seed: int = 0) -> list[Tensor]:
    """The same inputs, with the value wherever they are hidden."""
    tensors = given(case, seed)
    for place in case.hidden:
        tensors[place][~SEEN] = value
    return tensors


def everything(case: Hidden, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Value, gradients, gradients of a function of the gradients, tangent, gradients by a transform."""
    op = op_of(case)

    def total(*leaves: Tensor) -> Tensor:
        return (op(*leaves, SEEN) * 1.5).tanh().sum()

    leaves = [t.clone().requires_grad_() for t in tensors]
    first = torch.autograd.grad(total(*leaves), leaves)
    again = torch.autograd.grad(total(*leaves), leaves, create_graph=True)
    second = torch.autograd.grad(sum((g.sin() * 1.3).sum() for g in again), leaves, allow_unused=True)
    second = [torch.zeros_like(t) if s is None else s for s, t in zip(second, leaves, strict=True)]
    _, tangent = torch.func.jvp(lambda *a: op(*a, SEEN), tuple(tensors), tuple(torch.ones_like(t) for t in tensors))
    transformed = torch.func.grad(total, tuple(range(len(tensors))))(*tensors)
    return [op(*tensors, SEEN), *first, *again, *second, tangent, *transformed]


@pytest.mark.parametrize("value", [NAN, INF, 1e200])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_hidden_changes_nothing(case: Hidden, value: float) -> None:
    plain, found = everything(case, given(case)), everything(case, with_hidden(case, value))
    for want, got in zip(plain, found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_what_is_missing_is_told_by_itself() -> None:
    """`x == x` is false of NaN alone."""
    inputs, shapes = "x: [b], w: [i], u: [b, i]", ((3,), (4,), (3, 4))
    told = Hidden(
        inputs, "y[b] = where(x[b] == x[b] and (seen[b] or not seen[b]), (x[b] - w[i]*u[b,i])^2, 0)", shapes, ()
    )
    masked = Hidden(inputs, "y[b] = where(seen[b], (x[b] - w[i]*u[b,i])^2, 0)", shapes, (0, 2))
    found = everything(told, with_hidden(masked, NAN))
    for want, got in zip(everything(masked, given(masked)), found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
