"""Costs over symbolic extents, evaluated on a typical regime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tensorgrad_gen.ir import Index, Program

TYPICAL = 64  # an extent that nothing says more about
BATCH = 1024  # all leading batch axes together
# Such extents, all different, in the order in which their letters occur: between what is equal where all are the same.
FALLING = (64, 48, 40, 32, 24, 20, 16, 12)


def extents_apart(sizes: Mapping[str, int], hints: Mapping[str, int]) -> dict[str, int]:
    """A hinted extent that another axis has too is made shorter by an eighth: what takes one for the other is seen."""
    out = {symbol: n for symbol, n in sizes.items() if symbol not in hints}
    for symbol, n in sizes.items():
        while symbol in hints and n in out.values() and n >= 8:
            n -= n // 8
        out[symbol] = n
    return {symbol: out[symbol] for symbol in sizes}


class Regime:
    """Typical extents: the spec's hints, else one value for every letter."""

    def __init__(self, program: Program) -> None:
        self.hints = dict(program.hints)
        # Of an extent that is the least of others, those: of as many singular values as a matrix has.
        self._least = {
            symbol: [arg.args[0] for arg in size.args if arg.op == "size"]
            for symbol, size in program.size_defs
            if size.op == "min"
        }
        letters = [symbol for symbol, _ in program.axes if symbol != "..."]
        self._apart = extents_apart(dict(zip(letters, FALLING, strict=False)) | self.hints, self.hints)

    def extent(self, index: Index) -> int:
        """The typical extent of an index."""
        if isinstance(index.extent, int):
            return index.extent
        if index.extent == "...":
            return self.hints.get("...", BATCH)
        return self.hints.get(index.extent, min(self._extents(index.extent)))

    def _extents(self, symbol: str) -> list[int]:
        return [self.hints.get(other, TYPICAL) for other in self._least.get(symbol, [symbol])]

    def never_longer(self, one: Index, other: Index) -> bool:
        """Whether an axis is as long as the other or shorter, by what it is."""
        return other.extent in self._least.get(str(one.extent), [])

    def elements(self, indices: Iterable[Index]) -> int:
        """How many elements a tensor with these indices has."""
        product = 1
        for index in indices:
            product *= max(1, self.extent(index))
        return product

    def elements_apart(self, indices: Iterable[Index]) -> int:
        """As many, where no two extents are the same and each further letter has a smaller one."""
        product = 1
        for index in indices:
            named = index.extent if isinstance(index.extent, str) else ""
            product *= max(1, self._apart.get(named, self.extent(index)))
        return product
