"""Matrix formulas, as at matrixcalculus.org: `norm2(A*x - y)^2`, with the shapes of the names given.

Law: every product that does not conform is refused; the equations have the value of the formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorgrad_gen.importing.draft import Draft, operand
from tensorgrad_gen.importing.matrix.lower import Lowering
from tensorgrad_gen.importing.matrix.parser import parsed
from tensorgrad_gen.importing.matrix.shapes import Shaper, declared, unknown, unused
from tensorgrad_gen.importing.naming import allowed, is_name, numbered
from tensorgrad_gen.importing.source import Source
from tensorgrad_gen.ir import Input


def read(source: Source, shapes: str, symmetric: Sequence[str]) -> Draft:
    """What the formula says."""
    given = Source("--shapes", shapes)
    given.limit()
    names = declared(shapes)
    root = parsed(source)
    shaper = Shaper(source, names)
    shaped = shaper.shaped(root.parts[0])
    if (part := unknown(shaped)) is not None:
        remedy = "add it to something that has a shape, or multiply it by it"
        raise source.fault("E705", "nothing gives the size of this", part.node.start, part.node.end, remedy)
    if (name := unused(names, shaper.used)) is not None:
        start = shapes.index(name)
        raise given.fault(
            "E301", f"`{name}` is not in the formula", start, start + len(name), "remove it from --shapes"
        )
    _check_symmetric(names, symmetric)
    taken = {*map(allowed, names), *shaper.extents}
    if root.text and (root.text in taken or not is_name(root.text)):
        start = source.text.index(root.text)
        remedy = "give the result another name"
        raise source.fault("E315", f"`{root.text}` cannot name the result", start, start + len(root.text), remedy)
    lowering = Lowering(source, taken)
    usual = ("f", "g", "value") if shaped.scalar else ("y", "z", "out")
    result = root.text or next((name for name in usual if name not in taken), numbered("result", taken))
    taken.add(result)
    lowering.define(shaped, result)
    inputs = tuple(_input(name, letters, lowering.domains, symmetric) for name, letters in names.items())
    return Draft(inputs, tuple(lowering.equations), (result,))


def _check_symmetric(names: dict[str, tuple[str, ...]], symmetric: Sequence[str]) -> None:
    for name in symmetric:
        letters = names.get(name, ())
        if len(letters) != 2 or letters[0] != letters[1]:
            given = Source("--symmetric", name)
            raise given.fault("E704", "this is no square matrix", 0, len(name), f"--shapes '{name}[i,i]'")


def _input(name: str, letters: tuple[str, ...], domains: dict[str, str], symmetric: Sequence[str]) -> Input:
    item = operand(allowed(name), letters)
    if name in domains:
        item = replace(item, domain=domains[name])
    return replace(item, structure="symmetric") if name in symmetric else item
