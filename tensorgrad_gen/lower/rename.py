"""Torch expressions over other parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tensorgrad_gen.lower.torch_ir import Attr, Call, Infix, Item, Method, Prefix, TExpr, Tup, Var


def rebuilt(expr: TExpr, change: Callable[[TExpr], TExpr]) -> TExpr:
    """The expression with each of its parts changed."""
    match expr:
        case Call(function, args, kwargs):
            return Call(function, tuple(map(change, args)), tuple((k, change(v)) for k, v in kwargs))
        case Method(receiver, name, args, kwargs):
            return Method(change(receiver), name, tuple(map(change, args)), tuple((k, change(v)) for k, v in kwargs))
        case Attr(receiver, name):
            return Attr(change(receiver), name)
        case Infix(op, left, right):
            return Infix(op, change(left), change(right))
        case Prefix(op, operand):
            return Prefix(op, change(operand))
        case Tup(items):
            return Tup(tuple(map(change, items)))
        case Item(receiver, key):
            return Item(change(receiver), change(key))
    return expr


def renamed(expr: TExpr, names: Mapping[str, str]) -> TExpr:
    """The expression with variables under other names."""
    if isinstance(expr, Var):
        return Var(names.get(expr.name, expr.name))
    return rebuilt(expr, lambda part: renamed(part, names)) if names else expr
