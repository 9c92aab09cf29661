"""One equation's letters: which names are indices in it, and where each occurs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tensorgrad_gen.elaborate import walk
from tensorgrad_gen.elaborate.extents import ELLIPSIS, Key
from tensorgrad_gen.elaborate.names import Names
from tensorgrad_gen.elaborate.vocabulary import SCANS
from tensorgrad_gen.errors import Span
from tensorgrad_gen.syntax.tree import Access, Bound, Call, MatrixCall, Name, Subscript, Tree

if TYPE_CHECKING:
    from tensorgrad_gen.elaborate.positions import Position


def index_letters(trees: tuple[Tree, ...], names: Names) -> dict[str, Span]:
    """Every name that is an index in these trees, and where it first stands.

    A name in brackets is one, unless it is of order 0 (a label of order 0 wins over an index);
    a bare name is one if it is in brackets elsewhere, or a letter of the whole spec.
    """
    bracketed: dict[str, Span] = {}
    bare: dict[str, Span] = {}
    for tree in trees:
        for node in walk.nodes(tree):
            for sub in walk.subscripts(node):
                for name in walk.position_names(sub):
                    bracketed.setdefault(name.name, name.span)
            if isinstance(node, Name) and node.name in names.letters:
                bare.setdefault(node.name, node.span)
    return {n: s for n, s in {**bare, **bracketed}.items() if not names.scalar(n) and not order_zero_label(n, names)}


def order_zero_label(name: str, names: Names) -> bool:
    """Whether the name is a label of order 0."""
    tensor = names.tensors.get(name)
    return tensor is not None and tensor.order == 0 and tensor.kind == "label"


@dataclass(slots=True)
class Scope:
    """The letters of one equation.  `number` tells equations apart."""

    names: Names
    number: int
    indices: dict[str, Span]
    left: tuple[str, ...] = ()
    arguments: frozenset[str] = frozenset()  # of the user's function whose body this is
    window_letters: frozenset[str] = frozenset()  # that stand in a position whose outside is not read
    deferred: list[tuple[str, Key, Span]] = field(default_factory=list)  # plain reads of an axis by such letters
    windows: list[tuple[Position, Key]] = field(default_factory=list)  # positions, and the axes they read
    masks: bool = False  # whether the equation has a condition: what it masks is not read
    unranged: set[str] = field(default_factory=set)  # letters whose range could not be found, reported
    _letters: dict[int, tuple[Tree, dict[str, Span]]] = field(default_factory=dict)

    def key(self, letter: str) -> Key:
        """The extent's key of a letter here."""
        return self.names.key(letter, self.number)

    def plain(self, sub: Subscript) -> str | None:
        """The letter of a subscript that is an index, or `...`; None for a label or a position."""
        if sub.ellipsis:
            return ELLIPSIS
        value = None if sub.value is None else walk.strip(sub.value)
        if sub.divisor is None and isinstance(value, Name) and value.name in self.indices:
            return value.name
        return None

    def is_position(self, sub: Subscript) -> bool:
        """Whether a subscript is a position other than a plain index."""
        return walk.is_position(sub) and self.plain(sub) is None

    def letters(self, tree: Tree) -> dict[str, Span]:
        """The letters that occur in a tree and are not bound in it, in order, with their first places."""
        known = self._letters.get(id(tree))
        if known is not None:
            return known[1]
        found: dict[str, Span] = {}
        stack = [tree]
        while stack:
            node = stack.pop()
            if isinstance(node, Name):
                if node.name in self.indices:
                    found.setdefault(node.name, node.span)
            elif isinstance(node, Bound):
                for letter, span in self._bound_letters(node).items():
                    found.setdefault(letter, span)
            elif isinstance(node, Access | MatrixCall):
                for letter, span in self._subscript_letters(node.subs).items():
                    found.setdefault(letter, span)
            elif not (isinstance(node, Call) and node.name == "size"):
                stack += reversed(walk.children(node))
        self._letters[id(tree)] = (tree, found)
        return found

    def _bound_letters(self, node: Bound) -> dict[str, Span]:
        own = {sub.value.name if isinstance(sub.value, Name) else ELLIPSIS: sub.span for sub in node.subs}
        found = {letter: span for arg in node.args for letter, span in self.letters(arg).items()}
        if node.name in SCANS:
            return {**found, **{letter: span for letter, span in own.items() if letter not in found}}
        return {letter: span for letter, span in found.items() if letter not in own}

    def _subscript_letters(self, subs: tuple[Subscript, ...]) -> dict[str, Span]:
        found: dict[str, Span] = {}
        for sub in subs:
            plain = self.plain(sub)
            inner = {plain: sub.span} if plain else self.letters(sub.value) if sub.value is not None else {}
            for letter, span in inner.items():
                found.setdefault(letter, span)
        return found

    def multiplicity(self, tree: Tree, letter: str) -> int:
        """How often a factor that is no box has the letter.

        Occurrences within one access count once when one of them is inside a label.
        """
        if isinstance(tree, Access | MatrixCall):
            having = [sub for sub in tree.subs if letter in self._subscript_letters((sub,))]
            label = any(self.plain(sub) is None and not self.is_position(sub) for sub in having)
            return min(len(having), 1) if label else len(having)
        power = walk.power_of_access(tree)
        if power is not None:
            return self.multiplicity(power[0], letter)
        return int(letter in self.letters(tree))

    def is_box(self, tree: Tree, letter: str) -> bool:
        """Whether the factor is a box for this letter: something with an inside where it may be summed."""
        power = walk.power_of_access(tree)
        if power is not None:
            return letter in self.letters(power[1])
        if isinstance(tree, Bound) and tree.name in SCANS and any(self.plain(sub) == letter for sub in tree.subs):
            return False
        return bool(walk.inside(tree))

    def can_sum(self, term: Tree, letter: str) -> bool:
        """Whether an additive term can sum the letter itself."""
        having = [f.tree for f in walk.factors(term)[0] if letter in self.letters(f.tree)]
        if len(having) != 1:
            return len(having) > 1
        only = having[0]
        return self.closed(only, letter) if self.is_box(only, letter) else self.multiplicity(only, letter) > 1

    def closed(self, tree: Tree, letter: str) -> bool:
        """Whether a factor is a box in which every additive term that has the letter can sum it itself."""
        if not self.is_box(tree, letter):
            return False
        inner = [term.tree for part in walk.inside(tree) for term in walk.terms(part)]
        return all(self.can_sum(term, letter) for term in inner if letter in self.letters(term))

    def occurring_once(self, trees: tuple[Tree, ...]) -> list[str]:
        """The letters that occur exactly once in some additive term, in order."""
        every = [term.tree for tree in trees for term in walk.terms(tree)]
        letters = {letter: None for term in every for letter in self.letters(term)}
        return [i for i in letters if any(self._occurrences(term, i) == 1 for term in every)]

    def _occurrences(self, term: Tree, letter: str) -> int:
        """How often a term has a letter; a box has it as often as one of its terms does."""
        count = 0
        for factor in walk.factors(term)[0]:
            if letter not in self.letters(factor.tree):
                continue
            if self.is_box(factor.tree, letter):
                inner = [t.tree for part in walk.inside(factor.tree) for t in walk.terms(part)]
                count += max(self._occurrences(t, letter) for t in inner)
            else:
                count += self.multiplicity(factor.tree, letter)
        return count

    def tensors_in(self, tree: Tree) -> list[str]:
        """The names of the tensors that a tree reads."""
        return [n.name for n in walk.nodes(tree) if isinstance(n, Access | Name) and n.name in self.names.tensors]
