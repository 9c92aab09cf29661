"""Products that are one call of `_runtime`: how it is written."""

from __future__ import annotations

from tensorgrad_gen.ir import Index, number
from tensorgrad_gen.lower.arith import pointwise, product
from tensorgrad_gen.lower.attention import AttentionCall
from tensorgrad_gen.lower.builder import Builder
from tensorgrad_gen.lower.fused import Fused
from tensorgrad_gen.lower.model import Layout
from tensorgrad_gen.lower.norms import NormCall
from tensorgrad_gen.lower.pointwise import collect
from tensorgrad_gen.lower.torch_ir import Call, Infix, Item, Lit, Need, TExpr, TorchStatement, Tup, Var
from tensorgrad_gen.lower.values import Val, align, axis_number


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
    batch, i, j, d, e = own.axes
    layouts = ((own.query, (*batch, i, d)), (own.key, (*batch, j, d)), (own.value, (*batch, j, e)))
    operands = [align(b.tensor(b.lower(access, layout)), layout).expr for access, layout in layouts]
    options = (("scale", b.lower(own.scale, ()).expr), ("causal", Lit(own.condition is not None)))
    if node.grad is None:
        return Val(Call("_runtime.attention", tuple(operands), options), (*batch, i, e))
    assert node.item is not None
    grad = align(b.tensor(b.lower(node.grad, (*batch, i, e))), (*batch, i, e)).expr
    key = ("attention", own.made.target)
    called = b.recall(key)
    if called is None:
        name = b.names.fresh("gradients")
        called = Val(Var(name))
        call = Call("_runtime.attention_gradients", (grad, *operands), options)
        b.statements.append(TorchStatement(name, call, told, b.needed_by))
        b.remember(key, called)
    letters = dict(node.letters)
    return Val(Item(called.expr, Lit(node.item)), tuple(letters.get(i, i) for i in layouts[node.item][1]))


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
        arguments.append(Tup(tuple(Lit(value=False) if name is None else Need(name) for name in node.needed)))
    called: TExpr = Call(f"_runtime.{node.name}", tuple(arguments))
    if node.item is None:
        return Val(called, full)
    result = Item(called, Lit(node.item))
    if node.needed:
        return Val(result, full if node.item == 0 else full[-1:])
    return Val(Infix("/", Lit(1), result) if node.inverted else result, full if node.item == 0 else kept)
