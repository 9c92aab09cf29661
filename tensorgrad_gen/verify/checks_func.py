"""Section 4: `torch.func`, against derivatives of the plain formula by ordinary autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, func

from tensorgrad_gen.verify.compare import agree, cotangents, is_float, leaves, required
from tensorgrad_gen.verify.model import Outputs, Params, SkippedError, Subject, Tensors

TOLERANCE = 1e-9
SAMPLES_OF_VMAP = 3
MOST_ALONE = 4

Loss = Callable[..., Tensor]
Call = Callable[[Tensors, Params], Outputs]


def _as_real(tensor: Tensor) -> Tensor:
    """Real and imaginary parts of complex numbers; real ones as they are."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


class Problem:
    """A scalar loss of the inputs that have derivatives, by the op and by its plain formula.

    Complex inputs are given by their parts: transforms of real functions of real numbers are what can be compared.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.sample = subject.tiny
        self.places = required(leaves(subject, self.sample.tensors))
        given = [t for k, t in enumerate(self.sample.tensors) if k in self.places and t is not None]
        self.inputs = tuple(_as_real(t.detach()).clone() for t in given)
        self.parted = [t.is_complex() for t in given]
        if not self.places:
            raise SkippedError("no input has a derivative")
        outputs = subject.reference(self.sample.tensors, self.sample.params)
        self.floats = [k for k, o in enumerate(outputs) if is_float(o)]
        self.weights = [_as_real(w) for w in cotangents(outputs, subject.seed)]
        self.argnums = tuple(range(len(self.inputs)))

    def full(self, arguments: Sequence[Tensor]) -> Tensors:
        tensors = list(self.sample.tensors)
        for place, argument, parted in zip(self.places, arguments, self.parted, strict=True):
            tensors[place] = torch.view_as_complex(argument) if parted else argument
        return tuple(tensors)

    def loss(self, call: Call) -> Loss:
        """A curved function of the outputs, so that second derivatives see first ones too."""

        def loss(*arguments: Tensor) -> Tensor:
            outputs = call(self.full(arguments), self.sample.params)
            parts = [
                (w * torch.sin(_as_real(outputs[k]))).sum() for k, w in zip(self.floats, self.weights, strict=True)
            ]
            return torch.stack(parts).sum()

        return loss

    @property
    def ours(self) -> Loss:
        return self.loss(self.subject.call)

    @property
    def plain(self) -> Loss:
        return self.loss(self.subject.reference)

    def gradient(self) -> tuple[Tensor, ...]:
        """Of the plain loss."""
        found = torch.autograd.functional.jacobian(self.plain, self.inputs)  # type: ignore[no-untyped-call]
        return tuple(found)

    def hessian(self) -> list[list[Tensor]]:
        """Of the plain loss, a block for each pair of inputs."""
        found = torch.autograd.functional.hessian(self.plain, self.inputs)  # type: ignore[no-untyped-call]
        return [list(row) for row in found]


def _agree_all(what: str, got: Any, want: Any) -> float:
    """The largest error of nested tuples of tensors."""
    if isinstance(want, Tensor):
        return agree(what, got, want, "tiny sample", TOLERANCE)
    return max((_agree_all(what, one, two) for one, two in zip(got, want, strict=True)), default=0.0)


def reverse(subject: Subject) -> float:
    """`grad`, `vjp` and `jacrev`."""
    problem = Problem(subject)
    want = problem.gradient()
    worst = _agree_all("grad", func.grad(problem.ours, problem.argnums)(*problem.inputs), want)
    pull = func.vjp(problem.ours, *problem.inputs)[1]
    worst = max(worst, _agree_all("vjp", pull(torch.ones((), dtype=want[0].dtype, device=want[0].device)), want))
    return max(worst, _agree_all("jacrev", func.jacrev(problem.ours, problem.argnums)(*problem.inputs), want))


def forward(subject: Subject) -> float:
    """`jvp` and `jacfwd`."""
    _needs_forward(subject)
    problem = Problem(subject)
    # A clip acts on cotangents alone: tangents pass it, and are no product with the gradient.
    jacobian = func.jacfwd(problem.plain, problem.argnums)
    want = jacobian(*problem.inputs) if subject.clipped else problem.gradient()
    directions = tuple(cotangents(problem.inputs, subject.seed))
    got = func.jvp(problem.ours, problem.inputs, directions)[1]
    along = torch.stack([(g * d).sum() for g, d in zip(want, directions, strict=True)]).sum()
    worst = _agree_all("jvp", got, along)
    worst = max(worst, _agree_all("linearize", func.linearize(problem.ours, *problem.inputs)[1](*directions), along))
    return max(worst, _agree_all("jacfwd", func.jacfwd(problem.ours, problem.argnums)(*problem.inputs), want))


def second(subject: Subject) -> float:
    """`jacrev` of `jacrev`, and where there is forward mode `hessian` and `jacfwd` of `jacfwd`."""
    if subject.orders < 2:
        raise SkippedError("the spec says `differentiable: once`")
    problem = Problem(subject)
    want = problem.hessian()
    nestings: dict[str, Callable[..., Any]] = {
        "jacrev(jacrev)": func.jacrev(func.jacrev(problem.ours, problem.argnums), problem.argnums)
    }
    if subject.forward and not subject.clipped:
        nestings["hessian"] = func.hessian(problem.ours, problem.argnums)
        nestings["jacfwd(jacfwd)"] = func.jacfwd(func.jacfwd(problem.ours, problem.argnums), problem.argnums)
        nestings["jacrev(jacfwd)"] = func.jacrev(func.jacfwd(problem.ours, problem.argnums), problem.argnums)
    return max(_agree_all(name, nested(*problem.inputs), want) for name, nested in nestings.items())


def _needs_forward(subject: Subject) -> None:
    if not subject.forward:
        raise SkippedError("the spec derives no jvp")


def vmap_of_transforms(subject: Subject) -> float:
    """`vmap` of `vmap`, of `jvp` and of `hessian`, over all inputs."""
    problem = Problem(subject)
    stacked = tuple(torch.stack([t * (1 - 0.05 * n) for n in range(SAMPLES_OF_VMAP)]) for t in problem.inputs)
    rows = [tuple(s[n] for s in stacked) for n in range(SAMPLES_OF_VMAP)]
    twice = tuple(torch.stack([s, s * 0.9]) for s in stacked)
    want = torch.stack(
        [torch.stack([problem.plain(*(t[k][n] for t in twice)) for n in range(len(rows))]) for k in (0, 1)]
    )
    worst = _agree_all("vmap of vmap", func.vmap(func.vmap(problem.ours))(*twice), want)
    if subject.forward and not subject.clipped:
        along = tuple(cotangents(problem.inputs, subject.seed))
        wanted = torch.stack([_directional(problem.plain, row, along) for row in rows])
        got = func.vmap(lambda *row: func.jvp(problem.ours, row, along)[1])(*stacked)
        worst = max(worst, _agree_all("vmap of jvp", got, wanted))
        if subject.orders > 1:
            second = [torch.autograd.functional.hessian(problem.plain, row) for row in rows]  # type: ignore[no-untyped-call]
            got = func.vmap(func.hessian(problem.ours, problem.argnums))(*stacked)
            blocks = [[torch.stack([h[i][j] for h in second]) for j in problem.argnums] for i in problem.argnums]
            worst = max(worst, _agree_all("vmap of hessian", got, blocks))
    return worst


def _directional(loss: Loss, at: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> Tensor:
    found = torch.autograd.functional.jacobian(loss, at)  # type: ignore[no-untyped-call]
    return torch.stack([(g * d).sum() for g, d in zip(found, along, strict=True)]).sum()


def batched_gradients(subject: Subject) -> float:
    """Gradients of several cotangents at once, by legacy batching: `is_grads_batched`, `hessian(vectorize=True)`."""
    problem = Problem(subject)
    inputs = tuple(t.detach().requires_grad_() for t in problem.inputs)
    scales = torch.tensor([1.0, -2.0, 0.5], dtype=inputs[0].dtype, device=inputs[0].device)
    loss = problem.ours(*inputs)
    got = torch.autograd.grad(loss, inputs, scales, is_grads_batched=True, materialize_grads=True, allow_unused=True)
    want = problem.gradient()
    rows = [scales.view(-1, *[1] * g.ndim).to(g.dtype) * g for g in want]
    worst = _agree_all("is_grads_batched", got, rows) if not subject.clipped else 0.0
    if subject.orders < 2:
        return worst
    second = torch.autograd.functional.hessian(problem.ours, problem.inputs, vectorize=True)  # type: ignore[no-untyped-call]
    return max(worst, _agree_all("hessian(vectorize=True)", second, problem.hessian()))


def vmap(subject: Subject) -> float:
    """`vmap` over each input alone and over all, of the op and of its gradient."""
    problem = Problem(subject)
    stacked = tuple(torch.stack([t * (1 - 0.05 * n) for n in range(SAMPLES_OF_VMAP)]) for t in problem.inputs)
    choices: list[tuple[int | None, ...]] = [
        tuple(0 if k == chosen else None for k in problem.argnums) for chosen in problem.argnums[:MOST_ALONE]
    ]
    if len(problem.argnums) > 1:
        choices.append((0,) * len(problem.argnums))
    worst = 0.0
    for dims in choices:
        given = [s if d == 0 else t for s, t, d in zip(stacked, problem.inputs, dims, strict=True)]
        rows = [
            [s[n] if d == 0 else t for s, t, d in zip(stacked, problem.inputs, dims, strict=True)]
            for n in range(SAMPLES_OF_VMAP)
        ]
        want = torch.stack([problem.plain(*row) for row in rows])
        worst = max(worst, _agree_all(f"vmap{dims}", func.vmap(problem.ours, dims)(*given), want))
        per_row = [torch.autograd.functional.jacobian(problem.plain, tuple(row)) for row in rows]  # type: ignore[no-untyped-call]
        wanted = tuple(torch.stack(column) for column in zip(*per_row, strict=True))
        got = func.vmap(func.grad(problem.ours, problem.argnums), dims)(*given)
        worst = max(worst, _agree_all(f"vmap{dims} of grad", got, wanted))
    return worst
