"""Contractions of more than two tensors, split into pairs in the cheapest order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeAlias

from tensorgrad_gen.algebra import accesses, by_name
from tensorgrad_gen.algebra.hoist import Known, scalar, tensors_of
from tensorgrad_gen.algebra.naming import Namer, describe
from tensorgrad_gen.algebra.parts import factors_of, terms_of
from tensorgrad_gen.ir import Access, Delta, Expr, Index, Iverson, LeviCivita, Mul, Statement, Sum, add, mul
from tensorgrad_gen.plan.sizes import Regime

# Up to so many operands the tree is the best of all; beyond, a good one.
EXACT = 9
# A cost in whole numbers, however many share it.
SHARES = 840
# The tensors that some operands of a contraction read.
Subset: TypeAlias = "tuple[str, ...]"
# Products and elements made at typical extents; then, where those are equal, at extents that are not.
Cost: TypeAlias = "tuple[int, int, int, int]"


def order_contractions(
    statements: Sequence[Statement], names: Namer, known: Known, regime: Regime, *, apart: bool = False
) -> list[Statement]:
    """The statements, each contraction with at most two operands.

    A number that scales an operand of a contraction, and of a product that spreads, scales it once for both.
    Ties go from the right; with `apart`, to what is cheapest where no two extents are the same.
    """
    out: list[Statement] = []
    uses = Counter[Subset]()
    parts = [_parts(statement.value, regime) for statement in statements]
    for own in parts:
        uses.update(own)
    for statement, own in zip(statements, parts, strict=True):
        value = statement.value
        scale, contraction = _scaled(value)
        same = known.find(value) if contraction is None and isinstance(value, Mul) else None
        if contraction is not None and not scale:
            same = known.find(contraction) or known.find_flat(contraction)
        if same is not None:
            value = same
        elif contraction is not None:
            network = _Network(contraction, statement.indices, known, regime, uses, apart=apart)
            split = network.split(names, out)
            if split is not contraction:
                value = mul(*scale, split)
        else:
            value = _with_scaled(value, names, known, uses, out)
        done = Statement(statement.target, statement.indices, value, statement.kind)
        known.enter(done)
        if contraction is not None and not scale:
            known.enter_flat(replace(statement, value=contraction))
        out.append(done)
        uses.subtract(own)
    return out


def _with_scaled(value: Expr, names: Namer, known: Known, uses: Counter[Subset], out: list[Statement]) -> Expr:
    """Products that spread, `g[] a[i] b[j]`, with `g[] a[i]` under a name that another one has use for too."""

    def read(term: Expr) -> Expr:
        for number, operand in _scalings(term):
            pair = mul(number, operand)
            found = known.find(pair)
            if found is None and uses[tensors_of(pair)] > 1:
                axes = tuple(s for s in operand.subs if isinstance(s, Index))
                statement = Statement(names.name(describe(pair)), axes, pair)
                known.enter(statement)
                known.enter_flat(statement)
                out.append(statement)
                found = Access(statement.target, axes)
            if found is not None:
                return mul(*(f for f in factors_of(term) if f not in (number, operand)), found)
        return term

    return add(*map(read, terms_of(value))) if any(map(_scalings, terms_of(value))) else value


def _scalings(value: Expr) -> list[tuple[Access, Access]]:
    """Each tensor without axes in a product that spreads, with each other factor."""
    factors = [f for f in factors_of(value) if not scalar(f)] if isinstance(value, Mul) else []
    plain = [f for f in factors if isinstance(f, Access) and frozenset(f.subs) == f.free]
    if len(plain) < len(factors) or any(f.free == value.free for f in plain) or len(set(plain)) < len(plain):
        return []
    return [(number, f) for number in plain if not number.free for f in plain if f.free]


def _parts(value: Expr, regime: Regime) -> set[Subset]:
    """The tensors of every subset of the operands of a contraction that is split, or of what else may be scaled."""
    contraction = _scaled(value)[1]
    if contraction is None:
        return {tensors_of(*pair) for term in terms_of(value) for pair in _scalings(term)}
    operands = _split_into(contraction, regime)
    if not 2 < len(operands) <= EXACT:
        return set()
    named = [tensors_of(operand) for operand in operands]
    return {
        tuple(sorted(name for names in chosen for name in names))
        for size in range(2, len(named))
        for chosen in combinations(named, size)
    }


def _scaled(value: Expr) -> tuple[tuple[Expr, ...], Sum | None]:
    """Scalar factors in front of a contraction, and the contraction."""
    parts = factors_of(value)
    sums = [p for p in parts if isinstance(p, Sum)]
    if len(sums) != 1 or not all(scalar(p) for p in parts if p is not sums[0]):
        return (), None
    return tuple(p for p in parts if p is not sums[0]), sums[0]


def _operands(contraction: Sum, regime: Regime) -> list[Expr]:
    """The factors, grouped: one whose indices another has is multiplied into the smallest such one.

    Not a factor with an index that is summed over these two alone: a matrix times a vector is no scaled matrix; nor
    those that have no index, which are one operand: they scale whatever is smallest.
    """
    groups: list[list[Expr]] = []
    sets: list[frozenset[Index]] = []
    factors = factors_of(contraction.body)
    for part in sorted(factors, key=lambda f: -len(f.free)):
        fits = frozenset.issubset if part.free else frozenset.__eq__
        homes = [n for n, own in enumerate(sets) if fits(part.free, own) and not _contracts(part, own, contraction)]
        if homes:
            home = min(homes, key=lambda n: regime.elements(sets[n]))
            groups[home].append(part)
        else:
            groups.append([part])
            sets.append(part.free)
    order = {id(f): n for n, f in enumerate(factors)}
    groups = [sorted(group, key=lambda f: order[id(f)]) for group in groups]
    return [mul(*group) for group in sorted(groups, key=lambda group: order[id(group[0])])]


def _contracts(part: Expr, other: frozenset[Index], contraction: Sum) -> bool:
    """Whether an index is summed that only the part and one other, larger factor have."""
    if part.free == other:
        return False
    bound = part.free & frozenset(contraction.indices)
    counts = Counter(index for factor in factors_of(contraction.body) for index in factor.free & bound)
    return any(count == 2 for count in counts.values())  # in the part and in the other


def _split_into(contraction: Sum, regime: Regime) -> list[Expr]:
    """The operands of a contraction that may be taken in any order; none of one that may not."""
    if not isinstance(contraction.body, Mul):
        return []
    if any(isinstance(f, Iverson | Delta | LeviCivita) for f in contraction.body.factors):
        return []
    return _operands(contraction, regime)


class _Network:
    """A contraction of several operands: subsets of them are numbers, a bit for each.

    Law: the tree is the cheapest, where what has a name already costs nothing: so a gradient goes on from what the
    value, and the gradients before it, have contracted.  What `uses` says that others need too costs each a share.
    """

    def __init__(
        self,
        contraction: Sum,
        order: tuple[Index, ...],
        known: Known,
        regime: Regime,
        uses: Counter[Subset],
        *,
        apart: bool,
    ) -> None:
        self.operands = _split_into(contraction, regime)
        self.contraction, self.order, self.known, self.regime = contraction, order, known, regime
        self.uses, self.apart = uses, apart
        self.whole = (1 << len(self.operands)) - 1
        self.bound = frozenset(contraction.indices)
        self.splits: dict[int, tuple[int, int]] = {}

    def split(self, names: Namer, out: list[Statement]) -> Expr:
        """The last pair of the cheapest tree; the others become statements."""
        if len(self.operands) <= 2:
            return self.contraction
        if len(self.operands) <= EXACT:
            self._search()
        else:
            self._follow(_path(self.operands, self.contraction.free, self.regime))
        left, right = (self._named(part, self.whole, names, out) for part in self.splits[self.whole])
        return self._pair(self.whole, left, right)

    def _members(self, subset: int) -> list[Expr]:
        return [operand for k, operand in enumerate(self.operands) if subset >> k & 1]

    def _summed(self, subset: int) -> tuple[Index, ...]:
        """What only these operands have, and is summed."""
        inside = frozenset[Index]().union(*(o.free for o in self._members(subset)))
        rest = self.contraction.free.union(*(o.free for o in self._members(self.whole & ~subset)))
        return tuple(i for i in self.contraction.indices if i in inside and i not in rest)

    def _value(self, subset: int) -> Expr:
        """The contraction of these operands over what nothing else has."""
        product, summed = mul(*self._members(subset)), self._summed(subset)
        return Sum(summed, product) if summed else product

    def _search(self) -> None:
        """The cheapest tree of each subset, the smaller ones first."""
        free = {s: self._value(s).free for s in range(1, self.whole + 1)}
        nothing: Cost = (0, 0, 0, 0)
        cost = {1 << k: nothing for k in range(len(self.operands))}
        for subset in sorted(free, key=int.bit_count):
            if subset in cost:
                continue
            if subset != self.whole and self.known.find_flat(self._value(subset)) is not None:
                cost[subset] = nothing
                continue
            best = None
            share = max(1, self.uses[tensors_of(*self._members(subset))])
            made = free[subset]
            part = (subset - 1) & subset
            while part > subset & ~part:
                other = subset & ~part
                total = self._cost(free[part] | free[other], made, share, cost[part], cost[other])
                if best is None or total < best[0]:
                    best = total, (part, other)
                part = (part - 1) & subset
            assert best is not None
            cost[subset], self.splits[subset] = best

    def _cost(self, met: frozenset[Index], made: frozenset[Index], share: int, *parts: Cost) -> Cost:
        """Of a pair and its parts: products where all its indices meet, and what is made of them."""
        own = SHARES * self.regime.elements(met) // share, self.regime.elements(made), 0, 0
        if self.apart:
            own = (*own[:2], SHARES * self.regime.elements_apart(met) // share, self.regime.elements_apart(made))
        work, room, work_apart, room_apart = map(sum, zip(own, *parts, strict=True))
        return work, room, work_apart, room_apart

    def _follow(self, path: list[tuple[int, int]]) -> None:
        """The tree of a path over shrinking lists."""
        current = [1 << k for k in range(len(self.operands))]
        for left, right in path:
            pair = current[left], current[right]
            current = [c for k, c in enumerate(current) if k not in (left, right)] + [pair[0] | pair[1]]
            self.splits[pair[0] | pair[1]] = pair

    def _named(self, subset: int, reader: int, names: Namer, out: list[Statement]) -> Expr:
        """The contraction of a subset as an operand: one of them, or a tensor that holds it."""
        if subset.bit_count() == 1:
            return self._members(subset)[0]
        flat = self._value(subset)
        found = self.known.find_flat(flat)
        if found is not None:
            return found
        left, right = (self._named(part, subset, names, out) for part in self.splits[subset])
        value = self._pair(subset, left, right)
        indices = self._axes(value, subset, reader)
        statement = Statement(names.name(describe(value)), indices, value)
        self.known.enter(statement)
        self.known.enter_flat(replace(statement, value=flat))
        out.append(statement)
        return Access(statement.target, indices)

    def _axes(self, value: Expr, subset: int, reader: int) -> tuple[Index, ...]:
        """The axes of a tensor as its reader takes them without a copy.

        Those that `reader` has of both its operands come first: a batch of matrix products. Where there are none, what
        it sums lies together at an end.
        """
        both = value.free & frozenset[Index]().union(*(o.free for o in self._members(reader & ~subset)))
        kept = both & self.contraction.free.union(*(o.free for o in self._members(self.whole & ~reader)))
        batch = kept if kept < both else frozenset()
        read = _in_order_of_reading(value)
        if not kept and not _together(read, both):
            turned = _in_order_of_reading(value, turned=True)
            if _together(turned, both):
                read = turned
            elif isinstance(value, Sum):  # a matrix product that is copied anyway
                read = self._in_groups(read, both, reader & ~subset)
        return tuple(sorted(read, key=lambda i: (i.extent != "...", i not in batch)))

    def _in_groups(self, read: tuple[Index, ...], summed: frozenset[Index], other: int) -> tuple[Index, ...]:
        """The axes that the reader sums, as what it reads beside has them; then the others, as the result has them."""
        reads = (a for operand in self._members(other) for a in accesses(operand))
        beside = [sub for access in reads for sub in access.subs if sub in summed]
        rest = sorted((i for i in read if i not in summed), key=lambda i: (*self.order, i).index(i))
        return tuple(i for i in dict.fromkeys((*beside, *rest)) if isinstance(i, Index))

    def _pair(self, subset: int, left: Expr, right: Expr) -> Expr:
        summed = self._summed(subset)
        inside = left.free | right.free
        product = mul(*sorted((left, right), key=self._place))
        indices = tuple(i for i in summed if i in inside)
        return Sum(indices, product) if indices else product

    def _place(self, operand: Expr) -> int:
        """Operands as they stand in the contraction, then what was made of them."""
        return next((k for k, own in enumerate(self.operands) if own is operand), len(self.operands))


def _together(indices: tuple[Index, ...], summed: frozenset[Index]) -> bool:
    """Whether the summed indices are the first or the last ones."""
    count = len(summed)
    return count == 0 or summed in (frozenset(indices[:count]), frozenset(indices[-count:]))


def _in_order_of_reading(value: Expr, *, turned: bool = False) -> tuple[Index, ...]:
    """Free indices as the operands have them, `...` first: a matrix product then needs no transpose.

    Those of an operand with more of them come first, or last (`turned`): its axes are rows of one matrix product.
    """
    operands = sorted(accesses(value), key=lambda a: -len(a.free & value.free), reverse=turned)
    read = [s for a in operands for s in a.subs if isinstance(s, Index) and s in value.free]
    rest = [i for i in by_name(value.free) if i not in read]
    return tuple(sorted(dict.fromkeys([*read, *rest]), key=lambda i: i.extent != "..."))


def _path(operands: list[Expr], free: frozenset[Index], regime: Regime) -> list[tuple[int, int]]:
    """An order of pairwise contractions for many operands."""
    import opt_einsum

    letters: dict[Index, str] = {}
    terms = []
    for operand in operands:
        indices = sorted(operand.free, key=lambda i: i.name)
        for index in indices:
            letters.setdefault(index, opt_einsum.get_symbol(len(letters)))
        terms.append("".join(letters[i] for i in indices))
    result = "".join(letters[i] for i in sorted(free, key=lambda i: i.name) if i in letters)
    shapes = [tuple(regime.extent(i) for i in sorted(o.free, key=lambda i: i.name)) for o in operands]
    equation = f"{','.join(terms)}->{result}"
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="greedy")
    pairs: list[tuple[int, int]] = []
    for step in path:
        # A step over more than two operands (none of them shares an index) goes from the left.
        chosen = sorted(step)
        while len(chosen) > 1:
            pairs.append((chosen[0], chosen[1]))
            count = len(operands) - len(pairs)
            chosen = sorted([c - (c > pairs[-1][0]) - (c > pairs[-1][1]) for c in chosen[2:]] + [count])
    return pairs
