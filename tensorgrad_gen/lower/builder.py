"""The body under construction: names, sizes, local tensors, temporaries, and the conditions that hold here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from tensorgrad_gen.algebra.parts import reads_at_position
from tensorgrad_gen.ir import Access, Apply, Compare, Const, Expr, Extent, Index, Logic, Program, is_complex
from tensorgrad_gen.lower.factors import Factors
from tensorgrad_gen.lower.fused import Fused
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.names import Names
from tensorgrad_gen.lower.sizes import Sizes
from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Lit, Method, Prefix, TExpr, TorchStatement, Var
from tensorgrad_gen.lower.values import LEAD, LoweringError, Val, align, merge
from tensorgrad_gen.plan.model import Step

Rule: TypeAlias = Callable[["Builder", Any, Layout], Val]


@dataclass(frozen=True, slots=True)
class Local:
    """A tensor in a body.  `axes` has, for each axis, the position of its index in the declaration, or None if kept.

    An index that no axis has is a broadcast not carried out yet.  `count`: it says how often something holds.
    """

    name: str
    indices: tuple[Index, ...]
    axes: tuple[int | None, ...]
    kind: str = "real"
    loose: frozenset[int] = frozenset()
    count: bool = False


@dataclass(slots=True)
class Builder:
    """One body being written.  `rules` lowers each node type: to a real value, a condition, an integer."""

    program: Program
    names: Names
    sizes: Sizes
    rules: Mapping[str, Mapping[type, Rule]]
    like: str
    locals: dict[str, Local]
    statements: list[TorchStatement] = field(default_factory=list)
    guards: tuple[Expr, ...] = ()
    padded: frozenset[tuple[Expr, str | int]] = frozenset()  # positions that are read as 0 outside axes so long
    needed_by: frozenset[str] = frozenset()
    shared: frozenset[Expr] = frozenset()
    reads: set[str] = field(default_factory=set)
    outside: frozenset[str] = frozenset()
    traced: bool = True  # whether autograd may look on
    bare: bool = False  # whether no Function stands round the body
    complex: frozenset[str] = frozenset()  # tensors with complex values
    fused: Mapping[Expr, Fused] = field(default_factory=dict)  # products of the step that are one call
    triangular: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # lower ones: where rows and columns are
    factors: Factors | None = None  # factorisations of the op that are made here, or read here
    reading: bool = False  # the second
    finite: frozenset[Expr] = frozenset()  # choices between a number and -inf where the lowest number does
    said: dict[str, Step] = field(default_factory=dict)  # steps as their formulas tell them, by their variables
    _known: dict[tuple[object, ...], tuple[Val, frozenset[str]]] = field(default_factory=dict)

    def lower(self, expr: Expr, order: Layout) -> Val:
        """The expression as a real tensor or Python number that fits the order."""
        return self._lower("real", expr, order)

    def condition(self, expr: Expr, order: Layout) -> Val:
        """The condition as a bool tensor or Python bool that fits the order."""
        return self._lower("bool", expr, order)

    def integer(self, expr: Expr, order: Layout) -> Val:
        """The integer-valued expression as an integer tensor or Python int that fits the order."""
        return self._lower("label", expr, order)

    def _lower(self, what: str, expr: Expr, order: Layout) -> Val:
        rule = self.rules[what].get(type(expr))
        if rule is None:
            raise LoweringError(f"no rule to lower {type(expr).__name__} as {what}")
        if what == "real" and expr in self.fused:
            return self.rules["call"][Fused](self, self.fused[expr], order)
        if expr not in self.shared:
            return rule(self, expr, order)
        key = (what, expr, order, self.guards, self.padded)
        found = self.recall(key)
        if found is None:
            hint = expr.function if isinstance(expr, Apply) else HINTS.get(type(expr).__name__, "part")
            found = self.temp(hint, rule(self, expr, order))
            self.remember(key, found)
        return found

    def recall(self, key: tuple[object, ...]) -> Val | None:
        """A temporary made before, if it is there whenever the current statement runs."""
        val, needed_by = self._known.get(key, (None, frozenset()))
        return val if not needed_by or (self.needed_by and self.needed_by <= needed_by) else None

    def remember(self, key: tuple[object, ...], val: Val) -> None:
        """Note a temporary of the current statement."""
        self._known[key] = (val, self.needed_by)

    def temp(self, hint: str, val: Val) -> Val:
        """The value under a name of its own; plain names and numbers as they are."""
        if isinstance(val.expr, Var | Lit) or val.kind == "number":
            return val
        name = self.names.fresh(hint)
        self.statements.append(TorchStatement(name, val.expr, "", self.needed_by))
        return val.over(Var(name))

    def once(self, key: tuple[object, ...], hint: str, val: Val) -> Val:
        """The value as a temporary that equal keys share."""
        found = self.recall(key)
        if found is None:
            found = self.temp(hint, val)
            self.remember(key, found)
        return found

    @contextmanager
    def guarded(self, *conditions: Expr) -> Iterator[None]:
        """Within, what is lowered is read only where the conditions hold."""
        before = self.guards
        self.guards = (*before, *(c for c in conditions if c not in before))
        try:
            yield
        finally:
            self.guards = before

    @contextmanager
    def padding(self, positions: frozenset[tuple[Expr, str | int]]) -> Iterator[None]:
        """Within, 0 is read where one of the positions is outside of an axis of that extent."""
        before = self.padded
        self.padded = before | positions
        try:
            yield
        finally:
            self.padded = before

    def guard(self, order: Layout) -> Val | None:
        """Where the current expression is read, as far as indices of the order tell."""
        here = tuple(g for g in self.guards if g.free <= set(order))
        return self.mask(here, order) if here else None

    def mask(self, conditions: tuple[Expr, ...], order: Layout, outer: tuple[Expr, ...] = ()) -> Val:
        """All the conditions, as a tensor with a name; each is read only where `outer` and those before it hold."""
        found = self.made_mask(conditions, order, outer)
        if found is None:
            found = self.temp("mask", self.tensor(self.conjunction(conditions, order, outer)))
            self.remember(("mask", conditions, outer), found)
        return found

    def made_mask(self, conditions: tuple[Expr, ...], order: Layout, outer: tuple[Expr, ...]) -> Val | None:
        """The mask of the conditions if there is one already."""
        found = self.recall(("mask", conditions, outer))
        return found if found is None else align(found, order)

    def conjunction(self, conditions: tuple[Expr, ...], order: Layout, outer: tuple[Expr, ...]) -> Val:
        """All the conditions, inline: first those that read at no label, which may say what labels are there."""
        before = self.guards
        parts = []
        conditions = tuple(sorted(conditions, key=reads_at_position))
        for count, condition in enumerate(conditions):
            self.guards = (*outer, *conditions[:count])
            parts.append(self.condition(condition, order))
        self.guards = before
        whole = parts[0]
        for part in parts[1:]:
            layout, loose = merge(whole, part)
            kind = "flag" if whole.scalar and part.scalar else "bool"
            whole = Val(Infix("&", whole.expr, part.expr), layout, kind, loose)
        return whole

    @property
    def labels(self) -> frozenset[str]:
        """Names of the integer tensors."""
        return frozenset(name for name, local in self.locals.items() if local.kind == "label")

    def like_attr(self, name: str) -> TExpr:
        """An attribute of the tensor that new tensors are like."""
        self.reads.add(self.like)
        attribute = Attr(Var(self.locals[self.like].name), name)
        return Call("_runtime.real_dtype", (attribute,)) if name == "dtype" and self.like in self.complex else attribute

    def lowest(self) -> Val:
        """The lowest finite number of the dtype that is computed in."""
        return Val(Attr(Call("torch.finfo", (self.like_attr("dtype"),)), "min"), kind="number")

    def like_method(self, name: str, *args: TExpr, **kwargs: TExpr) -> TExpr:
        """A method of the tensor that new tensors are like."""
        self.reads.add(self.like)
        return Method(Var(self.locals[self.like].name), name, args, tuple(kwargs.items()))

    def tensor(self, val: Val) -> Val:
        """A Python scalar as a tensor of order 0; a tensor as it is."""
        if val.kind == "number":
            shape: TExpr = Lit(())
            dtype = {"dtype": self.like_attr("dtype")} if self.like in self.complex else {}
            return Val(self.like_method("new_full", shape, val.expr, **dtype))
        if val.kind == "flag":
            return Val(self.like_method("new_full", Lit(()), val.expr, dtype=Attr(Var("torch"), "bool")), kind="bool")
        return val

    def of_one_kind(self, vals: list[Val], exprs: Iterable[Expr]) -> list[Val]:
        """The values of the expressions for an operation that wants one dtype: all complex if one is."""
        exprs = tuple(exprs)
        return [self.beside(val, own, exprs) for val, own in zip(vals, exprs, strict=True)] if self.complex else vals

    def beside(self, val: Val, own: Expr, others: Iterable[Expr]) -> Val:
        """The value of an expression, made complex if one of the others is."""
        if is_complex(own, self.complex) or not any(is_complex(other, self.complex) for other in others):
            return val
        return val.over(Call("_runtime.as_complex", (val.expr,)))

    def real(self, val: Val) -> Val:
        """A bool or integer tensor in the compute dtype."""
        if val.kind in ("real", "number"):
            return val
        val = self.tensor(val)
        return val.over(Method(val.expr, "to", (self.like_attr("dtype"),)), kind="real")

    def size(self, index: Index) -> TExpr:
        """The extent of an index as a Python int."""
        return self.extent(index.extent)

    def extent(self, symbol: str | int) -> TExpr:
        """The extent of that symbol as a Python int."""
        return Lit(symbol) if isinstance(symbol, int) else self.sizes.use(symbol, self.needed_by)

    def solid(self, val: Val, wanted: Layout | None = None) -> Val:
        """With a real axis of full size for every index of `wanted` (default: those it has), in that layout."""
        layout = val.layout if wanted is None else wanted
        missing = [axis for axis in layout if axis is not None and (axis not in val.indices or axis in val.loose)]
        if not missing and (wanted is None or layout == val.layout):
            return val
        if layout == (LEAD,):  # there may be none: `expand` wants the empty shape then
            return Val(Method(val.expr, "expand", (self.sizes.lead(self.needed_by),)), layout, val.kind)
        arguments: list[TExpr] = []
        firm = set(val.indices) - val.loose
        for axis in layout:
            if axis is LEAD:
                arguments.append(Prefix("*", self.sizes.lead(self.needed_by)))
            elif axis is None:
                arguments.append(Lit(1))
            elif axis in firm:
                arguments.append(Lit(-1))
            else:
                arguments.append(self.size(axis))
        return Val(Method(val.expr, "expand", tuple(arguments)), layout, val.kind)


HINTS = {
    "Sum": "total",
    "Mul": "product",
    "Add": "term",
    "Pow": "power",
    "Where": "chosen",
    "Reduce": "reduced",
    "Scan": "scanned",
    "Linalg": "solved",
    "Compare": "mask",
    "Logic": "mask",
}


def rational(value: Fraction) -> TExpr:
    """The number as Python writes it best: an int, a short decimal, or a quotient of ints."""
    top, bottom = value.numerator, value.denominator
    if bottom == 1 and abs(top) < 2**53:
        return Lit(top)
    if bottom == 1 or abs(top) >= 2**53 or bottom >= 2**53 or _decimal(bottom):
        return Lit(_nearest(value))
    quotient = Infix("/", Lit(abs(top)), Lit(bottom))
    return Prefix("-", quotient) if top < 0 else quotient


def _decimal(bottom: int) -> bool:
    for prime in (2, 5):
        while bottom % prime == 0:
            bottom //= prime
    return bottom == 1


def _nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


EXACT = ("mod", "clamp")  # functions that torch has for integers, of tensors and of Python numbers beside them


def is_integer(expr: Expr, labels: frozenset[str]) -> bool:
    """Whether the expression has integer values: positions, sizes, labels, sums, products, `mod`, `clamp` of them."""
    match expr:
        case Const(value):
            return value.denominator == 1
        case Access(tensor, _):
            return tensor in labels
        case Extent():
            return True
        case Compare() | Logic():
            return False
    name = type(expr).__name__
    if name == "Param":
        return getattr(expr, "kind", "") == "int"
    if name == "Position":
        return True
    if isinstance(expr, Apply) and expr.function not in EXACT:
        return False
    return name in ("Add", "Mul", "Apply") and all(is_integer(child, labels) for child in expr.children)
