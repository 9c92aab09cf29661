"""The derivatives with a function of their own: Jacobian, Hessian, Hessian-vector product.

They are taken of what is simplified already: the Jacobian is the adjoint program for each component of the
output, the Hessian the derivative of the Jacobian, the product with a vector the tangent program of the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import rename_tensors
from tensorgrad_gen.algebra.broadcasts import drop_broadcasts
from tensorgrad_gen.algebra.naming import Namer, derivative_names
from tensorgrad_gen.derive import adjoint, tangent
from tensorgrad_gen.derive.identity import by_cotangent, by_input, new_axes
from tensorgrad_gen.derive.lettered import has_leading_axes, lettered
from tensorgrad_gen.derive.model import Block, Further
from tensorgrad_gen.derive.modes import REAL, in_structure, taken_names
from tensorgrad_gen.ir import Access, Index, Input, Program, Statement
from tensorgrad_gen.ir.budget import grant
from tensorgrad_gen.ir.build import ZERO
from tensorgrad_gen.simplify import simplify_adjoint, simplify_tangent
from tensorgrad_gen.simplify.inline import inline
from tensorgrad_gen.simplify.merge import merge_equal
from tensorgrad_gen.simplify.parts import common_deltas_last, factored, split_by_deltas
from tensorgrad_gen.simplify.stable import stable
from tensorgrad_gen.simplify.through_values import through_values
from tensorgrad_gen.simplify.zeros import drop_vanishing

STEPS = 1_000_000  # of work that each may make: a Hessian has a block for each pair of inputs
Gradients = dict[tuple[str, str], Statement]  # of (output, input): the statement of its Jacobian


def further_derivatives(program: Program) -> tuple[Further, ...]:
    """What the spec asks for beside `vjp` and `jvp`, in the order of the table."""
    if not outputs_of(program) or not inputs_of(program):
        return ()
    kinds = [kind for kind in FURTHER if kind in program.derivatives]
    grant(STEPS * len(kinds))
    return tuple(FURTHER[kind](program) for kind in kinds)


def outputs_of(program: Program) -> tuple[str, ...]:
    """The outputs that are numbers."""
    return tuple(o for o in program.outputs if program.tensors[o].kind in REAL)


def inputs_of(program: Program) -> tuple[Input, ...]:
    """The inputs that have a derivative."""
    return tuple(item for item in program.inputs if item.grad and item.kind in REAL)


def _namer(program: Program) -> Namer:
    tensors = set(program.tensors)
    return Namer(taken_names(program), derivative_names(tensors))


def _jacobian(program: Program) -> Further:
    """Every output by every input."""
    made = lettered(program)
    names = _namer(made)
    statements, found = _gradients(made, names)
    blocks = []
    for of in outputs_of(made):
        for item in inputs_of(made):
            blocks.append(_block("jacobian", made, of, (item,), found[of, item.name], statements, names))
    return _made("jacobian", program, made, statements, blocks, names)


def _gradients(program: Program, names: Namer) -> tuple[list[Statement], Gradients]:
    """The adjoint of each output for each of its components."""
    statements: list[Statement] = []
    found: Gradients = {}
    for of in outputs_of(program):
        derived = simplify_adjoint(program, adjoint(program, (of,), Namer(names.taken, names.reserved)))
        own = program.tensors[of].indices
        axes = new_axes(own, (*program.statements, *derived.statements))
        steps = by_cotangent(derived.statements, of, axes)
        table = {s.target: s for s in steps}
        held = dict(derived.gradients)
        for item in inputs_of(program):
            zero = Statement("", (*axes, *item.indices), ZERO)
            found[of, item.name] = table.get(held.get(item.name, ""), zero)
        statements += steps
    return statements, found


def _block(
    kind: str,
    program: Program,
    of: str,
    by: Sequence[Input],
    held: Statement,
    statements: list[Statement],
    names: Namer,
) -> Block:
    """The block, in a statement of its own at the end: with the axes of the output, then those of the inputs."""
    named = (of,) if of and len(outputs_of(program)) > 1 else ()
    target = names.name("_".join((kind, *named, *(item.name for item in by))))
    own = {s.target for s in statements}
    value = Access(held.target, held.indices) if held.target in own else held.value
    statements.append(Statement(target, held.indices, value))
    return Block(of, tuple(item.name for item in by), target)


def _hessian(program: Program) -> Further:
    """Every output by every pair of inputs; of two pairs that differ in their order, one is the other transposed."""
    made = lettered(program)
    names = _namer(made)
    gradients, found = _gradients(made, names)
    gradients = _reduced(made, gradients, {s.target for s in found.values()}, names)
    found = {pair: next((s for s in gradients if s.target == old.target), old) for pair, old in found.items()}
    whole = (*made.statements, *gradients)
    statements = list(gradients)
    blocks: dict[tuple[str, str, str], Block] = {}
    inputs = inputs_of(made)
    for place, second in enumerate(inputs):
        axes = new_axes(second.indices, (*whole, *statements))
        changes, known = by_input(whole, second, axes, names)
        statements += changes
        table = {s.target: s for s in changes}
        for of in outputs_of(made):
            for first in inputs[: place + 1]:
                gradient = found[of, first.name]
                held = table.get(known.get(gradient.target, ""), Statement("", (*gradient.indices, *axes), ZERO))
                held = _structured(held, axes, second, statements, names)
                block = _block("hessian", made, of, (first, second), held, statements, names)
                blocks[of, first.name, second.name] = block
                if first is not second:
                    count = len(made.tensors[of].indices)
                    back = _transposed(held, block.held, count, len(first.indices))
                    blocks[of, second.name, first.name] = _block(
                        "hessian", made, of, (second, first), back, statements, names
                    )
    order = [blocks[of, one.name, two.name] for of in outputs_of(made) for one in inputs for two in inputs]
    return _made("hessian", program, made, statements, order, names)


def _structured(
    held: Statement, axes: tuple[Index, ...], item: Input, statements: list[Statement], names: Namer
) -> Statement:
    """The derivative by a structured input, in its structure."""
    if item.structure == "general" or held.value is ZERO:
        return held
    value = in_structure(Access(held.target, held.indices), axes, item.structure)
    done = Statement(names.name(f"{held.target}_{item.structure}"), held.indices, value)
    statements.append(done)
    return done


def _transposed(held: Statement, block: str, count: int, first: int) -> Statement:
    """The block with the axes of the second input before those of the first."""
    lead, one, two = held.indices[:count], held.indices[count : count + first], held.indices[count + first :]
    return Statement("", (*lead, *two, *one), Access(block, held.indices))


def _hvp(program: Program) -> Further:
    """The Hessian of the outputs, weighted by the cotangents, times tangents: one tensor an input."""
    outputs = outputs_of(program)
    scalar = len(outputs) == 1 and not program.tensors[outputs[0]].indices
    derived = simplify_adjoint(program, adjoint(program, outputs, _namer(program)))
    steps = list(derived.statements)
    if scalar:
        steps = by_cotangent(steps, outputs[0], ())
    taken = {item.keyword for item in program.inputs} | {p.name for p in program.params}
    given = () if scalar else tuple(_given(f"grad_{o}", program.tensors[o].indices, taken) for o in outputs)
    moving = tuple(
        replace(_given(f"tangent_{i.name}", i.indices, taken), default=None if i.default is None else 0)
        for i in inputs_of(program)
    )
    made = replace(program, inputs=(*program.inputs, *given, *moving))
    whole = replace(made, statements=(*program.statements, *steps))
    names = Namer(taken_names(whole) | set(whole.tensors), derivative_names(set(program.tensors)))
    along, first = _in_structures(program, names)
    moved = simplify_tangent(whole, tangent(whole, names))
    changes = dict(moved.tangents)
    held = dict(derived.gradients)
    table = {s.target: s for s in moved.statements}
    statements = [*steps, *first]
    statements += [replace(s, value=rename_tensors(s.value, along)) for s in moved.statements]
    blocks = []
    for item in inputs_of(program):
        found = table.get(changes.get(held.get(item.name, ""), ""), Statement("", item.indices, ZERO))
        blocks.append(_block("hvp", program, "", (item,), found, statements, names))
    return _made("hvp", program, made, statements, blocks, names)


def _given(name: str, indices: tuple[Index, ...], taken: set[str]) -> Input:
    """A tensor that the function takes beside the inputs of the op, under a name that none of them has."""
    called = name
    while called in taken:
        called += "_"
    return Input(name, indices, grad=False, called=called if called != name else "")


def _in_structures(program: Program, names: Namer) -> tuple[dict[str, str], list[Statement]]:
    """The part of each tangent that has the structure of its input: the names, and the statements."""
    along: dict[str, str] = {}
    statements = []
    for item in inputs_of(program):
        own = f"tangent_{item.name}"
        if item.structure != "general":
            along[own] = names.name(f"{own}_{item.structure}")
            value = in_structure(Access(own, item.indices), item.indices, item.structure)
            statements.append(Statement(along[own], item.indices, value))
    return along, statements


def _made(
    kind: str, op: Program, program: Program, statements: list[Statement], blocks: list[Block], names: Namer
) -> Further:
    reduced = _reduced(program, statements, {block.held for block in blocks}, names)
    flat = has_leading_axes(op) and not has_leading_axes(program)
    # What the function takes beside the inputs of the op, autograd may differentiate by.
    more = tuple(replace(item, grad=True) for item in program.inputs[len(op.inputs) :])
    program = replace(program, inputs=(*program.inputs[: len(op.inputs)], *more))
    return Further(kind, program, tuple(reduced), tuple(blocks), flat)


def _reduced(program: Program, statements: list[Statement], wanted: set[str], names: Namer) -> list[Statement]:
    """Fewer, smaller statements, none with a delta but those that are wanted."""
    statements = [replace(s, value=through_values(s.value, program)) for s in statements]
    for _ in range(2):  # what is put somewhere may bring deltas there
        statements = split_by_deltas(statements, wanted, names)
        statements = inline(statements, wanted, program)
    statements = merge_equal(statements, wanted)
    statements = [replace(s, value=drop_vanishing(s.value, program)) for s in statements]
    statements = [replace(s, value=factored(s.value)) for s in common_deltas_last(statements, names)]
    statements = stable(statements, program)
    return drop_broadcasts(statements, wanted)


FURTHER: dict[str, Callable[[Program], Further]] = {"jacobian": _jacobian, "hessian": _hessian, "hvp": _hvp}
