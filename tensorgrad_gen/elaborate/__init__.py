"""Stage `elaborate`: surface tree -> Program; names, scopes, extents; one-tensors become sums and broadcasts."""

from tensorgrad_gen.elaborate.program import elaborate

__all__ = ["elaborate"]
