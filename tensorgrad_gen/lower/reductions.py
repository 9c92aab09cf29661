"""Reductions, scans and matrix functions: one torch call each, on axes brought together where there are several."""

from __future__ import annotations

from collections.abc import Callable

from tensorgrad_gen.ir import Access, Add, Apply, Delta, Expr, Index, Linalg, Mul, Reduce, Scan, is_complex
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.reading import natural_order
from tensorgrad_gen.lower.reduce_axes import axes_of, keeps
from tensorgrad_gen.lower.torch_ir import Attr, Call, Item, Lit, Method, TExpr, Tup
from tensorgrad_gen.lower.values import LEAD, LoweringError, Val, align, axis_number, permute, squeeze

FLAT = Index("flat", 0)  # stands for several axes flattened into one
_AXES = {"max": "amax", "min": "amin", "logsumexp": "logsumexp"}
_KEEP: tuple[tuple[str, TExpr], ...] = (("keepdim", Lit(value=True)),)


def operand(b: Builder, body: Expr, bound: tuple[Index, ...], order: Layout, kind: str = "real") -> Val:
    """The body with a full axis for each bound index."""
    inner = natural_order((body,), bound, order)
    inner = (*inner, *(k for k in bound if k not in inner))
    lower = {"real": b.lower, "bool": b.condition, "label": b.integer}[kind]
    val = align(b.tensor(lower(body, inner)), inner)
    have = set(val.indices) | set(bound)
    start = next(k for k, axis in enumerate(inner) if axis in have)
    return b.solid(val, tuple(axis if axis in have else None for axis in inner[start:]))


def flattened(b: Builder, val: Val, bound: tuple[Index, ...]) -> Val:
    """The bound axes as one: the last, or the first if batch axes are among them."""
    rest = tuple(axis for axis in squeeze(val).layout if axis not in bound)
    if LEAD not in bound:
        val = permute(val, tuple(axis for axis in (*rest, *bound) if axis is not None))
        call = Call("_runtime.merge_last", (val.expr, Lit(len(bound))))
        return Val(call, (*val.layout[: -len(bound)], FLAT), val.kind)
    bound = (LEAD, *(k for k in bound if k is not LEAD))
    val = permute(val, tuple(axis for axis in (*bound, *rest) if axis is not None))
    return Val(Call("_runtime.rows", (val.expr, Lit(len(rest)))), (FLAT, *val.layout[len(bound) :]), val.kind)


def lower_reduce(b: Builder, node: Reduce, order: Layout) -> Val:
    """A reduction over one or several indices."""
    bound = node.indices
    val = operand(b, node.body, bound, order, "bool" if node.kind in ("any", "all") else "real")
    if LEAD in bound or (len(bound) > 1 and node.kind in ("argmax", "argmin")):
        val, bound = flattened(b, val, bound), (FLAT,)
    keep = keeps(val.layout, bound, order)
    kept = tuple(None if axis in bound else axis for axis in val.layout)
    layout = kept if keep else tuple(axis for axis in val.layout if axis not in bound)
    keyword = _KEEP if keep else ()
    dims = axes_of(val.layout, bound)
    if node.kind == "norm":
        expr: TExpr = Call("torch.linalg.vector_norm", (val.expr,), (("dim", dims), *keyword))
    elif node.kind == "prod":
        expr = _product(val, bound, keyword)
    elif node.kind in ("argmax", "argmin", "any", "all"):
        expr = Method(val.expr, node.kind, (dims,), keyword)
    else:
        expr = Method(val.expr, _AXES[node.kind], (dims,), keyword)
    kind = {"any": "bool", "all": "bool", "argmax": "label", "argmin": "label"}.get(node.kind, "real")
    return align(Val(expr, layout, kind), order)


def _product(val: Val, bound: tuple[Index, ...], keyword: tuple[tuple[str, TExpr], ...]) -> TExpr:
    """`prod` takes one axis at a time: from the last on, so that the numbers of the others hold."""
    expr, count = val.expr, len(val.layout)
    numbers = [k - count for k, axis in enumerate(val.layout) if axis in bound]
    for done, number in enumerate(reversed(numbers)):
        expr = Method(expr, "prod", (Lit(number if keyword else number + done),), keyword)
    return expr


def real_reduce(b: Builder, node: Reduce, order: Layout) -> Val:
    """A reduction as real numbers."""
    return b.real(lower_reduce(b, node, order))


def lower_scan(b: Builder, node: Scan, order: Layout) -> Val:
    """A scan along one index, or a softmax over several."""
    val = operand(b, node.body, node.indices, order)
    if len(node.indices) == 1 and node.indices[0] is not LEAD:
        dim = Lit(axis_number(val.layout, val.layout.index(node.indices[0])))
        return align(_scan(node.kind, val, dim), order)
    val = b.temp("scores", val)
    flat = flattened(b, val, node.indices)
    dim = Lit(axis_number(flat.layout, flat.layout.index(FLAT)))
    done = _scan(node.kind, flat, dim)
    # Back to the axes that were flattened.
    ordered = tuple(k for k in node.indices if k is not LEAD)
    ordered = (LEAD, *ordered) if LEAD in node.indices else ordered
    position = flat.layout.index(FLAT)
    layout = (*flat.layout[:position], *ordered, *flat.layout[position + 1 :])
    shaped = permute(val, tuple(axis for axis in layout if axis is not None))
    return align(Val(Method(done.expr, "reshape", (Attr(shaped.expr, "shape"),)), shaped.layout, done.kind), order)


def _scan(kind: str, val: Val, dim: TExpr) -> Val:
    if kind in ("softmax", "log_softmax"):
        return val.over(Call(f"torch.{kind}", (val.expr, dim)))
    if kind == "prod_others":
        return val.over(Call("_runtime.prod_others", (val.expr, dim)))
    if kind == "sort":
        return val.over(Attr(Method(val.expr, "sort", (dim,)), "values"))
    if kind == "argsort":
        return val.over(Method(val.expr, "argsort", (), (("dim", dim), ("stable", Lit(value=True)))), kind="label")
    return val.over(Method(val.expr, kind, (dim,)))


def real_scan(b: Builder, node: Scan, order: Layout) -> Val:
    """A scan as real numbers."""
    return b.real(lower_scan(b, node, order))


def _linalg_call(name: str, part: str = "") -> Callable[[TExpr], TExpr]:
    def call(matrix: TExpr) -> TExpr:
        made = Call(f"torch.linalg.{name}", (matrix,))
        return Attr(made, part) if part else made

    return call


def _svd(matrix: TExpr) -> TExpr:
    """Equal calls are made one: left and right vectors are of one decomposition, in one gauge."""
    return Call("torch.linalg.svd", (matrix,), (("full_matrices", Lit(value=False)),))


_MATRICES: dict[str, Callable[[TExpr], TExpr]] = {
    "inverse": _linalg_call("inv"),
    "pinv": _linalg_call("pinv"),
    "cholesky": _linalg_call("cholesky"),
    "matrix_sqrt": lambda matrix: Call("_runtime.matrix_sqrt", (matrix,)),
    "matrix_exp": _linalg_call("matrix_exp"),
    "singular_values": _linalg_call("svdvals"),
    "left_vectors": lambda matrix: Attr(_svd(matrix), "U"),
    "right_vectors": lambda matrix: Attr(Attr(_svd(matrix), "Vh"), "mH"),
    "eigenvalues": _linalg_call("eigvalsh"),
    "eigenvectors": _linalg_call("eigh", "eigenvectors"),
}


# Of complex vectors the phases are anyone's choice, which derivatives must not depend on.
_OF_COMPLEX: dict[str, Callable[[TExpr], TExpr]] = {
    "left_vectors": lambda matrix: Item(Call("_runtime.svd", (matrix,)), Lit(0)),
    "right_vectors": lambda matrix: Item(Call("_runtime.svd", (matrix,)), Lit(2)),
}


def lower_linalg(b: Builder, node: Linalg, order: Layout) -> Val:
    """A matrix function, rows and columns flattened to one axis each where there are several."""
    batch = _batch(node, order)
    full = (*batch, *node.rows, *node.cols)
    placed = _placed(b, node.matrix, full)
    if node.rhs is not None:
        placed = b.beside(placed, node.matrix, (node.rhs,))
    matrix = _matrix(placed, len(node.rows), len(node.cols))
    kept = _factors(b, node, batch, matrix)
    if node.kind == "exp_change":
        return align(Val(_exp_change(b, node, matrix, full), full), order)
    if node.kind in _OF_COMPLEX and is_complex(node.matrix, b.complex):
        return align(Val(_OF_COMPLEX[node.kind](matrix), (*batch, *node.axes)), order)
    if node.kind in _MATRICES:
        expr = _by_factors(node.kind, matrix, kept) if kept else _MATRICES[node.kind](matrix)
        if node.kind == "inverse":
            expr = _unflatten(b, _unflatten(b, expr, node.cols, -2), node.rows, -1)
        return align(Val(expr, (*batch, *node.axes)), order)
    if node.kind == "solve":
        return _solve(b, node, batch, (matrix, kept), order)
    calls: dict[str, TExpr] = {
        "det": Call("torch.linalg.det", (matrix,)),
        "logdet": Call("torch.logdet", (matrix,)),
        "slogdet_sign": Attr(Call("torch.linalg.slogdet", (matrix,)), "sign"),
    }
    return align(Val(calls[node.kind], batch), order)


Kept = tuple[tuple[TExpr, ...], bool]


def _factors(b: Builder, node: Linalg, batch: tuple[Index, ...], matrix: TExpr) -> Kept | None:
    """What forward keeps of the matrix, where this is backward; else the function is noted."""
    if b.factors is None or is_complex(node.matrix, b.complex) or _upper(b, node) is not None:
        return None
    found = b.factors.find(node, batch) if b.reading else None
    if found is None:
        b.factors.note(node, batch, matrix)
    return found


def _by_factors(kind: str, matrix: TExpr, kept: Kept) -> TExpr:
    """The function by what forward has kept, of the matrix itself where it is differentiated."""
    parts, turned = kept
    if kind == "inverse":
        return Call("_runtime.inverse", (matrix, *parts), (("transposed", Lit(value=True)),) if turned else ())
    if kind == "eigenvectors":
        return Call("_runtime.eigenvectors", (matrix, *parts))
    svd = Call("_runtime.singular_vectors", (matrix, *parts))
    return Item(svd, Lit(0)) if kind == "left_vectors" else Attr(Item(svd, Lit(1)), "mH")


def _batch(node: Linalg, order: Layout) -> tuple[Index, ...]:
    free = node.matrix.free
    if node.rhs is not None and (LEAD in node.rhs.free or node.kind == "exp_change"):
        free = free | (node.rhs.free if node.kind == "exp_change" else {LEAD})
    free = free - set(node.rows) - set(node.cols)
    reads = (node.matrix,) if node.kind != "exp_change" or node.rhs is None else (node.matrix, node.rhs)
    found = natural_order(reads, (*node.rows, *node.cols), order)
    batch = tuple(axis for axis in (LEAD, *(k for k in found if k is not LEAD)) if axis in free)
    if len(batch) != len(free):
        raise LoweringError("batch indices of a matrix function")
    return batch


def _placed(b: Builder, expr: Expr, layout: tuple[Index, ...]) -> Val:
    val = align(b.real(b.tensor(b.lower(expr, layout))), layout)
    return b.solid(val, layout)


def _matrix(val: Val, rows: int, cols: int) -> TExpr:
    if rows == cols == 1:
        return val.expr
    return Call("_runtime.matrix_axes", (val.expr, Lit(rows), Lit(cols)))


def _unflatten(b: Builder, expr: TExpr, axes: tuple[Index, ...], dim: int) -> TExpr:
    if len(axes) == 1:
        return expr
    return Call("_runtime.split_axis", (expr, Lit(dim), Tup(tuple(b.size(axis) for axis in axes))))


def _exp_change(b: Builder, node: Linalg, matrix: TExpr, full: tuple[Index, ...]) -> TExpr:
    """The change of an exponential, its rows and columns as they were."""
    if node.rhs is None:
        raise LoweringError("a change of an exponential by nothing")
    change = b.beside(_placed(b, node.rhs, full), node.rhs, (node.matrix,))
    made: TExpr = Call("_runtime.exp_change", (matrix, _matrix(change, len(node.rows), len(node.cols))))
    return _unflatten(b, _unflatten(b, made, node.cols, -1), node.rows, -1 - len(node.cols))


def _solve(b: Builder, node: Linalg, batch: tuple[Index, ...], of: tuple[TExpr, Kept | None], order: Layout) -> Val:
    """A solve with a right side of the same number of axes, so that it is never taken for vectors."""
    if node.rhs is None:
        raise LoweringError("solve without a right side")
    if (sides := _sides(b, node)) is not None:
        return _sylvester(b, node, batch, sides, order)
    matrix, kept = of
    more = kept[0] if kept else ()
    turned: tuple[tuple[str, TExpr], ...] = (("transposed", Lit(value=True)),) if kept and kept[1] else ()
    function = "_runtime.solve"
    if (upper := _upper(b, node)) is not None:
        function, more, turned = "_runtime.solve_triangular", (), (("upper", Lit(value=upper)),)
    own = node.rhs.free - set(node.rows) - set(batch)
    columns = tuple(axis for axis in natural_order((node.rhs,), node.rows, order) if axis in own)
    right = _placed(b, node.rhs, (*batch, *node.rows, *columns))
    right = b.beside(right, node.rhs, (node.matrix,))
    if columns:
        side = _matrix(right, len(node.rows), len(columns))
        solved = _unflatten(b, Call(function, (matrix, side, *more), turned), columns, -1)
        solved = _unflatten(b, solved, node.cols, -1 - len(columns))
        return align(Val(solved, (*batch, *node.cols, *columns)), order)
    side = right.expr if len(node.rows) == 1 else Call("_runtime.merge_last", (right.expr, Lit(len(node.rows))))
    solved = Call(function, (matrix, Method(side, "unsqueeze", (Lit(-1),)), *more), turned)
    solved = _unflatten(b, Method(solved, "squeeze", (Lit(-1),)), node.cols, -1)
    return align(Val(solved, (*batch, *node.cols)), order)


def _upper(b: Builder, node: Linalg) -> bool | None:
    """Whether the matrix of the system is upper triangular, not lower; None: it is neither, as far as is known."""
    matrix = node.matrix
    if isinstance(matrix, Apply) and matrix.function == "conj":
        matrix = matrix.args[0]
    if not isinstance(matrix, Access) or matrix.tensor not in b.triangular or len(node.rows) != 1:
        return None
    row, _ = b.triangular[matrix.tensor]
    return matrix.subs[row] is not node.rows[0]


def _sides(b: Builder, node: Linalg) -> tuple[Expr, Expr] | None:
    """`A`, `B` of a system `A[i,m] delta[n,j] + delta[i,m] B[n,j]` for `X[m,n]`, if both are principal roots.

    Their eigenvalues are then right of 0, as the iteration needs, which takes n^3 operations where the system has n^6.
    """
    if len(node.rows) != 2 or len(node.cols) != 2 or not isinstance(node.matrix, Add) or node.rhs is None:
        return None
    if node.rhs.free - node.matrix.free:
        return None
    (i, j), (m, n) = node.rows, node.cols
    found: dict[frozenset[Index], Expr] = {}
    for term in node.matrix.terms:
        factors = term.factors if isinstance(term, Mul) else ()
        deltas = [f for f in factors if isinstance(f, Delta)]
        others = [f for f in factors if not isinstance(f, Delta)]
        if len(deltas) != 1 or len(others) != 1 or not _is_root(b, others[0]):
            return None
        found[deltas[0].free] = others[0]
    if set(found) != {frozenset((j, n)), frozenset((i, m))}:
        return None
    return found[frozenset((j, n))], found[frozenset((i, m))]


def _is_root(b: Builder, expr: Expr) -> bool:
    """Whether the tensor, or its conjugate, is a principal square root."""
    if isinstance(expr, Apply) and expr.function == "conj":
        expr = expr.args[0]
    made = {s.target: s.value for s in b.program.statements}
    value = made.get(expr.tensor) if isinstance(expr, Access) else None
    return isinstance(value, Linalg) and value.kind == "matrix_sqrt"


def _sylvester(b: Builder, node: Linalg, batch: tuple[Index, ...], sides: tuple[Expr, Expr], order: Layout) -> Val:
    assert node.rhs is not None
    (i, j), (m, n) = node.rows, node.cols
    left, right = _placed(b, sides[0], (*batch, i, m)), _placed(b, sides[1], (*batch, n, j))
    whole = b.beside(_placed(b, node.rhs, (*batch, i, j)), node.rhs, (node.matrix,))
    return align(Val(Call("_runtime.sylvester", (left.expr, right.expr, whole.expr)), (*batch, m, n)), order)
