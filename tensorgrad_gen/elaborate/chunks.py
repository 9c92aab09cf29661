"""The key `chunk`: the index along which an op is cut into blocks."""

from __future__ import annotations

from tensorgrad_gen.elaborate.extents import ELLIPSIS
from tensorgrad_gen.elaborate.names import Names
from tensorgrad_gen.errors import Report, suggest
from tensorgrad_gen.ir import Chunk, Index
from tensorgrad_gen.spec.model import OpSpec


def read(spec: OpSpec, names: Names, report: Report) -> Chunk | None:
    """The index and the number of blocks; the index is that of an axis of an input."""
    if spec.chunk is None:
        return None
    letter, count = spec.chunk
    if letter.text == ELLIPSIS or letter.text not in names.extents.sources:
        known = [source for source in names.extents.sources if source != ELLIPSIS]
        report.error("E206", f"unknown index `{letter.text}`", letter.span, suggest(letter.text, known, "indices"))
    elif not any(i.text == letter.text for item in spec.inputs for i in item.indices):
        remedy = "name an index of the inputs: they are what is cut into blocks"
        report.error("E406", f"no input has an axis `{letter.text}`", letter.span, remedy)
    elif spec.target == "custom_op":
        remedy = "leave out `chunk` or `target`"
        report.error("E901", "`chunk` in an op of `target: custom_op` is not built yet", letter.span, remedy)
    for item in spec.derivatives:
        if item.text not in ("vjp", "jvp"):
            report.error("E901", f"`{item.text}` of an op with `chunk` is not built yet", item.span)
    extent = names.extents.extent(letter.text)
    return Chunk(Index(letter.text, letter.text if extent is None else extent), count, spec.save == "inputs")
