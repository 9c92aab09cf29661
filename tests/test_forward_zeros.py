"""Forward mode of results that no tangent reaches."""

from __future__ import annotations

import pytest
import torch

from tensorgrad_gen import load_op


@pytest.mark.parametrize("chunk", ["", "chunk: {index: m, count: 2}\n"])
def test_forward_mode_where_what_has_no_tangent_is_computed_again(chunk: str) -> None:
    """A count that every block reads: zero is its tangent, in the axes in which it is returned."""
    op = load_op(
        "op: it\ndoc: It.\ninputs: {y: [c, n], f: [m]}\nequations: |\n  k[c] = one[n]*[y[c,n] > 0]\n"
        "  s[c] = one[n]*y[c,n]^2\n  p[c,m] = where(k[c] > 1, f[m]*s[c], 0)\n" + chunk
    )

    def formula(y: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        return torch.where(((y > 0).sum(-1) > 1)[:, None], f * y.square().sum(-1, keepdim=True), 0)

    made = torch.Generator().manual_seed(0)
    y, f = (torch.randn(shape, dtype=torch.float64, generator=made) for shape in ((3, 5), (4,)))
    tangents = (torch.ones_like(y), torch.ones_like(f))
    torch.testing.assert_close(torch.func.jvp(op, (y, f), tangents), torch.func.jvp(formula, (y, f), tangents))
