"""The views of the further derivatives: functions of their own, which autograd differentiates as they are."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from tensorgrad_gen.derive.model import Block, Further
from tensorgrad_gen.ir import Input
from tensorgrad_gen.lower.model import LoweredOp
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.render.bodies import forward_view
from tensorgrad_gen.render.docs import accessed, quoted, shown_block
from tensorgrad_gen.render.facts import Facts, gather
from tensorgrad_gen.render.ownership import owned
from tensorgrad_gen.render.public import (
    fits,
    fits_arguments,
    given_extents,
    input_row,
    param_rows,
    parameters,
    required,
    worded,
)
from tensorgrad_gen.render.view import ForwardView, FurtherView

_WHAT = {
    "jacobian": "The Jacobian of {op}: the derivative of each output by each input.",
    "hessian": "The Hessian of {op}: the second derivative of each output by each pair of inputs.",
    "hvp": "The Hessian of {op} times tangents, a tensor for each input{weighted}.",
}


def further_views(facts: Facts) -> tuple[FurtherView, ...]:
    """A view for each further derivative of the op."""
    return tuple(_view(facts, gather(lowered, facts.runtime), _of(lowered)) for lowered in facts.lowered.further)


def _of(lowered: LoweredOp) -> Further:
    of = lowered.plan.of
    assert of is not None
    return of


def _view(op: Facts, facts: Facts, of: Further) -> FurtherView:
    name = facts.op
    more = facts.inputs[len(op.inputs) :]
    # The inputs as the caller gives them, with `...`.
    inputs = (*op.inputs, *more)
    params = facts.lowered.plan.program.params
    passed = ", ".join([i.keyword for i in inputs] + [p.name for p in params])
    own = fits_arguments(op)
    conditions = fits(op, more, op.inputs, keyword=True)
    rows = "".join(f"{input_row(item)}, " for item in more).strip()
    return FurtherView(
        name,
        f'"""The formulas of `{name}`."""',
        _body(facts, of),
        tuple(_start(op, facts)) if of.lettered else (),
        _nested(of.blocks, [_annotation(facts, block) for block in of.blocks], "tuple"),
        parameters(inputs, params),
        _doc(op, facts, of, inputs),
        required(inputs),
        f"({' and '.join((f'_fits({own})', *conditions))})" if conditions else f"_fits({own})",
        f"(*_INPUTS, {rows})" if more else "_INPUTS",
        param_rows(op.lowered.plan.program),
        given_extents(op.lowered.plan.program),
        ", ".join(item.keyword for item in inputs),
        worded(facts, name, f"_{name}({passed})"),
    )


def _start(op: Facts, facts: Facts) -> list[str]:
    """The leading axes of each tensor as one, and their extents."""
    rt, lead = facts.runtime, facts.names["lead"]
    batched = [item for item in op.inputs if item.indices[:1] and item.indices[0].name == "..."]
    first = min(batched, key=lambda item: item.default is not None)
    name, keep = local_name(first.name), len(first.indices) - 1
    lines = [f"{lead} = {name}.shape[: {name}.dim() - {keep}]" if keep else f"{lead} = {name}.shape"]
    for item in batched:
        name = local_name(item.name)
        flat = f"{rt}rows({name}, {len(item.indices) - 1})"
        lines.append(f"{name} = {flat if item.default is None else f'None if {name} is None else {flat}'}")
    return lines


def _body(facts: Facts, of: Further) -> ForwardView:
    """The statements, and the blocks in their nesting."""
    copies = owned(facts.lowered.forward)
    view = forward_view(facts)
    # An input that is read has its default in its place from then on: whether it was given is asked before.
    read = {cast.partition(" = ")[0] for cast in view.casts}
    optional = {item.name: item for block in of.blocks for item in _optional(facts, block)}
    tests = {name: f"{local_name(name)} is None" for name in optional}
    asked = {name: facts.names[f"without_{name}"] for name in optional if local_name(name) in read}
    lines = [f"{asked[name]} = {tests[name]}" for name in asked]
    items = [_item(facts, of, block, copies[block.held] == "clone", {**tests, **asked}) for block in of.blocks]
    returns = _nested(of.blocks, items)
    bare = len(of.blocks) == 1 or returns.startswith("((")
    returns = returns if bare else returns.removeprefix("(").removesuffix(")")
    return replace(view, casts=(*lines, *view.casts), returns=returns)


def _item(facts: Facts, of: Further, block: Block, copied: bool, left_out: dict[str, str]) -> str:
    """A block in full: in the dtype of the result, its leading axes apart, None for an input that was left out."""
    indices = facts.lowered.plan.program.tensors[block.held].indices
    text = f"{local_name(block.held)}{'.clone()' if copied else ''}.to({facts.dtype})"
    for place, index in enumerate(indices if of.lettered else ()):
        if index.extent == _letter(of):
            text = f"{facts.runtime}split_axis({text}, {place - len(indices)}, {facts.names['lead']})"
    missing = [left_out[item.name] for item in _optional(facts, block)]
    return f"None if {' or '.join(missing)} else {text}" if missing else text


def _letter(of: Further) -> str:
    """The extent of all leading axes together."""
    return of.program.hints[-1][0]


def _optional(facts: Facts, block: Block) -> list[Input]:
    """The inputs of the block that may be left out."""
    return [item for item in facts.inputs if item.name in block.by and item.default is not None]


def _annotation(facts: Facts, block: Block) -> str:
    return "Tensor | None" if _optional(facts, block) else "Tensor"


def _nested(blocks: tuple[Block, ...], texts: list[str], generic: str = "") -> str:
    """The texts of the blocks as tuples of outputs, of inputs, and of inputs again; a tuple of one is what it holds."""

    def nest(pairs: list[tuple[tuple[str, ...], str]], level: int) -> str:
        if level == len(pairs[0][0]):
            return pairs[0][1]
        groups = [list(group) for _, group in groupby(pairs, key=lambda pair: pair[0][level])]
        parts = [nest(group, level + 1) for group in groups]
        if len(parts) == 1:
            return parts[0]
        return f"{generic}[{', '.join(parts)}]" if generic else f"({', '.join(parts)})"

    return nest([((block.of, *block.by), text) for block, text in zip(blocks, texts, strict=True)], 0)


def _doc(op: Facts, facts: Facts, of: Further, inputs: tuple[Input, ...]) -> str:
    """What is returned, in the order of the nesting."""
    weighted = " and weighted by the cotangents" if len(inputs) > len(op.inputs) + len(of.blocks) else ""
    tensors = facts.lowered.plan.program.tensors
    given = ", ".join(accessed(item.keyword, item.indices) for item in inputs)
    shapes = [
        f"{shown_block(of, block)}[{','.join(i.name for i in tensors[block.held].indices)}]" for block in of.blocks
    ]
    parts = [_WHAT[of.kind].format(op=op.op, weighted=weighted), f"{given} -> {', '.join(shapes)}"]
    if of.lettered:
        parts.append(f"{_letter(of)} stands for the leading axes `...`, which the result has apart.")
    return quoted("\n\n".join(parts))
