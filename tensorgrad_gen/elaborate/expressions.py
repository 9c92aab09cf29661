"""Second pass: surface trees -> IR, every implicit sum written out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

from tensorgrad_gen.elaborate import complexes, conditions, functions, matrix, positions, reductions, walk
from tensorgrad_gen.elaborate.extents import Key
from tensorgrad_gen.elaborate.scope import Scope, order_zero_label
from tensorgrad_gen.elaborate.scoping import Scoping
from tensorgrad_gen.elaborate.vocabulary import CONDITION_REDUCTIONS, LABEL_REDUCTIONS, MATRIX_FUNCTIONS
from tensorgrad_gen.errors import Span
from tensorgrad_gen.ir import (
    Access,
    Const,
    Delta,
    Expr,
    Index,
    Iverson,
    LeviCivita,
    Param,
    Position,
    Special,
    Sub,
    Sum,
    add,
    const,
    inverse,
    mul,
    neg,
    number,
    power,
)
from tensorgrad_gen.syntax import tree as t

Env: TypeAlias = "dict[str, Index]"
ONE, ZERO = const(1), const(0)
UNKNOWN = "?"  # the extent of an index that nothing gives, which is reported
LARGEST_POWER = 4096  # bits


@dataclass(slots=True)
class Builder:
    """Builds the expressions of one equation, or of the body of a user's function.

    `define(stem, indices, value, kind)` adds a statement before the one that is built, and names it.
    An `Env` maps the letters that are free, or bound around the place at hand, to indices.
    After an error that is reported, zero stands for what cannot be built.
    """

    scope: Scope
    scoping: Scoping
    matrix_target: Callable[[matrix.MatrixUse], str]
    define: Callable[[str, tuple[Index, ...], Expr, str], str]
    functions: functions.Functions
    arguments: dict[str, Expr]
    labels_count: bool = False  # inside a comparison a label is a number

    def index(self, letter: str, env: Env | None = None) -> Index:
        """The index of a letter: the one in the environment, or a new one."""
        if env is not None and letter in env:
            return env[letter]
        extent = self.scope.names.extents.extent(self.scope.key(letter))
        return Index(letter, UNKNOWN if extent is None else extent)

    def other_index(self, letter: str, env: Env) -> Index:
        """An index along the same axis with a name that neither a letter of the equation nor one around has."""
        number_, taken = 1, {*self.scope.indices, *(index.name for index in env.values())}
        while f"{letter}{number_}" in taken:
            number_ += 1
        return Index(f"{letter}{number_}", self.index(letter).extent)

    def extent(self, letter: str) -> Expr:
        """The extent of a letter as a number."""
        return reductions.extent_of(self.index(letter))

    def error(self, code: str, message: str, span: Span, help: str | None = None) -> Expr:
        """Report an error; the value stands for what cannot be built."""
        self.scope.names.report.error(code, message, span, help)
        return ZERO

    def number(self, tree: t.Tree, env: Env) -> Expr:
        """The value of an expression: the sum of its additive terms."""
        return add(*(self._term(term, env) for term in walk.terms(tree)))

    def _term(self, term: walk.Term, env: Env) -> Expr:
        factors, negative = walk.factors(term.tree)
        here = self.scoping.summed_here(term.tree, factors, frozenset(env))
        inner = {**env, **{letter: self.index(letter) for letter in here}}
        values = [self._factor(factor, inner) for factor in factors]
        letters = [[i for i in here if i in self.scope.letters(factor.tree)] for factor in factors]
        outside = [value for value, own in zip(values, letters) if not own]
        sums = [_sum([inner[i] for i in own], [values[n] for n in members]) for own, members in _groups(here, letters)]
        value = mul(*outside, *sums)
        return neg(value) if negative ^ term.negative else value

    def _factor(self, factor: walk.Factor, env: Env) -> Expr:
        value = self.value(factor.tree, env)
        if not factor.inverted:
            return value
        if number(value) == 0 and isinstance(walk.strip(factor.tree), t.Number):
            return self.error("E117", "division by zero", factor.tree.span)
        return inverse(value) if number(value) != 0 else ZERO

    def value(self, tree: t.Tree, env: Env) -> Expr:
        """The value of a single factor."""
        if isinstance(tree, t.Number):
            return Const(tree.value)
        if isinstance(tree, t.Name):
            return self._name(tree, env)
        if isinstance(tree, t.Access):
            return self._access(tree, env)
        if conditions.is_bare_condition(tree):
            return self.error(
                "E314", "a condition is no number", tree.span, "write it in brackets: 1 where it holds, 0 elsewhere"
            )
        self.scoping.boxes.append(tree)
        value = self._box(tree, env)
        self.scoping.boxes.pop()
        return value

    def _box(self, tree: t.Tree, env: Env) -> Expr:
        if isinstance(tree, t.Paren):
            return self.number(tree.inner, env)
        if isinstance(tree, t.Iverson):
            return Iverson(conditions.condition(self, tree.condition, env))
        if isinstance(tree, t.Bound) and tree.name in CONDITION_REDUCTIONS:
            return Iverson(conditions.condition(self, tree, env))
        if isinstance(tree, t.Bound):
            return self._bound(tree, env)
        if isinstance(tree, t.MatrixCall):
            return self._matrix(tree, env)
        if isinstance(tree, t.Call):
            if tree.name == "size":
                arg = walk.strip(tree.args[0])
                return self.extent(arg.name) if isinstance(arg, t.Name) else ZERO
            if tree.name in MATRIX_FUNCTIONS:
                return self._matrix(tree, env)
            return functions.call(self, tree, env)
        if isinstance(tree, t.Binary) and tree.op == "^":
            return self._power(tree, env)
        return self.number(tree, env)

    def _bound(self, tree: t.Bound, env: Env) -> Expr:
        if tree.name in LABEL_REDUCTIONS and not self.labels_count:
            message = f"`{tree.name}` gives a label, and cannot be used as a number"
            remedy = "give it an equation of its own, and use its name as a subscript"
            return self.error("E307", message, tree.span, remedy)
        return reductions.value(self, tree, env)

    def _power(self, tree: t.Binary, env: Env) -> Expr:
        base, exponent = self.number(tree.left, env), self.number(tree.right, env)
        x, n = number(base), number(exponent)
        if x is not None and n is not None:
            bits = max(x.numerator.bit_length(), x.denominator.bit_length())
            if x not in (0, 1, -1) and bits * abs(n) > LARGEST_POWER:
                return self.error("E607", f"a constant power beyond {LARGEST_POWER} bits", tree.span)
            if x == 0 and n < 0:
                return self.error("E117", "division by zero", tree.span)
            if x != 0 and n.denominator == 1:
                return Const(Fraction(x) ** int(n))
        return (
            complexes.raised(base, exponent) if complexes.complex_value(self, base, exponent) else power(base, exponent)
        )

    def _name(self, tree: t.Name, env: Env) -> Expr:
        name, names = tree.name, self.scope.names
        if name in self.arguments:
            return self.arguments[name]
        if name in self.scope.indices:
            return Position(self.index(name, env))
        if name in names.params:
            return Param(name, names.params[name].kind)
        if name in names.sizes:
            return self.extent(names.sizes[name].index.text)
        if name in names.tensors:
            return self._tensor(tree, (), env)
        return Special(name)

    def _access(self, tree: t.Access, env: Env) -> Expr:
        if tree.name == "one":
            return ONE
        if tree.name == "levi_civita":
            return LeviCivita(tuple(self.index(self.scope.plain(sub) or "", env) for sub in tree.subs))
        if tree.name == "delta":
            return Delta(*self._subs(tree.subs, env, (None, None)))
        keys = self.scope.names.tensors[tree.name].keys
        value = self._tensor(tree, self._subs(tree.subs, env, keys), env)
        inside = [positions.inside(self, sub, key, env) for sub, key in zip(tree.subs, keys) if self.is_position(sub)]
        return mul(*(condition for condition in inside if condition is not None), value)

    def is_position(self, sub: t.Subscript) -> bool:
        """Whether a subscript is a position: not a plain index, not a label."""
        value = sub.value if sub.value is None else walk.strip(sub.value)
        named = isinstance(value, t.Name) and order_zero_label(value.name, self.scope.names)
        return self.scope.is_position(sub) and not (named and sub.divisor is None)

    def _tensor(self, tree: t.Access | t.Name, subs: tuple[Sub, ...], env: Env) -> Expr:
        access = Access(tree.name, subs)
        kind = self.scope.names.tensors[tree.name].kind
        if kind == "bool":
            return Iverson(access)
        if kind == "label" and not self.labels_count:
            remedy = (
                f"compare it with an index: `[{tree.name}{'[...]' if subs else ''} == i]`, or use it as a subscript"
            )
            return self.error("E307", f"`{tree.name}` is a label, and cannot be used as a number", tree.span, remedy)
        return access

    def _matrix(self, tree: t.MatrixCall | t.Call, env: Env) -> Expr:
        use = matrix.resolve(tree, self.scope.names)
        if use is None:
            return ZERO
        subs = self._subs(tree.subs, env, use.keys) if isinstance(tree, t.MatrixCall) else ()
        if use.function == "slogdet_sign" and use.arguments[0].name in self.scope.names.complex:
            return complexes.sign_of(Access(self.matrix_target(replace(use, function="logdet")), subs))
        return Access(self.matrix_target(use), subs)

    def _subs(self, subs: tuple[t.Subscript, ...], env: Env, keys: tuple[Key | None, ...]) -> tuple[Sub, ...]:
        return tuple(self._sub(sub, env, key) for sub, key in zip(subs, keys))

    def _sub(self, sub: t.Subscript, env: Env, key: Key | None) -> Sub:
        letter = self.scope.plain(sub)
        if letter is not None:
            index = self.index(letter, env)
            # An index that also reads with an offset may be shorter than an axis that it reads plainly.
            shorter = key is not None and self.scope.names.extents.extent(key) not in (index.extent, None)
            return Position(index) if shorter else index
        if self.is_position(sub):
            return positions.label(self, sub, key, env)
        assert sub.value is not None
        return conditions.label(self, sub.value, env)

    def _tensor_subs(self, tree: t.Access | t.Name, env: Env) -> tuple[Sub, ...]:
        if isinstance(tree, t.Name):
            return ()
        return self._subs(tree.subs, env, self.scope.names.tensors[tree.name].keys)

    def bool_access(self, tree: t.Tree, env: Env) -> Expr:
        """The access of a bool tensor."""
        assert isinstance(tree, t.Name | t.Access)
        return Access(tree.name, self._tensor_subs(tree, env))

    def label_access(self, tree: t.Name | t.Access, env: Env) -> Expr:
        """The access of a tensor of labels."""
        if isinstance(tree, t.Name) and not order_zero_label(tree.name, self.scope.names):
            return self.error("E308", f"`{tree.name}` is no label", tree.span)
        return Access(tree.name, self._tensor_subs(tree, env))


def _sum(indices: list[Index], values: list[Expr]) -> Expr:
    body = mul(*values)
    return ZERO if body is ZERO else Sum(tuple(indices), body)


def _groups(here: list[str], letters: list[list[str]]) -> list[tuple[list[str], list[int]]]:
    """The letters summed here, and the factors that have them, in groups that share no letter.

    What is summed stays together where a factor joins it, so that a sum is no wider than it must be.
    """
    group = {letter: letter for letter in here}
    for own in letters:
        for letter in own[1:]:
            old, new = group[letter], group[own[0]]
            group = {i: new if g == old else g for i, g in group.items()}
    found: dict[str, tuple[list[str], list[int]]] = {}
    for letter in here:
        found.setdefault(group[letter], ([], []))[0].append(letter)
    for number_, own in enumerate(letters):
        if own:
            found[group[own[0]]][1].append(number_)
    return [*found.values()]
