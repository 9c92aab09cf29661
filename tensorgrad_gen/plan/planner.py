"""The planner: forward, one backward block per set of roots, the tangent block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import accesses, apart, plain_dummies, plain_letters, rename_tensors, walk
from tensorgrad_gen.algebra.broadcasts import drop_broadcasts
from tensorgrad_gen.algebra.hoist import Hoister, Known
from tensorgrad_gen.algebra.naming import Namer, derivative_names, describe
from tensorgrad_gen.algebra.parts import has_edges, may_be_infinite
from tensorgrad_gen.derive import Adjoint, Derivatives, Tangent, adjoint, derive
from tensorgrad_gen.derive import tangent as differentiate_forward
from tensorgrad_gen.derive.model import Further
from tensorgrad_gen.derive.modes import taken_names
from tensorgrad_gen.ir import Apply, Expr, Program, Root, Statement, complex_of
from tensorgrad_gen.normalise.parts import Part, parts
from tensorgrad_gen.plan.contraction import order_contractions
from tensorgrad_gen.plan.costs import in_both, work
from tensorgrad_gen.plan.counted import share_counted
from tensorgrad_gen.plan.differences import share_differences
from tensorgrad_gen.plan.inside import softmax_inside
from tensorgrad_gen.plan.inverses import solve_for_scaled_identities
from tensorgrad_gen.plan.kept import name_kept, read_kept
from tensorgrad_gen.plan.masked import share_masked
from tensorgrad_gen.plan.model import Block, Plan, Solver, Step
from tensorgrad_gen.plan.operands import share_operands
from tensorgrad_gen.plan.real_parts import real_products
from tensorgrad_gen.plan.rows import with_rows
from tensorgrad_gen.plan.saving import choose_saved, clips, reads_unrounded
from tensorgrad_gen.plan.scales import share_scales
from tensorgrad_gen.plan.shaping import scale_inside, split_contractions
from tensorgrad_gen.plan.sharing import share_products
from tensorgrad_gen.plan.sizes import Regime
from tensorgrad_gen.plan.solvers import solver
from tensorgrad_gen.plan.triangular import solve_triangular_systems
from tensorgrad_gen.simplify import simplify, simplify_adjoint, simplify_tangent

Results = tuple[tuple[str, str], ...]
# So many auxiliary outputs have a block of backward each; of more, the text of an op would grow as their square.
MOST_APART = 4


def plan(derivatives: Derivatives) -> Plan:
    """The op, planned: what forward computes and saves, the steps of every derivative, what goes row by row."""
    return with_rows(_plan(derivatives))


def _plan(derivatives: Derivatives) -> Plan:
    program = derivatives.program
    planner, main = _cheapest(program, derivatives.adjoint)
    if program.save == "all":
        main = planner.keep(main, derivatives.adjoint)
        program = planner.program
    saved = planner.choose(main)
    auxiliary = tuple(n for n in saved if n not in program.outputs)
    blocks = planner.blocks(main, derivatives.adjoint.roots, auxiliary)
    available = planner.available(main, saved)
    backward = [planner.finish(block, available) for block in blocks]
    tangent = None
    if "jvp" in program.derivatives and derivatives.tangent.tangents:
        tangent = planner.finish(planner.tangent_block(derivatives.tangent, auxiliary), available, prune=False)
    read = {name for block in (*backward, *((tangent,) if tangent else ())) for name in block.uses}
    return Plan(
        program,
        planner.forward_steps(auxiliary),
        program.outputs,
        auxiliary,
        tuple(sorted(set().union(*(set(b.uses) for b in backward)) | set(saved), key=_declared(program))),
        tuple(backward),
        tangent,
        tuple(map(_further, derivatives.further)),
        None,
        _solver(planner.forward),
        tuple(_part(part, lean=program.chunk is not None and program.chunk.lean) for part in parts(program)),
        unrounded=reads_unrounded(program, planner.forward, read, planner.regime),
    )


def _cheapest(program: Program, derived: Adjoint) -> tuple[_Planner, Block]:
    """The forward program and backward from its outputs.

    Ties in forward's contractions go to what is cheapest at extents that are not the same where, of both together,
    neither the products nor what is copied or kept is more, at those extents and at typical ones.
    """
    planner = _Planner(program)
    main = planner.main(derived)
    other = _Planner(program, apart=True)
    if other.forward == planner.forward:
        return planner, main
    block = other.main(derived)
    better = all(mine <= usual for mine, usual in zip(other.total(block), planner.total(main), strict=True))
    return (other, block) if better else (planner, main)


def _part(part: Part, lean: bool) -> Plan:
    """A part of an op with a chunk; where it adds up a number, its gradients may be had with it."""
    planned = replace(plan(simplify(derive(part.program))), part=part)
    return planned if lean else replace(planned, valued=_with_gradients(planned, part))


def _with_gradients(planned: Plan, part: Part) -> Block | None:
    """The number that blocks add up and its gradients, computed together; None where there is no such number.

    A gradient is then the cotangent times what forward has added up: not where the cotangent is clipped on its way.
    """
    program = planned.program
    if not part.count or part.joins != (None,) or program.tensors[program.outputs[0]].indices or not planned.backward:
        return None
    main = planned.backward[0]
    if not main.results or any(map(clips, program.statements)) or complex_of(program):
        return None
    (output,) = program.outputs
    made = {step.target for step in planned.forward}
    results = ((output, output), *main.results)
    steps = _mark((*planned.forward, *(step for step in main.steps if step.target not in made)), results)
    steps = tuple(replace(s, needed_by=frozenset()) if output in s.needed_by else s for s in steps)
    return Block(main.roots, steps, results, main.uses)


def _solver(statements: Sequence[Statement]) -> Solver | None:
    """How the equation of the op is solved, if one is by iteration."""
    problem = next((s.value.problem for s in statements if isinstance(s.value, Root)), None)
    return None if problem is None else solver(problem, _plan_step)


def _plan_step(program: Program) -> Plan:
    """A program of which nothing is differentiated."""
    return Plan(program, _Planner(program).forward_steps(()), program.outputs, (), (), (), None)


def _grows(value: Expr) -> bool:
    """Whether an exponential is in the value: it is infinite at an argument of 100."""
    return any(isinstance(node, Apply) and node.function in ("exp", "expm1", "sinh", "cosh") for node in walk(value))


def _further(derived: Further) -> Plan:
    """A derivative with a function of its own: one block, which computes what it needs of forward."""
    planner = _Planner(derived.program)
    held = tuple(block.held for block in derived.blocks)
    block = planner.block((), derived.statements, tuple((name, name) for name in held))
    available = {i.name for i in derived.program.inputs} | {c.name for c in derived.program.constants}
    steps = planner.finish(block, available, prune=False).steps
    defined = tuple(Statement(s.target, s.indices, s.value, s.kind) for s in steps)
    program = replace(
        derived.program,
        name=f"{derived.program.name}_{derived.kind}",
        statements=defined,
        outputs=held,
        derivatives=(),
        target="function",
    )
    return Plan(program, steps, held, (), (), (), None, (), derived)


def _declared(program: Program) -> Callable[[str], int]:
    """The order of names as the program declares them."""
    order = {name: n for n, name in enumerate(program.tensors)}
    return lambda name: order.get(name, len(order))


class _Planner:
    """Splits statements into steps over one forward program."""

    def __init__(self, program: Program, *, apart: bool = False) -> None:
        self.regime = Regime(program)
        names = Namer(taken_names(program), derivative_names(set(program.tensors)))
        known = Known()
        ordered = order_contractions(program.statements, names, known, self.regime, apart=apart)
        self.flat = known.flat
        self.equations = len(program.statements)
        self.forward = [plain_dummies(statement) for statement in ordered]
        self.program = replace(program, statements=tuple(self.forward))
        self.taken = names.taken
        self.reserved = derivative_names(set(self.program.tensors))
        self.unshared: dict[tuple[Step, ...], list[Statement]] = {}  # of a block, before what it has twice is named
        self.local: set[str] = set()  # names of steps in finished blocks: each name has one meaning in the whole op

    def main(self, derived: Adjoint) -> Block:
        """Backward from the outputs: through the pairs that the equations are contracted in, or, if cheaper, as wholes.

        Of equal cost those through pairs read axes in the order in which forward has made them.
        """
        block = self.block(derived.roots, derived.statements, derived.gradients)
        if len(self.forward) == self.equations:
            return block
        own, self.local = self.local, set()
        other = self.block_from(derived.roots, ())
        if self.cost(other) <= self.cost(block):
            return other
        self.local = own
        return block

    def keep(self, main: Block, derived: Adjoint) -> Block:
        """Backward, reading what forward computes inside of its statements too, which has names from now on."""
        names = Namer(set(self.taken), self.reserved)
        self.forward = name_kept(self.forward, self.unshared[main.steps], names, self.program)
        self.program = replace(self.program, statements=tuple(self.forward))
        self.reserved = derivative_names(set(self.program.tensors))
        self.taken, self.local = names.taken, set()
        return self.main(derived)

    def cost(self, block: Block) -> tuple[int, int, int]:
        """Products, steps and what they read."""
        reads = sum(1 for step in block.steps for _ in accesses(step.value))
        return work(block.steps, self.regime), len(block.steps), reads

    def total(self, main: Block) -> tuple[int, ...]:
        """Of forward and backward: products, elements copied, elements kept."""
        saved = self.choose(main)
        auxiliary = tuple(n for n in saved if n not in self.program.outputs)
        steps = (*self.forward_steps(auxiliary), *self.finish(main, self.available(main, saved)).steps)
        kept = [s.indices for s in self.forward if s.target in auxiliary]
        return in_both(steps, kept, self.regime)

    def block(self, roots: tuple[str, ...], statements: Sequence[Statement], results: Results) -> Block:
        """Steps of a linear program, without what it recomputes of forward."""
        names = Namer(self.taken | self.local | {s.target for s in statements}, self.reserved)
        statements = self._own_names(statements, {t for _, t in results}, names)
        keeps = self.program.save == "all"
        if keeps:  # before it is decided what a number scales, and what is hoisted is kept, too
            statements = read_kept(statements, self.program)
        shaped = [replace(s, value=scale_inside(self._contracted(s.value))) for s in statements]
        clean = [replace(s, value=apart(s.value, frozenset(s.indices))) for s in shaped]
        split = drop_broadcasts(Hoister(names, self._known()).run(clean), {t for _, t in results})
        if keeps:
            split = read_kept(split, self.program)
        targets = frozenset(t for _, t in results)
        shared = share_products(share_masked(split, names, self.program), names, targets, scales=keeps)
        shared = share_scales(shared, names, targets, self.regime)
        shared = share_counted(share_differences(shared, names), names)
        # Known anew: what hoisting named may stand behind the contraction that would read it.
        ordered = order_contractions(shared, names, self._known(), self.regime)
        ordered = softmax_inside(ordered, {t for _, t in results})
        ordered = solve_triangular_systems(ordered, self.program, {t for _, t in results})
        ordered = solve_for_scaled_identities(ordered, self.program, {t for _, t in results})
        if roots and self.program.tensors.keys() >= set(roots):  # from cotangents, to gradients that may not be needed
            ordered, results = self._results_apart(ordered, results, names)
        steps = tuple(Step(s.target, s.indices, s.value, s.kind) for s in map(plain_letters, ordered))
        self.local |= {s.target for s in steps}
        self.unshared[steps] = split
        return Block(roots, steps, results, ())

    def _contracted(self, value: Expr) -> Expr:
        """The value as contractions of tensors, as few as may be."""
        return share_operands(split_contractions(value), self.regime)

    def _known(self) -> Known:
        """The values that forward has named."""
        known = Known(self.flat)
        for statement in self.forward:
            known.enter(statement)
        return known

    def _results_apart(
        self, statements: list[Statement], results: Results, names: Namer
    ) -> tuple[list[Statement], Results]:
        """A gradient that others are computed from is a tensor of its own: whoever needs them may not need it."""
        read = {a.tensor for s in statements for a in accesses(s.value)}
        shared = {s.target: s for s in statements if s.target in read & {t for _, t in results}}
        new = {target: names.name(describe(s.value)) for target, s in shared.items()}
        if not new:
            return statements, results
        renamed = [
            replace(s, target=new.get(s.target, s.target), value=rename_tensors(s.value, new)) for s in statements
        ]
        return renamed, tuple((name, new.get(target, target)) for name, target in results)

    def _own_names(self, statements: Sequence[Statement], kept: set[str], names: Namer) -> list[Statement]:
        """The statements, each intermediate that another block has too under a new name: it may be another tensor."""
        renamed = {
            s.target: names.name(s.target) for s in statements if s.target in self.local and s.target not in kept
        }
        return [
            replace(s, target=renamed.get(s.target, s.target), value=rename_tensors(s.value, renamed))
            for s in statements
        ]

    def blocks(self, main: Block, outputs: tuple[str, ...], auxiliary: tuple[str, ...]) -> list[Block]:
        """Backward from the outputs together, and from what else forward returns: most calls have no cotangent of it.

        Where a derivative may be infinite, also from each of several outputs alone: a missing cotangent is no 0 then.
        Of many auxiliary outputs all cotangents go down together: one that is missing is zero.
        A clip takes the whole cotangent at once, whatever it comes from: there, all of backward is one block.
        """
        if any(map(clips, self.forward)):
            return [self.block_from((*outputs, *auxiliary), auxiliary) if auxiliary else main]
        values = [s.value for s in self.forward] + [s.value for s in main.steps]
        infinite = any(may_be_infinite(value) or _grows(value) for value in values)
        apart: list[tuple[str, ...]] = [(name,) for name in outputs] if len(outputs) > 1 and infinite else []
        apart += [auxiliary] if len(auxiliary) > MOST_APART else [(name,) for name in auxiliary]
        return [main, *(self.block_from(roots, auxiliary) for roots in apart)]

    def block_from(self, roots: tuple[str, ...], kept: tuple[str, ...]) -> Block:
        """Backward from the cotangents of these tensors, jointly."""
        names = Namer(self.taken | {f"grad_{name}" for name in roots}, self.reserved)
        part = simplify_adjoint(self.program, adjoint(self.program, roots, names), kept=kept)
        return self.block(part.roots, part.statements, part.gradients)

    def tangent_block(self, derived: Tangent, auxiliary: tuple[str, ...]) -> Block:
        """The tangent program, of the split forward program where that has statements of its own."""
        program = self.program
        if not set(auxiliary) <= dict(derived.tangents).keys():
            names = Namer(taken_names(program) | self.taken, self.reserved)
            derived = simplify_tangent(program, differentiate_forward(program, names))
        roots = tuple(f"tangent_{i.name}" for i in program.inputs if i.grad and i.kind in ("real", "complex"))
        results = tuple((n, t) for n, t in derived.tangents if n in program.outputs or n in auxiliary)
        return self.block(roots, derived.statements, results)

    def needed(self, main: Block) -> set[str]:
        """The tensors of forward that backward reads."""
        return {a.tensor for step in main.steps for a in accesses(step.value)} & set(self.program.tensors)

    def choose(self, main: Block) -> list[str]:
        """The forward tensors that backward keeps."""
        return choose_saved(self.program, self.forward, self.needed(main), self.regime)

    def available(self, main: Block, saved: Sequence[str]) -> set[str]:
        """What derivatives may read: what is kept, and what is there anyway.

        An output that backward needs, and the cut has not taken, is computed again from what is kept: it is smooth, or
        autograd would differentiate it by torch's conventions where the law of the output has its own.
        """
        program = self.program
        given = {i.name for i in program.inputs} | {c.name for c in program.constants} | set(saved)
        smooth = {s.target for s in self.forward if not has_edges(s.value)}
        again = self.needed(main) & smooth - set(saved) if program.save != "all" else set()
        return given | set(program.outputs) - again

    def finish(self, block: Block, available: set[str], prune: bool = True) -> Block:
        """The block with what it recomputes of forward in front, each step marked with who needs it."""
        table = {s.target: s for s in self.forward}
        own = {s.target for s in block.steps}
        recomputed: list[Step] = []

        def require(name: str) -> None:
            if name in available or name in own or name not in table:
                return
            own.add(name)
            statement = table[name]
            for access in accesses(statement.value):
                require(access.tensor)
            recomputed.append(Step(name, statement.indices, statement.value, statement.kind))

        for step in block.steps:
            for access in accesses(step.value):
                require(access.tensor)
        steps = _mark((*recomputed, *block.steps), block.results)
        steps = steps if prune else tuple(replace(step, needed_by=frozenset()) for step in steps)
        reads = {a.tensor for step in steps for a in accesses(step.value)}
        uses = tuple(n for n in self.program.tensors if n in reads & available and n not in dict(self._constants()))
        return Block(block.roots, steps, block.results, uses)

    def _constants(self) -> list[tuple[str, None]]:
        return [(c.name, None) for c in self.program.constants]

    def forward_steps(self, auxiliary: tuple[str, ...]) -> tuple[Step, ...]:
        """The forward statements that outputs and auxiliaries need."""
        needed = set(self.program.outputs) | set(auxiliary)
        kept: list[Step] = []
        for statement in reversed(self.forward):
            if statement.target in needed:
                needed |= {a.tensor for a in accesses(statement.value)}
                kept.append(Step(statement.target, statement.indices, statement.value, statement.kind))
        given = [item.name for item in self.program.inputs if item.kind == "complex"]
        return real_products(kept[::-1], given, {*self.program.outputs, *auxiliary}) if given else tuple(kept[::-1])


def _mark(steps: tuple[Step, ...], results: Results) -> tuple[Step, ...]:
    """Each step that a result reads, with the inputs whose gradient that is."""
    needed: dict[str, set[str]] = {}
    for wanted, tensor in results:
        needed.setdefault(tensor, set()).add(wanted)
    marked: list[Step] = []
    for step in reversed(steps):
        users = needed.get(step.target, set())
        if not users:
            continue
        for access in accesses(step.value):
            needed.setdefault(access.tensor, set()).update(users)
        marked.append(replace(step, needed_by=frozenset(users)))
    return tuple(reversed(marked))
