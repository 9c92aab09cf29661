"""The view of the function that works an op in blocks: the Functions of its parts, one after another."""

from __future__ import annotations

from tensorgrad_gen.ir import Input
from tensorgrad_gen.lower.model import LoweredOp
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import print_texpr
from tensorgrad_gen.lower.sizes import Sizes
from tensorgrad_gen.normalise.parts import Part
from tensorgrad_gen.render.bodies import arguments_of, dtype_lines, listed, result_item, returned, size_lines, unpacked
from tensorgrad_gen.render.docs import blocks_text, quoted, wrapped
from tensorgrad_gen.render.facts import Facts, gather
from tensorgrad_gen.render.names import class_name
from tensorgrad_gen.render.view import ChunkedView


def chunked_view(facts: Facts) -> ChunkedView:
    """The inputs in the dtype to compute in, so that no part rounds what the next one reads; then part after part."""
    plan, program = facts.lowered.plan, facts.lowered.plan.program
    sizes = Sizes(program)
    calls = [*_places(facts, sizes), *(_call(facts, part, sizes) for part in facts.lowered.parts)]
    casts = [_cast(facts, item) for item in facts.numeric]
    returns = returned([result_item(facts, t, local_name(t), facts.dtype) for t in plan.outputs])
    lines = [*casts, *size_lines(facts, sizes.statements()), *calls]
    return ChunkedView(
        arguments_of(facts),
        quoted("\n".join(line.strip() for line in wrapped(blocks_text(facts.lowered)))),
        (*dtype_lines(facts, " ".join((*lines, returns))), *lines),
        returns,
    )


def _places(facts: Facts, sizes: Sizes) -> list[str]:
    """The positions of the chunk's index, where a block reads them."""
    chunk, part = facts.lowered.plan.program.chunk, _part(facts.lowered.parts[0])
    if not part.placed.place:
        return []
    assert chunk is not None
    length = print_texpr(sizes.use(str(chunk.index.extent), frozenset()), facts.runtime)
    return [f"{local_name(part.placed.place)} = torch.arange({length}, device={facts.anchor}.device)"]


def _cast(facts: Facts, item: Input) -> str:
    name, rt = local_name(item.name), facts.runtime
    if facts.complex:
        return f"{name} = {rt}cast_number({name}, {facts.acc})"
    if item.default is None:
        return f"{name} = {name}.to({facts.acc})"
    return f"{name} = {rt}cast({name}, {facts.acc})"


def _call(facts: Facts, lowered: LoweredOp, sizes: Sizes) -> str:
    """The call of a part's Function, and the tensors that it makes."""
    rt, plan = facts.runtime, lowered.plan
    part = _part(lowered)
    cls = class_name(plan.program.name)
    own = gather(lowered, rt)
    dual = f"{cls}Dual" if own.tangent is not None and own.gradients else cls
    symbols = dict(part.sizes)
    passed = [local_name(dict(part.placed.wholes).get(item.name, item.name)) for item in plan.program.inputs]
    cuts = [str(axis) for axis in part.cuts] + ["None"] * len(plan.program.params)
    for param in plan.program.params:
        symbol = symbols.get(param.name)
        passed.append(local_name(param.name) if symbol is None else print_texpr(sizes.use(symbol, frozenset()), rt))
    targets = unpacked([local_name(t) for t in plan.outputs])
    if not part.count:
        more = ["*_"] if plan.auxiliary else []
        targets = unpacked([*(local_name(t) for t in plan.outputs), *more])
        return f"{targets} = {rt}call({cls}, {dual}, {', '.join(passed)})"
    joins = listed([str(axis) for axis in part.joins])
    return f"{targets} = {rt}in_blocks({cls}, {dual}, {part.count}, {listed(cuts)}, {joins}, {', '.join(passed)})"


def _part(lowered: LoweredOp) -> Part:
    assert lowered.plan.part is not None
    return lowered.plan.part
