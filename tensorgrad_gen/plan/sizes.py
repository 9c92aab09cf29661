"""Costs over symbolic extents, evaluated on a typical regime."""

from __future__ import annotations

from collections.abc import Iterable

from tensorgrad_gen.ir import Index, Program

TYPICAL = 64  # an extent that nothing says more about
BATCH = 1024  # all leading batch axes together


class Regime:
    """Typical extents: the spec's hints, else one value for every letter."""

    def __init__(self, program: Program) -> None:
        self.hints = dict(program.hints)

    def extent(self, index: Index) -> int:
        """The typical extent of an index."""
        if isinstance(index.extent, int):
            return index.extent
        if index.extent == "...":
            return self.hints.get("...", BATCH)
        return self.hints.get(index.extent, TYPICAL)

    def elements(self, indices: Iterable[Index]) -> int:
        """How many elements a tensor with these indices has."""
        product = 1
        for index in indices:
            product *= max(1, self.extent(index))
        return product
