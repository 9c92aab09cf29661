"""The view of the function that computes a number and its gradients in one, block after block."""

from __future__ import annotations

import re
from dataclasses import replace

from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import reads
from tensorgrad_gen.lower.torch_ir import Call, Infix, TExpr, Var
from tensorgrad_gen.render.bodies import (
    arguments_of,
    dtype_lines,
    input_cast,
    line_groups,
    needs_line,
    result_item,
    returned,
    size_lines,
    unpacked,
)
from tensorgrad_gen.render.facts import Facts, grouped
from tensorgrad_gen.render.liveness import Guarded, Live, analyse
from tensorgrad_gen.render.needs import named_tests
from tensorgrad_gen.render.view import Argument, Group, Line, ValuedView

NAME = "value_and_gradients"


def valued_view(facts: Facts) -> ValuedView:
    """A block's share of the value, and gradients for the cotangent one, each with what the blocks before added up."""
    plan, names = facts.lowered.plan, facts.names
    assert facts.lowered.valued is not None
    assert plan.part is not None
    live = analyse(facts.lowered.valued)
    (output,) = plan.outputs
    summed = _summed(facts)
    results = {output: local_name(output)} | {name: f"grad_{name}" for name in facts.gradients}
    lines = _added(facts, _needed(live, facts), summed)
    tests, test_lines = named_tests(facts, (line.needed for line in lines), facts.gradients)
    groups = _freed(facts, line_groups(facts, lines, facts.gradients, results, (), tests))
    text = " ".join([*test_lines, *(group.test for group in groups)])
    totals = [names[f"total_{item.name}"] if item.name in summed else "_" for item in facts.inputs]
    totals += ["_"] * len(facts.params)
    read = set(live.outside) | {name for size in live.sizes for name in reads(size.call)}
    casts = [input_cast(facts, i, local_name(i.name), f"{facts.anchor}.device") for i in facts.inputs]
    used = [c for i, c in zip(facts.inputs, casts, strict=True) if c and local_name(i.name) in read]
    one = f"grad_{output} = torch.ones((), dtype={facts.acc}, device={facts.anchor}.device)"
    items = [result_item(facts, output, local_name(output), facts.dtype)]
    items += [f"grad_{item.name}" if item.name in facts.gradients else "None" for item in facts.inputs]
    start = [one] if f"grad_{output}" in live.outside else []
    needs = needs_line(facts, text)
    return ValuedView(
        NAME,
        f'"""{output} of a block; gradients for grad_{output} = 1, to which those of the blocks before are added."""',
        _arguments(facts),
        f"{facts.anchor}.device",
        (*([f"{needs} = {names['needed']}"] if needs else []), *_loads(totals, names["totals"]), *test_lines),
        (*dtype_lines(facts, " ".join((*used, *start, *items))), *used, *start, *size_lines(facts, live.sizes)),
        tuple(f"grad_{name}: Tensor | None = None" for name in facts.gradients),
        groups,
        returned(items + ["None"] * len(facts.params)),
    )


def _arguments(facts: Facts) -> tuple[Argument, ...]:
    """Which gradients are needed, what is added up so far, then the arguments of `forward`."""
    needed = Argument(facts.names["needed"], "tuple[bool, ...]")
    totals = Argument(facts.names["totals"], "tuple[Tensor | None, ...]")
    return (needed, totals, *arguments_of(facts))


def _loads(totals: list[str], given: str) -> list[str]:
    return [f"{unpacked(totals)} = {given}"] if set(totals) - {"_"} else []


def _summed(facts: Facts) -> frozenset[str]:
    """The inputs that every block reads whole: their gradients are sums over the blocks."""
    part = facts.lowered.plan.part
    assert part is not None
    whole = (item.name for item, axis in zip(facts.inputs, part.cuts, strict=True) if axis is None)
    return frozenset(whole) & frozenset(facts.gradients)


def _needed(live: Live, facts: Facts) -> tuple[Guarded, ...]:
    """The lines; the value is always needed."""
    return tuple(
        line if line.needed <= set(facts.gradients) else replace(line, needed=frozenset(facts.gradients))
        for line in live.lines
    )


def _added(facts: Facts, lines: tuple[Guarded, ...], summed: frozenset[str]) -> tuple[Guarded, ...]:
    """The lines; what makes a gradient that is a sum over the blocks adds to the total, a product in one call."""
    found = list(lines)
    for name in facts.gradients:
        if name not in summed:
            continue
        own, total = f"grad_{name}", Var(facts.names[f"total_{name}"])
        found = [line for line in found if line.value != Var(own) or _target(line) != own]
        makers = [k for k, line in enumerate(found) if _target(line) == own]
        if len(makers) == 1 and not any(own in reads(line.value) for line in found):
            found[makers[0]] = replace(found[makers[0]], value=_sum(total, found[makers[0]].value))
        else:
            found.append(Guarded(own, _sum(total, Var(own)), "", frozenset((name,))))
    return tuple(found)


def _freed(facts: Facts, groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups; what is as large as a block goes when the last statement that reads it has run."""
    large = _large(facts)
    lines = [(group.test, line) for group in groups for line in group.lines]
    last = {name: k for k, (_, line) in enumerate(lines) for name in set(re.findall(r"\w+", line.code)) & large}
    found: list[tuple[str, Line]] = []
    for k, (test, line) in enumerate(lines):
        found.append((test, line))
        gone = sorted(name for name, place in last.items() if place == k and not test)
        if gone and k + 1 < len(lines):
            found.append(("", Line((), f"del {', '.join(gone)}")))
    return grouped(found)


def _large(facts: Facts) -> frozenset[str]:
    """The intermediates of a block that have its index beside others, are made in any case, and are not returned."""
    plan = facts.lowered.plan
    assert plan.valued is not None
    assert plan.part is not None
    returned_ = {tensor for _, tensor in plan.valued.results}
    own = {step.target for step in plan.valued.steps if plan.part.index in step.indices and len(step.indices) > 1}
    body = facts.lowered.valued
    assert body is not None
    always = {s.target for s in body.statements if not s.needed_by}
    return frozenset(always & set(map(local_name, own - returned_)))


def _target(line: Guarded) -> str:
    """What the line assigns to."""
    return line.target if line.target is not None else f"grad_{line.result}"


def _sum(total: TExpr, value: TExpr) -> TExpr:
    """The value added to the total."""
    if isinstance(value, Infix) and value.op == "@":
        return Call("_runtime.accumulate_product", (total, value.left, value.right))
    return Call("_runtime.accumulate", (total, value))
