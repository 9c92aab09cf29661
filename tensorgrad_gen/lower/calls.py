"""Products that are one call of `_runtime`: how it is written."""

from __future__ import annotations

from collections.abc import Iterable

from tensorgrad_gen.ir import Access, Index, const, number
from tensorgrad_gen.lower.arith import pointwise, product
from tensorgrad_gen.lower.attention import AttentionCall
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.fused import Fused
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.norms import NormCall
from tensorgrad_gen.lower.pointwise import collect
from tensorgrad_gen.lower.torch_ir import Call, Infix, Item, Lit, Need, TExpr, TorchStatement, Tup, Var
from tensorgrad_gen.lower.values import Val, align, axis_number
from tensorgrad_gen.plan.attention import Attention


def lower_fused(b: Builder, node: Fused, order: Layout) -> Val:
    """The call, of tensors of one layout."""
    values = [b.tensor(b.lower(operand, order)) for operand in node.operands]
    expressions = tuple(value.expr for value in values)
    if node.axis is not None:
        layout = values[-1].layout
        dim = Lit(axis_number(layout, layout.index(node.axis)))
        above, below = collect(b, node.numbers, order)
        called = pointwise(Call(f"_runtime.{node.name}", (*expressions, dim)), *values, kind="real")
        return product(b, [called, *above], below)
    numbers = tuple(b.lower(value, order).expr for value in node.numbers if number(value) != 1)
    return pointwise(Call(f"_runtime.{node.name}", (*expressions, *numbers)), *values, kind="real")


def lower_whole(b: Builder, node: NormCall | AttentionCall, told: str) -> Val:
    """The call that makes a tensor; `told` are the formulas of what it does beside."""
    return lower_attention(b, node, told) if isinstance(node, AttentionCall) else lower_norm(b, node)


def lower_attention(b: Builder, node: AttentionCall, told: str) -> Val:
    """The call, of operands whose last two axes are rows and features; `told` are formulas of what it does beside."""
    own = node.of
    query, key, value = (_operand(b, own, access) for access in (own.query, own.key, own.value))
    options: list[tuple[str, TExpr]] = [("scale", b.lower(own.scale, ()).expr)] if own.scale != const(1) else []
    options += [("causal", Lit(value=True))] if own.condition is not None else []
    whole = (*own.batch, own.rows, own.channel)
    operands = (query.expr, key.expr, value.expr)
    if node.grad is None:
        return Val(Call("_runtime.attention", operands, tuple(options)), whole)
    assert node.item is not None
    known = ("attention", own.made.target)
    called = b.recall(known)
    if called is None:
        grad = b.solid(align(b.tensor(b.lower(node.grad, whole)), whole), whole)
        needs = _needs(node.needed)
        name = b.names.fresh("gradients")
        called = Val(Var(name))
        call = Call("_runtime.attention_gradients", (grad.expr, *operands, needs), tuple(options))
        b.needed_by = frozenset[str]().union(*node.needed)  # of the statement that they share
        b.statements.append(TorchStatement(name, call, told, b.needed_by))
        b.remember(known, called)
    axes, letters = (query, key, value)[node.item].layout, dict(node.letters)
    layout = tuple(None if axis is None else letters[axis] for axis in axes)
    return Val(Item(called.expr, Lit(node.item)), layout)


def _needs(results: Iterable[frozenset[str]]) -> TExpr:
    """Of each result whether one of the inputs is needed that it is for; no input: it is no result."""
    return Tup(tuple(Need(inputs) if inputs else Lit(value=False) for inputs in results))


def _operand(b: Builder, own: Attention, access: Access) -> Val:
    """The operand with its own axes in full, one of size 1 for each that it lacks between them."""
    has = own.layout(access)
    layout = tuple(axis if axis in has else None for axis in own.batch) + has[-2:]
    first = next(n for n, axis in enumerate(layout) if axis is not None)
    val = align(b.tensor(b.lower(access, layout)), layout)
    return b.solid(val, layout[first:])


def lower_norm(b: Builder, node: NormCall) -> Val:
    """The call, on the axes of what is normalised, which is last; statistics keep that axis with size 1."""
    full = tuple(sub for sub in node.operands[0].subs if isinstance(sub, Index))
    kept = (*full[:-1], None)
    values = [b.tensor(b.lower(operand, full)) for operand in node.operands]
    arguments: list[TExpr] = [value.expr for value in values]
    if node.name != "layer_norm" and not node.inverted:
        arguments[-1] = Infix("/", Lit(1), arguments[-1])
    for vector in (node.weight, node.bias) if node.name == "layer_norm" else (node.weight,):
        arguments.append(Lit(None) if vector is None else b.tensor(b.lower(vector, full[-1:])).expr)
    if node.eps is not None:
        arguments.append(b.lower(node.eps, ()).expr)
    if node.name == "layer_norm_weight_backward":
        return Val(Call(f"_runtime.{node.name}", tuple(arguments[:-1])), full[-1:])
    if node.needed:
        arguments.append(_needs(frozenset(() if name is None else (name,)) for name in node.needed))
    called: TExpr = Call(f"_runtime.{node.name}", tuple(arguments))
    if node.item is None:
        return Val(called, full)
    result = Item(called, Lit(node.item))
    if node.needed:
        return Val(result, full if node.item == 0 else full[-1:])
    return Val(Infix("/", Lit(1), result) if node.inverted else result, full if node.item == 0 else kept)
