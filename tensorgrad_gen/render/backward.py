"""The view of `backward`: one block for the op's outputs together, one for each auxiliary output, or for many."""

from __future__ import annotations

import re
from dataclasses import replace

from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import walk
from tensorgrad_gen.lower.torch_ir import Need
from tensorgrad_gen.render.bodies import (
    body_groups,
    context_loads,
    input_cast,
    needs_line,
    output_casts,
    outside_axes,
    returned,
    rows_call,
    saved_names,
    size_type,
    tangent_saved,
    unpacked,
)
from tensorgrad_gen.render.facts import Block, Facts, test_of
from tensorgrad_gen.render.needs import named_tests
from tensorgrad_gen.render.places import Placed, placed
from tensorgrad_gen.render.rows import Split, split
from tensorgrad_gen.render.view import Argument, BackwardView, BlockView


def saved_needs(facts: Facts) -> dict[str, frozenset[str]]:
    """Saved tensor -> the inputs whose gradient reads it in any block."""
    needed: dict[str, frozenset[str]] = {}
    for block in facts.blocks:
        for name, who in block.live.outside.items():
            needed[name] = needed.get(name, frozenset()) | who
    return needed


def backward_view(facts: Facts) -> BackwardView:
    """All of `backward`."""
    lives = tuple(block.live for block in facts.blocks)
    saved = saved_names(facts, lives)
    blocks = tuple(_block(facts, block, saved) for block in facts.blocks)
    casts: list[str] = []
    for item in facts.inputs:
        name = local_name(item.name)
        if name in saved:
            casts.append(input_cast(facts, item, name, f"{facts.local.ctx}.device") or "")
    casts += output_casts(facts, saved)
    if _uses_acc(facts, blocks, casts):
        casts.insert(0, f"{facts.acc} = {facts.accumulator(f'{facts.local.ctx}.dtype')}")
    inline = not blocks[0].name
    tests = [block.test + " " + " ".join(block.calls) for block in blocks]
    tests += [text for block in blocks if inline for text in (*block.casts, *(group.test for group in block.groups))]
    tests += [need for block in facts.blocks if inline for need in _read_needs(facts, block)]
    return BackwardView(
        tuple(Argument(f"grad_{t}", "Tensor | None") for t in facts.results),
        needs_line(facts, " ".join(tests)),
        tuple(context_loads(facts, _with_rest(facts, saved), lives)),
        tuple(c for c in casts if c),
        tuple(f"grad_{name}: Tensor | None = None" for name in facts.gradients),
        blocks,
        _returned(facts),
    )


def _uses_acc(facts: Facts, blocks: tuple[BlockView, ...], casts: list[str]) -> bool:
    lines = [*casts, *(line for block in blocks for line in block.casts)]
    return facts.acc in re.findall(r"\w+", " ".join(lines))


def _returned(facts: Facts) -> str:
    """A gradient in its input's dtype, or None, for each argument of `forward`."""
    cast = "cast_number" if facts.complex else "cast"
    items = []
    for item in facts.inputs:
        if item.name in facts.gradients:
            k = facts.gradients.index(item.name)
            items.append(f"{facts.runtime}{cast}(grad_{item.name}, {facts.local.ctx}.dtypes[{k}])")
        else:
            items.append("None")
    return returned(items + ["None"] * len(facts.params))


def _block(facts: Facts, block: Block, saved: tuple[str, ...]) -> BlockView:
    first = block is facts.blocks[0]
    cotangents = [f"grad_{root}" for root in block.roots]
    test = _given(facts, block)
    # An input that no gradient reaches (behind stop_gradient, say) may alone be what backward is called for.
    differentiable = tuple(i.name for i in facts.inputs if i.grad and i.kind in ("real", "complex"))
    if needs := test_of(facts, frozenset(block.results), differentiable):
        test = f"{test} and {needs if len(block.results) == 1 else f'({needs})'}"
    guarded = {name for name in block.results if test_of(facts, frozenset((name,)), block.results)}
    named = {name: f"grad_{name}" for name in block.results}
    rows = _rows(facts, block, named)
    inline = len(facts.blocks) == 1 and rows is None
    typed = [] if inline else [named[name] for name in block.results if name not in guarded]
    tests, test_lines = named_tests(facts, (line.needed for line in block.live.lines), block.results)
    own = Placed(block.live.lines, {}) if rows is None else placed(facts, block.live.lines, rows, named)
    groups = body_groups(facts, replace(block.live, lines=own.lines), block.results, named, typed, tests)
    part = facts.lowered.plan.part
    of = facts.op.removeprefix(f"{part.op}_") + "_" if part else ""  # two parts may have tensors of one name
    saved_jointly = not first and len(block.roots) > 1
    name = "" if inline else f"_backward_{of}{'saved' if saved_jointly else '_'.join(block.roots)}"
    shown = "the cotangents of what was saved" if saved_jointly else " and ".join(cotangents)
    if not first and not set(block.roots) & set(facts.lowered.plan.outputs):
        shown += ": given only where backward is differentiated"
    results = [f"grad_{result}" for result in block.results]
    arguments = _arguments(
        facts, block, saved, " ".join((*test_lines, *(group.test for group in groups), *_read_needs(facts, block)))
    )
    start = [f"grad_{result}: Tensor | None = None" for result in block.results if result in guarded]
    call = f"{name}({', '.join(a.name for a in arguments)})"
    if rows is not None:
        call = rows_call(facts, name, rows, tuple(arguments), own)
    return BlockView(
        name,
        f'"""Contributions of {shown}."""',
        (*arguments, *own.arguments()),
        test,
        (*_cotangent_casts(facts, block), *(test_lines if inline else ())),
        (*test_lines, *start),
        groups,
        results[0] if len(results) == 1 else returned(results),
        _annotation(len(results), bool(guarded)),
        tuple(_calls(facts, call, results, first)),
    )


def _read_needs(facts: Facts, block: Block) -> list[str]:
    """The needs that statements themselves read."""
    parts = (part for line in block.live.lines for part in walk(line.value))
    return [facts.names[f"need_{name}"] for part in parts if isinstance(part, Need) for name in sorted(part.inputs)]


def _given(facts: Facts, block: Block) -> str:
    """Which cotangents must be there for the block, and which others must not."""
    if _filled(facts, block):
        return f"not ({' and '.join(f'grad_{root} is None' for root in block.roots)})"
    test = " and ".join(f"grad_{root} is not None" for root in block.roots)
    joint = facts.blocks[0].roots
    others = [f"grad_{root} is None" for root in joint if root not in block.roots]
    if not others or block.roots[0] not in joint:
        return test
    return f"{test} and {others[0]}" if len(others) == 1 else f"{test} and ({' or '.join(others)})"


def _filled(facts: Facts, block: Block) -> bool:
    """Whether cotangents that are missing beside others are zeros: no block is there for one output alone."""
    return len(block.roots) > 1 and all(other is block or other.roots[0] not in block.roots for other in facts.blocks)


def _rows(facts: Facts, block: Block, named: dict[str, str]) -> Split | None:
    """How the block is worked in blocks of rows: all of it, or not at all."""
    plan = next(own for own in facts.lowered.plan.backward if own.roots == block.roots)
    # A gradient has the axes of its input.
    found = split(block.live, plan.rows, outside_axes(facts), named)
    if found is None or found.after or set(found.joins) != set(named.values()):
        return None
    return replace(found, joins={name: found.joins[name] for name in named.values()})  # as they are returned


def _annotation(count: int, guarded: bool) -> str:
    one = "Tensor | None" if guarded else "Tensor"
    return one if count == 1 else f"tuple[{one}, ...]"


def _cotangent_casts(facts: Facts, block: Block) -> list[str]:
    """Cotangents in the dtype to compute in; zeros for one that is None, where no block is for the others alone."""
    rt, ctx = facts.runtime, facts.local.ctx
    if _filled(facts, block):
        return [
            f"grad_{root} = {rt}cotangent(grad_{root}, {ctx}.shapes[{facts.joint.index(root)}],"
            f" {facts.computed(root)}, {ctx}.device)"
            for root in block.roots
        ]
    outputs = facts.lowered.plan.outputs
    return [f"grad_{root} = {rt}cast(grad_{root}, {facts.computed(root)})" for root in block.roots if root in outputs]


def _arguments(facts: Facts, block: Block, saved: tuple[str, ...], tests: str) -> list[Argument]:
    """What the function of a block reads: tests, cotangents, saved tensors, sizes, params."""
    words = tests.split()
    program = facts.lowered.plan.program
    read = set(block.live.outside)
    out = [Argument(facts.names[f"need_{n}"], "bool") for n in block.results if facts.names[f"need_{n}"] in words]
    out += [Argument(f"grad_{root}", "Tensor") for root in block.roots if f"grad_{root}" in read]
    out += [Argument(name, "Tensor") for name in saved if name in read]
    out += [Argument(s.target, size_type(s.call)) for s in facts.sizes if s.target in block.live.direct]
    for param in program.params:
        if local_name(param.name) in read:
            out.append(Argument(local_name(param.name), "float" if param.kind == "real" else "int"))
    return out


def _calls(facts: Facts, call: str, results: list[str], first: bool) -> list[str]:
    """The call of a block's function, its results put or added where they belong."""
    if first:
        return [f"{unpacked(results) if len(results) > 1 else results[0]} = {call}"]
    if len(results) == 1:
        return [f"{results[0]} = {facts.runtime}add({results[0]}, {call})"]
    more = [facts.names[name.replace("grad_", "more_", 1)] for name in results]
    added = [f"{name} = {facts.runtime}add({name}, {own})" for name, own in zip(results, more, strict=True)]
    return [f"{unpacked(more)} = {call}", *added]


def _with_rest(facts: Facts, saved: tuple[str, ...]) -> list[str]:
    """Under functorch, what is saved for the tangent program comes after."""
    return [*saved, "*_"] if saved and len(tangent_saved(facts)) > len(saved) else list(saved)
