"""Conditions and labels in IR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorgrad_gen.elaborate import complexes, kinds, reductions, walk
from tensorgrad_gen.ir import Compare, Expr, Logic, Reduce
from tensorgrad_gen.syntax import tree as t

if TYPE_CHECKING:
    from tensorgrad_gen.elaborate.expressions import Builder, Env


def is_bare_condition(tree: t.Tree) -> bool:
    """Whether the tree is a condition without its brackets."""
    tree = walk.strip(tree)
    if isinstance(tree, t.Binary):
        return tree.op in ("and", "or")
    return isinstance(tree, t.Comparison) or (isinstance(tree, t.Unary) and tree.op == "not")


def condition(builder: Builder, tree: t.Tree, env: Env) -> Expr:
    """A condition: comparisons, `and or not`, `any`, `all`, bool tensors."""
    tree = walk.strip(tree)
    if isinstance(tree, t.Iverson):
        return condition(builder, tree.condition, env)
    if isinstance(tree, t.Comparison):
        left, right = _side(builder, tree.left, env), _side(builder, tree.right, env)
        if tree.op not in ("==", "!=") and complexes.complex_value(builder, left, right):
            complexes.refused(builder, tree)
        return Compare(tree.op, left, right)
    if isinstance(tree, t.Binary) and tree.op in ("and", "or"):
        return Logic(tree.op, tuple(condition(builder, arg, env) for arg in _operands(tree, tree.op)))
    if isinstance(tree, t.Unary) and tree.op == "not":
        return Logic("not", (condition(builder, tree.operand, env),))
    if kinds.is_condition(tree, builder.scope):
        if isinstance(tree, t.Bound):
            indices = {letter: builder.index(letter) for letter in reductions.letters(builder, tree)}
            body = condition(builder, tree.args[0], {**env, **indices})
            present = tuple(index for index in indices.values() if index in body.free)
            return Reduce(tree.name, present, body) if present else body
        _bound_here(builder, tree, env)
        return builder.bool_access(tree, env)
    text = builder.scoping.text(tree)
    return builder.error("E314", f"{text} is no condition", tree.span, "compare it: `... > 0`, `... != 0`")


def _operands(tree: t.Tree, op: str) -> list[t.Tree]:
    out: list[t.Tree] = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, t.Binary) and node.op == op:
            stack += [node.right, node.left]
        else:
            out.append(node)
    return out


def _side(builder: Builder, tree: t.Tree, env: Env) -> Expr:
    """A side of a comparison: a number, or a label."""
    if kinds.is_label(tree, builder.scope):
        return label(builder, tree, env)
    before, builder.labels_count = builder.labels_count, True
    value = builder.number(tree, env)
    builder.labels_count = before
    return value


def label(builder: Builder, tree: t.Tree, env: Env) -> Expr:
    """A label: an access of a tensor of labels, `argmax` or `argmin`."""
    tree = walk.strip(tree)
    if isinstance(tree, t.Bound):
        return reductions.value(builder, tree, env)
    _bound_here(builder, tree, env)
    assert isinstance(tree, t.Name | t.Access)
    return builder.label_access(tree, env)


def _bound_here(builder: Builder, tree: t.Tree, env: Env) -> None:
    """Nothing is summed over the index of a condition or a label: each is free or bound around it."""
    for letter, span in builder.scope.letters(tree).items():
        if letter in env:
            continue
        if builder.scope.multiplicity(tree, letter) > 1:
            message = f"{builder.scoping.text(tree)} would be summed over `{letter}`, and is no number"
            builder.error("E314", message, span, f"reduce it: `any[{letter}](...)`")
        else:
            builder.scoping.once(letter, tree)
