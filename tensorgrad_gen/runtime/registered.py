"""A generated op as an operator of torch.library.

This file is read as text and written beside the generated ops; the generator never imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tensorgrad_gen.runtime.calls import traced_as
from tensorgrad_gen.runtime.core import HAS_FORWARD_MODE, in_transform


class Registered:
    """A Function that is also an operator of torch.library: one node, by name, in exported graphs.

    `torch.func` and forward mode know no such operator: there the Function itself is called.
    """

    def __init__(self, name: str, schema: str, op: Any, dual: Any) -> None:
        self.op, self.dual = op, dual
        self.traced = traced_as(name, self)
        self.operator: Any = torch.library.custom_op(
            name, self._outputs, mutates_args=(), schema=schema
        )
        self.operator.register_fake(self._outputs)
        if hasattr(op, "backward"):
            self.operator.register_autograd(op.backward, setup_context=self._setup_context)
        self.operator.register_vmap(self._batched)

    def forward(self, *args: Any) -> tuple[Tensor, ...]:
        """The plain body."""
        outputs: tuple[Tensor, ...] = self.op.forward(*args)
        return outputs

    def apply(self, *args: Any) -> tuple[Tensor, ...]:
        """The outputs: of the operator, or of the Function where that is needed."""
        if not torch.compiler.is_compiling() and in_transform():
            outputs: tuple[Tensor, ...] = (self.dual if HAS_FORWARD_MODE else self.op).apply(*args)
            return outputs
        result = self.operator(*args)
        return (result,) if isinstance(result, Tensor) else tuple(result)

    def _outputs(self, *args: Any) -> Any:
        outputs = self.op.forward(*args)
        return outputs[0] if len(outputs) == 1 else outputs

    def _setup_context(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        needs = ctx.needs_input_grad  # torch.library passes an argument of its own after ours
        ctx.needs_input_grad = needs[: len(inputs)]
        outputs = (output,) if isinstance(output, Tensor) else output
        self.op.setup_context(ctx, inputs, outputs)
        ctx.needs_input_grad = needs

    def _batched(self, info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        each = [
            self.operator(
                *(a if d is None else a.select(d, k) for a, d in zip(args, in_dims, strict=True))
            )
            for k in range(info.batch_size)
        ]
        if isinstance(each[0], Tensor):
            return torch.stack(each), 0
        return tuple(map(torch.stack, zip(*each, strict=True))), (0,) * len(each[0])
