"""From the compiler's steps to lines: one section a tensor, from the outputs back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tensorgrad_gen.algebra import accesses, apart, key, simplify, step
from tensorgrad_gen.derive import (
    LAWS,
    Adjoint,
    Derivatives,
    Differential,
    active_tensors,
    derive,
    jacobian,
    names_apart,
)
from tensorgrad_gen.derive.conjugate import conjugate, pulled_back
from tensorgrad_gen.derive.modes import reads
from tensorgrad_gen.explain.facts import facts_of
from tensorgrad_gen.explain.model import Explanation, Line, Section, derivative, differential, new_indices
from tensorgrad_gen.explain.reasons import index_text, law_reason, rule_reason, through_reason
from tensorgrad_gen.explain.substitutions import substitution_sections
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Delta,
    Expr,
    Index,
    Program,
    Statement,
    Sum,
    add,
    complex_of,
    is_complex,
    mul,
)
from tensorgrad_gen.ir.build import ZERO
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.plan import plan
from tensorgrad_gen.simplify import Trace, simplify_adjoint, simplify_tangent
from tensorgrad_gen.simplify.through_values import read_values, through_values

_MOST_STEPS = 60  # rewrites of one derivation before the rest is folded into its last line


@dataclass(frozen=True, slots=True)
class _Scene:
    """What every section looks at."""

    program: Program
    active: dict[str, tuple[Index, ...]]
    depth: int | None
    cotangents: dict[str, str]  # of each tensor that a derivative reaches: the tensor that holds it
    complex: frozenset[str]  # tensors and cotangents with complex values


def explain(program: Program, wrt: str | None = None, valence: bool = False, depth: int | None = None) -> Explanation:
    """The derivation of the gradients (of one, with `wrt`); `depth` is how many steps of each part are shown."""
    program = names_apart(program)
    wanted = tuple(item.name for item in program.inputs if wrt in (None, item.keyword))
    normal = normalise(program)
    derived = derive(normal)
    trace = Trace()
    adjoint = simplify_adjoint(normal, derived.adjoint, trace)
    simple = Derivatives(normal, adjoint, simplify_tangent(normal, derived.tangent))
    gradients = {name: target for name, target in adjoint.gradients if name in wanted}
    cotangents = _cotangents(normal, derived.adjoint)
    complex_ = complex_of(normal)
    complex_ |= {name for tensor, name in cotangents.items() if tensor in complex_}
    scene = _Scene(normal, active_tensors(normal), depth, cotangents, complex_)
    sections = [Section(program.name, lines=tuple(map(_definition, program.statements)))]
    sections += _stable_form(program, normal)
    lead = _leading(normal, scene.active, set(gradients))
    for tensor in [s.target for s in reversed(normal.statements)] + list(gradients):
        if tensor in lead:
            sections += _tensor_sections(scene, tensor)
    sections += substitution_sections(normal, trace, set(gradients.values()))
    planned = plan(simple)
    for name in gradients:
        title = "" if len(gradients) == 1 else f"About {name}"
        sections.append(Section(title, facts=facts_of(planned, simple, name, valence)))
    return Explanation(normal, tuple(sections))


def _definition(statement: Statement) -> Line:
    return Line(Access(statement.target, statement.indices), statement.value)


def _stable_form(program: Program, normal: Program) -> list[Section]:
    """The statements that are not computed as they are written."""
    written = {s.target: key(simplify(s.value)) for s in program.statements}
    changed = [s for s in normal.statements if written.get(s.target) != key(simplify(s.value))]
    if not changed:
        return []
    return [Section("Computed as", "a stable form of the same", tuple(map(_definition, changed)))]


def _leading(program: Program, active: dict[str, tuple[Index, ...]], wanted: set[str]) -> set[str]:
    """Tensors through which a wanted input reaches an output."""
    found = set(wanted)
    for statement in program.statements:
        if statement.target in active and any(a.tensor in found for a in accesses(statement.value)):
            found.add(statement.target)
    return found


def _cotangents(program: Program, adjoint: Adjoint) -> dict[str, str]:
    """The cotangent of an output that other statements read is a total: its own, and what comes through them."""
    known = {s.target for s in adjoint.statements}
    known |= {f"grad_{root}" for root in adjoint.roots}
    names = [(s.target, f"{prefix}grad_{s.target}") for s in program.statements for prefix in ("", "total_")]
    return {tensor: name for tensor, name in names if name in known}


def _consumers(scene: _Scene, tensor: str) -> list[Statement]:
    """The statements that read a tensor and that a derivative reaches: the outputs depend on them."""
    found = (s for s in scene.program.statements if s.target in scene.cotangents)
    return [s for s in found if any(a.tensor == tensor for a in accesses(s.value))]


def _tensor_sections(scene: _Scene, tensor: str) -> list[Section]:
    consumers = _consumers(scene, tensor)
    if not consumers:
        return []
    at = new_indices(scene.active[tensor], scene.program)
    shown = ", ".join(map(index_text, at))
    where = f"on new free {'indices' if len(at) > 1 else 'index'} {shown}" if at else ""
    if len(scene.program.statements) == 1:
        (statement,) = consumers
        title = f"Derivative of {statement.target} by {tensor}" + (f", {where}" if where else "")
        ways = _ways(scene, statement, tensor)
        gradient = [line for way in ways for line in _gradient_lines(scene, way, tensor, at, several=False)[1]]
        before = [line for way in ways for line in _jacobian_lines(scene, way, tensor, at)]
        return [Section(title, lines=tuple(before)), Section("Gradient", lines=tuple(gradient))]
    lines: list[Line] = []
    parts: list[Expr] = []
    for way in [way for statement in consumers for way in _ways(scene, statement, tensor)]:
        lines += _jacobian_lines(scene, way, tensor, at)
        contribution, more = _gradient_lines(scene, way, tensor, at, several=len(consumers) > 1)
        lines += more
        parts.append(contribution)
    if tensor in scene.program.outputs:
        own = Access(f"grad_{tensor}", at)
        lines.append(Line(Access(f"total_grad_{tensor}", at), simplify(add(own, *parts)), "an output: its own added"))
    elif len(consumers) > 1:
        left = Access(f"grad_{tensor}", at)
        lines.append(Line(left, simplify(add(*parts)), "the contributions of all consumers added"))
    return [Section(tensor, _note([s.target for s in consumers], where), tuple(lines))]


def _note(names: list[str], where: str) -> str:
    counts = {2: "two", 3: "three", 4: "four"}
    several = f": {counts.get(len(names), len(names))} contributions" if len(names) > 1 else ""
    return f"consumed by {' and '.join(names)}{several}{'; ' if where else ''}{where}"


@dataclass(frozen=True, slots=True)
class _Way:
    """How a derivative passes a statement: the cotangent of a value, which is the statement's own in most cases."""

    statement: Statement
    cotangent: Expr
    value: Expr

    def symbol(self, tensor: str, at: tuple[Index, ...]) -> Expr:
        """The derivative of the value by a tensor, unevaluated."""
        if self.value is self.statement.value:
            return derivative(self.statement.target, self.statement.indices, tensor, at)
        return differential(tensor, at, self.value)


def _ways(scene: _Scene, statement: Statement, tensor: str) -> list[_Way]:
    cotangent = Access(scene.cotangents[statement.target], statement.indices)
    pairs = pulled_back(cotangent, statement.value)
    return [_Way(statement, given, value) for given, value in pairs if tensor in reads(value, scene.active)]


def _jacobian_lines(scene: _Scene, way: _Way, tensor: str, at: tuple[Index, ...]) -> list[Line]:
    """dT/dA from the definition of T: the law, the deltas, then each rewriting step."""
    value = way.value

    def unevaluated(access: Access) -> Expr:
        if access.tensor != tensor:
            return ZERO
        subs = tuple(s for s in access.subs if isinstance(s, Index))
        if len(subs) < len(access.subs):
            return mul(*(Delta(s, p) for s, p in zip(access.subs, at, strict=True)))
        return derivative(tensor, subs, tensor, at)

    by_law = Differential(unevaluated, frozenset(at))(value)
    by_delta = jacobian(value, tensor, at)
    constants = [t for t in reads(value, scene.active) if t != tensor]
    whole = value is way.statement.value
    lines = [Line(way.symbol(tensor, at), differential(tensor, at, value))] if whole else []
    if type(value) in LAWS:
        reason = law_reason(value, constants, tensor)
        lines.append(Line(None if whole else differential(tensor, at, value), by_law, reason))
    read = read_values(by_law, scene.program)
    if read is not by_law:
        lines.append(Line(None, read, through_reason(by_law, read, scene.program)))
        by_delta = read_values(by_delta, scene.program)
    left = None if lines else differential(tensor, at, value)
    lines.append(Line(left, by_delta, "derivative of a tensor by itself"))
    return _folded(lines + _steps(by_delta), scene.depth)


def _steps(expr: Expr) -> list[Line]:
    """Each rewrite as a line; tidying is folded into the next, and one rule that follows itself is one line."""
    lines: list[Line] = []
    last = ""
    for _ in range(_MOST_STEPS):
        found = step(expr)
        if found is None:
            break
        row, before, after, expr = found
        reason = rule_reason(row, before, after)
        if reason and row.name == last:
            earlier = lines.pop().reason
            reason = earlier if reason in earlier else f"{earlier}, {reason}"
        if reason:
            lines.append(Line(None, expr, reason))
            last = row.name
    final = simplify(expr)
    if not lines or final is not lines[-1].right:
        lines.append(Line(None, final, "collected"))
    return lines


def _folded(lines: list[Line], depth: int | None) -> list[Line]:
    """The first line, `depth` steps, and the last line."""
    if depth is None or len(lines) <= depth + 2:
        return lines
    return [*lines[: depth + 1], replace(lines[-1], reason=f"{len(lines) - depth - 1} steps")]


def _gradient_lines(
    scene: _Scene, way: _Way, tensor: str, at: tuple[Index, ...], several: bool
) -> tuple[Expr, list[Line]]:
    """dl/dA from dl/dT and dT/dA: its conjugate where it is complex, and the real part of all for a real A."""
    statement = way.statement
    by = simplify(read_values(jacobian(way.value, tensor, at), scene.program))
    by = apart(by, frozenset(statement.indices) | frozenset(at))
    symbol = way.symbol(tensor, at)
    chain = mul(way.cotangent, Apply("conj", (symbol,)) if is_complex(by, scene.complex) else symbol)
    product = mul(way.cotangent, conjugate(by, scene.complex))
    if statement.indices:
        chain, product = Sum(statement.indices, chain), Sum(statement.indices, product)
    if tensor not in scene.complex and is_complex(product, scene.complex):
        chain, product = Apply("real", (chain,)), Apply("real", (product,))
    reason = f"chain rule, through {statement.target}" if several else "chain rule"
    lines = [Line(Access(f"grad_{tensor}", at), chain, reason), Line(None, product)]
    lines += _steps(product)
    value = simplify(product)
    read = through_values(value, scene.program)
    if read is not value:
        lines.append(Line(None, read, through_reason(value, read, scene.program)))
    return read, _folded(lines, scene.depth)
