"""Which shapes an op is tried on, and how its inputs are drawn from their domains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations

from tensorgrad_gen.errors import NotBuiltError
from tensorgrad_gen.ir import Access, Expr, Extent, Index, Input, Linalg, Program, Reduce, Size, Sum
from tensorgrad_gen.op_tests.extents import BATCH, Extents, has_batch

# An input's shape; None where it is left out.
Shape = tuple[int, ...] | None
Case = tuple[Shape, ...]
MOST_OF_ONE = 16
MOST_OF_ALL = 48
_EMPTY_HAS_NONE = ("max", "min", "argmax", "argmin")
_DRAWN = {
    "real": "3 * torch.rand({shape}, generator=rng) - 1.5",
    "positive": "0.3 + 1.7 * torch.rand({shape}, generator=rng)",
    "unit": "0.05 + 0.9 * torch.rand({shape}, generator=rng)",
    "nonzero": "(0.3 + 1.7 * torch.rand({shape}, generator=rng))"
    " * (2 * torch.randint(0, 2, {shape}, generator=rng) - 1)",
    "simplex": "torch.softmax(2 * torch.rand({shape}, generator=rng) - 1, -1)",
    "orthogonal": "torch.linalg.qr(torch.randn({shape}, generator=rng)).Q",
}
_MATRICES = {
    "spd": "{name} @ {name}.mT / {name}.shape[-1] + 0.5 * torch.eye({name}.shape[-1])",
    "well_conditioned": "1.5 * torch.eye({name}.shape[-2], {name}.shape[-1]) + 0.6 * {name} / {name}.shape[-1]",
}
_NOISE = "2 * torch.rand({shape}, generator=rng) - 1"


def drawn(item: Input, name: str, shape: str, extents: Extents) -> list[str]:
    """The lines that draw an input."""
    if item.kind == "bool":
        return [f"{name} = torch.rand({shape}, generator=rng) > 0.4"]
    if item.kind == "label":
        below = extents.of(item.labels) if item.labels is not None else "2"
        return [f"{name} = torch.randint(0, max({below}, 1), {shape}, generator=rng)"]
    if item.domain in _MATRICES:
        matrix = _MATRICES[str(item.domain)].format(name=name)
        return [f"{name} = {_real('noise', item.kind, shape)}", f"{name} = {matrix}"]
    return [f"{name} = {_real(item.domain, item.kind, shape)}"]


def _real(domain: object, kind: str, shape: str) -> str:
    if isinstance(domain, tuple):
        low, high = map(float, domain)
        edge = 0.05 * (high - low)
        form = f"{low + edge!r} + {high - low - 2 * edge!r} * torch.rand({{shape}}, generator=rng)"
    else:
        form = _DRAWN.get(str(domain), _NOISE)
    text = form.format(shape=shape)
    return f"torch.complex({text}, {text})" if kind == "complex" else text


def cases(program: Program) -> list[Case]:
    """A small one whose extents differ, then one without what may be left out, all 1, 0, other batch axes."""
    # Where a window has one place only, its stride is not seen.
    base = next(_legal(program, _preferred(program), least=2), None) or next(_legal(program, _preferred(program)), None)
    if base is None:
        raise NotBuiltError("tests of this op are not built yet: no small extents fit what it says of its sizes")
    sizes, batch = base
    small = _shapes(program, sizes, batch)
    found = [small]
    if any(item.default is not None for item in program.inputs):
        found.append(tuple(s if i.default is None else None for i, s in zip(program.inputs, small, strict=True)))
    ones = dict.fromkeys(sizes, 1), (1,) * len(batch)
    zeros = [({**sizes, symbol: 0}, batch) for symbol in sizes if _may_vanish(program, symbol)]
    batches = [(sizes, ()), (sizes, (2, 1))] if has_batch(program) else []
    if has_batch(program) and _may_vanish(program, BATCH):
        batches.append((sizes, (0,)))
    found += [_shapes(program, *case) for case in _legal(program, [ones, *zeros, *batches], least=0)]
    return list(dict.fromkeys(found))


Sizes = tuple[dict[str, int], tuple[int, ...]]


def _preferred(program: Program) -> Iterator[Sizes]:
    """Extents that differ, so that swapped axes are seen, as large as is cheap; else what windows may fit into."""
    symbols = [symbol for symbol, _ in program.axes if symbol != BATCH]
    # A matrix that is a sum over an index has full rank where that index is the longer one.
    symbols.sort(key=lambda symbol: symbol not in _of_matrices(program))
    batch = ((2,) if symbols else (6,)) if has_batch(program) else ()
    for order in (symbols, symbols[::-1], symbols[1:] + symbols[:1]):
        sizes = {symbol: 3 + place for place, symbol in enumerate(order)}
        yield _shrunk(program, {symbol: sizes[symbol] for symbol in symbols}, batch), batch
    yield from ((dict.fromkeys(symbols, length), batch) for length in (3, 2))
    longer = [((symbol,), 5) for symbol in symbols] + [(pair, 3) for pair in combinations(symbols, 2)]
    for long, length in longer:
        yield {symbol: length if symbol in long else 2 for symbol in symbols}, batch
    yield from ((dict.fromkeys(symbols, length), batch) for length in (4, 5))


def _shrunk(program: Program, sizes: dict[str, int], batch: tuple[int, ...]) -> dict[str, int]:
    """The longest axes give way until there are few elements."""
    while max(sizes.values(), default=2) > 2:
        counts = [math.prod(shape) for shape in _shapes(program, sizes, batch) if shape is not None]
        if max(counts) <= MOST_OF_ONE and sum(counts) <= MOST_OF_ALL:
            break
        sizes[max(sizes, key=lambda symbol: (sizes[symbol], symbol))] -= 1
    return sizes


def _legal(program: Program, candidates: Iterator[Sizes] | list[Sizes], least: int = 1) -> Iterator[Sizes]:
    """The candidates on which every extent that the spec computes is one."""
    params = {p.name: int(p.default if p.default is not None else 2) for p in program.params if p.kind == "int"}
    fixed = {symbol for symbol, _ in program.axes}
    for sizes, batch in candidates:
        known = dict(sizes)
        good = True
        for symbol, size in program.size_defs:
            length = _length(size, known, params)
            # An axis whose length the spec computes has that length.
            known[symbol] = length
            good = good and length >= least
        labels = [item.labels for item in program.inputs if item.kind == "label"]
        good = good and all(known.get(below, 1) > 0 for below in labels if isinstance(below, str))
        if good and 0 not in (known[s] for s, _ in program.size_defs):
            yield {symbol: known[symbol] for symbol in sizes if symbol in fixed}, batch


def _length(size: Size, sizes: Mapping[str, int], params: Mapping[str, int]) -> int:
    if size.op == "int":
        return int(size.args[0])
    if size.op in ("size", "param"):
        return (sizes if size.op == "size" else params)[size.args[0]]
    values = [_length(arg, sizes, params) for arg in size.args]
    if size.op == "-" and len(values) == 1:
        return -values[0]
    one, two = values
    if size.op in ("//", "ceil"):
        return one // two if size.op == "//" else -(-one // two)
    return {"+": one + two, "-": one - two, "*": one * two, "min": min(one, two)}[size.op]


def _shapes(program: Program, sizes: Mapping[str, int], batch: tuple[int, ...]) -> Case:
    def axes(index: Index) -> tuple[int, ...]:
        if index.extent == BATCH:
            return batch
        return (index.extent if isinstance(index.extent, int) else sizes[index.extent],)

    return tuple(tuple(n for index in item.indices for n in axes(index)) for item in program.inputs)


def _may_vanish(program: Program, symbol: str) -> bool:
    """Whether the op has a value where the extent is 0, as far as one can see."""
    if any(item.labels == symbol for item in program.inputs):
        return False
    if _of_matrices(program) and any(_sums(statement.value, symbol) for statement in program.statements):
        return False
    return not any(_needs_some(program, statement.value, symbol) for statement in program.statements)


def _of_matrices(program: Program) -> set[str | int]:
    """The extents of rows and columns of what is inverted or has its determinant taken."""

    def found(expr: Expr) -> set[str | int]:
        own = {index.extent for index in expr.rows + expr.cols} if isinstance(expr, Linalg) else set()
        return own.union(*map(found, expr.children))

    return set().union(*(found(statement.value) for statement in program.statements))


def _sums(expr: Expr, symbol: str) -> bool:
    """Whether something is summed over an index of that extent."""
    if isinstance(expr, Sum) and any(index.extent == symbol for index in expr.indices):
        return True
    return any(_sums(child, symbol) for child in expr.children)


def _needs_some(program: Program, expr: Expr, symbol: str) -> bool:
    if isinstance(expr, Extent):
        return expr.symbol == symbol
    bound: tuple[Index, ...] = ()
    if isinstance(expr, Reduce) and expr.kind in _EMPTY_HAS_NONE:
        bound = expr.indices
    elif isinstance(expr, Linalg):
        bound = expr.rows + expr.cols
    if any(index.extent == symbol for index in bound):
        return True
    if isinstance(expr, Access):
        axes = program.tensors[expr.tensor].indices
        if any(not isinstance(sub, Index) and axis.extent == symbol for sub, axis in zip(expr.subs, axes, strict=True)):
            return True
    return any(_needs_some(program, child, symbol) for child in expr.children)
