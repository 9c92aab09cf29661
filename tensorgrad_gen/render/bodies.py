"""Views of the straight-line parts: forward, the context, the tangent program."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tensorgrad_gen.ir import Index, Input
from tensorgrad_gen.lower.model import LoweredOp
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import print_texpr, reads
from tensorgrad_gen.lower.roots import NEWTON
from tensorgrad_gen.lower.torch_ir import Attr, Call, Item, TExpr, TorchStatement
from tensorgrad_gen.render.facts import Facts, comment_lines, gather, grouped, test_of
from tensorgrad_gen.render.liveness import Guarded, Live
from tensorgrad_gen.render.needs import NamedTests, named_tests
from tensorgrad_gen.render.ownership import owned
from tensorgrad_gen.render.places import Placed, placed
from tensorgrad_gen.render.rows import Axes, Split, split
from tensorgrad_gen.render.several import unpack_several
from tensorgrad_gen.render.view import (
    Argument,
    ForwardView,
    Group,
    Line,
    RowsView,
    SetupView,
    StepView,
    TangentView,
)

_DTYPES = {"bool": "torch.bool", "label": "torch.int64"}


def unpacked(names: list[str]) -> str:
    """The names as the target of an unpacking."""
    return f"({names[0]},)" if len(names) == 1 else ", ".join(names)


def listed(items: list[str]) -> str:
    """The items as a tuple."""
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def returned(items: list[str]) -> str:
    """The items as what `return` gives back."""
    return ", ".join(items) if len(items) > 1 else listed(items)


def code(facts: Facts, expr: TExpr) -> str:
    """The expression as Python."""
    return print_texpr(expr, facts.runtime, facts.names)


def size_lines(facts: Facts, sizes: tuple[TorchStatement, ...]) -> tuple[str, ...]:
    """Sizes as statements."""
    return tuple(f"{s.target} = {code(facts, s.call)}" for s in sizes)


def body_groups(
    facts: Facts,
    live: Live,
    among: tuple[str, ...],
    results: dict[str, str],
    typed: Iterable[str] = (),
    tests: NamedTests | None = None,
) -> tuple[Group, ...]:
    """The statements of a body; `results` names the variable for each result that gets one, `tests` those of tests.

    Those in `typed` are annotated where they are first assigned: some of torch's functions return Any.
    """
    taken = {*live.outside, *(size.target for size in live.sizes), *facts.names.values(), *facts.params}
    taken |= {local_name(item.name) for item in facts.inputs} | set(results.values())
    lines = unpack_several(live.lines, results, frozenset(taken), bool(among))
    return line_groups(facts, lines, among, results, typed, tests)


def line_groups(
    facts: Facts,
    guarded: Iterable[Guarded],
    among: tuple[str, ...],
    results: dict[str, str],
    typed: Iterable[str] = (),
    tests: NamedTests | None = None,
) -> tuple[Group, ...]:
    """As `body_groups`, of some lines of a body."""
    lines: list[tuple[str, Line]] = []
    plain = set(typed)
    for item in guarded:
        target = item.target if item.target is not None else results.get(item.result)
        text = code(facts, item.value)
        if target is not None and target != text:
            annotation = ": Tensor" if target in plain else ""
            plain -= set(target.split(", "))
            line = Line(comment_lines(item.formula), f"{target}{annotation} = {text}")
            test = (tests or {}).get(item.needed) or test_of(facts, item.needed, among) if among else ""
            lines.append((test, line))
    return grouped(lines)


def dtype_lines(facts: Facts, rest: str) -> list[str]:
    """The dtype of the result, and the one to compute in, if the rest of the body uses them."""
    words = set(re.findall(r"\w+", rest))
    lines = [f"{facts.acc} = {facts.accumulator(facts.dtype)}"] if facts.acc in words else []
    return [f"{facts.dtype} = {facts.promoted()}", *lines] if lines or facts.dtype in words else []


def input_cast(facts: Facts, item: Input, value: str, device: str) -> str | None:
    """`x = cast(x, acc)`, or what an input of another kind needs; None: nothing."""
    name, rt = local_name(item.name), facts.runtime
    dtype = _DTYPES.get(item.kind, facts.acc)
    if item.kind == "real" and not item.grad:
        value = f"{rt}constant({value})"
    elif item.structure != "general":
        value = f'{rt}structured({value}, "{item.structure}")'
    if item.default is not None:
        axes = sum(1 for index in item.indices if index.name != "...")
        dtype = facts.computed(item.name) if item.kind == "real" else dtype
        return f"{name} = {rt}filled({value}, {item.default}, {axes}, {dtype}, {device})"
    if item.kind == "bool":
        return None if value == name else f"{name} = {value}"
    if facts.complex and item.kind == "real":
        return f"{name} = {rt}cast_number({value}, {dtype})"
    return f"{name} = {rt}cast({value}, {dtype})"


def arguments_of(facts: Facts) -> tuple[Argument, ...]:
    """What the plain body takes: inputs, then params."""
    program = facts.lowered.plan.program
    arguments = [Argument(local_name(i.name), "Tensor" if i.default is None else "Tensor | None") for i in facts.inputs]
    return (*arguments, *(Argument(local_name(p.name), "float" if p.kind == "real" else "int") for p in program.params))


def forward_view(facts: Facts) -> ForwardView:
    """The plain body."""
    program = facts.lowered.plan.program
    read = set(facts.forward.outside) | {n for s in facts.forward.sizes for n in reads(s.call)}
    device = f"{facts.anchor}.device"
    used = [item for item in facts.inputs if local_name(item.name) in read]
    casts = [c for item in used if (c := input_cast(facts, item, local_name(item.name), device))]
    remedies = {"": "{}", "own": facts.runtime + "own({})", "clone": "{}.clone()"}
    own = {t: remedies[remedy].format(local_name(t)) for t, remedy in owned(facts.lowered.forward).items()}
    # Nobody changes an auxiliary output: it may be a view, though not of another output.  Not in forward mode, where
    # its tangent would need the layout of what it is a view of; nor may an operator of torch.library return one.
    if program.target == "function" and facts.tangent is None:
        own |= {t: local_name(t) for t in facts.results if t not in facts.lowered.plan.outputs and "own(" in own[t]}
    items = [own[t] if facts.unrounded else result_item(facts, t, own[t], facts.dtype) for t in facts.results]
    for flag in sorted({own.flag for own in facts.lowered.factors} - {""}):
        real = [local_name(item.name) for item in facts.inputs if item.name in facts.gradients]
        casts.insert(0, f"{flag} = {facts.runtime}requires_grad({', '.join(real)})")
    groups, rows = _forward_groups(facts)
    return ForwardView(
        arguments_of(facts),
        device,
        (*dtype_lines(facts, " ".join((*casts, *items))), *casts, *size_lines(facts, facts.forward.sizes)),
        groups,
        returned(items),
        rows,
    )


def _forward_groups(facts: Facts) -> tuple[tuple[Group, ...], RowsView | None]:
    """The statements of forward, and the function of those that are worked in blocks of rows."""
    results = {t: local_name(t) for t in facts.results}
    found = split(facts.forward, facts.lowered.plan.rows, outside_axes(facts), results)
    if found is None:
        return body_groups(facts, facts.forward, (), results), None
    of = facts.op.removeprefix(f"{part.op}_") + "_" if (part := facts.lowered.plan.part) else ""
    made = list(found.joins)
    read = {name for line in found.inside for name in reads(line.value)}
    before = [line.target for line in found.before if line.target in read]
    inputs = [local_name(item.name) for item in facts.inputs if local_name(item.name) in read]
    arguments = [Argument(name, "Tensor") for name in (*inputs, *before) if name is not None]
    arguments += [Argument(s.target, size_type(s.call)) for s in facts.forward.sizes if s.target in read]
    for param in facts.lowered.plan.program.params:
        if local_name(param.name) in read:
            arguments.append(Argument(local_name(param.name), "float" if param.kind == "real" else "int"))
    own = placed(facts, found.inside, found, results)
    rows = RowsView(
        f"_forward_{of}rows",
        f'"""{", ".join(made)} of a block of rows."""',
        (*arguments, *own.arguments()),
        line_groups(facts, own.lines, (), results),
        made[0] if len(made) == 1 else returned(made),
        "Tensor" if len(made) == 1 else "tuple[Tensor, ...]",
    )
    targets = made[0] if len(made) == 1 else unpacked(made)
    call = f"{targets} = {rows_call(facts, rows.name, found, tuple(arguments), own)}"
    before_groups = line_groups(facts, found.before, (), results)
    return (*before_groups, Group("", (Line((), call),)), *line_groups(facts, found.after, (), results)), rows


def outside_axes(facts: Facts) -> Axes:
    """The axes of what bodies read from outside and return: inputs, outputs and auxiliaries, and their cotangents."""
    plan = facts.lowered.plan
    made = {step.target: step.indices for step in plan.forward}
    axes: dict[str, tuple[Index | None, ...]] = {item.name: item.indices for item in facts.inputs}
    layouts = dict(facts.lowered.layouts)
    results = {name: layouts.get(name, made[name]) for name in facts.results if name in made}
    return axes | results | {f"grad_{name}": own for name, own in results.items()}


def rows_call(
    facts: Facts, function: str, found: Split, arguments: tuple[Argument, ...], own: Placed | None = None
) -> str:
    """The call of a function for one block of rows after another."""
    cuts = listed([str(found.cuts.get(argument.name)) for argument in arguments])
    joins = listed([repr(join) if isinstance(join, int) else f'"{join}"' for join in found.joins.values()])
    names = ", ".join(argument.name for argument in arguments)
    places = [str(k) for k, name in enumerate(found.joins) if own is not None and name in own.places]
    more = f", places={listed(places)}" if places else ""
    return f"{facts.runtime}by_rows({function}, {cuts}, {joins}, {names}{more})"


def size_type(call: TExpr) -> str:
    """The annotation of a size that is passed on."""
    if isinstance(call, Item) and isinstance(call.key, Call):
        return "torch.Size"
    return "torch.Size" if isinstance(call, Attr) and call.name == "shape" else "int"


def step_view(name: str, lowered: LoweredOp, runtime: str) -> StepView:
    """A step of a solver; everything it gets is in the dtype to compute in."""
    facts = gather(lowered, runtime)
    program = lowered.plan.program
    (target,) = program.outputs
    law = "One step of Newton's method" if name == NEWTON else "The right side of the equation"
    arguments = [Argument(local_name(i.name), "Tensor") for i in facts.inputs]
    arguments += [Argument(local_name(p.name), "float" if p.kind == "real" else "int") for p in program.params]
    return StepView(
        name,
        f'"""{law}: from {program.name} to the next one."""',
        tuple(arguments),
        size_lines(facts, facts.forward.sizes),
        body_groups(facts, facts.forward, (), {target: local_name(target)}),
        local_name(target),
    )


def result_item(facts: Facts, tensor: str, text: str, dtype: str) -> str:
    """What is returned for an output (in the dtype of the result) or an auxiliary (as computed)."""
    if facts.discrete(tensor) or tensor not in facts.lowered.plan.outputs:
        return text
    return f"{facts.runtime}cast({text}, {facts.dtype_of(tensor, dtype)})"


def saved_names(facts: Facts, lives: tuple[Live, ...]) -> tuple[str, ...]:
    """Local names of the inputs, outputs and auxiliaries that bodies read, in that order."""
    read = facts.read(lives)
    names = [local_name(i.name) for i in facts.inputs] + [local_name(t) for t in facts.results]
    return tuple(name for name in names if name in read)


def needs_line(facts: Facts, tests: str) -> str:
    """`need_x, need_w, _` where a test reads one of them."""
    words = set(re.findall(r"\w+", tests))
    names = [facts.names.get(f"need_{item.name}", "_") for item in facts.inputs] + ["_"] * len(facts.params)
    if not words & (set(names) - {"_"}):
        return ""
    return unpacked([name if name in words else "_" for name in names])


def setup_view(facts: Facts, needed: dict[str, frozenset[str]]) -> SetupView:
    """What is kept for backward: `needed` tells which gradients read each saved tensor."""
    saved = []
    tests, test_lines = named_tests(facts, needed.values(), facts.gradients)
    for name in saved_names(facts, tuple(b.live for b in facts.blocks)):
        test = tests.get(needed[name]) or test_of(facts, needed[name], facts.gradients)
        saved.append(f"{name} if {test} else None" if test else name)
    kept = context_facts(facts)
    sizes = size_lines(facts, facts.sizes)
    discrete = [local_name(t) for t in facts.results if facts.discrete(t)]
    words = set(re.findall(r"\w+", " ".join((*saved, *sizes, *(v for _, v in kept), *discrete))))
    inputs = [local_name(i.name) for i in facts.inputs] + list(facts.params)
    output = [local_name(t) for t in facts.results]
    return SetupView(
        unpacked([n if n in words else "_" for n in inputs]),
        unpacked([n if n in words else "_" for n in output]) if words & set(output) else "",
        needs_line(facts, " ".join((*test_lines, *saved))),
        test_lines,
        ", ".join(discrete),
        tuple(saved),
        sizes,
        kept,
    )


def context_facts(facts: Facts) -> tuple[tuple[str, str], ...]:
    """Plain values on the context: name and value."""
    rt = facts.runtime
    kept = [("device", f"{facts.anchor}.device")]
    real = [local_name(t) for t in facts.lowered.plan.outputs if not facts.discrete(t)]
    if real and not facts.complex:
        kept.append(("dtype", f"{real[0]}.dtype"))
    elif facts.numeric:
        kept.append(("dtype", facts.promoted()))
    dtypes = []
    for item in facts.inputs:
        if item.name in facts.gradients:
            name = local_name(item.name)
            dtypes.append(f"{name}.dtype" if item.default is None else f"{rt}dtype_of({name})")
    kept.append(("dtypes", listed(dtypes)))
    if joint := facts.joint:
        kept.append(("shapes", listed([f"{local_name(t)}.shape" for t in joint])))
    if facts.kept_sizes:
        kept.append(("sizes", listed(list(facts.kept_sizes))))
    if params := derivative_params(facts):
        kept.append(("params", listed(list(params))))
    return tuple(kept)


def derivative_params(facts: Facts) -> tuple[str, ...]:
    """Params that backward or the tangent program read."""
    read = facts.read((*(b.live for b in facts.blocks), *((facts.tangent,) if facts.tangent else ())))
    return tuple(p for p in facts.params if p in read)


def context_loads(facts: Facts, saved: list[str], lives: tuple[Live, ...]) -> list[str]:
    """Saved tensors, sizes and params, taken from the context; those these bodies do not read are `_`."""
    ctx, read = facts.local.ctx, facts.read(lives)
    loads = [f"{unpacked(saved)} = {ctx}.saved_tensors"] if saved else []
    own = {name for live in lives for name in live.direct}
    sizes = [name if name in own else "_" for name in facts.kept_sizes]
    if own:
        loads.append(f"{unpacked(sizes)} = {ctx}.sizes")
    params = [p if p in read else "_" for p in derivative_params(facts)]
    if set(params) - {"_"}:
        loads.append(f"{unpacked(params)} = {ctx}.params")
    return loads


def output_casts(facts: Facts, saved: tuple[str, ...]) -> list[str]:
    """Saved outputs brought back to the dtype to compute in."""
    casts = []
    for tensor in facts.lowered.plan.outputs:
        name, acc = local_name(tensor), facts.acc
        if name in saved and not facts.discrete(tensor):
            casts.append(f"{name} = {facts.runtime}{'cast_number' if facts.complex else 'cast'}({name}, {acc})")
    return casts


def tangent_saved(facts: Facts) -> tuple[str, ...]:
    """What is saved for the tangent program: all that is saved for backward, then what it reads beside."""
    saved = saved_names(facts, tuple(b.live for b in facts.blocks))
    if facts.tangent is None:
        return saved
    read = facts.tangent.outside
    tangents = [local_name(i.name) for i in facts.inputs if f"tangent_{i.name}" in read]
    more = [*tangents, *saved_names(facts, (facts.tangent,))]
    return tuple(dict.fromkeys((*saved, *more)))


def tangent_view(facts: Facts) -> TangentView:
    """The tangent program."""
    live, ctx, rt = facts.tangent, facts.local.ctx, facts.runtime
    assert live is not None
    assert facts.lowered.tangent is not None
    tangents = {i.name: f"tangent_{i.name}" for i in facts.inputs if f"tangent_{i.name}" in live.outside}
    saved = tangent_saved(facts)
    kept = [name for name in saved if name in live.outside or name in {local_name(i) for i in tangents}]
    arguments = [
        Argument(tangents.get(i.name, facts.names[f"_{i.name}"]), "Tensor | None" if i.name in tangents else "Any")
        for i in facts.inputs
    ]
    arguments += [Argument(facts.names[f"_{p.name}"], "Any") for p in facts.lowered.plan.program.params]
    casts: list[str] = []
    for item in facts.inputs:
        name = local_name(item.name)
        if name in kept:
            casts.append(input_cast(facts, item, f"{rt}primal({name})", f"{ctx}.device") or "")
        if item.name in tangents:
            value = f"{rt}tangent({tangents[item.name]}, {name})"
            if item.structure != "general":
                value = f'{rt}structured({value}, "{item.structure}", always=True)'
            casts.append(f"{tangents[item.name]} = {value}")
    for tensor in facts.results:
        if local_name(tensor) in kept:
            casts.append(f"{local_name(tensor)} = {rt}primal({local_name(tensor)})")
    casts += output_casts(facts, tuple(kept))
    if facts.acc in re.findall(r"\w+", " ".join(casts)):
        casts.insert(0, f"{facts.acc} = {facts.accumulator(f'{ctx}.dtype')}")
    given = {name: f"tangent_{name}" for name, _ in facts.lowered.tangent.results}
    if facts.unrounded:
        items = [given.get(t, "None") for t in facts.results]
    else:
        items = [result_item(facts, t, given[t], f"{ctx}.dtype") if t in given else "None" for t in facts.results]
    inputs = [local_name(i.name) for i in facts.inputs] + list(facts.params)
    output = [local_name(t) for t in facts.results]
    return TangentView(
        unpacked([n if n in saved else "_" for n in inputs]),
        unpacked([n if n in saved else "_" for n in output]) if set(saved) & set(output) else "",
        ", ".join(saved),
        tuple(arguments),
        tuple(context_loads(facts, [n if n in kept else "_" for n in saved], (live,))),
        tuple(c for c in casts if c),
        body_groups(facts, live, (), given),
        returned(items),
    )
