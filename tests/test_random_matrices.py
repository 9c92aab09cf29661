"""Random programs of several functions of few matrices, whose factors are shared: the oracle is autograd of PyTorch."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor
from torch.func import grad

from tensorgrad_gen import load_op

Values = dict[str, Tensor]
Formula = Callable[[Values], Tensor]
EXTRAS = ("", "save: inputs\n", "save: all\n", "chunk: {index: b, count: 2}\n")
ONE = torch.eye(3, dtype=torch.float64)


@dataclass
class Drawn:
    """A program: its equations, and each tensor in PyTorch."""

    rng: random.Random
    lines: list[str] = field(default_factory=list)
    steps: dict[str, Formula] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    vectors: list[str] = field(default_factory=lambda: ["c", "d"])

    def add(self, name: str, line: str, formula: Formula) -> None:
        self.lines.append(line)
        self.steps[name] = formula


def solution(p: Drawn, z: str, m: str) -> None:
    v = p.rng.choice(p.vectors)
    p.add(z, f"{z}[b,k] = solve({m}, {v})[b,k]", lambda e: torch.linalg.solve(e[m], e[v][..., None])[..., 0])
    p.vectors.append(z)


def solutions(p: Drawn, z: str, m: str) -> None:
    p.add(f"r{z}", f"r{z}[b,i,j] = c[b,i]*w[i,j]", lambda e: e["c"][..., None] * e["w"])
    line = f"{z}[b] = solve({m}, r{z})[b,k,j]*w[k,j]"
    p.add(z, line, lambda e: (torch.linalg.solve(e[m], e[f"r{z}"]) * e["w"]).sum((-2, -1)))
    p.numbers.append(z)


def volume(p: Drawn, z: str, _: str) -> None:
    p.add(z, f"{z}[b] = logdet(g)[b]", lambda e: torch.logdet(e["g"]))
    p.numbers.append(z)


def size(p: Drawn, z: str, m: str) -> None:
    p.add(z, f"{z}[b] = det({m})[b]*slogdet_sign({m})[b]", lambda e: torch.linalg.det(e[m]).abs())
    p.numbers.append(z)


def weighted_inverse(p: Drawn, z: str, m: str) -> None:
    p.add(z, f"{z}[b] = inv({m})[b,i,k]*w[i,k]", lambda e: (torch.linalg.inv(e[m]) * e["w"]).sum((-2, -1)))
    p.numbers.append(z)


def form(p: Drawn, z: str, m: str) -> None:
    v = p.rng.choice(p.vectors)
    line = f"{z}[b] = {v}[b,i]*inv({m})[b,i,k]*{v}[b,k]"
    p.add(z, line, lambda e: torch.einsum("bi,bik,bk->b", e[v], torch.linalg.inv(e[m]), e[v]))
    p.numbers.append(z)


def variances(p: Drawn, z: str, m: str) -> None:
    p.add(z, f"{z}[b,k] = inv({m})[b,k,k]", lambda e: torch.linalg.inv(e[m]).diagonal(dim1=-2, dim2=-1))
    p.vectors.append(z)


def hidden(p: Drawn, z: str, _: str) -> None:
    v = p.rng.choice(p.vectors)
    line = f"{z}[b] = where(ok[b], log(1 + logdet(g)[b]^2)*{v}[b,0], 0)"
    p.add(z, line, lambda e: torch.where(e["ok"], torch.log(1 + torch.logdet(e["g"]) ** 2) * e[v][:, 0], 0))
    p.numbers.append(z)


KINDS = (solution, solution, solutions, volume, size, weighted_inverse, form, variances, hidden)


def drawn(seed: int) -> tuple[str, Callable[..., Tensor]]:
    """A spec, and the same in PyTorch."""
    p = Drawn(random.Random(seed))
    p.add("t", "t[b,k,i] = a[b,i,k]", lambda e: e["a"].mT)
    p.add("g", "g[b,i,k] = a[b,j,i]*a[b,j,k] + delta[i,k]", lambda e: e["a"].mT @ e["a"] + ONE)
    for number in range(p.rng.randint(2, 6)):
        p.rng.choice(KINDS)(p, f"z{number}", p.rng.choice(("a", "t", "g")))
    terms = [f"sin({z}[b])" for z in p.numbers] + [f"tanh({v}[b,k])*c[b,k]" for v in p.vectors]
    p.lines.append(f"y[b] = {' + '.join(terms)}")
    inputs = "{a: [b, i, k], c: [b, i], d: [b, i], w: [i, k], ok: {indices: [b], kind: bool}}"
    equations = "".join(f"  {line}\n" for line in p.lines)
    spec = f"op: f\ninputs: {inputs}\n{p.rng.choice(EXTRAS)}equations: |\n{equations}outputs: [y]\n"

    def plain(a: Tensor, c: Tensor, d: Tensor, w: Tensor, ok: Tensor) -> Tensor:
        values = {"a": a, "c": c, "d": d, "w": w, "ok": ok}
        for name, formula in p.steps.items():
            values[name] = formula(values)
        y = sum((torch.tanh(values[v]) * c for v in p.vectors), torch.zeros(())).sum(-1)
        return sum((values[z].sin() for z in p.numbers), y)

    return spec, plain


@pytest.mark.parametrize("seed", range(16))
def test_derivatives_of_random_functions_of_matrices(seed: int) -> None:
    spec, plain = drawn(seed)
    op = load_op(spec)
    made = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(s, dtype=torch.float64, generator=made) for s in ((3, 3, 3), (3, 3), (3, 3), (3, 3))]
    tensors[0] += 3 * ONE
    ok = torch.tensor([True, False, True])
    found = []
    for function in (op, plain):
        leaves = [t.clone().requires_grad_() for t in tensors]
        value = function(*leaves, ok).sin().sum()
        once = torch.autograd.grad(value, leaves, retain_graph=True, materialize_grads=True)
        first = torch.autograd.grad(value, leaves, create_graph=True, materialize_grads=True)
        second = torch.autograd.grad(sum(g.cos().sum() for g in first), leaves, materialize_grads=True)
        inside = grad(lambda *own, f=function: f(*own, ok).sin().sum(), (0, 1, 2, 3))(*tensors)
        found.append((value, once, first, second, inside))
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-9)
