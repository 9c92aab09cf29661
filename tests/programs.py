"""Random well-typed programs.

Products, sums, nested functions, repeated indices, labels, conditions, reductions, several statements and outputs.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random

from tensorgrad_gen.algebra import accesses, apart
from tensorgrad_gen.ir import (
    Access,
    Apply,
    Compare,
    Delta,
    Expr,
    Extent,
    Index,
    Input,
    Iverson,
    Parameter,
    Position,
    Program,
    Reduce,
    Scan,
    Statement,
    Sum,
    Where,
    add,
    const,
    inverse,
    mul,
    number,
    power,
)

SMOOTH = ("exp", "sin", "tanh", "sigmoid", "softplus", "gelu", "silu", "cos", "atan", "erf")
KINKED = ("relu", "abs", "leaky_relu")
EXTENTS = ("a", "b", "c")


class Generator:
    """Draws one program from a source of randomness."""

    def __init__(self, random: Random, size: int = 3) -> None:
        self.random = random
        self.size = size
        letters = {e: Index(e, e) for e in EXTENTS}
        a, b, c = letters.values()
        self.inputs = (
            Input("x", (a, b)),
            Input("y", (b, c)),
            Input("z", (a,)),
            Input("w", (c, a, Index("c2", "c"))),
            Input("s", ()),
            Input("t", (a,), kind="label", grad=False, labels="b"),
        )
        self.tensors: dict[str, tuple[Index, ...]] = {i.name: i.indices for i in self.inputs if i.kind == "real"}
        self.count = 0

    def program(self) -> Program:
        """A program of one to three statements, one or two outputs."""
        statements = []
        for number_ in range(self.random.randint(1, 3)):
            statement = self.statement(f"u{number_}")
            statements.append(statement)
            self.tensors[statement.target] = statement.indices
        outputs = [statements[-1].target]
        if len(statements) > 1 and self.random.random() < 0.4:
            outputs.append(statements[0].target)
        axes = (
            ("a", (("x", -2), ("z", -1), ("w", -2), ("t", -1))),
            ("b", (("x", -1), ("y", -2))),
            ("c", (("y", -1), ("w", -3), ("w", -1))),
        )
        params = (Parameter("p", Fraction(3, 2), "real"),)
        return Program("random_op", "", self.inputs, params, (), tuple(statements), tuple(outputs), axes)

    def statement(self, name: str) -> Statement:
        """One statement on up to two free indices."""
        free = []
        for extent in self.random.sample(EXTENTS, self.random.randint(0, 2)):
            free.append(Index(self.random.choice((extent, f"{extent}f")), extent))
        value = self.expr(tuple(free), self.size)
        # text gives the extent of an index by a tensor that has it
        lacking = [i for i in free if not any(i in a.free for a in accesses(value))]
        value = mul(value, *(self.reader((i,)) for i in lacking))
        if any(i not in value.free for i in free):
            free = [i for i in free if i in value.free]
        return Statement(name, tuple(free), apart(value, frozenset(free)))

    def index(self, extent: str, scope: tuple[Index, ...]) -> Index:
        same = [i for i in scope if i.extent == extent]
        if same and self.random.random() < 0.8:
            return self.random.choice(same)
        return Index("", extent)  # to be bound by the caller

    def reader(self, must: tuple[Index, ...]) -> Expr:
        """An access of order one to one of the indices."""
        names = {"a": ("z", ()), "b": None, "c": None}
        (index,) = must
        if names[str(index.extent)] is not None:
            return Access("z", (index,))
        new = self.new(Index("k", "c" if index.extent == "b" else "b"))
        subs = (index, new) if index.extent == "b" else (new, index)
        return Sum((new,), Access("y", subs))

    def new(self, like: Index) -> Index:
        self.count += 1
        return Index(f"q{self.count}", like.extent)

    def access(self, scope: tuple[Index, ...]) -> Expr:
        """A tensor at indices in scope, at a label, or summed over new ones."""
        tensor = self.random.choice(sorted(self.tensors))
        subs: list[Index | Expr] = []
        bound = []
        for axis in self.tensors[tensor]:
            rows = [i for i in scope if i.extent == "a"]
            if axis.extent == "b" and rows and self.random.random() < 0.2:
                subs.append(Access("t", (self.random.choice(rows),)))
                continue
            index = self.index(str(axis.extent), scope + tuple(bound))
            if not index.name:
                index = self.new(axis)
                bound.append(index)
            subs.append(index)
        value: Expr = Access(tensor, tuple(subs))
        return self.bind(tuple(bound), value) if bound else value

    def bind(self, bound: tuple[Index, ...], body: Expr) -> Expr:
        kind = self.random.random()
        if kind < 0.75:
            scaled = mul(inverse(Extent(str(bound[0].extent))), body) if self.random.random() < 0.3 else body
            return Sum(bound, scaled)
        return Reduce(self.random.choice(("max", "min", "logsumexp", "norm", "prod")), bound, body)

    def expr(self, scope: tuple[Index, ...], depth: int) -> Expr:
        """A real expression whose free indices are in scope."""
        if depth <= 0:
            return self.random.choice((self.access, self.access, self.access, self.leaf))(scope)
        makers = (
            (self.product, 6), (self.total, 4), (self.function, 4), (self.contraction, 5), (self.quotient, 2),
            (self.square, 2), (self.choice, 1), (self.masked, 1), (self.scan, 1), (self.access, 2), (self.delta, 1),
        )  # fmt: skip
        weights = [w for _, w in makers]
        maker = self.random.choices([m for m, _ in makers], weights)[0]
        return maker(scope) if maker == self.access else maker(scope, depth - 1)

    def leaf(self, scope: tuple[Index, ...]) -> Expr:
        from tensorgrad_gen.ir import Param

        return self.random.choice((const(2), const(Fraction(-1, 3)), Param("p", "real"), Access("s", ())))

    def product(self, scope: tuple[Index, ...], depth: int) -> Expr:
        return mul(*(self.expr(scope, depth) for _ in range(self.random.randint(2, 3))))

    def total(self, scope: tuple[Index, ...], depth: int) -> Expr:
        return add(*(self.expr(scope, depth) for _ in range(2)))

    def function(self, scope: tuple[Index, ...], depth: int) -> Expr:
        inside = self.expr(scope, depth)
        if number(inside) is not None:
            return inside
        name = self.random.choice(SMOOTH if self.random.random() < 0.8 else KINKED)
        args = {"softplus": (const(1),), "leaky_relu": (const(Fraction(1, 100)),)}.get(name, ())
        # tanh keeps the values of nested functions of order one
        return Apply(name, (Apply("tanh", (inside,)) if name == "exp" else inside, *args))

    def contraction(self, scope: tuple[Index, ...], depth: int) -> Expr:
        extent = self.random.choice(EXTENTS)
        index = self.new(Index("k", extent))
        body = mul(*(self.expr((*scope, index), depth - 1) for _ in range(2)))
        if not any(index in a.free for a in accesses(body)):
            body = mul(body, self.reader((index,)))
        return self.bind((index,), body) if self.random.random() < 0.3 else Sum((index,), body)

    def quotient(self, scope: tuple[Index, ...], depth: int) -> Expr:
        below = add(const(1), power(self.expr(scope, depth), 2))
        return mul(self.expr(scope, depth), self.random.choice((inverse(below), Apply("rsqrt", (below,)))))

    def square(self, scope: tuple[Index, ...], depth: int) -> Expr:
        return power(self.expr(scope, depth), self.random.choice((2, 2, 3)))

    def condition(self, scope: tuple[Index, ...]) -> Expr:
        pairs = [(i, j) for i in scope for j in scope if i is not j and i.extent == j.extent]
        if pairs and self.random.random() < 0.6:
            i, j = self.random.choice(pairs)
            return Compare("<=", Position(i), Position(j))
        return Compare(">", self.access(scope), const(Fraction(1, 10)))

    def choice(self, scope: tuple[Index, ...], depth: int) -> Expr:
        return Where(self.condition(scope), self.expr(scope, depth), self.expr(scope, depth))

    def masked(self, scope: tuple[Index, ...], depth: int) -> Expr:
        return mul(Iverson(self.condition(scope)), self.expr(scope, depth))

    def delta(self, scope: tuple[Index, ...], depth: int) -> Expr:
        pairs = [(i, j) for i in scope for j in scope if i.name < j.name and i.extent == j.extent]
        rest = self.expr(scope, depth)
        if not pairs:
            return rest
        left, right = self.random.choice(pairs)
        return mul(Delta(left, right), self.reader((left,)), rest)

    def scan(self, scope: tuple[Index, ...], depth: int) -> Expr:
        body = self.expr(scope, depth)
        mine = sorted((i for i in body.free if i in scope), key=lambda i: i.name)
        if not mine:
            return body
        return Scan(self.random.choice(("softmax", "log_softmax")), (self.random.choice(mine),), body)


def random_program(random: Random, size: int = 3) -> Program:
    """One program; its dummies are renamed apart."""
    return Generator(random, size).program()


__all__ = ["Generator", "random_program"]
