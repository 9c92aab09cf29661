"""Generated code with one fault in it: each a change of one node of the syntax tree.

A fault is of a kind that a code generator makes: a sign, a term or a factor lost, an axis taken for another, a sum
forgotten, tensors saved in one order and taken in another, a gradient pruned that was wanted.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tensorgrad_gen.render.names import class_name

METHODS = ("forward", "setup_context", "backward", "jvp")
AXES = frozenset(
    {
        *("amax", "amin", "cumprod", "cumsum", "flip", "index_select", "log_softmax", "logsumexp", "movedim", "narrow"),
        *("prod", "select", "size", "softmax", "squeeze", "sum", "unflatten", "unsqueeze", "vector_norm"),
    }
)
OTHER_FUNCTION = {
    "amax": "amin",
    "amin": "amax",
    "cumsum": "cumprod",
    "erf": "tanh",
    "exp": "expm1",
    "log": "log1p",
    "log_softmax": "softmax",
    "logdet": "det",
    "rsqrt": "sqrt",
    "sigmoid": "tanh",
    "softmax": "log_softmax",
    "sqrt": "rsqrt",
    "tanh": "sin",
}
OTHER_COMPARISON: dict[type[ast.cmpop], str] = {
    ast.Lt: ">",
    ast.LtE: ">=",
    ast.Gt: "<",
    ast.GtE: "<=",
    ast.Eq: "!=",
    ast.NotEq: "==",
}
Change = tuple[str, ast.AST, str]  # kind, what is replaced, by what


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of a source: `before` becomes `after` at a place (line, column; counted from 0)."""

    op: str
    kind: str
    start: tuple[int, int]
    end: tuple[int, int]
    before: str
    after: str

    def applied(self, source: str) -> str:
        """The source with the change in it."""
        lines = source.split("\n")
        (first, left), (last, right) = self.start, self.end
        lines[first : last + 1] = [lines[first][:left] + self.after + lines[last][right:]]
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.op}:{self.start[0] + 1}: {self.kind}: {self.before} -> {self.after}"


def mutants(source: str, op: str) -> list[Mutant]:
    """Every mutant of the op's own code; the helpers beside it stay as they are."""
    found: dict[tuple[tuple[int, int], tuple[int, int], str], Mutant] = {}
    for function in _functions(ast.parse(source), op):
        known = _Known.of(function)
        for node in ast.walk(function):
            for kind, place, after in _changes(node, known):
                assert isinstance(place, ast.expr | ast.stmt)
                start = (place.lineno - 1, place.col_offset)
                end = ((place.end_lineno or 0) - 1, place.end_col_offset or 0)
                before = ast.unparse(place)
                if ast.unparse(ast.parse(after)) != before:
                    found.setdefault((start, end, after), Mutant(op, kind, start, end, before, after))
    return list(found.values())


def chosen(all_: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """`count` of them, of as many kinds as there are; the same ones each time."""
    rng = random.Random(seed)
    kinds: dict[str, list[Mutant]] = {}
    for mutant in rng.sample(all_, len(all_)):
        kinds.setdefault(mutant.kind, []).append(mutant)
    order = [mutant for _, _, mutant in sorted(_ranked(kinds), key=lambda row: row[:2])]
    return order[:count]


def _ranked(kinds: dict[str, list[Mutant]]) -> Iterator[tuple[int, int, Mutant]]:
    """Each mutant with its place within its kind, so that every kind has its turn."""
    for number, members in enumerate(kinds.values()):
        yield from ((turn, number, mutant) for turn, mutant in enumerate(members))


def _functions(tree: ast.Module, op: str) -> Iterator[ast.FunctionDef]:
    """The blocks of backward, the rows of forward, and the methods of the op's Functions."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("_backward_", "_forward_")):
            yield node
        if isinstance(node, ast.ClassDef) and node.name.startswith(class_name(op)):
            yield from (n for n in node.body if isinstance(n, ast.FunctionDef) and n.name in METHODS)


@dataclass(frozen=True, slots=True)
class _Known:
    """Names in a function: what it is given (as argument, or saved), and what tells which gradients to make."""

    given: frozenset[str]
    needs: tuple[str, ...]

    @staticmethod
    def of(function: ast.FunctionDef) -> _Known:
        names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        given = {argument.arg for argument in function.args.args}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and ast.unparse(node.value) == "ctx.saved_tensors":
                given |= {name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)}
        return _Known(frozenset(given), tuple(sorted(name for name in names if name.startswith("need_"))))


def _changes(node: ast.AST, known: _Known) -> Iterator[Change]:
    for change in CHANGES:
        yield from change(node)
    yield from _in_place(node, known.given)
    yield from _needs(node, known.needs)


# expressions -----------------------------------------------------------------------------------


def _text(node: ast.AST) -> str:
    return f"({ast.unparse(node)})"


def _method(node: ast.AST, *names: str) -> ast.Call | None:
    """The node, if it is a call of a method or function of one of the names."""
    if not isinstance(node, ast.Call):
        return None
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return node if name in names else None


def _receiver(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return _text(call.func.value)


def _number(node: ast.AST) -> int | None:
    """The whole number that a node spells."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _signs(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        other = "-" if isinstance(node.op, ast.Add) else "+"
        yield "sign flipped", node, f"({_text(node.left)} {other} {_text(node.right)})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _number(node) is None:
        yield "sign flipped", node, _text(node.operand)


def _terms(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield "term dropped", node, _text(node.left)
        sign = "-" if isinstance(node.op, ast.Sub) else ""
        yield "term dropped", node, f"({sign}{_text(node.right)})"


def _factors(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.Pow):
        yield "factor missing", node, _text(node.left)
        if isinstance(node.op, ast.Mult):
            yield "factor missing", node, _text(node.right)


def _scales(node: ast.AST) -> Iterator[Change]:
    if not isinstance(node, ast.BinOp):
        return
    for side in (node.left, node.right):
        if isinstance(side, ast.Constant) and isinstance(side.value, int | float):
            yield "scale off", side, f"({side.value} * 1.5)" if isinstance(side.value, float) else str(side.value + 1)


def _axes(node: ast.AST) -> Iterator[Change]:
    if (call := _method(node, *AXES)) is not None:
        for argument in call.args:
            if (axis := _number(argument)) is not None:
                yield "axis swapped", argument, str(axis - 1 if axis < 0 else axis + 1)
    if (call := _method(node, "permute")) is not None and len(call.args) > 1:
        first, second = call.args[:2]
        yield "axis swapped", first, ast.unparse(second)
        words = ", ".join(ast.unparse(a) for a in [second, first, *call.args[2:]])
        yield "axis swapped", call, f"{ast.unparse(call.func)}({words})"
    if isinstance(node, ast.Attribute) and node.attr == "mT":
        yield "axis swapped", node, _text(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield "axis swapped", node.left, f"{_text(node.left)}.mT"
        yield "axis swapped", node.right, f"{_text(node.right)}.mT"
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".shape"):
        axis = _number(node.slice)
        if axis is not None:
            yield "axis swapped", node.slice, str(axis - 1 if axis < 0 else axis + 1)


def _sums(node: ast.AST) -> Iterator[Change]:
    call = _method(node, "sum")
    if call is None or not isinstance(call.func, ast.Attribute):
        return
    axis = _number(call.args[0]) if call.args else None
    kept = any(word.arg == "keepdim" for word in call.keywords)
    if axis is None:
        yield "sum missing", node, f"{_receiver(call)}.reshape(-1)[0]"
    elif kept:
        yield "sum missing", node, _receiver(call)
        yield "sum missing", node, f"{_receiver(call)}.narrow({axis}, 0, 1)"
    else:
        yield "sum missing", node, f"{_receiver(call)}.select({axis}, 0)"


def _functions_swapped(node: ast.AST) -> Iterator[Change]:
    if (call := _method(node, *OTHER_FUNCTION)) is not None and isinstance(call.func, ast.Attribute):
        words = [*map(ast.unparse, call.args), *(f"{k.arg}={ast.unparse(k.value)}" for k in call.keywords)]
        name = f"{ast.unparse(call.func.value)}.{OTHER_FUNCTION[call.func.attr]}"
        yield "another function", node, f"{name}({', '.join(words)})"


def _comparisons(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare) and (other := OTHER_COMPARISON.get(type(node.ops[0]))):
        yield "comparison flipped", node, f"({_text(node.left)} {other} {_text(node.comparators[0])})"


def _masks(node: ast.AST) -> Iterator[Change]:
    if (call := _method(node, "where")) is not None and len(call.args) == 3:
        condition, then, other = map(ast.unparse, call.args)
        yield "mask dropped", node, f"({then})"
        yield "comparison flipped", node, f"torch.where(~({condition}), {then}, {other})"


def _conjugates(node: ast.AST) -> Iterator[Change]:
    if (call := _method(node, "conj")) is not None:
        yield "conj missing", node, _receiver(call)


def _parts(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Attribute) and node.attr in ("real", "imag"):
        yield "another part", node, f"{_text(node.value)}.{'imag' if node.attr == 'real' else 'real'}"


def _copies(node: ast.AST) -> Iterator[Change]:
    """A result that is its own tensor becomes a view of what it was copied from."""
    if (call := _method(node, "clone", "contiguous")) is not None:
        yield "alias", node, _receiver(call)


def _casts(node: ast.AST) -> Iterator[Change]:
    if (call := _method(node, "to")) is not None and len(call.args) == 1:
        yield "cast dropped", node, _receiver(call)
    if (call := _method(node, "_cast")) is not None and len(call.args) == 2:
        yield "cast dropped", node, _text(call.args[0])


# what is saved, pruned, added up -----------------------------------------------------------------


def _swapped(items: list[ast.expr]) -> Iterator[str]:
    """The items, each pair of neighbours swapped in turn."""
    words = [ast.unparse(item) for item in items]
    for k in range(len(words) - 1):
        yield ", ".join([*words[:k], words[k + 1], words[k], *words[k + 2 :]])


def _saved(node: ast.AST) -> Iterator[Change]:
    if (call := _method(node, "save_for_backward", "_save_for_forward")) is not None:
        context = [word for word in call.args if ast.unparse(word) == "ctx"]
        for words in _swapped([word for word in call.args if word not in context]):
            yield "wrong saved tensor", node, f"{ast.unparse(call.func)}({'ctx, ' if context else ''}{words})"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        source = ast.unparse(node.value)
        if source in ("ctx.saved_tensors", "ctx.sizes", "ctx.params"):
            for words in _swapped(node.targets[0].elts):
                yield "wrong saved tensor", node, f"{words} = {source}"


def _returned(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        for words in _swapped(node.value.elts):
            yield "wrong gradient", node, f"return ({words})"
        for k, item in enumerate(node.value.elts):
            if ast.unparse(item) != "None":
                words = [ast.unparse(other) if n != k else "None" for n, other in enumerate(node.value.elts)]
                yield "wrong gradient pruned", node, f"return ({', '.join(words)},)"


def _pruned(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.If | ast.IfExp) and "need_" in ast.unparse(node.test):
        yield "wrong gradient pruned", node.test, f"(not {_text(node.test)})"


def _needs(node: ast.AST, needs: tuple[str, ...]) -> Iterator[Change]:
    """One input's need taken for another's."""
    if isinstance(node, ast.If | ast.IfExp):
        for name in (n for n in ast.walk(node.test) if isinstance(n, ast.Name) and n.id in needs):
            yield "wrong gradient pruned", name, needs[(needs.index(name.id) + 1) % len(needs)]


def _cotangents(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.If) and "is not None" in ast.unparse(node.test):
        compare = next((n for n in ast.walk(node.test) if isinstance(n, ast.Compare)), None)
        if compare is not None:
            yield "None not handled", compare, "True"
            yield "None not handled", compare, "False"
    if (call := _method(node, "_add")) is not None and len(call.args) == 2:
        yield "contribution lost", node, _text(call.args[0])
        yield "contribution lost", node, _text(call.args[1])


def _in_place(node: ast.AST, given: frozenset[str]) -> Iterator[Change]:
    """`a * b` written into `a`, where `a` is an argument or what was taken from one."""
    if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Name) and node.left.id in given:
        names: dict[type[ast.operator], str] = {ast.Mult: "mul_", ast.Add: "add_", ast.Sub: "sub_", ast.Div: "div_"}
        if method := names.get(type(node.op)):
            yield "in place", node, f"{node.left.id}.{method}({ast.unparse(node.right)})"
    if (call := _method(node, "exp", "neg", "sqrt", "rsqrt", "sigmoid", "tanh", "erf", "abs")) is not None:
        argument = call.args[0] if call.args else None
        if isinstance(argument, ast.Name) and argument.id in given:
            assert isinstance(call.func, ast.Attribute)
            yield "in place", node, f"{argument.id}.{call.func.attr}_()"


CHANGES: tuple[Callable[[ast.AST], Iterator[Change]], ...] = (
    _signs,
    _terms,
    _factors,
    _scales,
    _axes,
    _sums,
    _functions_swapped,
    _comparisons,
    _masks,
    _conjugates,
    _parts,
    _copies,
    _casts,
    _saved,
    _returned,
    _pruned,
    _cotangents,
)
