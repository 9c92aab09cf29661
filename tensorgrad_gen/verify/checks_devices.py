"""Section 8: another device, without having one.

A make-believe accelerator under `FakeTensorMode` computes no values, but every tensor has a device and
operations between devices raise.  It must be registered before the process's first backward, because the
autograd engine sizes its queues once: so importing this module registers it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tensorgrad_gen.verify.compare import is_float, leaves, required
from tensorgrad_gen.verify.model import FindingError, Outputs, Sample, SkippedError, Subject, Tensors

DEVICE = "fakegpu"


def register() -> bool:
    """Make the device known, if this torch can; whether it is."""
    try:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

        if torch._C._get_privateuse1_backend_name() == "privateuseone":
            _setup_privateuseone_for_python_backend(DEVICE)
            # Parts of torch ask the current accelerator for these, even where all tensors are on the CPU.
            module = torch.get_device_module(DEVICE)
            module.get_amp_supported_dtype = lambda: [torch.bfloat16]
            module.get_rng_state = lambda device=DEVICE: torch.empty(0, dtype=torch.uint8)
            module.set_rng_state = lambda state, device=DEVICE: None
        return bool(torch._C._get_privateuse1_backend_name() == DEVICE)
    except (ImportError, AttributeError, RuntimeError):
        return False


AVAILABLE = register()


def make_believe(subject: Subject) -> float | None:
    """On another device all stays there: the op, backward, double backward, vmap, forward mode, compiled."""
    if not AVAILABLE:
        raise SkippedError("this torch has no make-believe device")
    from torch._subclasses.fake_tensor import FakeTensorMode

    for sample in subject.samples[:2]:
        with FakeTensorMode():
            inputs = leaves(subject, tuple(None if t is None else _like(t) for t in sample.tensors))
            outputs = _call(subject, inputs, sample)
            _transformed(subject, inputs, sample)
            _stays("an output", outputs)
            wanted = [t for t in inputs if t is not None and t.requires_grad]
            floats = [o for o in outputs if is_float(o) and o.requires_grad]
            if not wanted or not floats:
                continue
            total = torch.stack([_real_sum(o) for o in floats]).sum()
            first = _backward(total, wanted, again=subject.orders > 1)
            _stays("a gradient", first)
            again = [g for g in first if g is not None and g.requires_grad]
            if again and subject.orders > 1:
                total = torch.stack([_real_sum(g * g) for g in again]).sum()
                _stays("a second derivative", _backward(total, wanted, again=False))
    return None


def _transformed(subject: Subject, inputs: Tensors, sample: Sample) -> None:
    """`vmap` and forward mode, and (unless quick) the compiled op with its backward."""
    places = required(inputs)
    moved = tuple(t.detach() for k, t in enumerate(inputs) if k in places and t is not None)

    def call(*arguments: Tensor) -> Outputs:
        full = list(inputs)
        for place, argument in zip(places, arguments, strict=True):
            full[place] = argument
        return tuple(o for o in subject.call(tuple(full), sample.params) if is_float(o))

    if moved:
        _stays("an output under vmap", torch.func.vmap(call)(*(torch.stack([t, t]) for t in moved)))
    if moved and subject.forward:
        _stays("a tangent", torch.func.jvp(call, moved, tuple(torch.empty_like(t) for t in moved))[1])
    if not subject.quick:
        torch._dynamo.reset()
        try:
            compiled = torch.compile(subject.op, fullgraph=True, backend="aot_eager")(*inputs, **sample.params)
            outputs = (compiled,) if isinstance(compiled, Tensor) else tuple(compiled)
            _stays("an output of the compiled op", outputs)
            floats = [o for o in outputs if is_float(o) and o.requires_grad]
            if floats:
                total = torch.stack([_real_sum(o) for o in floats]).sum()
                wanted = [t for t in inputs if t is not None and t.requires_grad]
                _stays("a gradient of the compiled op", _backward(total, wanted, again=False))
        finally:
            torch._dynamo.reset()


def _call(subject: Subject, inputs: Tensors, sample: Sample) -> Outputs:
    try:
        return subject.call(inputs, sample.params)
    except NotImplementedError as error:
        if DEVICE in str(error):
            raise SkippedError("the op copies constants to its device, which the make-believe one cannot") from error
        raise


def _like(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=DEVICE)


def _real_sum(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor.resolve_conj()).sum() if tensor.is_complex() else tensor.sum()


def _backward(total: Tensor, wanted: list[Tensor], again: bool) -> Tensors:
    try:
        return tuple(torch.autograd.grad(total, wanted, create_graph=again, allow_unused=True))
    except RuntimeError as error:
        if "device_ready_queues_" in str(error):
            raise SkippedError("a backward ran before the make-believe device was registered") from error
        raise


def _stays(what: str, tensors: Tensors) -> None:
    for tensor in tensors:
        if tensor is not None and tensor.device.type != DEVICE:
            raise FindingError(f"{what} is on {tensor.device}, all inputs on {DEVICE}")
