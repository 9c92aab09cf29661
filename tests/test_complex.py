"""Complex numbers: value, gradients to the second order and forward mode are those of plain torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tensorgrad_gen import SpecError
from tensorgrad_gen.api import compile_spec, load_module
from tensorgrad_gen.functions import COMPLEX_FORMS
from tensorgrad_gen.reference import evaluate

KINDS = {"complex": torch.complex128, "real": torch.float64}


@dataclass(frozen=True)
class Case:
    """A spec's inputs and equations, and the same in torch; inputs are drawn by `kind` and shape."""

    inputs: str
    equations: str
    torch: Callable[..., Any]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    more: str = ""
    smooth: bool = True
    shift: complex = 0.0


Z = "{z: {indices: [n], kind: complex}}"
ZW = "{z: {indices: [n], kind: complex}, w: {indices: [n], kind: complex}}"
A = "{a: {indices: [i, i], kind: complex}}"
ONE = (("complex", (4,)),)
TWO = (("complex", (4,)), ("complex", (4,)))


def _position(x: Tensor) -> Tensor:
    return torch.arange(x.shape[-1], dtype=torch.float64)


def _fourier(x: Tensor) -> Tensor:
    n = _position(x)
    return torch.polar(torch.ones((), dtype=torch.float64), -2 * torch.pi * n[:, None] * n / x.shape[-1])


def _after_first(s: Tensor) -> Tensor:
    return torch.cat((torch.zeros_like(s[:1]), s[1:])) + s[0] ** 2


def _root(a: Tensor) -> Tensor:
    values, vectors = torch.linalg.eig(a)
    return vectors @ torch.diag(values.sqrt()) @ torch.linalg.inv(vectors)


CASES = {
    "conjugate": Case(Z, "y[n] = conj(z[n])", torch.conj, ONE),
    "parts": Case(Z, "y[n] = real(z[n])*imag(z[n])^2", lambda z: z.real * z.imag**2, ONE),
    "magnitude": Case(Z, "y[n] = abs(z[n])", torch.abs, ONE),
    "angle": Case(Z, "y[n] = angle(z[n])", torch.angle, ONE),
    "made of two": Case(
        "{a: [n], b: [n]}",
        "y[n] = complex(a[n], b[n]^2)",
        lambda a, b: torch.complex(a, b**2),
        (("real", (4,)), ("real", (4,))),
    ),
    "product": Case(
        ZW, "y[n] = z[n]*conj(w[n])/(1 + z[n]*conj(z[n]))", lambda z, w: z * w.conj() / (1 + z * z.conj()), TWO
    ),
    "inner product": Case(ZW, "y = conj(z[n])*w[n]", torch.vdot, TWO),
    "a real result of complex numbers": Case(
        ZW, "y = one[n]*abs(z[n] - w[n])^2", lambda z, w: (z - w).abs().square().sum(), TWO
    ),
    "matrix product": Case(
        "{a: {indices: [i, j], kind: complex}, b: {indices: [j, k], kind: complex}}",
        "y[i,k] = a[i,j]*b[j,k]",
        torch.matmul,
        (("complex", (3, 4)), ("complex", (4, 2))),
    ),
    "real by complex": Case(
        "{a: [i, j], b: {indices: [j, k], kind: complex}}",
        "y[i,k] = a[i,j]*b[j,k]",
        lambda a, b: a.to(b.dtype) @ b,
        (("real", (3, 4)), ("complex", (4, 2))),
    ),
    "complex by real, batched": Case(
        "{a: {indices: [b, i, j], kind: complex}, x: [b, j]}",
        "y[b,i] = a[b,i,j]*x[b,j]",
        lambda a, x: torch.einsum("bij,bj->bi", a, x.to(a.dtype)),
        (("complex", (2, 3, 4)), ("real", (2, 4))),
    ),
    "expectation": Case(
        "{p: {indices: [i], kind: complex}, h: {indices: [i, j], kind: complex}}",
        "y = real(conj(p[i])*h[i,j]*p[j])",
        lambda p, h: (p.conj() @ h @ p).real,
        (("complex", (4,)), ("complex", (4, 4))),
    ),
    "Fourier transform of real numbers": Case(
        "{x: [..., n]}",
        "y[...,k] = exp(complex(0, -2*pi*k*n/N))*x[...,n]",
        lambda x: x.to(torch.complex128) @ _fourier(x).mT.to(torch.complex128),
        (("real", (2, 5)),),
        "sizes: {N: n, K: {index: k, extent: N}}\n",
    ),
    "power spectrum": Case(
        "{x: [n]}",
        "s[k] = exp(complex(0, -2*pi*k*n/N))*x[n]\n  y[k] = abs(s[k])^2/N",
        lambda x: torch.fft.fft(x).abs().square() / x.shape[-1],
        (("real", (5,)),),
        "sizes: {N: n, K: {index: k, extent: N}}\n",
    ),
    "several outputs": Case(
        ZW,
        "u[n] = exp(z[n])*w[n]\n  r[n] = real(u[n])\n  v[n] = u[n]^2",
        lambda z, w: ((z.exp() * w).real, (z.exp() * w) ** 2),
        TWO,
        "outputs: [r, v]\n",
    ),
    "a real output of complex ones, and a complex one": Case(
        ZW,
        "m[n] = abs(z[n])\n  y[n] = m[n]*w[n]/(1 + m[n])",
        lambda z, w: (z.abs(), z.abs() * w / (1 + z.abs())),
        TWO,
        "outputs: [m, y]\n",
    ),
    "a power": Case(
        ZW, "y[n] = z[n]^3 + z[n]^-2 + z[n]^(1/2)*2^w[n]", lambda z, w: z**3 + z**-2 + z.sqrt() * 2**w, TWO
    ),
    "power by a param": Case(Z, "y[n] = z[n]^p", lambda z: z**1.5, ONE, "params: {p: 1.5}\n"),
    "spellings": Case(
        Z,
        "y[n] = sigmoid(z[n]) + silu(z[n]) + square(z[n]) + reciprocal(z[n]) + rsqrt(z[n]) + log2(z[n])",
        lambda z: torch.sigmoid(z) * (1 + z) + z * z + 1 / z + 1 / z.sqrt() + z.log() / np.log(2.0),
        ONE,
    ),
    "functions of real parts": Case(
        Z, "y[n] = relu(real(z[n]))*tanh(imag(z[n])) + z[n]", lambda z: z.real.relu() * z.imag.tanh() + z, ONE
    ),
    "no rule of real numbers": Case(
        Z,
        "y[n] = sqrt(z[n]^2) + log(exp(2*z[n])) + log(1 + exp(z[n])) + exp(z[n])/(1 + exp(z[n]))",
        lambda z: (z**2).sqrt() + (2 * z).exp().log() + (1 + z.exp()).log() + z.exp() / (1 + z.exp()),
        ONE,
    ),
    "no softmax": Case(Z, "y[n] = exp(z[n])/(one[m]*exp(z[m]))", lambda z: z.exp() / z.exp().sum(), ONE),
    "norm": Case(
        Z, "y = norm[n](z[n]) + norm[n](z[n], 1)", lambda z: z.abs().square().sum().sqrt() + z.abs().sum(), ONE
    ),
    "variance": Case(Z, "y = var[n](z[n]) + std[n](z[n], 1)", lambda z: z.var(correction=0) + z.std(correction=1), ONE),
    "product of all": Case(Z, "y = prod[n](z[n])", torch.prod, ONE),
    "running": Case(
        Z, "y[n] = cumsum[n](z[n]) + mean[n](z[n]*conj(z[n]))", lambda z: z.cumsum(0) + (z * z.conj()).mean(), ONE
    ),
    "masked": Case(
        "{z: {indices: [n], kind: complex}, m: {indices: [n], kind: bool}}",
        "y[n] = [m[n]]*log(z[n])*abs(z[n]) + where(m[n], 0, conj(z[n]))",
        lambda z, m: torch.where(m, z.log() * z.abs(), z.conj()),
        (("complex", (4,)), ("bool", (4,))),
    ),
    "chosen by a label": Case(
        "{z: {indices: [v], kind: complex}, t: {indices: [b], kind: label, labels: v}}",
        "y[b] = z[t[b]]*conj(z[t[b]])^2",
        lambda z, t: z[t] * z[t].conj() ** 2,
        (("complex", (4,)), ("label", (6,))),
    ),
    "shifted": Case(
        "{z: {indices: [n], kind: complex}, k: {indices: [j], kind: complex}}",
        "y[i] = z[i+j]*conj(k[j])",
        lambda z, k: (z.unfold(0, 2, 1) * k.conj()).sum(-1),
        (("complex", (5,)), ("complex", (2,))),
    ),
    "inverse and determinant": Case(
        "{a: {indices: [i, k], kind: complex}}",
        "y[k,i] = inv(a)[k,i]*det(a)",
        lambda a: torch.linalg.inv(a) * torch.linalg.det(a),
        (("complex", (3, 3)),),
        shift=1.0,
    ),
    "solve with a real right side": Case(
        "{a: {indices: [i, k], kind: complex}, c: [i]}",
        "y[k] = solve(a, c)[k]",
        lambda a, c: torch.linalg.solve(a, c.to(a.dtype)),
        (("complex", (3, 3)), ("real", (3,))),
    ),
    "symmetric": Case(
        "{a: {indices: [i, i], kind: complex, structure: symmetric}}",
        "y = a[i,j]*a[j,k]*a[k,i]",
        lambda a: torch.trace(a @ a @ a),
        (("complex", (3, 3)),),
    ),
    "user function": Case(
        Z, "y[n] = f(z[n], 2)", lambda z: z * (z.conj() + 2), ONE, "functions:\n  f(u, c): u*(conj(u) + c)\n"
    ),
    "a real input that may be left out": Case(
        "{z: {indices: [n], kind: complex}, s: {indices: [n], default: 0}}",
        "y[n] = z[n] + relu(s[n])*[s[n] < 1]",
        lambda z, s: z + s.relu() * (s < 1),
        (("complex", (4,)), ("real", (4,))),
    ),
    "implicit equation, batched": Case(
        "{a: {indices: [b, i, k], kind: complex}, c: {indices: [b, i], kind: complex}}",
        "y[b,k] = solve(a, c)[b,k]",
        torch.linalg.solve,
        (("complex", (2, 3, 3)), ("complex", (2, 3))),
    ),
    "angle of a product": Case(ZW, "y[n] = angle(z[n]*conj(w[n]))", lambda z, w: (z * w.conj()).angle(), TWO),
    "rows of a table by labels of two axes": Case(
        "{e: {indices: [v, d], kind: complex}, t: {indices: [b, k], kind: label, labels: v}}",
        "y[b,k,d] = e[t[b,k],d]^2",
        lambda e, t: e[t] ** 2,
        (("complex", (4, 3)), ("label", (2, 3))),
    ),
    "pairs as complex numbers": Case(
        "{x: [n]}",
        "y[j] = complex(x[2*j], x[2*j+1])",
        lambda x: torch.complex(x[:-1:2], x[1::2]),
        (("real", (7,)),),
    ),
    "repeated in a contraction": Case(
        "{a: {indices: [i, j], kind: complex}}",
        "g[j,k] = conj(a[i,j])*a[i,k]\n  y = abs(g[j,k])^2*one[j,k]",
        lambda a: (a.mH @ a).abs().square().sum(),
        (("complex", (3, 2)),),
    ),
    "pseudoinverse": Case(
        "{a: {indices: [i, k], kind: complex}}", "y[k,i] = pinv(a)[k,i]", torch.linalg.pinv, (("complex", (4, 2)),)
    ),
    "wide pseudoinverse": Case(
        "{a: {indices: [i, k], kind: complex}}", "y[k,i] = pinv(a)[k,i]", torch.linalg.pinv, (("complex", (2, 3)),)
    ),
    "singular values": Case(
        "{a: {indices: [i, k], kind: complex}}",
        "y[n] = svdvals(a)[n]*[n > 0] + svdvals(a)[0]^2",
        lambda a: _after_first(torch.linalg.svdvals(a)),
        (("complex", (3, 2)),),
    ),
    "exponential of a matrix": Case(A, "y[i,j] = matrix_exp(a)[i,j]", torch.linalg.matrix_exp, (("complex", (3, 3)),)),
    "root of a matrix": Case(A, "y[i,j] = matrix_sqrt(a)[i,j]", _root, (("complex", (3, 3)),), shift=0.5),
    "log of a determinant": Case(
        A,
        "y = logdet(a) + slogdet_sign(a)",
        lambda a: torch.logdet(a) + torch.linalg.slogdet(a).sign,
        (("complex", (3, 3)),),
    ),
    "eigenvalues of a Hermitian matrix": Case(
        A, "y[n] = eigvalsh(a)[n]", lambda a: torch.linalg.eigvalsh((a + a.mH) / 2), (("complex", (3, 3)),)
    ),
    "Cholesky factor of a Hermitian matrix": Case(
        A,
        "h[i,j] = a[i,k]*conj(a[j,k]) + delta[i,j]\n  y[i,j] = cholesky(h)[i,j]",
        lambda a: torch.linalg.cholesky(a @ a.mH + torch.eye(3)),
        (("complex", (3, 3)),),
    ),
}
for _name in sorted(set(COMPLEX_FORMS) - {"abs", "pow"}):
    CASES[f"function {_name}"] = Case(Z, f"y[n] = {_name}(z[n])", getattr(torch, _name), ONE)


def spec(case: Case) -> str:
    return f"op: op\ninputs: {case.inputs}\n{case.more}equations: |\n  {case.equations}\n"


@cache
def built(name: str) -> Any:
    compiled = compile_spec(spec(CASES[name]), standalone=True)
    return load_module("op", compiled.source).op, compiled


def draw(case: Case, seed: int = 0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    found = []
    for kind, shape in case.shapes:
        if kind in KINDS:
            tensor = torch.randn(shape, dtype=KINDS[kind], generator=rng) + case.shift
            found.append((tensor + 0.1).requires_grad_())
        else:
            numbers = torch.randint(0, 2 if kind == "bool" else 4, shape, generator=rng)
            found.append(numbers.bool() if kind == "bool" else numbers)
    return found


def in_structure(case: Case, f: Callable[..., Any]) -> Callable[..., Any]:
    """The function of what its inputs' structure makes of them."""
    return (lambda a: f((a + a.mT) / 2)) if "symmetric" in case.inputs else f


def outputs(value: Any) -> tuple[Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


def moving(inputs: list[Tensor]) -> list[Tensor]:
    return [x for x in inputs if x.requires_grad]


@pytest.mark.parametrize("name", CASES)
def test_value_and_derivatives_are_those_of_torch(name: str) -> None:
    """The value is that of the interpreter too; `gradcheck` tries forward mode and batched gradients."""
    compare_values(name)
    compare_gradients(name)
    check_differences(name)


def compare_values(name: str) -> None:
    op, compiled = built(name)
    inputs = draw(CASES[name])
    if "symmetric" in CASES[name].inputs:
        inputs = [((x + x.mT) / 2).detach() for x in inputs]
    got, want = outputs(op(*inputs)), outputs(CASES[name].torch(*inputs))
    arrays = {item.name: x.detach().numpy() for item, x in zip(compiled.program.inputs, inputs, strict=True)}
    oracle = evaluate(compiled.program, arrays)
    for a, b, n in zip(got, want, compiled.program.outputs, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(a.detach().resolve_conj().numpy(), oracle[n], rtol=1e-11, atol=1e-12)


def compare_gradients(name: str) -> None:
    op, _ = built(name)
    results = []
    for f in (op, CASES[name].torch):
        inputs = draw(CASES[name])
        ys = outputs(in_structure(CASES[name], f)(*inputs))
        weights = [torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(5)) for y in ys]
        first = torch.autograd.grad(ys, moving(inputs), weights, create_graph=True)
        assert [g.dtype for g in first] == [x.dtype for x in moving(inputs)]
        loss = sum((g * torch.linspace(0.5, 1.5, g.numel()).view(g.shape) * (2 - 1j)).real.sum() for g in first)
        second = [None] * len(first)
        if loss.requires_grad:
            second = torch.autograd.grad(loss, moving(inputs), allow_unused=True)
        results.append([*first, *(torch.zeros_like(x) if g is None else g for x, g in zip(first, second, strict=True))])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-10)


def check_differences(name: str) -> None:
    op, _ = built(name)
    op, inputs = in_structure(CASES[name], op), draw(CASES[name], seed=1)
    assert torch.autograd.gradcheck(op, inputs, check_forward_ad=True, check_batched_grad=True, rtol=1e-5, atol=1e-7)
    assert torch.autograd.gradgradcheck(op, inputs, rtol=1e-4, atol=1e-6)


REFUSED = {
    "y[n] = relu(z[n])": "`relu`",
    "y[n] = max(z[n], 0)": "`max`",
    "y[n] = [z[n] > 0]*z[n]": "a comparison with `>`",
    "y = max[n](z[n])": "`max`",
    "y[n] = softmax[n](z[n])": "`softmax`",
    "y[n] = complex(z[n], 0)": "`complex`",
    "y[n] = sort[n](z[n])": "`sort`",
    "y[n] = clip_gradient(z[n], 0, 1)": "`clip_gradient`",
}


@pytest.mark.parametrize("equations", REFUSED)
def test_what_takes_real_numbers_says_so(equations: str) -> None:
    with pytest.raises(SpecError) as error:
        compile_spec(f"op: op\ninputs: {Z}\nequations: |\n  {equations}\n")
    assert [d.code for d in error.value.diagnostics] == ["E319"]
    assert REFUSED[equations] in str(error.value)


def test_a_real_tensor_may_be_given_for_a_complex_one() -> None:
    op, _ = built("product")
    z = torch.randn(4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, dtype=torch.complex128)
    y = op(z, w)
    torch.testing.assert_close(y, CASES["product"].torch(z, w))
    (got,) = torch.autograd.grad(y.abs().sum(), z)
    z2 = z.detach().clone().requires_grad_()
    (want,) = torch.autograd.grad(CASES["product"].torch(z2, w).abs().sum(), z2)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, want)


def test_the_angle_has_derivative_0_at_0() -> None:
    op, _ = built("angle")
    z = torch.zeros(4, dtype=torch.complex128, requires_grad=True)
    assert torch.equal(torch.autograd.grad(op(z).sum(), z)[0], torch.zeros_like(z))


def test_a_batch_of_solves_is_differentiated_by_one_solve() -> None:
    source = compile_spec(spec(CASES["implicit equation, batched"])).source
    backward = source.split("def backward")[1].split("\nclass ")[0]
    assert backward.count("_runtime.solve(") == 1
    assert "diag_embed" not in backward


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex32])
def test_single_and_half_precision_keep_their_dtype(dtype: torch.dtype) -> None:
    op, _ = built("inner product")
    z, w = (torch.randn(4, dtype=torch.complex64).to(dtype).requires_grad_() for _ in range(2))
    y = op(z, w)
    assert y.dtype == dtype
    got = torch.autograd.grad(y, z, torch.ones((), dtype=dtype))[0]
    assert got.dtype == dtype
