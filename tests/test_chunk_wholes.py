"""What a block reads whole, because it is computed for another letter of the axis that is cut."""

from __future__ import annotations

import pytest
import torch
from test_chunk import first_and_second
from torch.testing import assert_close

from tensorgrad_gen import load_op

OUTER = """op: case
doc: Inner products of two maps of rows, for each pair of rows.
inputs: {a: [n, c], keep: {indices: [n], kind: bool}, u: [c, f], w: [c, f]}
equations: |
  p[n,f] = where(keep[n], a[n,c]*u[c,f], 0)
  q[m,f] = where(keep[m], a[m,c]*w[c,f], 0)
  y[n,m] = p[n,f]*q[m,f]
"""
RANKS = """op: case
doc: Smooth ranks of what is kept, weighted.
inputs: {a: [n, c], keep: {indices: [n], kind: bool}, u: [c, f], w: [c, f]}
equations: |
  s[n]   = a[n,c]*u[c,f]*one[f]
  r[n]   = 1 + sum[m](where(keep[m] and m != n, sigmoid((s[m] - s[n])/2), 0))
  g[f]   = sum[n](where(keep[n], w[c,f]*a[n,c]/log(1 + r[n]), 0))
  y      = one[f]*g[f]^2
"""


@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("text", [OUTER, RANKS], ids=["outer", "ranks"])
def test_blocks_change_no_value_and_no_derivative(text: str, count: int) -> None:
    made = torch.Generator().manual_seed(0)
    keep = torch.tensor([True, False, True, True, False])
    a, u, w = (
        torch.randn(s, generator=made, dtype=torch.float64, requires_grad=True) for s in ((5, 3), (3, 2), (3, 2))
    )
    found = first_and_second(load_op(f"{text}chunk: {{index: n, count: {count}}}\n"), (a, keep, u, w))
    assert_close(found, first_and_second(load_op(text), (a, keep, u, w)), rtol=1e-12, atol=1e-12)
