"""The view of the public function, and of the check of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import walk
from tensorgrad_gen.ir import Input, Parameter, Program, Reduce
from tensorgrad_gen.lower.names import local_name
from tensorgrad_gen.lower.printer import print_texpr, reads
from tensorgrad_gen.lower.sizes import length, places, stated
from tensorgrad_gen.lower.torch_ir import Infix
from tensorgrad_gen.render.bodies import result_item
from tensorgrad_gen.render.docs import default_text, public_doc
from tensorgrad_gen.render.facts import Facts
from tensorgrad_gen.render.names import class_name
from tensorgrad_gen.render.positions import positions_view
from tensorgrad_gen.render.view import PositionsView, PublicView

_TYPES = {"real": "float", "int": "int"}  # of a param, in Python


def public_view(facts: Facts) -> PublicView:
    """The function that a model calls."""
    rt, op, program = facts.runtime, facts.op, facts.lowered.plan.program
    cls = class_name(op)
    dual = f"{cls}Dual" if facts.tangent is not None and facts.gradients else cls
    passed = ", ".join([i.keyword for i in facts.inputs] + [p.name for p in program.params])
    registered = program.target == "custom_op"
    target, forward = ("_OPERATOR", "_OPERATOR") if registered else (cls, dual)
    call = f"_chunked({passed})" if facts.lowered.parts else f"{rt}call({target}, {forward}, {passed})"
    node = "" if registered or facts.lowered.parts else cls
    positions = positions_view(facts)
    call = worded(facts, op, call, positions)
    outputs = facts.lowered.plan.outputs
    count = len(outputs)
    start: tuple[str, ...] = ()
    items = tuple(f"outputs[{k}]" for k in range(count))
    if facts.unrounded and not facts.lowered.parts:
        numbers = ", ".join(item.keyword for item in facts.numeric)
        start = (f"{facts.dtype} = {rt}promote({numbers})",)
        items = tuple(result_item(facts, t, item, facts.dtype) for t, item in zip(outputs, items, strict=True))
    annotations = [f"{local_name(i.name)}: Tensor{' | None' if i.default is not None else ''}" for i in facts.inputs]
    return PublicView(
        parameters(facts.inputs, program.params),
        "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]",
        public_doc(facts),
        required(facts.inputs),
        (*_param_conditions(program), *fits(facts, facts.inputs), *_stated_conditions(program)),
        ", ".join(annotations + [f"{local_name(p.name)}: {_TYPES[p.kind]}" for p in program.params]),
        tuple(input_row(item) for item in facts.inputs),
        fits_arguments(facts),
        param_rows(program),
        given_extents(program),
        positions,
        ", ".join(item.keyword for item in facts.inputs),
        start,
        node,
        call,
        ", ".join(items),
        f'{rt}Registered("tensorgrad_gen::{op}", "{_schema(facts)}", {cls}, {dual})' if registered else "",
    )


def worded(facts: Facts, name: str, call: str, positions: PositionsView | None = None) -> str:
    """The call; its errors about a label, a position or a maximum over nothing in the words of the op."""
    program = facts.lowered.plan.program
    found = [(item.keyword, item.labels) for item in facts.inputs if item.labels is not None]
    nodes = [node for s in program.statements for node in walk(s.value)]
    extrema = [n for n in nodes if isinstance(n, Reduce) and n.kind in ("max", "min", "argmax", "argmin")]
    found += [(node.kind, index.extent) for node in extrema for index in node.indices]
    if not found and positions is None:
        return call
    places = [f'("{name}", {_quoted(along)})' for name, along in dict.fromkeys(found)]
    function, _, arguments = call.partition("(")
    rows = f"({', '.join(places)}{',' if len(places) == 1 else ''})"
    if positions is not None:
        arguments = f"{arguments.removesuffix(')')}, positions=_positions)"
    return f'{facts.runtime}worded({function}, "{name}", _INPUTS, {rows}, {arguments}'


def _schema(facts: Facts) -> str:
    """The operator's signature as torch.library writes it."""
    takes = [f"Tensor{'?' if item.default is not None else ''} {local_name(item.keyword)}" for item in facts.inputs]
    kinds = {"real": "float", "int": "SymInt"}
    takes += [f"{kinds[param.kind]} {local_name(param.name)}" for param in facts.lowered.plan.program.params]
    return f"({', '.join(takes)}) -> ({', '.join(['Tensor'] * len(facts.results))})"


def required(inputs: tuple[Input, ...]) -> tuple[str, ...]:
    """Inputs without default after one that has it: Python needs a default for them too."""
    first = next((k for k, item in enumerate(inputs) if item.default is not None), len(inputs))
    return tuple(item.keyword for item in inputs[first:] if item.default is None)


def parameters(inputs: tuple[Input, ...], params: tuple[Parameter, ...]) -> str:
    """The parameters of a public function, as they stand in its head."""
    late = required(inputs)
    parts = [
        f"{item.keyword}: Tensor" + (" | None = None" if item.default is not None or item.keyword in late else "")
        for item in inputs
    ]
    if params:
        parts.append("*")
    for param in params:
        default = "" if param.default is None else f" = {default_text(param)}"
        parts.append(f"{param.name}: {_TYPES[param.kind]}{default}")
    return ", ".join(parts)


def input_row(item: Input) -> str:
    """What an error about an input needs to know of it."""
    letters, extents = [i.name for i in item.indices], [i.extent for i in item.indices]
    return f'("{item.keyword}", "{item.kind}", {_tuple(letters)}, {_tuple(extents)})'


def _tuple(items: list[str] | list[str | int]) -> str:
    """Letters, symbols and numbers as a tuple, in double quotes."""
    texts = [_quoted(item) for item in items]
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def _quoted(item: str | int) -> str:
    return str(item) if isinstance(item, int) else f'"{item}"'


def fits(facts: Facts, inputs: tuple[Input, ...], known: Sequence[Input] = (), keyword: bool = False) -> list[str]:
    """Conditions, the cheapest first, that hold exactly when `mismatch` has nothing to say.

    `known` are inputs that fit already; `keyword`: names are those that the caller knows.
    """
    conditions: list[str] = []
    if keyword:
        inputs, known = (tuple(replace(item, name=item.keyword) for item in items) for items in (inputs, known))
    seen = list(known)
    # An input that may be left out refers to the others, not they to it.
    for item in sorted(inputs, key=lambda i: i.default is not None):
        own = [_kind_condition(facts, item), *_shape_conditions(item, seen)]
        if item.default is None:
            conditions += own
        else:
            conditions.append(f"({local_name(item.name)} is None or ({' and '.join(own)}))")
        seen.append(item)
    return conditions


def _stated_conditions(program: Program) -> list[str]:
    """Conditions that axes are as long as the spec says: of axes that agree, one that is always there."""
    absent = {local_name(item.name) for item in program.inputs if item.default is not None}
    conditions: list[str] = []
    for symbol, value in stated(program).items():
        found = places(program, symbol)
        for item, axis in found[:1] if found[0][0].default is None else found:
            condition = Infix("==", length(item, axis), value)
            missing = [f"{name} is None" for name in sorted(reads(condition) & absent)]
            text = print_texpr(condition)
            conditions.append(f"({' or '.join((*missing, text))})" if missing else text)
    return conditions


def _param_conditions(program: Program) -> list[str]:
    """Conditions that each param is a plain Python number of its kind; `check_params` knows other numbers."""
    tests = {"int": "type({0}) is int", "real": "(type({0}) is float or type({0}) is int)"}
    return [tests[param.kind].format(local_name(param.name)) for param in program.params]


def param_rows(program: Program) -> str:
    """What `check_params` is told of each param: its name, its kind, its value."""
    return ", ".join(f'("{param.name}", "{param.kind}", {param.name})' for param in program.params)


def fits_arguments(facts: Facts) -> str:
    """What the op's `_fits` is called with."""
    return ", ".join([item.keyword for item in facts.inputs] + [p.name for p in facts.lowered.plan.program.params])


def given_extents(program: Program) -> str:
    """The extents of inputs that the spec gives as well, by symbol, each with why; empty if none is."""
    keywords = {item.name: item.keyword for item in program.inputs}
    found = stated(program, lambda name: keywords.get(name, name))
    texts = {symbol: print_texpr(value) for symbol, value in found.items()}
    return ", ".join(f'"{symbol}": ({text}, "{text}")' for symbol, text in texts.items())


def _kind_condition(facts: Facts, item: Input) -> str:
    name = local_name(item.name)
    return {
        "real": f"{name}.is_floating_point()",
        "complex": f"{facts.runtime}numeric({name})",
        "bool": f"{name}.dtype == torch.bool",
        "label": f"{facts.runtime}integral({name})",
    }[item.kind]


def _shape_conditions(item: Input, seen: list[Input]) -> list[str]:
    name = local_name(item.name)
    extents = [index.extent for index in item.indices]
    given = [other for other in seen if other.default is None]
    for other in given:
        if extents and extents == [index.extent for index in other.indices]:
            return [f"{name}.shape == {local_name(other.name)}.shape"]
    batched = extents[:1] == ["..."]
    order = len(extents) - batched
    conditions = [f"{name}.dim() >= {order}" if batched else f"{name}.dim() == {order}"]
    if batched and not order:
        conditions = []
    for place, extent in enumerate(extents):
        axis = _axis(item, place)
        if isinstance(extent, int):
            conditions.append(f"{name}.size({axis}) == {extent}")
        elif other_place := _reference(extent, item, place, seen):
            conditions.append(_agrees(name, axis, item, *other_place))
    return conditions


def _axis(item: Input, place: int) -> int:
    return place - len(item.indices) if item.indices[0].name == "..." else place


def _reference(extent: str, item: Input, place: int, seen: list[Input]) -> tuple[Input, int] | None:
    """The first axis with that extent before this one, of an input that is always given if there is one."""
    for other in (*seen, item):
        for k, index in enumerate(other.indices):
            if index.extent == extent:
                return None if (other, k) == (item, place) else (other, k)
    return None


def _agrees(name: str, axis: int, item: Input, other: Input, place: int) -> str:
    there = local_name(other.name)
    if item.indices[0].name == "..." and axis == -len(item.indices):
        return f"{_lead(name, item)} == {_lead(there, other)}"
    condition = f"{name}.size({axis}) == {there}.size({_axis(other, place)})"
    return condition if other.default is None or other is item else f"({there} is None or {condition})"


def _lead(name: str, item: Input) -> str:
    order = len(item.indices) - 1
    return f"{name}.shape[:-{order}]" if order else f"{name}.shape"
