"""Whether an expression is a number, a condition or a label, by its outermost form."""

from __future__ import annotations

from tensorgrad_gen.elaborate import walk
from tensorgrad_gen.elaborate.extents import Key
from tensorgrad_gen.elaborate.scope import Scope, order_zero_label
from tensorgrad_gen.elaborate.vocabulary import CONDITION_REDUCTIONS, LABEL_REDUCTIONS
from tensorgrad_gen.syntax.tree import Access, Binary, Bound, Comparison, Name, Tree, Unary


def tensor_kind(tree: Tree, scope: Scope) -> str | None:
    """The kind of the tensor that a single access is of; None if the tree is none."""
    tree = walk.strip(tree)
    if isinstance(tree, Access) or (isinstance(tree, Name) and _order_zero(tree.name, scope)):
        tensor = scope.names.tensors.get(tree.name)
        return None if tensor is None else tensor.kind
    return None


def _order_zero(name: str, scope: Scope) -> bool:
    return order_zero_label(name, scope.names) or (name not in scope.indices and name in scope.names.tensors)


def is_label(tree: Tree, scope: Scope) -> bool:
    """Whether the tree is a label: a tensor of labels, `argmax` or `argmin`."""
    tree = walk.strip(tree)
    if isinstance(tree, Bound):
        return tree.name in LABEL_REDUCTIONS
    return tensor_kind(tree, scope) == "label"


def is_condition(tree: Tree, scope: Scope) -> bool:
    """Whether the tree is a condition: a comparison, `and or not`, `any`, `all`, or a bool tensor."""
    tree = walk.strip(tree)
    if isinstance(tree, Comparison) or (isinstance(tree, Binary) and tree.op in ("and", "or")):
        return True
    if isinstance(tree, Unary):
        return tree.op == "not"
    if isinstance(tree, Bound):
        return tree.name in CONDITION_REDUCTIONS
    return tensor_kind(tree, scope) == "bool"


def kind_of(tree: Tree, scope: Scope) -> str:
    """The kind of the tensor that an equation with this right side defines."""
    return "label" if is_label(tree, scope) else "bool" if is_condition(tree, scope) else "real"


def label_axis(tree: Tree, scope: Scope) -> Key | None:
    """The axis that a label's values are positions along."""
    tree = walk.strip(tree)
    if isinstance(tree, Bound):
        letter = scope.plain(tree.subs[0]) if tree.subs else None
        return None if letter is None else scope.key(letter)
    if isinstance(tree, Access | Name) and tree.name in scope.names.tensors:
        return scope.names.tensors[tree.name].labels
    return None
