"""The plain formula in torch: a slow, obvious interpreter of a `Program` that autograd differentiates.

Every subexpression is a dense tensor with one axis for each index it has.  Nothing of the compiler
below `elaborate` is used, so what it returns is an independent oracle of values and derivatives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import reduce

import torch
from torch import Tensor

from tensorgrad_gen import ir
from tensorgrad_gen.algebra.indices import looks_up
from tensorgrad_gen.functions import plain_name
from tensorgrad_gen.ir import Expr, Index, Program
from tensorgrad_gen.verify.extents import UndefinedValueError, batch_shape, extents
from tensorgrad_gen.verify.functions import FUNCTIONS, JUMPS, KINKS, POLES, SAFE, SAFE_POINT
from tensorgrad_gen.verify.reductions import DETERMINANTS, MATRICES, REDUCTIONS, SCANS, gap, to_pole
from tensorgrad_gen.verify.solutions import solution, solved
from tensorgrad_gen.verify.values import Value, both, modulus, pointwise, union

# Told about each place where derivatives jump ("kink") or blow up ("pole"): how far the values are from it, and the
# result whose derivative that is; None: its value jumps.
Watch = Callable[[str, Tensor, Tensor | None], None]


def compose(
    program: Program,
    tensors: Sequence[Tensor | None],
    params: Mapping[str, float],
    watch: Watch | None = None,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, ...]:
    """The outputs of the program on the given inputs, in call order, computed in that type."""
    tensors_by_name = all_tensors(program, tensors, params, watch, dtype)
    return tuple(tensors_by_name[name] for name in program.outputs)


def all_tensors(
    program: Program,
    tensors: Sequence[Tensor | None],
    params: Mapping[str, float],
    watch: Watch | None = None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Every tensor of the program, by name."""
    named = {item.name: tensor for item, tensor in zip(program.inputs, tensors, strict=True)}
    return Interpreter(program, named, params, watch, dtype).run()


EXTREMES = ("max", "min", "argmax", "argmin")


class Interpreter:
    """Values as they are defined, subexpression by subexpression."""

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Tensor | None],
        params: Mapping[str, float],
        watch: Watch | None,
        dtype: torch.dtype,
    ) -> None:
        self.program = program
        self.dtype = dtype
        self.params = params
        self.watch = watch
        self.sizes = extents(program, inputs, params)
        self.batch = batch_shape(program, inputs)
        self.device = next((t.device for t in inputs.values() if t is not None), torch.device("cpu"))
        self.tensors: dict[str, Tensor] = {}
        for item in program.inputs:
            tensor = inputs[item.name]
            if tensor is None:
                tensor = torch.full(self._shape(item.indices), float(item.default or 0), dtype=self.dtype)
            self.tensors[item.name] = self._cast(tensor.to(self.device))
        for constant in program.constants:
            flat = torch.tensor([float(v) for v in constant.values], dtype=self.dtype, device=self.device)
            self.tensors[constant.name] = flat.reshape(self._shape(constant.indices))

    def run(self) -> dict[str, Tensor]:
        """Every statement in order."""
        for statement in self.program.statements:
            if statement.kind == "bool":
                value = self._condition(statement.value, None)
            else:
                value = self._value(statement.value, None)
            self.tensors[statement.target] = self._full(value, statement.indices)
        return self.tensors

    def _full(self, value: Value, indices: tuple[Index, ...]) -> Tensor:
        return value.align(self._keys(indices)).expand(self._shape(indices))

    def _spread(self, expr: Expr, indices: tuple[Index, ...]) -> Tensor:
        return self._full(self._value(expr, None), indices)

    def _cast(self, tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(self.dtype.to_complex())
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def _real(self, value: Value) -> Value:
        """A label, position or condition as a number."""
        tensor = value.tensor
        known = tensor.is_floating_point() or tensor.is_complex()
        return value if known else Value(tensor.to(self.dtype), value.keys)

    # indices -----------------------------------------------------------------------------------

    def _keys(self, indices: Iterable[Index]) -> tuple[str, ...]:
        out: list[str] = []
        for index in indices:
            leading = [f"{index.name}/{axis}" for axis in range(len(self.batch))]
            out += leading if index.extent == "..." else [index.name]
        return tuple(out)

    def _shape(self, indices: Iterable[Index]) -> tuple[int, ...]:
        out: list[int] = []
        for index in indices:
            out += self.batch if index.extent == "..." else [self._extent(index.extent)]
        return tuple(out)

    def _extent(self, extent: str | int) -> int:
        return extent if isinstance(extent, int) else self.sizes[extent]

    def _positions(self, index: Index) -> list[Value]:
        keys, shape = self._keys((index,)), self._shape((index,))
        return [Value(torch.arange(n, device=self.device), (k,)) for k, n in zip(keys, shape, strict=True)]

    def _number(self, value: float) -> Value:
        return Value(torch.tensor(float(value), dtype=self.dtype, device=self.device), ())

    def _over(self, value: Value, indices: tuple[Index, ...]) -> tuple[Tensor, tuple[str, ...]]:
        """The value with `indices` flattened into a last axis, and the keys of the other axes."""
        bound, shape = self._keys(indices), self._shape(indices)
        rest = tuple(k for k in value.keys if k not in bound)
        tensor = value.align(rest + bound)
        tensor = tensor.expand((*tensor.shape[: len(rest)], *shape))
        return tensor.reshape(*tensor.shape[: len(rest)], math.prod(shape)), rest

    # values ------------------------------------------------------------------------------------

    def _value(self, expr: Expr, mask: Value | None) -> Value:
        """The value of an expression; where `mask` is false it is not used, and nothing there may matter."""
        match expr:
            case ir.Access():
                return self._access(expr, mask)
            case ir.Add(terms):
                return self._fold(torch.add, [self._value(t, mask) for t in terms])
            case ir.Mul(factors):
                return self._product(factors, mask)
            case ir.Pow(base, exponent):
                fixed = float(exponent.value) if isinstance(exponent, ir.Const) else None
                return self._power(self._value(base, mask), self._value(exponent, mask), mask, fixed)
            case ir.Apply(name, args):
                return self._apply(name, [self._value(a, mask) for a in args], mask)
            case ir.Compare() | ir.Logic() | ir.Iverson():
                truth = self._condition(expr.condition if isinstance(expr, ir.Iverson) else expr, mask)
                return Value(truth.tensor.to(self.dtype), truth.keys)
            case ir.Where(condition, then, other):
                return self._where(condition, then, other, mask)
            case ir.Sum(indices, body):
                return self._sum(indices, self._value(body, mask))
            case ir.Reduce(kind, indices, body):
                return self._reduce(kind, indices, body, mask)
            case ir.Scan(kind, indices, body):
                return self._scan(kind, indices, body, mask)
            case ir.Root():
                return self._root(expr, mask)
            case ir.Linalg():
                return self._linalg(expr)
        return self._leaf(expr, mask)

    def _leaf(self, expr: Expr, mask: Value | None) -> Value:
        match expr:
            case ir.Const(value):
                return self._number(float(value))
            case ir.Special(name):
                return self._number({"pi": math.pi, "inf": math.inf, "nan": math.nan}[name])
            case ir.Param(name, _):
                return self._number(self.params[name])
            case ir.Extent(symbol):
                return self._number(math.prod(self.batch) if symbol == "..." else self.sizes[symbol])
            case ir.Position(index):
                return self._positions(index)[0]
            case ir.Delta(left, right):
                same = pointwise(torch.eq, self._position_of(left, mask), self._position_of(right, mask))
                return Value(same.tensor.to(self.dtype), same.keys)
            case ir.LeviCivita(subs):
                return self._levi_civita(subs)
        raise TypeError(f"no value for {type(expr).__name__}")

    def _fold(self, function: Callable[[Tensor, Tensor], Tensor], values: list[Value]) -> Value:
        out = values[0]
        for value in values[1:]:
            out = pointwise(function, self._real(out), self._real(value))
        return out

    def _product(self, factors: tuple[Expr, ...], mask: Value | None) -> Value:
        """A product; what stands beside a condition is not read where that is false."""
        conditions = [f.condition for f in factors if isinstance(f, ir.Iverson)]
        rest = [f for f in factors if not isinstance(f, ir.Iverson)]
        # Conditions that look nothing up come first: they may guard the labels of the others.
        conditions.sort(key=looks_up)
        truth: Value | None = None
        inner = mask
        for condition in conditions:
            this = self._condition(condition, inner)
            truth, inner = both(truth, this), both(inner, this)
        if not rest:
            assert truth is not None
            return Value(truth.tensor.to(self.dtype), truth.keys)
        value = self._factors(rest, inner)
        if truth is None:
            return value
        return pointwise(lambda t, v: torch.where(t, v, torch.zeros_like(v)), truth, self._real(value))

    def _factors(self, factors: Sequence[Expr], mask: Value | None) -> Value:
        return self._fold(torch.mul, [self._value(f, mask) for f in factors])

    def _where(self, condition: Expr, then: Expr, other: Expr, mask: Value | None) -> Value:
        truth = self._condition(condition, mask)
        false = Value(~truth.tensor, truth.keys)
        yes = self._value(then, both(mask, truth))
        no = self._value(other, both(mask, false))
        return pointwise(torch.where, truth, self._real(yes), self._real(no))

    def _guard(self, value: Value, mask: Value | None, safe: float) -> Value:
        if mask is None:
            return value
        return pointwise(lambda m, v: torch.where(m, v, torch.full_like(v, safe)), mask, value)

    def _see(self, kind: str, distance: Value, mask: Value | None, of: Value | None = None) -> None:
        if self.watch is not None:
            seen = self._guard(distance, mask, math.inf).tensor
            self.watch(kind, seen.detach(), None if of is None else of.tensor)

    def _power(self, base: Value, exponent: Value, mask: Value | None, number: float | None) -> Value:
        base = self._guard(self._real(base), mask, 1.0)
        exponent = self._real(exponent)
        # By a tensor of one number it would be differentiated too, as far as nan.
        value = pointwise(torch.pow, base, exponent) if number is None else Value(base.tensor**number, base.keys)
        if exponent.tensor.requires_grad:
            self._see("pole", base, mask, value)
        elif self.watch is not None and base.tensor.requires_grad:
            fraction = bool((exponent.tensor != exponent.tensor.round()).any())
            if fraction or bool((exponent.tensor < 0).any()):
                self._see("pole", base if fraction and not base.tensor.is_complex() else modulus(base), mask, value)
        return value

    def _apply(self, name: str, args: list[Value], mask: Value | None) -> Value:
        safe = SAFE_POINT.get(name, SAFE)
        args = [self._guard(self._real(a), mask, safe) for a in args]
        if name == "clamp":  # torch.clamp wants edges of the type of its argument
            args = [args[0], *(Value(a.tensor.to(args[0].tensor.dtype), a.keys) for a in args[1:])]
        value = pointwise(FUNCTIONS[plain_name(name)], *args)
        # What no input moves (positions, params) has nothing to keep away from.
        if self.watch is not None and any(a.tensor.requires_grad for a in args):
            for kind, table in (("kink", KINKS), ("pole", POLES)):
                if name in table:
                    self._see(kind, pointwise(table[name], *args), mask, None if name in JUMPS else value)
        return value

    # accesses ----------------------------------------------------------------------------------

    def _position_of(self, sub: ir.Sub, mask: Value | None) -> Value:
        if isinstance(sub, Index):
            return self._positions(sub)[0]
        value = self._value(sub, mask)
        return Value(value.tensor.round().long(), value.keys) if value.tensor.is_floating_point() else value

    def _access(self, expr: ir.Access, mask: Value | None) -> Value:
        tensor = self.tensors[expr.tensor]
        plain = [s for s in expr.subs if isinstance(s, Index)]
        if len(set(plain)) == len(expr.subs):
            value = Value(tensor, self._keys(plain))
        else:
            value = self._looked_up(tensor, expr.subs, mask)
        return self._guard(value, mask, SAFE) if value.tensor.is_floating_point() else value

    def _looked_up(self, tensor: Tensor, subs: tuple[ir.Sub, ...], mask: Value | None) -> Value:
        places: list[Value] = []
        for sub in subs:
            if isinstance(sub, Index):
                places += self._positions(sub)
            else:
                places.append(self._guard(self._position_of(sub, mask), mask, 0))
        keys = union(places)
        index = torch.broadcast_tensors(*(p.align(keys) for p in places))  # type: ignore[no-untyped-call]
        if tensor.numel() == 0 and mask is not None:
            return Value(tensor.new_zeros(index[0].shape), keys)
        return Value(tensor[index], keys)

    def _levi_civita(self, subs: tuple[Index, ...]) -> Value:
        symbol = torch.zeros((len(subs),) * len(subs), dtype=self.dtype, device=self.device)
        for order in itertools.permutations(range(len(subs))):
            swaps = sum(a > b for a, b in itertools.combinations(order, 2))
            symbol[order] = -1.0 if swaps % 2 else 1.0
        return self._looked_up(symbol, subs, None)

    # conditions --------------------------------------------------------------------------------

    def _condition(self, expr: Expr, mask: Value | None) -> Value:
        if isinstance(expr, ir.Logic):
            parts = [self._condition(a, mask) for a in expr.args]
            if expr.op == "not":
                return Value(~parts[0].tensor, parts[0].keys)
            function = torch.logical_and if expr.op == "and" else torch.logical_or
            return reduce(lambda a, b: pointwise(function, a, b), parts)
        if isinstance(expr, ir.Compare):
            return self._compare(expr, mask)
        if isinstance(expr, ir.Reduce) and expr.kind in ("any", "all"):
            tensor, rest = self._over(self._condition(expr.body, mask), expr.indices)
            return Value(tensor.any(-1) if expr.kind == "any" else tensor.all(-1), rest)
        value = self._value(expr, mask)
        return Value(value.tensor != 0, value.keys)

    def _compare(self, expr: ir.Compare, mask: Value | None) -> Value:
        left, right = self._real(self._value(expr.left, mask)), self._real(self._value(expr.right, mask))
        if left.tensor.requires_grad or right.tensor.requires_grad:
            # What is equal to the last bit is equal for all inputs (`x[n] > x[m]` on the diagonal): no kink.
            apart = pointwise(lambda a, b: (a - b).abs(), left, right)
            self._see("kink", pointwise(lambda d: torch.where(d == 0, math.inf, d), apart), mask)
        functions = {"<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge, "==": torch.eq, "!=": torch.ne}
        return pointwise(functions[expr.op], left, right)

    # reductions --------------------------------------------------------------------------------

    def _sum(self, indices: tuple[Index, ...], body: Value) -> Value:
        tensor, rest = self._over(self._real(body), indices)
        return Value(tensor.sum(-1), rest)

    def _reduce(self, kind: str, indices: tuple[Index, ...], body: Expr, mask: Value | None) -> Value:
        if kind in ("any", "all"):
            truth = self._condition(ir.Reduce(kind, indices, body), mask)
            return Value(truth.tensor.to(self.dtype), truth.keys)
        tensor, rest = self._over(self._real(self._value(body, mask)), indices)
        if kind in EXTREMES and tensor.shape[-1] == 0:
            raise UndefinedValueError(f"{kind} over nothing: index {indices[0].name} has extent 0")
        value = Value(REDUCTIONS[kind](tensor), rest)
        if kind in EXTREMES:
            apart = Value(gap(tensor, kind.endswith("max")), rest)
            self._see("kink", apart, mask, value if kind in ("max", "min") else None)
        elif kind == "norm":
            self._see("kink", value, mask, value)
        return value

    def _scan(self, kind: str, indices: tuple[Index, ...], body: Expr, mask: Value | None) -> Value:
        bound = self._keys(indices)
        if mask is not None:  # a scan reads all along its indices if anything there is needed
            tensor, rest = self._over(Value(mask.tensor, mask.keys), indices)
            mask = Value(tensor.any(-1), rest)
        tensor, rest = self._over(self._real(self._value(body, mask)), indices)
        if kind in ("sort", "argsort") and tensor.shape[-1] > 1:
            self._see("kink", Value(torch.sort(tensor, -1).values.diff(dim=-1), (*rest, "<pairs>")), mask)
        out = SCANS[kind](tensor)
        return Value(out.reshape(*tensor.shape[:-1], *self._shape(indices)), rest + bound)

    # matrices ----------------------------------------------------------------------------------

    def _linalg(self, expr: ir.Linalg) -> Value:
        rows, cols = self._keys(expr.rows), self._keys(expr.cols)
        height, width = self._shape(expr.rows), self._shape(expr.cols)
        matrix, batch = self._over(self._real(self._value(expr.matrix, None)), expr.rows)
        matrix, batch = self._over(Value(matrix, (*batch, "<rows>")), expr.cols)
        batch = batch[:-1]
        if self.watch is not None and matrix.numel():
            distance = to_pole(expr.kind, matrix.detach())
            if distance is not None:
                self._see("pole", Value(distance, batch), None)
        if expr.kind in MATRICES:
            shape = (*matrix.shape[: len(batch)], *self._shape(expr.axes))
            return Value(MATRICES[expr.kind](matrix).reshape(shape), batch + self._keys(expr.axes))
        if expr.rhs is None:
            return Value(DETERMINANTS[expr.kind](matrix), batch)
        right = self._real(self._value(expr.rhs, None))
        free = tuple(k for k in right.keys if k not in rows and k not in batch)
        return Value(solved(matrix, right.align((*batch, *rows, *free)), height, width), batch + cols + free)

    def _root(self, expr: ir.Root, mask: Value | None) -> Value:
        problem, inner = expr.problem, copy(self)
        inner.watch = None

        def residual(tensors: Mapping[str, Tensor]) -> Tensor:
            inner.tensors = {**self.tensors, **tensors}
            return inner._spread(problem.residual.value, problem.residual.indices)

        items = problem.program.inputs
        given = {i.name: self._spread(arg, i.indices) for i, arg in zip(items, expr.args, strict=True)}
        inner.tensors = {**self.tensors, problem.unknown: solution(problem, residual, given)}
        return inner._access(ir.Access(problem.unknown, expr.subs), mask)
