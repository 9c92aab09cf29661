"""Stage `schedule`: each call once, nothing that is not read, each statement where its first reader is near.

Law: a body computes the same after as before; no statement moves before what it reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tensorgrad_gen.ir.budget import spend
from tensorgrad_gen.lower.model import Body, LoweredOp
from tensorgrad_gen.lower.names import Names, local_name
from tensorgrad_gen.lower.printer import print_texpr, reads, texpr_children
from tensorgrad_gen.lower.rename import rebuilt, renamed
from tensorgrad_gen.lower.torch_ir import (
    Attr,
    Call,
    Infix,
    Item,
    Lit,
    Method,
    Need,
    Prefix,
    TExpr,
    TorchStatement,
    Tup,
    Var,
)

Results = tuple[tuple[str, TExpr], ...]

# Views cost nothing worth a name.
_MOVES = {"transpose", "permute", "movedim", "unsqueeze", "squeeze", "expand"}
_VIEWS = _MOVES | {"diagonal", "select", "narrow", "detach", "numel"}
# Functions that may change their first argument, which then has no name by which others could read it.
_CHANGING = {"_runtime.add_diagonal", "_runtime.add_into"}
_WORDS = {"*": "product", "/": "quotient", "@": "product", "+": "total", "-": "difference", "sum": "total"}


def schedule(lowered: LoweredOp) -> LoweredOp:
    """The op with every body scheduled."""
    taken = _names_of(lowered, _bodies(lowered))
    params = frozenset(local_name(p.name) for p in lowered.plan.program.params)
    bodies = [scheduled(body, taken, params) for body in _bodies(lowered)]
    own = frozenset(map(local_name, lowered.plan.program.tensors))
    kept = _names_of(lowered, bodies) - {s.target for body in bodies for s in _helpers(body, own)}
    forward, *others = (_numbered(body, own, kept) for body in bodies)
    tangent = others.pop() if lowered.tangent else None
    valued = others.pop() if lowered.valued else None
    further = tuple(map(schedule, lowered.further))
    steps = tuple((name, schedule(step)) for name, step in lowered.steps)
    parts = tuple(map(schedule, lowered.parts))
    done = replace(lowered, forward=forward, backward=tuple(others), tangent=tangent, valued=valued)
    return replace(done, further=further, steps=steps, parts=parts)


def _bodies(lowered: LoweredOp) -> tuple[Body, ...]:
    more = (body for body in (lowered.valued, lowered.tangent) if body is not None)
    return (lowered.forward, *lowered.backward, *more)


def _names_of(lowered: LoweredOp, bodies: Iterable[Body]) -> frozenset[str]:
    """Every name in the op, whose bodies are these."""
    program = lowered.plan.program
    names = {*program.tensors, *(p.name for p in program.params)}
    for body in bodies:
        for statement in (*body.sizes, *body.statements):
            names |= {statement.target} | reads(statement.call)
        for _, expr in body.results:
            names |= reads(expr)
    return frozenset(names)


def _helpers(body: Body, own: frozenset[str]) -> list[TorchStatement]:
    """The tensors of the body that neither a formula nor the spec names, and no result is, in order."""
    others = own | {name for name, _ in body.results}
    return [s for s in body.statements if not s.formula and s.target not in others]


def _unnumbered(helper: TorchStatement) -> str:
    """Its name without a number; that of a function may end in one: `log2`."""
    word = _word(helper.call)
    return (
        word if helper.target.rstrip("0123456789") == word.rstrip("0123456789") else helper.target.rstrip("0123456789")
    )


def _numbered(body: Body, own: frozenset[str], kept: frozenset[str]) -> Body:
    """The body with its helpers counted in the order in which they stand: `mask`, `mask2`, `mask3`."""
    fresh = Names(kept)
    names = {helper.target: fresh.fresh(_unnumbered(helper)) for helper in _helpers(body, own)}
    statements = tuple(
        replace(s, target=names.get(s.target, s.target), call=renamed(s.call, names)) for s in body.statements
    )
    return replace(
        body, statements=statements, results=tuple((name, renamed(expr, names)) for name, expr in body.results)
    )


def scheduled(body: Body, taken: frozenset[str], params: frozenset[str] = frozenset()) -> Body:
    """One body: equal calls merged, repeated parts named, what is not read dropped, the rest sunk to its readers."""
    names = Names(taken)
    body = replace(
        body,
        statements=tuple(replace(s, call=_plain(s.call)) for s in body.statements),
        results=tuple((name, _plain(expr)) for name, expr in body.results),
    )
    statements, results = _merge(body, names)
    numbers = frozenset(s.target for s in body.sizes) | params
    statements, results = _apart(*_share(statements, results, numbers, names), names)
    return replace(body, statements=tuple(_sink(_live(statements, results))), results=results)


def _plain(expr: TExpr) -> TExpr:
    """The expression without views that undo one another."""
    expr = rebuilt(expr, _plain)
    match expr:
        case Attr(Attr(inner, "mT"), "mT"):
            return inner
        case Method(Method(inner, "unsqueeze", (Lit(one),), ()), "squeeze", (Lit(other),), ()) if one == other:
            return inner
    return expr


def _merge(body: Body, fresh: Names) -> tuple[list[TorchStatement], Results]:
    """A statement that calls what an earlier one calls gives way to it.

    Where results are made of both, the tensor gets a name of its own: neither result stands for the other.
    """
    given = {name for _, expr in body.results for name in reads(expr)}
    known: dict[str, int] = {}
    names: dict[str, str] = {}
    kept: list[TorchStatement] = []
    for statement in body.statements:
        call = renamed(statement.call, names)
        text = print_texpr(call)
        place = known.get(text)
        if place is None:
            known[text] = len(kept)
            kept.append(replace(statement, call=call))
            continue
        first = kept[place]
        if {first.target, statement.target} <= given:
            both = fresh.fresh(f"{first.target}_{statement.target.removeprefix('grad_')}")
            names[first.target] = both
            first = replace(first, target=both)
        names[statement.target] = first.target
        kept[place] = replace(first, needed_by=_either(first, statement))
    kept = [replace(s, call=renamed(s.call, names)) for s in kept]
    return kept, tuple((name, renamed(expr, names)) for name, expr in body.results)


def _apart(statements: list[TorchStatement], results: Results, fresh: Names) -> tuple[list[TorchStatement], Results]:
    """A tensor that several results are made of does not bear the name of one of them.

    That name is assigned again where the result is another layout of the tensor: `grad_x = grad_x.expand(B)`.
    """
    own = {prefix + name for name, _ in results for prefix in ("", "grad_", "tangent_")}
    read = Counter(name for _, expr in results for name in reads(expr))
    names = {s.target: fresh.fresh(s.target) for s in statements if read[s.target] > 1 and s.target in own}
    if not names:
        return statements, results
    renewed = [replace(s, target=names.get(s.target, s.target), call=renamed(s.call, names)) for s in statements]
    return renewed, tuple((name, renamed(expr, names)) for name, expr in results)


def _either(first: TorchStatement, second: TorchStatement) -> frozenset[str]:
    return first.needed_by | second.needed_by if first.needed_by and second.needed_by else frozenset()


class _Parts:
    """The parts of expressions that compute on tensors; equal ones have one number.

    A number and what is known of it are found once for each expression, from those of its children: an expression
    is rebuilt often, and mostly of parts that stay.
    """

    def __init__(self, numbers: frozenset[str]) -> None:
        self.numbers = numbers
        # By identity; the expression is kept too, so that no other one gets its identity.
        self._known: dict[int, tuple[TExpr, int, tuple[tuple[int, TExpr], ...]]] = {}
        self._inside_of: dict[int, frozenset[int]] = {}  # by the number of an expression, those of its parts
        self._numbers: dict[object, int] = {}
        self._reads: list[bool] = []  # of each number: whether it reads a tensor
        self._lengths: dict[int, int] = {}

    def of(self, expr: TExpr) -> tuple[tuple[int, TExpr], ...]:
        """Number and part, the innermost first, each as often as it occurs."""
        return self._look(expr)[2]

    def number(self, expr: TExpr) -> int:
        """The same for equal expressions, another for any other."""
        return self._look(expr)[1]

    def length(self, number: int, part: TExpr) -> int:
        """How long the text of the part is."""
        if number not in self._lengths:
            self._lengths[number] = len(print_texpr(part))
            spend(1 + self._lengths[number] // 4)
        return self._lengths[number]

    def has(self, expr: TExpr, number: int) -> bool:
        """Whether the expression has a part of that number."""
        known = self._known.get(id(expr)) or self._look(expr)
        inside = self._inside_of.get(known[1])
        if inside is None:
            inside = self._inside_of[known[1]] = frozenset(own for own, _ in known[2])
        return number in inside

    def replaced(self, expr: TExpr, number: int, by: Var) -> TExpr:
        """The expression with the variable in place of each part of that number."""
        if not self.has(expr, number):
            return expr
        if self.number(expr) == number:
            return by
        kept = _changed(expr)
        return rebuilt(
            expr, lambda part: self._inside(part, number, by) if part is kept else self.replaced(part, number, by)
        )

    def _inside(self, expr: TExpr, number: int, by: Var) -> TExpr:
        """The expression itself, its parts replaced."""
        return rebuilt(expr, lambda part: self.replaced(part, number, by))

    def _look(self, expr: TExpr) -> tuple[TExpr, int, tuple[tuple[int, TExpr], ...]]:
        known = self._known.get(id(expr))
        if known is None:
            spend()
            children = [self._look(child) for child in texpr_children(expr)]
            number = self._number(expr, [child[1] for child in children])
            parts = tuple(part for child in children for part in child[2])
            if _changed(expr) is not None:  # the last part of an argument is the argument itself
                parts = (*children[0][2][:-1], *(part for child in children[1:] for part in child[2]))
            if self._reads[number] and _computes(expr):
                parts = (*parts, (number, expr))
            known = self._known[id(expr)] = (expr, number, parts)
        return known

    def _number(self, expr: TExpr, children: list[int]) -> int:
        """By what the node itself says and the numbers of its children; a leaf by its text."""
        names = iter(children)
        own = rebuilt(expr, lambda _: Var(f"#{next(names)}")) if children else print_texpr(expr)
        number = self._numbers.setdefault(own, len(self._numbers))
        if number == len(self._reads):
            tensor = isinstance(expr, Var) and expr.name not in self.numbers
            self._reads.append(tensor or any(self._reads[child] for child in children))
        return number


def _changed(expr: TExpr) -> TExpr | None:
    """The argument that the call may change in place."""
    return expr.args[0] if isinstance(expr, Call) and expr.function in _CHANGING else None


class _Tally:
    """How often each part occurs in all expressions together, which are counted one by one."""

    def __init__(self, lookup: _Parts) -> None:
        self.lookup = lookup
        self.parts: dict[int, TExpr] = {}
        self.repeated: set[int] = set()
        self._counts: Counter[int] = Counter()

    def count(self, expr: TExpr, times: int = 1) -> None:
        """Count the parts of an expression that is there now, or (-1) is there no more."""
        for number, part in self.lookup.of(expr):
            self.parts[number] = part
            self._counts[number] += times
            (self.repeated.add if self._counts[number] > 1 else self.repeated.discard)(number)

    def change(self, before: list[TExpr], after: list[TExpr]) -> None:
        """Count what has come and what has gone; most expressions stay."""
        old, new = set(map(id, before)), set(map(id, after))
        if len(old) == len(before) and len(new) == len(after):
            before, after = [e for e in before if id(e) not in new], [e for e in after if id(e) not in old]
        stay = Counter(map(id, before)) & Counter(map(id, after))
        for exprs, times in ((before, -1), (after, 1)):
            left = Counter(stay)
            for expr in exprs:
                left[id(expr)] -= 1
                if left[id(expr)] < 0:
                    self.count(expr, times)

    def largest(self, exprs: Iterable[TExpr]) -> int:
        """The repeated part with the longest text; among equals the first in the expressions."""
        lengths = {number: self.lookup.length(number, self.parts[number]) for number in self.repeated}
        most = max(lengths.values())
        longest = {number for number, length in lengths.items() if length == most}
        if len(longest) == 1:
            return longest.pop()
        return next(number for expr in exprs for number, _ in self.lookup.of(expr) if number in longest)


def _share(
    statements: list[TorchStatement], results: Results, numbers: frozenset[str], names: Names
) -> tuple[list[TorchStatement], Results]:
    """A part that several places compute becomes a statement before the first, the largest part first."""
    lookup = _Parts(numbers)
    tally = _Tally(lookup)
    exprs = _calls(statements, results)
    for expr in exprs:
        tally.count(expr)
    while tally.repeated:
        largest = tally.largest(exprs)
        before = exprs
        statements, target = _named(statements, largest, tally.parts[largest], lookup, names)
        results = tuple((name, lookup.replaced(expr, largest, Var(target))) for name, expr in results)
        exprs = _calls(statements, results)
        tally.change(before, exprs)
    return statements, results


def _calls(statements: list[TorchStatement], results: Results) -> list[TExpr]:
    return [*(s.call for s in statements), *(expr for _, expr in results)]


def _named(
    statements: list[TorchStatement], number: int, part: TExpr, lookup: _Parts, names: Names
) -> tuple[list[TorchStatement], str]:
    """The statements with one that makes the part before the first that has it, and the name of it."""
    readers = [k for k, s in enumerate(statements) if lookup.has(s.call, number)]
    made = next((s for k in readers if lookup.number((s := statements[k]).call) == number), None)
    if made is None:
        needs = [statements[k].needed_by for k in readers]
        needed_by = frozenset[str]().union(*needs) if needs and all(needs) else frozenset[str]()
        made = TorchStatement(names.fresh(_word(part)), part, "", needed_by)
    out = list(statements)
    for k in readers:
        if statements[k] is not made:
            out[k] = replace(out[k], call=lookup.replaced(out[k].call, number, Var(made.target)))
    first = min(readers, default=len(statements))
    return [*out[:first], made, *(s for s in out[first:] if s is not made)], made.target


def _computes(expr: TExpr) -> bool:
    """Whether the expression itself computes: a view or a size costs nothing worth a name."""
    match expr:
        case Var() | Lit() | Need() | Attr() | Tup() | Item() | Prefix("*", _):
            return False
        case Method(_, name) if name in _VIEWS:
            return False
        case Call(function) if function.startswith("math.") or function in ("slice", "max", "min"):
            return False
    return True


def _word(part: TExpr) -> str:
    """A name that says what the part is."""
    match part:
        case Call(function):
            name = function.rsplit(".", 1)[-1]
            return {"where": "chosen", "threshold": "divisor"}.get(name, name)
        case Method(_, name):
            return _WORDS.get(name, name)
        case Infix(op, _, _):
            return _WORDS.get(op, "mask")
        case Prefix("~", _):
            return "mask"
    return "part"


def _live(statements: list[TorchStatement], results: Results) -> list[TorchStatement]:
    wanted = {name for _, expr in results for name in reads(expr)}
    kept = []
    for statement in reversed(statements):
        if statement.target in wanted:
            kept.append(statement)
            wanted |= reads(statement.call)
    return kept[::-1]


def _sink(statements: list[TorchStatement]) -> list[TorchStatement]:
    """Helpers without a formula move down to just before their first reader: they live no longer than needed."""
    readers: dict[str, list[int]] = {}
    for number, statement in enumerate(statements):
        for name in reads(statement.call):
            readers.setdefault(name, []).append(number)
    placed: list[int] = []
    for number in reversed(range(len(statements))):
        later = () if statements[number].formula else readers.get(statements[number].target, ())
        # `placed` is in reverse: the first reader is the last of it.
        placed.insert(max((placed.index(reader) + 1 for reader in later), default=len(placed)), number)
    return [statements[number] for number in reversed(placed)]
