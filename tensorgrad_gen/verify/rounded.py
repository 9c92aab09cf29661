"""The plain formula in the arithmetic of a lower precision: each part rounded, as torch would round it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tensorgrad_gen.ir import Expr, Program
from tensorgrad_gen.verify.composed import Interpreter, Watch
from tensorgrad_gen.verify.values import Value


def compose_rounded(
    program: Program, tensors: Sequence[Tensor | None], params: Mapping[str, float], dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """The outputs as arithmetic of that type has them: each part rounded to it, and in backward its cotangent."""
    named = {item.name: tensor for item, tensor in zip(program.inputs, tensors, strict=True)}
    found = _Rounded(program, named, params, None, dtype).run()
    return tuple(found[name] for name in program.outputs)


class _Rounded(Interpreter):
    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Tensor | None],
        params: Mapping[str, float],
        watch: Watch | None,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(program, inputs, params, watch)
        self.dtype = dtype

    def _value(self, expr: Expr, mask: Value | None) -> Value:
        value = super()._value(expr, mask)
        tensor = value.tensor
        return Value(tensor.to(self.dtype).to(tensor.dtype), value.keys) if tensor.dtype == torch.float64 else value

    def _see_matrix(self, matrix: Tensor, batch: tuple[str, ...]) -> None:
        del batch
        sizes = torch.linalg.svdvals(matrix)
        if sizes.numel() and not bool((sizes[..., -1] > torch.finfo(self.dtype).eps * sizes[..., 0]).all()):
            raise torch.linalg.LinAlgError(f"singular in {self.dtype}")  # type: ignore[attr-defined]
