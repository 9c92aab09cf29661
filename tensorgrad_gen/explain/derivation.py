"""From the compiler's steps to lines: one section a tensor, from the outputs back."""

from __future__ import annotations

from tensorgrad_gen.algebra import accesses, all_indices, apart, simplify, step
from tensorgrad_gen.algebra.indices import substitute
from tensorgrad_gen.derive import LAWS, Differential, active_tensors, derive
from tensorgrad_gen.derive.modes import free_names, reads
from tensorgrad_gen.explain.facts import cost, jacobian_facts, matrix_form, saved
from tensorgrad_gen.explain.model import Explanation, Line, Section, derivative, differential
from tensorgrad_gen.explain.reasons import law_reason, rule_reason
from tensorgrad_gen.ir import Access, Apply, Delta, Expr, Index, Program, Statement, Sum, add, mul
from tensorgrad_gen.ir.build import ZERO
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.plan import plan
from tensorgrad_gen.simplify import simplify as simplify_all

_MOST_STEPS = 60  # lines of one derivation before the rest is folded into its last line


def explain(program: Program, wrt: str | None = None, valence: bool = False, depth: int | None = None) -> Explanation:
    """The derivation of the gradients (of one, with `wrt`), step by step."""
    normal = normalise(program)
    derived = derive(normal)
    simple = simplify_all(derived)
    wanted = [name for name, _ in simple.adjoint.gradients if wrt in (None, name)]
    active = active_tensors(normal)
    lead = _leading(normal, active, set(wanted))
    sections = [Section("Definitions", lines=tuple(_definition(s) for s in normal.statements))]
    for tensor in [s.target for s in reversed(normal.statements)] + [i.name for i in normal.inputs]:
        if tensor in lead or tensor in wanted:
            section = _tensor_section(normal, tensor, active, depth)
            if section is not None:
                sections.append(section)
    targets = {target for name, target in simple.adjoint.gradients if name in wanted}
    sections.append(_result(simple.adjoint.statements, targets))
    planned = plan(simple)
    for name in wanted:
        facts = [*jacobian_facts(normal, name, valence)]
        gradient = next(s for s in simple.adjoint.statements if s.target == f"grad_{name}")
        matrices = matrix_form(gradient, normal)
        facts += [("In matrices", matrices)] if matrices else []
        facts += [("Cost", f"{cost(planned, name)}; {saved(planned, name)}")]
        sections.append(Section(f"About {name}", facts=tuple(facts)))
    return Explanation(normal, tuple(sections))


def _definition(statement: Statement) -> Line:
    return Line(Access(statement.target, statement.indices), statement.value)


def _leading(program: Program, active: dict[str, tuple[Index, ...]], wanted: set[str]) -> set[str]:
    """Tensors through which a wanted input reaches an output."""
    found = set(wanted)
    for statement in program.statements:
        if statement.target in active and any(a.tensor in found for a in accesses(statement.value)):
            found.add(statement.target)
    return found


def _consumers(program: Program, tensor: str) -> list[Statement]:
    return [s for s in program.statements if any(a.tensor == tensor for a in accesses(s.value))]


def _tensor_section(
    program: Program, tensor: str, active: dict[str, tuple[Index, ...]], depth: int | None
) -> Section | None:
    consumers = [s for s in _consumers(program, tensor) if s.target in active]
    if not consumers:
        return None
    lines: list[Line] = []
    parts: list[Expr] = []
    own = active[tensor]
    for statement in consumers:
        at = free_names(own, all_indices(statement.value) | frozenset(statement.indices))
        pretty = _pretty(at, all_indices(statement.value) | frozenset(statement.indices))
        lines += _jacobian_lines(statement, tensor, pretty, active, depth)
        contribution, more = _gradient_lines(statement, tensor, pretty, depth, len(consumers) > 1)
        lines += more
        parts.append(substitute(contribution, dict(zip(pretty, own, strict=True))))
    if len(consumers) > 1:
        left = Access(f"grad_{tensor}", own)
        lines.append(Line(left, simplify(add(*parts)), "contributions of every consumer added"))
    names = [s.target for s in consumers]
    note = f"consumed by {' and '.join(names)}" + (f": {len(names)} contributions" if len(names) > 1 else "")
    return Section(tensor, note, tuple(lines))


def _pretty(at: tuple[Index, ...], used: frozenset[Index]) -> tuple[Index, ...]:
    """The new free indices under the letters that textbooks use: p, q, r, s."""
    names = {i.name for i in used}
    letters = [letter for letter in "pqrsuvwzefg" if letter not in names]
    chosen = []
    for index in at:
        keep = index.extent == "..." or not letters
        chosen.append(index if keep else Index(letters.pop(0), index.extent))
    return tuple(chosen)


def _jacobian_lines(
    statement: Statement, tensor: str, at: tuple[Index, ...], active: dict[str, tuple[Index, ...]], depth: int | None
) -> list[Line]:
    """dT/dA from the definition of T: the law, the deltas, then each rewriting step."""
    value = statement.value
    if isinstance(value, Apply) and value.function == "clip_gradient":
        value = value.args[0]

    def unevaluated(access: Access) -> Expr:
        if access.tensor != tensor:
            return ZERO
        subs = tuple(s for s in access.subs if isinstance(s, Index))
        if len(subs) < len(access.subs):
            return mul(*(Delta(s, p) for s, p in zip(access.subs, at, strict=True)))
        return derivative(tensor, subs, tensor, at)

    def deltas(access: Access) -> Expr:
        if access.tensor != tensor:
            return ZERO
        return mul(*(Delta(s, p) for s, p in zip(access.subs, at, strict=True)))

    left = derivative(statement.target, statement.indices, tensor, at)
    by_law = Differential(unevaluated, frozenset(at))(value)
    by_delta = Differential(deltas, frozenset(at))(value)
    constants = [t for t in reads(value, active) if t != tensor]
    lines = [Line(left, differential(tensor, at, value))]
    if type(value) in LAWS:
        lines.append(Line(None, by_law, law_reason(value, constants, tensor)))
    lines.append(Line(None, by_delta, "derivative of a tensor by itself"))
    return lines + _steps(by_delta, depth)


def _steps(expr: Expr, depth: int | None) -> list[Line]:
    """Each rewrite as a line, the merely tidying ones folded into the next."""
    lines: list[Line] = []
    for _ in range(_MOST_STEPS if depth is None else depth):
        found = step(expr)
        if found is None:
            return _fold(lines)
        row, before, after, expr = found
        lines.append(Line(None, expr, rule_reason(row, before, after)))
    final = simplify(expr)
    if final is not expr:
        lines.append(Line(None, final, "simplified"))
    return _fold(lines)


def _fold(lines: list[Line]) -> list[Line]:
    """Tidying (flattening, numbers multiplied) is not worth a line of its own, save as the last."""
    kept = [line for line in lines if line.reason]
    if lines and (not kept or kept[-1].right is not lines[-1].right):
        kept.append(Line(None, lines[-1].right, "collected"))
    return kept


def _gradient_lines(
    statement: Statement, tensor: str, at: tuple[Index, ...], depth: int | None, several: bool
) -> tuple[Expr, list[Line]]:
    """dl/dA from dl/dT and dT/dA."""
    value = statement.value
    cotangent: Expr = Access(f"grad_{statement.target}", statement.indices)
    if isinstance(value, Apply) and value.function == "clip_gradient":
        cotangent = Apply("clamp", (cotangent, *value.args[1:]))
        value = value.args[0]

    def leaf(access: Access) -> Expr:
        if access.tensor != tensor:
            return ZERO
        return mul(*(Delta(s, p) for s, p in zip(access.subs, at, strict=True)))

    jacobian = simplify(Differential(leaf, frozenset(at))(value))
    jacobian = apart(jacobian, frozenset(statement.indices) | frozenset(at))
    chain: Expr = mul(cotangent, derivative(statement.target, statement.indices, tensor, at))
    product: Expr = mul(cotangent, jacobian)
    if statement.indices:
        chain, product = Sum(statement.indices, chain), Sum(statement.indices, product)
    reason = f"chain rule, through {statement.target}" if several else "chain rule"
    left = Access(f"grad_{tensor}", at)
    lines = [Line(left, chain, reason), Line(None, product)]
    return simplify(product), lines + _steps(product, depth)


def _result(statements: tuple[Statement, ...], targets: set[str]) -> Section:
    """The simplified adjoint: what is computed."""
    needed = set(targets)
    kept: list[Statement] = []
    for statement in reversed(statements):
        if statement.target in needed:
            needed |= {a.tensor for a in accesses(statement.value)}
            kept.append(statement)
    lines = tuple(Line(Access(s.target, s.indices), s.value) for s in reversed(kept))
    return Section("Result", "cotangents used once put in, vanishing sums dropped, common factors pulled out", lines)


