"""Pointwise functions in IR; the user's own are expanded in place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tensorgrad_gen.elaborate import complexes, conditions, walk
from tensorgrad_gen.elaborate.collect import collect
from tensorgrad_gen.elaborate.names import Names
from tensorgrad_gen.elaborate.scope import Scope
from tensorgrad_gen.elaborate.vocabulary import COMPLEX, POINTWISE
from tensorgrad_gen.ir import Apply, Expr, Where, const
from tensorgrad_gen.spec.model import FunctionSpec
from tensorgrad_gen.syntax import parse_expression
from tensorgrad_gen.syntax import tree as t

if TYPE_CHECKING:
    from tensorgrad_gen.elaborate.expressions import Builder, Env

MOST_NODES = 100_000
DEEPEST = 32


@dataclass(slots=True)
class Functions:
    """The bodies of the user's functions, parsed and checked; sizes of expressions, for the limit."""

    scopes: dict[str, Scope] = field(default_factory=dict)
    bodies: dict[str, t.Tree] = field(default_factory=dict)
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    values: dict[tuple[str, tuple[Expr, ...]], Expr] = field(default_factory=dict)  # of calls expanded already
    _sizes: dict[Expr, int] = field(default_factory=dict)

    def size(self, expr: Expr) -> int:
        """How many nodes the expression has, shared ones counted each time."""
        known = self._sizes.get(expr)
        if known is None:
            known = 1 + sum(self.size(child) for child in expr.children)
            self._sizes[expr] = known
        return known


def read(names: Names) -> Functions:
    """Parse and check every user's function; those that call each other in a circle are errors."""
    out = Functions()
    for name, function in names.functions.items():
        body = parse_expression(function.body, names.report)
        if body is None or not _without_subscripts(body, function, names):
            continue
        arguments = tuple(argument.text for argument in function.arguments)
        scope = Scope(names, 0, {}, arguments=frozenset(arguments))
        before = len(names.report.diagnostics)
        collect(body, scope)
        if len(names.report.diagnostics) > before:
            continue
        out.scopes[name], out.bodies[name], out.parameters[name] = scope, body, arguments
    _check_calls(out, names)
    return out


def _without_subscripts(body: t.Tree, function: FunctionSpec, names: Names) -> bool:
    """Whether a body is pointwise: it has no index of its own."""
    for node in walk.nodes(body):
        if isinstance(node, t.Access | t.Bound | t.MatrixCall):
            message = f"the body of function `{function.name.text}` has subscripts"
            remedy = "a function is pointwise: pass what it needs as an argument"
            names.report.error("E207", message, node.span, remedy)
            return False
    return True


def _check_calls(functions: Functions, names: Names) -> None:
    """Functions call only functions that are expanded before them, to a bounded depth; others lose their bodies."""
    calls = {
        name: {n.name for n in walk.nodes(body) if isinstance(n, t.Call) and n.name in functions.bodies}
        for name, body in functions.bodies.items()
    }
    pending, ready = list(calls), list(calls)
    expanded: set[str] = set()
    for _ in range(DEEPEST):
        ready = [name for name in pending if calls[name] <= expanded]
        expanded.update(ready)
        pending = [name for name in pending if name not in expanded]
    for name in pending:
        if ready:
            code, message = "E604", f"function `{name}` calls others more than {DEEPEST} deep"
        else:
            code, message = "E317", f"function `{name}` calls itself, directly or through others"
        names.report.error(code, message, names.functions[name].name.span)
        del functions.bodies[name]


def call(builder: Builder, tree: t.Call, env: Env) -> Expr:
    """A pointwise function of its arguments; defaults are filled in."""
    if tree.name == "where":
        return _where(builder, tree, env)
    args = tuple(builder.number(arg, env) for arg in tree.args)
    if tree.name not in POINTWISE:
        return _expand(builder, tree, args)
    if tree.name in COMPLEX or complexes.complex_value(builder, *args):
        return complexes.call(builder, tree, args)
    if tree.name in ("max", "min"):
        value = args[0]
        for arg in args[1:]:
            value = Apply(tree.name, (value, arg))
        return value
    signature = POINTWISE[tree.name]
    missing = (signature.most or 0) - len(args)
    defaults = signature.defaults[len(signature.defaults) - missing :] if missing else ()
    return Apply(tree.name, (*args, *(const(d) for d in defaults)))


def _where(builder: Builder, tree: t.Call, env: Env) -> Expr:
    condition = conditions.condition(builder, tree.args[0], env)
    return Where(condition, builder.number(tree.args[1], env), builder.number(tree.args[2], env))


def _expand(builder: Builder, tree: t.Call, args: tuple[Expr, ...]) -> Expr:
    """The body of a user's function with values for its arguments."""
    functions = builder.functions
    if tree.name not in functions.bodies:
        return const(0)
    if (tree.name, args) in functions.values:
        return functions.values[tree.name, args]
    arguments = dict(zip(functions.parameters[tree.name], args))
    scope = functions.scopes[tree.name]
    inner = replace(builder, scope=scope, scoping=replace(builder.scoping, scope=scope, boxes=[]), arguments=arguments)
    value = inner.number(functions.bodies[tree.name], {})
    if functions.size(value) > MOST_NODES:
        message = f"`{tree.name}` expands to more than {MOST_NODES:,} nodes"
        value = builder.error("E605", message, tree.span)
    functions.values[tree.name, args] = value
    return value
