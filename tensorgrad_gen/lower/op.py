"""A plan as torch: every body, its results in their declared axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tensorgrad_gen.algebra import all_indices, apart, map_nodes
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Delta,
    Expr,
    Index,
    LeviCivita,
    Linalg,
    Pow,
    Reduce,
    Root,
    Scan,
    Statement,
    Sum,
    Where,
    complex_tensors,
)
from tensorgrad_gen.lower import access, calls, conditions, contract, deltas, pointwise, reductions, roots
from tensorgrad_gen.lower.arith import in_one_pass
from tensorgrad_gen.lower.attention import AttentionCall, attention_gradients, attention_values
from tensorgrad_gen.lower.builder import Builder, Local, Rule
from tensorgrad_gen.lower.copies import laid_out
from tensorgrad_gen.lower.counts import is_count
from tensorgrad_gen.lower.factors import Factors
from tensorgrad_gen.lower.fused import Fused, fused
from tensorgrad_gen.lower.hidden_rows import finitely_hidden
from tensorgrad_gen.lower.layouts import Axes, as_layout, decide_layouts
from tensorgrad_gen.lower.model import Body, LoweredOp
from tensorgrad_gen.lower.names import Names, local_name
from tensorgrad_gen.lower.norms import NormCall, gradient_calls, value_calls
from tensorgrad_gen.lower.printer import reads, walk
from tensorgrad_gen.lower.products import add_products
from tensorgrad_gen.lower.sizes import Sizes
from tensorgrad_gen.lower.torch_ir import Call, Lit, Method, TExpr, TorchStatement, Var
from tensorgrad_gen.lower.values import LEAD, LoweringError, Val, align, fits, permute
from tensorgrad_gen.lower.views import all_of, root_of, viewed
from tensorgrad_gen.plan.model import Block, Plan, Solver, Step
from tensorgrad_gen.plan.triangular import cholesky_factors

NOTHING: Mapping[Expr, Fused] = {}
# A tensor as what a fused operator returns.
Whole = NormCall | AttentionCall
NO_CALLS: Mapping[str, Whole] = {}
NONE: frozenset[Expr] = frozenset()
RULES: dict[str, dict[type, Rule]] = {
    "real": {
        **pointwise.REAL,
        Access: access.lower_access,
        LeviCivita: access.lower_levi_civita,
        Delta: deltas.lower_delta,
        Sum: contract.lower_sum,
        Reduce: reductions.real_reduce,
        Scan: reductions.real_scan,
        Linalg: reductions.lower_linalg,
        Root: roots.lower_root,
    },
    "call": {Fused: calls.lower_fused},
    "bool": {**conditions.BOOL, Access: access.condition_access, Reduce: reductions.lower_reduce},
    "label": {
        **pointwise.LABEL,
        Access: access.integer_access,
        Reduce: reductions.lower_reduce,
        Scan: reductions.lower_scan,
    },
}


def lower_plan(plan: Plan) -> LoweredOp:
    """Every body of the op, under one set of layouts for what `forward` returns beside its outputs."""
    lowering = _Lowering(plan)
    forward = lowering.forward()
    backward = tuple(lowering.block(block, "grad_") for block in plan.backward)
    tangent = lowering.block(plan.tangent, "tangent_") if plan.tangent else None
    valued = lowering.block(plan.valued, "grad_", valued=True) if plan.valued else None
    forward, factors = lowering.factors.kept(forward)
    layouts = tuple((name, lowering.layout(name)) for name in plan.auxiliary)
    further = tuple(map(lower_plan, plan.further))
    steps = () if plan.solver is None else lowered_steps(plan.solver)
    likes = tuple(lowering.likes)
    parts = tuple(map(lower_plan, plan.parts))
    whole = LoweredOp(plan, forward, backward, tangent, layouts, likes, lowering.complex, further, steps, parts)
    return replace(whole, factors=factors, valued=valued)


def lowered_steps(solver: Solver) -> tuple[tuple[str, LoweredOp], ...]:
    """The steps of a solver by the names of their functions; autograd may look on."""
    found = []
    for name, plan in ((roots.NEWTON, solver.newton), (roots.SEARCH, solver.search)):
        if plan is not None:
            lowering = _Lowering(plan)
            found.append((name, LoweredOp(plan, lowering.forward(traced=True), (), None, (), tuple(lowering.likes))))
    return tuple(found)


class _Lowering:
    """What the bodies of one op share."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.program = plan.program
        self.axes = decide_layouts(plan)
        self.likes: list[str] = []
        blocks = (*plan.backward, *([plan.tangent] if plan.tangent else []))
        constants = {c.name for c in self.program.constants}
        taken = {*(set(self.program.tensors) - constants), *(p.name for p in self.program.params)}
        for block in blocks:
            taken |= {*block.roots, *(s.target for s in block.steps)}
        taken |= {s.target for s in plan.forward}
        self.taken = frozenset(taken)
        self.indices = {name: info.indices for name, info in self.program.tensors.items()}
        self.indices |= {step.target: step.indices for step in plan.forward}
        inputs = (item.name for item in self.program.inputs if item.kind == "complex")
        self.complex = complex_tensors(plan.forward, inputs)
        self.factors = self.factorisations()

    def factorisations(self) -> Factors:
        """What forward makes of a matrix is kept, but not by an operator of torch.library, nor by a block."""
        plan, program = self.plan, self.program
        keeps = plan.backward and program.target == "function" and program.save != "inputs" and plan.part is None
        names = Names(self.taken | frozenset(Sizes(program).names()))
        return Factors(names, names.fresh("keep"), bool(keeps))

    def layout(self, name: str) -> tuple[Index | None, ...]:
        """Axes of a tensor that `forward` returns: declared, or as decided for an auxiliary output."""
        return as_layout(self.outside_axes(name), self.indices[name])

    def outside_axes(self, name: str) -> Axes:
        if name in self.plan.auxiliary and name not in self.plan.outputs:
            return self.axes[name]
        return tuple(range(len(self.indices[name])))

    def anchor(self) -> str:
        """The input that new tensors are like: a number that is always given, if there is one."""
        real = [i for i in self.program.inputs if i.kind in ("real", "complex")]
        return min(real or self.program.inputs, key=lambda i: (i.default is not None, i.kind == "complex")).name

    def forward(self, traced: bool = False) -> Body:
        b = self.builder(self.inputs(), self.anchor())
        b.bare = self.plan.of is not None
        b.traced = traced or b.bare
        b.factors = self.factors
        self.run(b, self.plan.forward, {} if b.traced or self.complex else self.values(self.plan.forward))
        names = [*self.plan.outputs, *(n for n in self.plan.auxiliary if n not in self.plan.outputs)]
        body = self.finish(b, [(name, name, self.layout(name)) for name in names], fresh=True)
        return self.factors.closed(body, forward=True)

    def block(self, block: Block, prefix: str, valued: bool = False) -> Body:
        """A linear program; `valued`: one that computes all of forward too."""
        roots: dict[str, Local] = {}
        defaults = {item.name for item in self.program.inputs if item.default is not None}
        for root in block.roots:
            base = root.removeprefix(prefix) if root.startswith(prefix) and root not in self.indices else root
            name = prefix + base
            axes = self.outside_axes(base)
            # The tangent of an input that was left out is as small as its default.
            loose = frozenset(range(len(axes))) if prefix == "tangent_" and base in defaults else frozenset()
            roots[name] = Local(local_name(name), self.indices[base], axes, loose=loose)
        saved = {name: self.outside(name) for name in (*self.plan.auxiliary, *self.plan.outputs)}
        b = self.builder(self.inputs() | saved | roots, next(iter(roots), self.anchor()))
        given = {root for root in roots if root.removeprefix(prefix) in self.complex}
        b.complex = complex_tensors(block.steps, self.complex | given)
        b.factors, b.reading = self.factors, prefix == "grad_" and not valued
        if prefix == "grad_":
            b.finite = finitely_hidden(block.steps, {tensor for _, tensor in block.results}) if not valued else NONE
            wholes = {} if self.complex else self.values(block.steps) if valued else self.gradients(block)
            for step in _without(block.steps, wholes):
                self.step(b, step, fused(step, block.steps, self.program), wholes.get(step.target))
        else:
            self.run(b, block.steps)
        wanted = [(name, tensor, self.layout(name)) for name, tensor in block.results]
        body = self.finish(b, wanted, fresh=valued or prefix == "tangent_", tangent=prefix == "tangent_")
        body = self.factors.closed(body)
        return self.with_zeros(b, body, block) if prefix == "tangent_" else body

    def kept(self) -> frozenset[str]:
        """What forward returns."""
        return frozenset((*self.plan.outputs, *self.plan.auxiliary))

    def values(self, steps: Sequence[Step]) -> Mapping[str, Whole]:
        """The tensors of forward that are results of fused operators, where these steps are computed."""
        attentions = attention_values(steps, self.kept(), self.program)
        return {**value_calls(self.plan.forward, self.program), **attentions}

    def gradients(self, block: Block) -> Mapping[str, Whole]:
        """The tensors of a backward block that are results of fused operators."""
        steps = self.plan.forward
        attentions = attention_gradients(block, steps, self.kept(), self.program)
        told = {name: replace(own, told=self.told(own.beside, block)) for name, own in attentions.items()}
        return {**gradient_calls(block, steps, self.program), **told}

    def told(self, steps: Sequence[Step], block: Block) -> tuple[Step, ...]:
        """The steps as their formulas tell of them: without those that are computed inside of others."""
        products = {step.target: fused(step, block.steps, self.program) for step in steps}
        made = {call.inside[0].tensor for calls in products.values() for call in calls.values() if call.inside}
        return tuple(_said(step, products[step.target], None) for step in steps if step.target not in made)

    def with_zeros(self, b: Builder, body: Body, block: Block) -> Body:
        """Zeros for a result that no tangent reaches: functorch takes no `None` for a number."""
        given = {name for name, _ in block.results}
        kinds = {step.target: step.kind for step in self.plan.forward}
        zeros: list[tuple[str, TExpr]] = []
        read = set(body.reads)
        for name in dict.fromkeys((*self.plan.outputs, *self.plan.auxiliary)):
            if name in given or kinds[name] != "real":
                continue
            like: TExpr = Var(local_name(name))
            if any(s.target == local_name(name) for s in body.statements):  # made here, in a layout of its own
                local = b.locals[name]
                like = _shaped(b, Val(like, as_layout(local.axes, local.indices), local.kind), self.layout(name))[
                    0
                ].expr
            else:
                read.add(name)
            zeros.append((name, Call("torch.zeros_like", (like,))))
        return replace(body, results=(*body.results, *zeros), reads=tuple(sorted(read)))

    def inputs(self) -> dict[str, Local]:
        found = {}
        for item in self.program.inputs:
            axes = tuple(range(len(item.indices)))
            kind = "real" if item.kind == "complex" else item.kind
            loose = frozenset(axes) if item.default is not None else frozenset()
            found[item.name] = Local(local_name(item.name), item.indices, axes, kind, loose)
        return found

    def outside(self, name: str) -> Local:
        step = next(s for s in self.plan.forward if s.target == name)
        return Local(local_name(name), step.indices, self.outside_axes(name), step.kind, count=is_count(step.value))

    def builder(self, tensors: dict[str, Local], like: str) -> Builder:
        sizes = Sizes(self.program)
        self.likes.append(tensors[like].name)
        names = Names(self.taken | frozenset(sizes.names()))
        outside = frozenset(tensors)
        b = Builder(self.program, names, sizes, RULES, like, tensors, outside=outside, complex=self.complex)
        b.triangular = cholesky_factors(self.plan.forward)
        return b

    def run(self, b: Builder, steps: Iterable[Step], wholes: Mapping[str, Whole] = NO_CALLS) -> None:
        for step in _without(steps, wholes):
            self.step(b, step, whole=wholes.get(step.target))

    def step(
        self, b: Builder, step: Step, products: Mapping[Expr, Fused] = NOTHING, whole: Whole | None = None
    ) -> None:
        """One step: its temporaries, then its own statement; products in it are one call each, or all of it is."""
        if any(i.extent == LEAD.extent and i.name != LEAD.name for i in all_indices(step.value)):
            raise LoweringError(f"two sets of leading axes in the statement of {step.target}")
        b.needed_by, b.shared, b.fused = step.needed_by, repeated(step.value), products
        order = as_layout(self.axes[step.target], step.indices)
        lower = {"bool": b.condition, "label": b.integer}.get(step.kind, b.lower)
        beside = whole.told if isinstance(whole, AttentionCall) else ()
        told = "\n".join(map(self.formula, beside))
        val = b.tensor(lower(step.value, order)) if whole is None else calls.lower_whole(b, whole, told)
        val = laid_out(align(b.real(val) if step.kind == "real" else val, order), step, self.plan)
        name = local_name(step.target)
        said = _said(step, products, whole)
        shown = self.formula(said)
        if whole is None:
            b.said[name] = said
        if isinstance(whole, AttentionCall) and whole.grad is None:  # gradients have a statement in common, which tells
            shown = f"{told}\n{shown}"
        b.statements.append(TorchStatement(name, in_one_pass(val), shown, step.needed_by))
        places = {index: k for k, index in enumerate(step.indices)}
        axes = tuple(None if axis is None else places[axis] for axis in val.layout)
        loose = frozenset(places[a] for a in val.loose)
        b.locals[step.target] = Local(name, step.indices, axes, val.kind, loose, is_count(step.value))
        b.outside -= {step.target}
        b.needed_by = frozenset()

    def formula(self, step: Step) -> str:
        from tensorgrad_gen.notation import print_left, print_statement, size_names

        statement = Statement(step.target, step.indices, step.value, step.kind)
        if step.formula is not None:
            return f"{print_left(statement, 'math')} = {step.formula}"
        return print_statement(statement, "math", size_names(self.program))

    def finish(
        self, b: Builder, wanted: list[tuple[str, str, tuple[Index | None, ...]]], fresh: bool, tangent: bool = False
    ) -> Body:
        """The results in their layouts; `fresh`: none of them an input, a view of one, or twice the same."""
        given: set[str] = {local.name for name, local in b.locals.items() if name in b.outside} if fresh else set()
        read = frozenset(b.locals[tensor].name for _, tensor, _ in wanted)
        plain = fresh and not tangent and not self.complex and not b.complex
        vectors = frozenset(v.name for v in b.locals.values() if len(v.axes) == 1 == len({*v.indices} - {LEAD}))
        b.statements = add_products(
            b.statements, read, b.said, self.numbers(b), self.formula, vectors if plain else None
        )
        results = []
        for name, tensor, layout in wanted:
            if tensor in b.outside:
                b.reads.add(tensor)
            local = b.locals[tensor]
            val = Val(Var(local.name), as_layout(local.axes, self.renamed(local, name)), local.kind)
            loose = frozenset(self.renamed(local, name)[place] for place in local.loose)
            val, widened = _shaped(b, replace(val, loose=loose), layout)
            root = root_of(val.expr, b.statements)
            # No tangent is a view; an output may be all of a tensor made here (`render.ownership`), which it else kept.
            view = name in self.plan.outputs and not b.bare and (tangent or not all_of(val.expr, b.statements))
            view = view and viewed(val.expr, b.statements) is not None
            if fresh and (widened or view or root in given):
                val = val.over(Method(val.expr, "clone"))
            elif root and fresh:
                given.add(root)
            results.append((name, val.expr))
        return _body(b, tuple(results))

    def numbers(self, b: Builder) -> frozenset[str]:
        """The variables of a body that are Python numbers."""
        params = (local_name(param.name) for param in self.program.params)
        return frozenset((*params, *(size.target for size in b.sizes.statements())))

    def renamed(self, local: Local, name: str) -> tuple[Index, ...]:
        """The local's indices under the names that the result declares."""
        return self.indices[name] if len(self.indices[name]) == len(local.indices) else local.indices


def _without(steps: Iterable[Step], wholes: Mapping[str, Whole]) -> Iterator[Step]:
    """The steps, but for those that calls do beside."""
    beside = {other for whole in wholes.values() if isinstance(whole, AttentionCall) for other in whole.beside}
    return (step for step in steps if step not in beside)


def _said(step: Step, products: Mapping[Expr, Fused], whole: Whole | None) -> Step:
    """The step with what its calls compute beside: a formula names no tensor that the code has not."""
    if isinstance(whole, NormCall) and whole.meaning is not None:
        return replace(step, value=apart(whole.meaning, frozenset(step.indices)), formula=None)
    hidden = dict(found.inside for found in products.values() if found.inside is not None)
    if not hidden or step.formula is not None:
        return step
    value = map_nodes(step.value, lambda node: hidden.get(node, node) if isinstance(node, Access) else node)
    return replace(step, value=apart(value, frozenset(step.indices)))


def _shaped(b: Builder, val: Val, layout: tuple[Index | None, ...]) -> tuple[Val, bool]:
    """Exactly the layout, and whether axes were widened."""
    missing = {axis for axis in layout if axis is not None and (axis not in val.indices or axis in val.loose)}
    if not missing and None not in layout:
        return permute(val, tuple(axis for axis in layout if axis is not None)), False
    val = align(val, layout) if fits(align(val, layout).layout, layout) else val
    if val.layout == layout and not missing:
        return val, False
    return b.solid(val, layout), bool(missing)


def _body(b: Builder, results: tuple[tuple[str, TExpr], ...]) -> Body:
    sizes = b.sizes.statements()
    expressions = [s.call for s in b.statements] + [expr for _, expr in results] + [s.call for s in sizes]
    calls = {part.function for expr in expressions for part in walk(expr) if isinstance(part, Call)}
    helpers = sorted(name.removeprefix("_runtime.") for name in calls if name.startswith("_runtime."))
    names = {name for expr in expressions for name in reads(expr)}
    infinite = any(
        isinstance(part, Lit) and isinstance(part.value, float) and part.value - part.value != 0
        for expr in expressions
        for part in walk(expr)
    )
    math = infinite or any(name.startswith("math.") for name in (*names, *calls))
    return Body(sizes, tuple(b.statements), results, tuple(sorted(b.reads)), tuple(helpers), ("math",) if math else ())


_COSTLY = (Apply, Sum, Reduce, Scan, Linalg, Where, Pow)


def repeated(expr: Expr) -> frozenset[Expr]:
    """Costly parts that occur more than once."""
    seen: set[Expr] = set()
    twice: set[Expr] = set()
    queue = [expr]
    while queue:
        node = queue.pop()
        if node in seen:
            if isinstance(node, _COSTLY) and not contract.is_number(node):
                twice.add(node)
            continue
        seen.add(node)
        queue.extend(node.children)
    return frozenset(twice)
