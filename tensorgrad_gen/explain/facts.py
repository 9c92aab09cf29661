"""What a derivation ends with: matrix notation, the Jacobian's shape and valence, cost, saving."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from tensorgrad_gen.algebra import accesses, apart
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.derive import Derivatives
from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.explain.model import new_indices
from tensorgrad_gen.explain.reasons import index_text
from tensorgrad_gen.ir import Access, Add, Const, Expr, Extent, Index, Pow, Program, Statement, Sum, mul
from tensorgrad_gen.lower import Body, lower_plan, print_texpr
from tensorgrad_gen.notation import loss_name, print_expr, size_names
from tensorgrad_gen.plan import Plan, Step


def facts_of(planned: Plan, derivatives: Derivatives, name: str, valence: bool) -> tuple[tuple[str, str], ...]:
    """Everything that is said of one gradient beside its derivation."""
    program = derivatives.program
    gradient = next(s for s in derivatives.adjoint.statements if s.target == dict(derivatives.adjoint.gradients)[name])
    matrices = matrix_form(gradient, program)
    facts = [("In matrices", matrices)] if matrices else []
    facts += [("In torch" if not n else "", line) for n, line in enumerate(torch_lines(planned, name))]
    facts += jacobian_facts(program, name, valence)
    return (*facts, ("Cost", f"{cost(planned, name)}; {saved(planned, name)}"))


@lru_cache(maxsize=4)
def _lowered(planned: Plan) -> Body | None:
    """The backward from the op's own outputs, if it can be built."""
    try:
        return lower_plan(planned).backward[0]
    except NotBuiltError:
        return None


def torch_lines(planned: Plan, name: str) -> list[str]:
    """The statements of the generated backward that the gradient needs."""
    body = _lowered(planned)
    if body is None:
        return []
    lines = [f"{s.target} = {print_texpr(s.call)}" for s in body.statements if name in s.needed_by or not s.needed_by]
    result = print_texpr(dict(body.results)[name]) if name in dict(body.results) else f"grad_{name}"
    return lines if result == f"grad_{name}" else [*lines, f"grad_{name} = {result}"]


def matrix_form(statement: Statement, program: Program) -> str | None:
    """The gradient as a sum of products of matrices, if it is one: `dl/dX = dl/dY A^T`."""
    if not 1 <= len(statement.indices) <= 2:
        return None
    shown: list[str] = []
    for term in _terms(apart(statement.value, frozenset(statement.indices))):
        coefficient, factors = _product(term)
        chain = None if factors is None else _chain(factors, statement.indices)
        if chain is None:
            return None
        scale = _scale(coefficient, program)
        sign = "-" if scale.startswith("-") else "+"
        shown.append(f" {sign} {scale.removeprefix('-')}{' '.join(chain)}")
    right = "".join(shown).removeprefix(" + ")
    right = f"-{right.removeprefix(' - ')}" if right.startswith(" - ") else right
    left = f"dl/d{_matrix_name(statement.target.removeprefix('grad_'), len(statement.indices))}"
    return f"{left} = {right}".replace("dl/d", f"d{loss_name(program)}/d")


def _terms(value: Expr) -> list[Expr]:
    """The terms of a sum, common factors multiplied into each."""
    factors = factors_of(value)
    sums = [f for f in factors if isinstance(f, Add)]
    if len(sums) != 1:
        return list(terms_of(value))
    rest = [f for f in factors if f is not sums[0]]
    return [mul(*rest, term) for term in sums[0].terms]


def _product(value: Expr) -> tuple[list[Expr], list[Access] | None]:
    """Scalar factors, and the accesses of a product or a contraction of one."""
    scalars: list[Expr] = []
    tensors: list[Access] = []
    for factor in factors_of(value):
        inner = factors_of(factor.body) if isinstance(factor, Sum) else (factor,)
        for part in inner:
            if isinstance(part, Const | Extent) or (isinstance(part, Pow) and isinstance(part.base, Extent)):
                scalars.append(part)
            elif isinstance(part, Access) and all(isinstance(s, Index) for s in part.subs) and len(part.subs) <= 2:
                tensors.append(part)
            else:
                return [], None
    return scalars, tensors


def _chain(factors: list[Access], free: tuple[Index, ...]) -> list[str] | None:
    """Factors in the order in which neighbours share an index, from the first free index to the last."""
    scalars = [f for f in factors if not f.subs]
    rest = [f for f in factors if f.subs]
    current: Index | None = free[0]
    words = [_matrix_name(f.tensor, 0) for f in scalars]
    while rest:
        found = next((f for f in rest if current in f.subs), None) if current else None
        if found is None:
            # An outer product: the chain goes on from the other free index, read from its end.
            if len(rest) == 1 and len(free) == 2 and rest[0].subs == (free[1],) and words:
                return [*words, f"{_matrix_name(rest[0].tensor, 1)}^T"]
            return None
        rest.remove(found)
        name = _matrix_name(found.tensor, len(found.subs))
        if len(found.subs) == 1:
            words.append(name)
            current = None
        else:
            plain = found.subs[0] is current
            words.append(name if plain else f"{name}^T")
            following = found.subs[1] if plain else found.subs[0]
            current = following if isinstance(following, Index) else None
    ends_right = current is free[1] if len(free) == 2 else current is None
    return words if ends_right else None


def _matrix_name(tensor: str, order: int) -> str:
    """A matrix in capitals, a vector or scalar as it is; cotangents as derivatives of l."""
    if tensor.startswith(("grad_", "total_grad_")):
        return f"dl/d{_matrix_name(tensor.split('grad_', 1)[1], order)}"
    return tensor.upper() if order == 2 else tensor


def _scale(scalars: list[Expr], program: Program) -> str:
    sizes = size_names(program)
    text = print_expr(mul(*scalars), "math", sizes)
    return {"1": "", "-1": "-"}.get(text, f"{text} ")


def jacobian_facts(program: Program, name: str, valence: bool) -> list[tuple[str, str]]:
    """The shape of each Jacobian (of the output, then of the input), and its valence."""
    facts = []
    reached = _depending(program, name)
    for output in (o for o in program.outputs if o in reached):
        info = program.tensors[output]
        own = program.tensors[name].indices
        axes = (*info.indices, *new_indices(own, program))
        shape = f"shape ({', '.join(map(index_text, axes))})"
        if valence:
            k, down = _valence(program, output)
            m, n = _valence(program, name)
            shape += f"; a ({k},{down})-tensor by a ({m},{n})-tensor: a ({k + n},{down + m})-tensor"
        facts.append((f"Jacobian d{output}/d{name}", shape))
    return facts


def _depending(program: Program, name: str) -> set[str]:
    """The real tensors whose values depend on a tensor."""
    found = {name}
    for statement in program.statements:
        if statement.kind not in ("bool", "label") and any(a.tensor in found for a in accesses(statement.value)):
            found.add(statement.target)
    return found


def _valence(program: Program, tensor: str) -> tuple[int, int]:
    """(upper, lower): an index counts as an input's `upper` says of its letter, else as upper."""
    lower = set()
    for item in program.inputs:
        if item.upper is not None:
            mine = {i.name for i in item.indices if i.name not in item.upper}
            lower |= mine if item.name == tensor or program.tensors[tensor].role != "input" else set()
    indices = program.tensors[tensor].indices
    down = sum(i.name in lower for i in indices)
    return len(indices) - down, down


def _needed(planned: Plan, name: str) -> list[Step]:
    return [s for s in planned.backward[0].steps if name in s.needed_by]


def cost(planned: Plan, name: str) -> str:
    """Floating-point operations of the gradient, as a polynomial in the extents."""
    sizes = size_names(planned.program)
    counts: Counter[tuple[str, ...]] = Counter()
    for step in _needed(planned, name):
        for node_indices, operations in _operations(step):
            letters = tuple(sorted(sizes.get(str(i.extent), str(i.extent).upper()) for i in node_indices))
            counts[letters] += operations
    ordered = sorted(counts.items(), key=lambda c: -len(c[0]))
    terms = [" ".join([*([str(n)] if n > 1 else []), *letters]) for letters, n in ordered if n]
    return f"{' + '.join(terms)} flops" if terms else "no arithmetic"


def _operations(step: Step) -> list[tuple[frozenset[Index], int]]:
    """Operations of a step by the indices they run over: one a factor, one a term, one a summand."""
    found = []
    stack: list[tuple[Expr, frozenset[Index]]] = [(step.value, frozenset())]
    while stack:
        node, outer = stack.pop()
        reach = node.free
        if isinstance(node, Sum):
            found.append((node.body.free | frozenset(node.indices), 1))
        elif node.children and not isinstance(node, Access):
            heavy = [c for c in node.children if c.free]
            signs = sum(isinstance(c, Const) and c.value == -1 for c in node.children)
            found.append((reach, max(len(node.children) - 1 - signs, 1 if len(heavy) == 1 and not signs else 0)))
        stack += [(c, outer) for c in node.children if not isinstance(node, Access)]
    return [(indices, n) for indices, n in found if indices]


def saved(planned: Plan, name: str) -> str:
    """What backward keeps for this gradient."""
    reads = {a.tensor for s in _needed(planned, name) for a in accesses(s.value)}
    extra = [t for t in planned.auxiliary if t in reads]
    kept = [t for t in planned.backward[0].uses if t in reads and t not in planned.auxiliary]
    beyond = f"saved beyond {', '.join(kept)}" if kept else "saved"
    if not extra:
        return f"nothing {beyond}"
    known = planned.program.tensors
    shown = [print_expr(Access(t, known[t].indices), "math") for t in extra if t in known]
    return f"{', '.join(shown or extra)} {beyond}"
