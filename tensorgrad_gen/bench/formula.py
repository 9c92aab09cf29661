"""The formula as one would write it in PyTorch: the peer of a generated op, differentiated by autograd.

Law: each function and reduction is PyTorch's own, a product that is summed is `torch.einsum` unless all its factors
have the same axes, a number stays a number, what is plain in a subscript is sliced.  Nothing is recognised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as nnf

from tensorgrad_gen import ir
from tensorgrad_gen.algebra import accesses, walk
from tensorgrad_gen.functions import plain_name
from tensorgrad_gen.ir import Expr, Index, Program
from tensorgrad_gen.verify.composed import Interpreter
from tensorgrad_gen.verify.functions import Pointwise
from tensorgrad_gen.verify.values import Value, pointwise, union

# Where PyTorch's own function is not what `verify` computes with; numbers come as numbers.
_OWN: dict[str, Pointwise] = {
    "expm1": torch.expm1,
    "digamma": torch.digamma,
    "sigmoid": torch.sigmoid,
    "logsigmoid": nnf.logsigmoid,
    "tanh": torch.tanh,
    "silu": nnf.silu,
    "gelu": nnf.gelu,
    "gelu_tanh": lambda z: nnf.gelu(z, approximate="tanh"),
    "mish": nnf.mish,
    "softplus": nnf.softplus,
    "leaky_relu": nnf.leaky_relu,
    "elu": nnf.elu,
    "logaddexp": torch.logaddexp,
}
_NUMBERS: dict[str, Callable[..., float]] = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt}
_REDUCTIONS: dict[str, Callable[[Tensor, tuple[int, ...]], Tensor]] = {
    "max": lambda t, axes: t.amax(axes),
    "min": lambda t, axes: t.amin(axes),
    "logsumexp": torch.logsumexp,
    "norm": lambda t, axes: torch.linalg.vector_norm(t, dim=axes),
}
_SCANS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "softmax": torch.softmax,
    "log_softmax": torch.log_softmax,
    "cumsum": torch.cumsum,
    "cumprod": torch.cumprod,
}


def formula(program: Program, params: Mapping[str, float]) -> Callable[..., tuple[Tensor, ...]]:
    """The formula as a function of the op's tensors, in call order, computed in the type of the first real one."""

    def composed(*tensors: Tensor | None) -> tuple[Tensor, ...]:
        real = [t.dtype for t in tensors if t is not None and (t.is_floating_point() or t.is_complex())]
        dtype = real[0].to_real() if real else torch.get_default_dtype()
        named = {item.name: tensor for item, tensor in zip(program.inputs, tensors, strict=True)}
        found = _Formula(program, named, params, None, dtype).run()
        return tuple(found[name] for name in program.outputs)

    return composed


class _Formula(Interpreter):
    def _value(self, expr: Expr, mask: Value | None) -> Value:
        match expr:
            case ir.Add(terms) if self._scalar(expr) is None:
                return self._total(terms, mask)
            case ir.Sum(indices, body):
                return self._contracted(indices, body, mask)
        return super()._value(expr, mask)

    def _scalar(self, expr: Expr) -> float | None:
        """The number that an expression without tensors is."""
        match expr:
            case ir.Const() | ir.Special() | ir.Param() | ir.Extent():
                return float(self._leaf_number(expr))
            case ir.Add() | ir.Mul():
                parts = [self._scalar(child) for child in expr.children]
                known = [part for part in parts if part is not None]
                if len(known) < len(parts):
                    return None
                return math.fsum(known) if isinstance(expr, ir.Add) else math.prod(known)
            case ir.Pow(base, exponent):
                below, above = self._scalar(base), self._scalar(exponent)
                return None if below is None or above is None else float(below**above)
            case ir.Apply(name, (argument,)) if name in _NUMBERS:
                inside = self._scalar(argument)
                return None if inside is None else _NUMBERS[name](inside)
        return None

    def _leaf_number(self, expr: Expr) -> float:
        match expr:
            case ir.Const(value):
                return float(value)
            case ir.Special(name):
                return {"pi": math.pi, "inf": math.inf, "nan": math.nan}[name]
            case ir.Param(name, _):
                return float(self.params[name])
            case ir.Extent(symbol):
                return float(math.prod(self.batch) if symbol == "..." else self.sizes[symbol])
        raise TypeError(f"no number: {expr}")

    # arithmetic --------------------------------------------------------------------------------

    def _total(self, terms: Sequence[Expr], mask: Value | None) -> Value:
        """Sums and differences; numbers last."""
        number = math.fsum(n for n in map(self._scalar, terms) if n is not None)
        tensors = [term for term in terms if self._scalar(term) is None]
        tensors.sort(key=_is_negative)
        out = self._real(self._value(tensors[0], mask))
        for term in tensors[1:]:
            negative = _is_negative(term)
            value = self._real(self._value(_without_sign(term) if negative else term, mask))
            out = pointwise(torch.sub if negative else torch.add, out, value)
        return Value(out.tensor + number, out.keys) if number or _of_params(terms) else out

    def _factors(self, factors: Sequence[Expr], mask: Value | None) -> Value:
        """Products and quotients; the number last."""
        numbers = [n for n in map(self._scalar, factors) if n is not None]
        rest = [f for f in factors if self._scalar(f) is None]
        if not rest:
            return self._number(math.prod(numbers))
        above = [self._real(self._value(f, mask)) for f in rest if not _divides(f)]
        below = [self._real(self._value(_divisor(f), mask)) for f in rest if _divides(f)]
        scale, written = math.prod(numbers), _of_params(factors)
        if not above:
            quotient = below.pop(0)
            above, scale, written = [Value(scale / quotient.tensor, quotient.keys)], 1.0, False
        out = reduce(lambda a, b: pointwise(torch.mul, a, b), above)
        out = reduce(lambda a, b: pointwise(torch.div, a, b), below, out)
        if scale == 1 and not written:
            return out
        return Value(-out.tensor if scale == -1 else out.tensor * scale, out.keys)

    def _contracted(self, indices: tuple[Index, ...], body: Expr, mask: Value | None) -> Value:
        """A sum: of several factors with different axes by `torch.einsum`, the number and what is constant outside."""
        bound = set(self._keys(indices))
        factors = body.factors if isinstance(body, ir.Mul) else (body,)
        masked = mask is not None or any(isinstance(f, ir.Iverson) for f in factors)
        if masked or len(factors) == 1:
            return self._summed(self._real(self._value(body, mask)), indices)
        inside = [f for f in factors if bound & self._axes(f)]
        outside = [f for f in factors if not bound & self._axes(f)]
        if any(_divides(f) for f in inside) or len({frozenset(self._axes(f)) for f in inside}) < 2:
            out = self._summed(self._factors(inside, mask), indices)
        else:
            values = [self._real(self._value(f, mask)) for f in inside]
            out = self._einsum(values, indices)
        return self._scaled(out, outside, mask)

    def _axes(self, expr: ir.Sub) -> set[str]:
        return set(self._keys((expr,) if isinstance(expr, Index) else expr.free))

    def _einsum(self, values: list[Value], indices: tuple[Index, ...]) -> Value:
        bound = set(self._keys(indices))
        keys = union(values)
        rest = tuple(k for k in keys if k not in bound)
        dtype = reduce(torch.promote_types, (v.tensor.dtype for v in values))
        operands: list[Tensor | list[int]] = []
        for value in values:
            operands += [value.tensor.to(dtype), [keys.index(k) for k in value.keys]]
        out = torch.einsum(*operands, [keys.index(k) for k in rest])
        lacked = [i for i in indices if not set(self._keys((i,))) & set(keys)]
        times = math.prod(n for i in lacked for n in self._shape((i,)))
        return Value(out * times if lacked else out, rest)

    def _scaled(self, value: Value, factors: Sequence[Expr], mask: Value | None) -> Value:
        """The value times the factors."""
        numbers = [n for n in map(self._scalar, factors) if n is not None]
        for factor in factors:
            if self._scalar(factor) is None:
                other = self._real(self._value(_divisor(factor) if _divides(factor) else factor, mask))
                value = pointwise(torch.div if _divides(factor) else torch.mul, value, other)
        scale = math.prod(numbers)
        return value if scale == 1 and not _of_params(factors) else Value(value.tensor * scale, value.keys)

    def _summed(self, value: Value, indices: tuple[Index, ...]) -> Value:
        """Over the axes that the value has; along the others it is constant."""
        bound = self._keys(indices)
        axes = [value.keys.index(k) for k in bound if k in value.keys]
        lacked = [n for k, n in zip(bound, self._shape(indices), strict=True) if k not in value.keys]
        tensor = value.tensor.sum(axes) if axes else value.tensor
        return Value(tensor * math.prod(lacked) if lacked else tensor, tuple(k for k in value.keys if k not in bound))

    # functions ---------------------------------------------------------------------------------

    def _power(self, base: Value, exponent: Value, mask: Value | None, number: float | None) -> Value:
        if number == 0.5 and not base.tensor.is_complex():
            return Value(torch.sqrt(self._guard(self._real(base), mask, 1.0).tensor), base.keys)
        return super()._power(base, exponent, mask, number)

    def _apply(self, name: str, args: list[Value], mask: Value | None) -> Value:
        name = plain_name(name)
        if name not in _OWN:
            return super()._apply(name, args, mask)
        [first, *others] = [self._real(a) for a in args]
        if name == "logaddexp":
            return pointwise(_OWN[name], first, *others)
        return Value(_OWN[name](first.tensor, *(float(o.tensor) for o in others)), first.keys)

    def _reduce(self, kind: str, indices: tuple[Index, ...], body: Expr, mask: Value | None) -> Value:
        if kind not in _REDUCTIONS:
            return super()._reduce(kind, indices, body, mask)
        value = self._real(self._value(body, mask))
        bound = self._keys(indices)
        if not set(bound) <= set(value.keys):
            value = Value(self._over(value, indices)[0], (*(k for k in value.keys if k not in bound), "<all>"))
            bound = ("<all>",)
        axes = tuple(value.keys.index(k) for k in bound)
        return Value(_REDUCTIONS[kind](value.tensor, axes), tuple(k for k in value.keys if k not in bound))

    def _scan(self, kind: str, indices: tuple[Index, ...], body: Expr, mask: Value | None) -> Value:
        bound = self._keys(indices)
        if kind in _SCANS and len(bound) == 1 and mask is None:
            value = self._real(self._value(body, mask))
            if bound[0] in value.keys:
                return Value(_SCANS[kind](value.tensor, value.keys.index(bound[0])), value.keys)
        return super()._scan(kind, indices, body, mask)

    def _looked_up(self, tensor: Tensor, subs: tuple[ir.Sub, ...], mask: Value | None) -> Value:
        """By labels along some axes; those with a plain index that is nowhere else are taken whole."""
        others = [s for s in subs if not isinstance(s, Index)]
        moving = {k for s in others for k in self._axes(s)}
        plain = [s for s in subs if isinstance(s, Index)]
        whole = [n for n, s in enumerate(subs) if s in plain and plain.count(s) == 1 and not moving & self._axes(s)]
        if not whole or "..." in (i.name for i in plain):
            return super()._looked_up(tensor, subs, mask)
        picked = [n for n in range(len(subs)) if n not in whole]
        value = super()._looked_up(tensor.permute(picked + whole), tuple(subs[n] for n in picked), mask)
        kept = self._keys(s for n in whole if isinstance(s := subs[n], Index))
        return Value(value.tensor, value.keys + kept)


def _of_params(parts: Sequence[Expr]) -> bool:
    """Whether one of them is a number that a caller chooses: it is worked with, even where it is 1 or 0."""
    return any(isinstance(node, ir.Param) for part in parts if not accesses(part) for node in walk(part))


def _is_negative(expr: Expr) -> bool:
    return isinstance(expr, ir.Mul) and isinstance(expr.factors[0], ir.Const) and expr.factors[0].value < 0


def _without_sign(expr: Expr) -> Expr:
    assert isinstance(expr, ir.Mul)
    return ir.mul(ir.const(-1), *expr.factors)


def _divides(expr: Expr) -> bool:
    return isinstance(expr, ir.Pow) and isinstance(expr.exponent, ir.Const) and expr.exponent.value < 0


def _divisor(expr: Expr) -> Expr:
    assert isinstance(expr, ir.Pow)
    assert isinstance(expr.exponent, ir.Const)
    return ir.power(expr.base, ir.const(-expr.exponent.value))
