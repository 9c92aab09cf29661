"""Simplification across statements: cotangents inlined, vanishing sums dropped, factors pulled out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tensorgrad_gen.algebra.broadcasts import drop_broadcasts
from tensorgrad_gen.derive.model import Adjoint, Derivatives, Further, Tangent
from tensorgrad_gen.ir import Program
from tensorgrad_gen.simplify.conjugates import fewer_conjugates
from tensorgrad_gen.simplify.factor import factor
from tensorgrad_gen.simplify.hidden_zeros import drop_masks, drop_masks_of_masked
from tensorgrad_gen.simplify.implied import drop_implied
from tensorgrad_gen.simplify.inline import inline
from tensorgrad_gen.simplify.merge import merge_equal
from tensorgrad_gen.simplify.quotients import quotients
from tensorgrad_gen.simplify.shares import softmaxes
from tensorgrad_gen.simplify.sinks import beside_sinks
from tensorgrad_gen.simplify.stable import stable
from tensorgrad_gen.simplify.through_values import through_values
from tensorgrad_gen.simplify.trace import Trace
from tensorgrad_gen.simplify.zeros import drop_vanishing

__all__ = [
    "Trace",
    "drop_vanishing",
    "factor",
    "inline",
    "merge_equal",
    "quotients",
    "simplify",
    "simplify_adjoint",
    "simplify_tangent",
    "through_values",
]


def simplify_adjoint(
    program: Program, adjoint: Adjoint, trace: Trace | None = None, kept: Collection[str] = ()
) -> Adjoint:
    """The adjoint with fewer, smaller statements; `trace`, if given, records every rewrite.

    `kept` are tensors of forward that another adjoint keeps already.
    """
    trace = Trace() if trace is None else trace
    trace.record("derived", adjoint.statements)
    wanted = {name for _, name in adjoint.gradients}
    statements = [replace(s, value=through_values(s.value, program)) for s in adjoint.statements]
    trace.record("through values", statements)
    statements = fewer_conjugates(inline(statements, wanted, program, trace), program, adjoint.roots)
    statements = merge_equal(statements, wanted)
    trace.record("equal values", statements)
    statements = [replace(s, value=drop_vanishing(s.value, program, trace)) for s in statements]
    trace.record("vanishing", statements)
    statements = quotients(softmaxes(beside_sinks(statements, program), program, kept), program)
    statements = [replace(s, value=drop_implied(s.value)) for s in statements]
    statements = stable([replace(s, value=factor(s.value)) for s in statements], program)
    trace.record("common factors", statements)
    statements = [replace(s, value=drop_masks(s.value, program)) for s in statements]
    statements = drop_masks_of_masked(statements, program)
    trace.record("masks of zeros", statements)
    return replace(adjoint, statements=tuple(statements))


def simplify_tangent(program: Program, tangent: Tangent) -> Tangent:
    """The tangent program with derivatives read off values that are there."""
    statements = [
        replace(s, value=drop_vanishing(through_values(s.value, program), program)) for s in tangent.statements
    ]
    statements = quotients(softmaxes(statements, program), program)
    statements = stable([replace(s, value=factor(s.value)) for s in statements], program)
    statements = [replace(s, value=drop_masks(s.value, program)) for s in statements]
    statements = drop_masks_of_masked(statements, program)
    results = {t for _, t in tangent.tangents}
    return replace(tangent, statements=tuple(drop_broadcasts(statements, results)))


def simplify(derivatives: Derivatives) -> Derivatives:
    """Both programs, simplified, and the further derivatives that are taken of them."""
    program = derivatives.program
    return Derivatives(
        program,
        simplify_adjoint(program, derivatives.adjoint),
        simplify_tangent(program, derivatives.tangent),
        _further(program),
    )


def _further(program: Program) -> tuple[Further, ...]:
    from tensorgrad_gen.simplify.further import FURTHER, further_derivatives

    return further_derivatives(program) if set(FURTHER) & set(program.derivatives) else ()
