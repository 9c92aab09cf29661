"""What forward factorises is not factorised again in backward, and derivatives are right however they are taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from tensorgrad_gen import compile_spec, load_op

Function = Callable[..., Tensor]


def _symmetric(x: Tensor) -> Tensor:
    return (x + x.mT) / 2


def _gaussian(x: Tensor, c: Tensor) -> Tensor:
    g = x.mT @ x + torch.eye(x.shape[1], dtype=x.dtype)
    return c @ torch.linalg.solve(g, c) + torch.logdet(g)


def _by_factor(x: Tensor, c: Tensor) -> Tensor:
    g = x.mT @ x + torch.eye(x.shape[1], dtype=x.dtype)
    factor = torch.linalg.cholesky(g)
    a = torch.linalg.solve_triangular(factor, c[:, None], upper=False)[:, 0]
    return (a * a).sum() / 2 + factor.diagonal().log().sum()


def _by_all(a: Tensor, c: Tensor, number: Tensor) -> Tensor:
    z = torch.linalg.solve(a, c)
    return (torch.linalg.inv(a) @ z[..., None])[..., 0] + number[..., None] * z


# Of each: the axes of the inputs, the equations, PyTorch's own, the shapes, how often a matrix is factorised.
CASES: dict[str, tuple[str, str, Function, tuple[tuple[int, ...], ...], int]] = {
    "columns": ("{a: [i, k], c: [i, m]}", "y[k,m] = solve(a, c)[k,m]", torch.linalg.solve, ((3, 3), (3, 2)), 1),
    "a vector": (
        "{a: [i, k], c: [i]}",
        "y[k] = solve(a, c)[k]^2",
        lambda a, c: torch.linalg.solve(a, c) ** 2,
        ((3, 3), (3,)),
        1,
    ),
    "a batch": (
        "{a: [b, i, k], c: [b, i, m]}",
        "y[b,k,m] = solve(a, c)[b,k,m]",
        torch.linalg.solve,
        ((2, 3, 3), (2, 3, 4)),
        1,
    ),
    "leading axes": (
        "{a: [..., i, k], c: [..., i]}",
        "y[...,k] = solve(a, c)[...,k]",
        lambda a, c: torch.linalg.solve(a, c[..., None])[..., 0],
        ((2, 3, 3), (2, 3)),
        1,
    ),
    "a transpose": (
        "{a: [i, k], c: [i]}",
        "t[i,k] = a[k,i]\n  y[k] = sin(solve(t, c)[k])",
        lambda a, c: torch.linalg.solve(a.mT, c).sin(),
        ((3, 3), (3,)),
        1,
    ),
    "two right sides": (
        "{a: [i, k], c: [i], d: [i]}",
        "y[k] = solve(a, c)[k]*exp(solve(a, d)[k])",
        lambda a, c, d: torch.linalg.solve(a, c) * torch.linalg.solve(a, d).exp(),
        ((3, 3), (3,), (3,)),
        1,
    ),
    "an intermediate": (
        "{x: [n, i], c: [i]}",
        "g[i,k] = x[n,i]*x[n,k] + delta[i,k]\n  y[k] = solve(g, c)[k]",
        lambda x, c: torch.linalg.solve(x.mT @ x + torch.eye(x.shape[1], dtype=x.dtype), c),
        ((4, 3), (3,)),
        1,
    ),
    "two batch axes, swapped": (
        "{a: [p, q, i, k], c: [p, q, i, m]}",
        "y[q,k,p] = solve(a, c)[p,q,k,0]",
        lambda a, c: torch.linalg.solve(a, c)[..., 0].permute(1, 2, 0),
        ((2, 3, 2, 2), (2, 3, 2, 2)),
        1,
    ),
    "of a solution": (
        "{a: [i, k], c: [i]}",
        "z[k] = solve(a, c)[k]\n  y[k] = solve(a, z)[k]",
        lambda a, c: torch.linalg.solve(a, torch.linalg.solve(a, c)),
        ((3, 3), (3,)),
        1,
    ),
    "a determinant": (
        "{x: [b, i, j]}",
        "y[b] = logdet(x)[b]^2",
        lambda x: torch.logdet(x) ** 2,
        ((2, 3, 3),),
        1,
    ),
    "a determinant and a solution": (
        "{x: [n, i], c: [i]}",
        "g[i,k] = x[n,i]*x[n,k] + delta[i,k]\n  z[k] = solve(g, c)[k]\n  y = z[k]*c[k] + logdet(g)",
        _gaussian,
        ((4, 3), (3,)),
        1,
    ),
    "an inverse, a determinant, a solution": (
        "{a: [b, i, k], c: [b, i]}",
        "n[b,i,k] = inv(a)[b,i,k]\n  z[b,k] = solve(a, c)[b,k]\n  y[b,i] = n[b,i,k]*z[b,k] + log(det(a)[b]^2)*z[b,i]",
        lambda a, c: _by_all(a, c, torch.linalg.det(a).square().log()),
        ((2, 3, 3), (2, 3)),
        1,
    ),
    "a sign and its logarithm": (
        "{a: [i, k], c: [i]}",
        "z[k] = solve(a, c)[k]\n  y[k] = z[k]*slogdet_sign(a) + logdet(a)",
        lambda a, c: torch.linalg.solve(a, c) * torch.linalg.slogdet(a).sign + torch.logdet(a),
        ((3, 3), (3,)),
        1,
    ),
    "a matrix and its transpose": (
        "{a: [i, k], c: [i, m]}",
        "t[k,i] = a[i,k]\n  u[k,m] = solve(a, c)[k,m]\n  y[i,m] = solve(t, u)[i,m]*logdet(t)",
        lambda a, c: torch.linalg.solve(a.mT, torch.linalg.solve(a, c)) * torch.logdet(a),
        ((3, 3), (3, 2)),
        1,
    ),
    "two determinants": (
        "{a: [b, i, k]}",
        "t[b,k,i] = a[b,i,k]\n  y[b] = det(a)[b]*logdet(t)[b]",
        lambda a: torch.linalg.det(a) * torch.logdet(a),
        ((2, 3, 3),),
        1,
    ),
    "a triangular one": (
        "{x: [n, i], c: [i]}",
        (
            "g[i,k] = x[n,i]*x[n,k] + delta[i,k]\n  l[i,k] = cholesky(g)[i,k]\n"
            "  a[k] = solve(l, c)[k]\n  y = a[k]*a[k]/2 + log(l[i,i])*one[i]"
        ),
        _by_factor,
        ((4, 3), (3,)),
        1,
    ),
    "eigenvalues": (
        "{x: [..., i, j]}",
        "y[...,n] = eigvalsh(x)[...,n]^3",
        lambda x: torch.linalg.eigvalsh(_symmetric(x)) ** 3,
        ((2, 3, 3),),
        1,
    ),
    "singular values": (
        "{x: [i, j]}",
        "y[n] = svdvals(x)[n]^3",
        lambda x: torch.linalg.svdvals(x) ** 3,
        ((3, 4),),
        1,
    ),
    "of two matrices": (
        "{x: [i, j], w: [i, j]}",
        "y[n] = svdvals(x)[n] + 2*svdvals(w)[n]^2",
        lambda x, w: torch.linalg.svdvals(x) + 2 * torch.linalg.svdvals(w) ** 2,
        ((3, 4), (3, 4)),
        2,
    ),
    "a factor": (
        "{x: [i, k], c: [j, m]}",
        "m[i,j] = x[i,k]*x[j,k] + delta[i,j]\n  l[i,j] = cholesky(m)[i,j]\n  y[i,m] = l[i,j]*c[j,m]",
        lambda x, c: torch.linalg.cholesky(x @ x.mT + torch.eye(x.shape[0], dtype=x.dtype)) @ c,
        ((3, 4), (3, 2)),
        1,
    ),
}
FACTORISATIONS = ("solve_ex", "lu_factor_ex", "inv_ex", "eigh", "svd", "cholesky_ex", "slogdet")


@cache
def op_of(name: str, extra: str = "") -> Function:
    axes, equations, *_ = CASES[name]
    return load_op(f"op: f\ninputs: {axes}\n{extra}equations: |\n  {equations}\noutputs: [y]\n")


def sample(name: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in CASES[name][3]]
    square = [t.shape[-2:] == (t.shape[-1],) * 2 if t.dim() > 1 else False for t in drawn]
    apart = [
        t + 4 * torch.diag(torch.arange(1.0, t.shape[-1] + 1, dtype=t.dtype)) if s else t
        for t, s in zip(drawn, square, strict=True)
    ]
    return [t.to(dtype) for t in apart]


def scalar(function: Function) -> Function:
    return lambda *tensors: function(*tensors).sin().sum()


class Called(TorchDispatchMode):
    """The factorisations that are computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name.endswith(FACTORISATIONS):
            self.names.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", CASES)
def test_a_matrix_is_factorised_once(name: str) -> None:
    op, tensors = op_of(name), [t.requires_grad_() for t in sample(name)]
    with Called() as called:
        scalar(op)(*tensors).backward()
    assert len(called.names) == CASES[name][4], called.names


@pytest.mark.parametrize(("name", "count"), [("eigenvalues", 1), ("singular values", 2)])
def test_vectors_are_computed_where_a_gradient_may_be_wanted(name: str, count: int) -> None:
    (x,) = sample(name)
    function = op_of(name).__globals__["_F"]
    for tensor, kept in ((x, False), (x.clone().requires_grad_(), True)):
        vectors = function.forward(tensor)[-count:]
        assert all(bool(own.numel()) is kept for own in vectors)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_pytorch(name: str) -> None:
    op, wanted = scalar(op_of(name)), scalar(CASES[name][2])
    tensors = [t.requires_grad_() for t in sample(name)]
    ours, theirs = (torch.autograd.grad(f(*tensors), tensors, create_graph=True) for f in (op, wanted))
    torch.testing.assert_close(ours, theirs)
    again = [torch.autograd.grad(sum(g.cos().sum() for g in own), tensors) for own in (ours, theirs)]
    torch.testing.assert_close(*again)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_under_transforms(name: str) -> None:
    op, wanted = scalar(op_of(name)), scalar(CASES[name][2])
    tensors = sample(name)
    several = tuple(range(len(tensors)))
    torch.testing.assert_close(grad(op, several)(*tensors), grad(wanted, several)(*tensors))
    torch.testing.assert_close(jacfwd(op, several)(*tensors), grad(wanted, several)(*tensors))
    stacked = [torch.stack((t, 1.5 * t)) for t in tensors]
    both = [torch.stack(own) for own in zip(*(grad(wanted, several)(*own) for own in zip(*stacked, strict=True)))]
    torch.testing.assert_close(list(vmap(grad(op, several))(*stacked)), both)
    torch.testing.assert_close(hessian(op)(*tensors), hessian(wanted)(*tensors))


@pytest.mark.parametrize("name", CASES)
def test_batched_cotangents_a_second_pass_and_the_graph_of_a_vmap(name: str) -> None:
    op, wanted = op_of(name), CASES[name][2]
    tensors = [t.requires_grad_() for t in sample(name)]
    y = op(*tensors)
    many = torch.randn(3, *y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    batched = torch.autograd.grad(y, tensors, many, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(wanted(*tensors), tensors, one) for one in many]
    torch.testing.assert_close(list(batched), [torch.stack(own) for own in zip(*each, strict=True)])
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(y, tensors, many[0], retain_graph=True), each[0])
    stacked = [torch.stack((t, 1.5 * t)).detach().requires_grad_() for t in tensors]
    vmap(scalar(op))(*stacked).sum().backward()
    for k, own in enumerate(zip(*stacked, strict=True)):
        plain = [t.detach().requires_grad_() for t in own]
        scalar(wanted)(*plain).backward()
        torch.testing.assert_close([t.grad[k] for t in stacked if t.grad is not None], [t.grad for t in plain])


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    torch.compiler.reset()
    tensors = [t.requires_grad_() for t in sample(name)]
    wanted = torch.autograd.grad(scalar(CASES[name][2])(*tensors), tensors)
    compiled = torch.compile(scalar(op_of(name)), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(*tensors), tensors), wanted)


@pytest.mark.parametrize("name", ["a batch", "singular values"])
def test_nothing_is_kept_where_the_spec_says_so(name: str) -> None:
    op = op_of(name, "save: inputs\n")
    tensors = [t.requires_grad_() for t in sample(name)]
    kept: list[tuple[int, ...]] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(tuple(t.shape)) or t, lambda t: t):
        y = op(*tensors)
    assert set(kept) <= {tuple(t.shape) for t in (*tensors, y)}
    torch.testing.assert_close(
        torch.autograd.grad(y.sum(), tensors), torch.autograd.grad(CASES[name][2](*tensors).sum(), tensors)
    )


def test_of_an_operator_of_torch_library_nothing_is_kept() -> None:
    source = compile_spec(
        "op: f\ntarget: custom_op\ninputs: {x: [i, j]}\nequations: |\n  y[n] = svdvals(x)[n]\n"
    ).source
    assert "torch.linalg.svdvals(" in source
    assert "(Tensor x) -> (Tensor)" in source


def test_a_singular_matrix_is_an_error_as_in_pytorch() -> None:
    a = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        op_of("columns")(a, torch.ones(3, 2, dtype=torch.float64))


def test_half_precision_keeps_what_it_computed_with() -> None:
    (x,) = sample("singular values", torch.bfloat16)
    x = x.requires_grad_()
    y = op_of("singular values")(x)
    assert y.dtype == torch.bfloat16
    (got,) = torch.autograd.grad(y.sum(), x)
    single = x.detach().float().requires_grad_()
    (want,) = torch.autograd.grad((torch.linalg.svdvals(single) ** 3).sum(), single)
    torch.testing.assert_close(got.float(), want, rtol=2e-2, atol=2e-2 * float(want.abs().max()))


@pytest.mark.parametrize("name", ["c: [j]", "c: [j, m]"])
def test_of_a_factor_nothing_is_made_that_is_larger_than_a_matrix(name: str) -> None:
    letters = name.partition("[")[2].rstrip("]").replace(" ", "")
    out = letters.replace("j", "i")
    op = load_op(
        f"op: f\ninputs: {{x: [i, j], {name}}}\n"
        f"equations: |\n  l[i,j] = cholesky(x)[i,j]\n  y[{out}] = l[i,j]*c[{letters}]\noutputs: [y]\n"
    )
    size = 8
    x = (torch.eye(size) * 3 + 0.1).requires_grad_()
    c = torch.ones(*([size] * len(letters.split(",")))).requires_grad_()
    largest = 0

    class Made(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            tensors = [t for t in (out if isinstance(out, tuple | list) else (out,)) if isinstance(t, Tensor)]
            largest = max([largest, *(t.untyped_storage().nbytes() // t.element_size() for t in tensors)])
            return out

    with Made():
        op(x, c).sin().sum().backward()
    assert largest == size**2


def test_an_input_may_have_the_name_of_a_flag_or_a_factor() -> None:
    op = load_op(
        "op: f\ninputs: {x: [i, j], keep: {indices: [n], kind: bool}, lu: [i], svd: [i]}\n"
        "equations: |\n  y = one[n]*[keep[n]]*svdvals(x)[n] + lu[i]*svd[i]\n"
    )
    (x,) = (t.requires_grad_() for t in sample("singular values"))
    keep, lu = torch.tensor([True, False, True]), torch.arange(3.0, dtype=x.dtype)
    got, want = op(x, keep, lu, lu), torch.linalg.svdvals(x)[keep].sum() + lu @ lu
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(torch.autograd.grad(got, x), torch.autograd.grad(want, x))
