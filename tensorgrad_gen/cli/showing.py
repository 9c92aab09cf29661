"""A stage's product as text, for `explain --stage`."""

from __future__ import annotations

import pprint
from collections.abc import Iterator
from typing import Any

from tensorgrad_gen.ir import Program, Statement
from tensorgrad_gen.lower.model import Body, LoweredOp
from tensorgrad_gen.lower.torch_ir import TorchStatement
from tensorgrad_gen.plan.model import Block, Plan, Step


def show(product: Any) -> str:
    """Mathematics in index notation, torch as Python, a text as it is, anything else field by field."""
    match product:
        case str():
            return product.rstrip("\n")
        case Program():
            from tensorgrad_gen.notation import print_program

            return print_program(product)
        case Plan():
            return "\n".join(_plan(product))
        case LoweredOp():
            return "\n".join(_lowered(product))
        case _ if callable(getattr(product, "text", None)):
            return str(product.text())
        case _:
            return pprint.pformat(product, width=118)


def _plan(plan: Plan) -> Iterator[str]:
    yield f"saved: {', '.join(plan.saved) or 'nothing'}"
    yield "forward:"
    yield from map(_step, plan.forward)
    yield f"  returns {', '.join((*plan.outputs, *plan.auxiliary))}"
    for block in plan.backward:
        yield f"backward of {', '.join(block.roots)}:"
        yield from _block(block)
    if plan.tangent is not None:
        yield "tangent:"
        yield from _block(plan.tangent)
    for further in plan.further:
        yield f"{_kind(further)}:"
        yield from map(_step, further.forward)
        yield f"  returns {', '.join(further.outputs)}"


def _block(block: Block) -> Iterator[str]:
    yield f"  uses {', '.join(block.uses) or 'nothing'}"
    yield from map(_step, block.steps)
    for name, tensor in block.results:
        yield f"  {name}: {tensor}"


def _step(step: Step) -> str:
    from tensorgrad_gen.notation import print_statement

    return f"  {print_statement(Statement(step.target, step.indices, step.value), 'math')}{_needed(step.needed_by)}"


def _lowered(lowered: LoweredOp) -> Iterator[str]:
    names = ["forward", *(f"backward of {', '.join(b.roots)}" for b in lowered.plan.backward), "tangent"]
    bodies = [lowered.forward, *lowered.backward, lowered.tangent]
    for name, body in zip(names, bodies, strict=True):
        if body is not None:
            yield f"{name}:"
            yield from _body(body)
    if lowered.valued is not None:
        yield "value and gradients:"
        yield from _body(lowered.valued)
    for further in lowered.further:
        yield f"{_kind(further.plan)}:"
        yield from _body(further.forward)


def _kind(plan: Plan) -> str:
    """Which further derivative it is."""
    return plan.of.kind if plan.of is not None else ""


def _body(body: Body) -> Iterator[str]:
    from tensorgrad_gen.lower import print_texpr

    for statement in (*body.sizes, *body.statements):
        yield from _statement(statement)
    for name, expr in body.results:
        yield f"  {name}: {print_texpr(expr)}"


def _statement(statement: TorchStatement) -> Iterator[str]:
    from tensorgrad_gen.lower import print_texpr

    if statement.formula:
        yield f"  # {statement.formula}"
    yield f"  {statement.target} = {print_texpr(statement.call)}{_needed(statement.needed_by)}"


def _needed(inputs: frozenset[str]) -> str:
    return f"    (for {', '.join(sorted(inputs))})" if inputs else ""
